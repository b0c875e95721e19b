"""Runs inside QGIS (`qgis --code`): loads layers, shows every page of the panel, takes pictures, quits."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import QgsProject, QgsRasterLayer, QgsSettings, QgsVectorLayer
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QEventLoop, Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QScrollArea
from qgis.utils import iface, loadPlugin, plugins, startPlugin

if TYPE_CHECKING:
    from geoseg_plugin.plugin import GeoSegPlugin

REQUEST = json.loads(Path(os.environ["GEOSEG_REQUEST"]).read_text(encoding="utf-8"))
OUT = Path(REQUEST["out"])
ASK_TRANSFORM = "projections/promptWhenMultipleTransformsExist"
RASTERS = (".tif", ".tiff", ".vrt", ".img", ".nc")


def take_pictures() -> None:
    """Open the panel and grab every page."""
    QgsSettings().setValue("geoseg/workspace", REQUEST["workspace"])
    QgsSettings().setValue(ASK_TRANSFORM, False, QgsSettings.Section.App)
    plugin = started_plugin()
    load_layers()
    plugin.open_dock()
    iface.mainWindow().resizeDocks([plugin.dock], [REQUEST["width"]], Qt.Orientation.Horizontal)
    questions = plugin.panel.services.queries
    pause(1500)
    iface.messageBar().clearWidgets()
    wait_until(lambda: not questions.busy, REQUEST["wait_s"])
    for page in REQUEST["pages"]:
        plugin.dock.show_step(page)
        pause(900)
        wait_until(lambda: not questions.busy, REQUEST["wait_s"])
        pause(300)
        plugin.dock.grab().save(str(OUT / f"{page}.png"))
        iface.mainWindow().grab().save(str(OUT / f"window-{page}.png"))

    for extra in REQUEST["extras"]:
        EXTRAS[extra](plugin)


def picture_table(plugin: GeoSegPlugin) -> None:
    """An index and a distance are added; the table of bands with its histogram."""
    section, bands = plugin.panel.pages.data.bands, plugin.panel.data.bands
    plugin.dock.show_step("data")
    for kind in ("index", "vector"):
        dialog = bands.make_dialog(kind)
        if not dialog.complaint():
            section.add(dialog.addition())
    bands.open_table()
    pause(1500)
    wait_until(lambda: not plugin.panel.services.queries.busy, REQUEST["wait_s"])
    bands.look()
    wait_until(lambda: not plugin.panel.services.queries.busy, REQUEST["wait_s"])
    pause(500)
    bands.window.grab().save(str(OUT / "bands.png"))
    plugin.dock.grab().save(str(OUT / "data-added.png"))
    bands.window.close()


def picture_dialogs(plugin: GeoSegPlugin) -> None:
    """Every dialog that adds a band."""
    for kind in ("index", "expression", "relief", "radar", "vector", "series"):
        dialog = plugin.panel.data.bands.make_dialog(kind)
        dialog.show()
        if kind == "series" and REQUEST["series"]:
            dialog.file.setFilePath(REQUEST["series"])
            pause(300)
            wait_until(lambda: not plugin.panel.services.queries.busy, REQUEST["wait_s"])
        pause(400)
        dialog.grab().save(str(OUT / f"add-{kind}.png"))
        dialog.close()


def picture_advanced(plugin: GeoSegPlugin) -> None:
    """Pages with options as a whole, with every group open."""
    for step in ("data", "tiles", "train", "predict", "results"):
        plugin.dock.show_step(step)
        page = plugin.dock.page(step)
        for group in page.findChildren(QgsCollapsibleGroupBox):
            group.setCollapsed(False)
        pause(600)
        page.findChild(QScrollArea).widget().grab().save(str(OUT / f"{step}-whole.png"))
        for group in page.findChildren(QgsCollapsibleGroupBox):
            group.setCollapsed(True)


def picture_findings(plugin: GeoSegPlugin) -> None:
    """What a check of the labels finds, on the map; and the page that leads there."""
    plugin.dock.show_step("data")
    plugin.panel.data.checks.check()
    wait_until(lambda: not plugin.panel.services.jobs.busy, REQUEST["wait_s"])
    wait_until(lambda: not plugin.panel.services.result_queue.busy, REQUEST["wait_s"])
    pause(2000)
    wait_until(lambda: not plugin.panel.services.queries.busy, REQUEST["wait_s"])
    for code in sorted(plugin.panel.data.checks.codes())[:1]:
        plugin.panel.data.checks.go_to(code)
    pause(2000)
    iface.mainWindow().grab().save(str(OUT / "window-findings.png"))
    plugin.dock.grab().save(str(OUT / "findings.png"))


def picture_blocks(plugin: GeoSegPlugin) -> None:
    """Data are prepared, tiles made; area, tiles and blocks on the map."""
    plugin.panel.data.prepare()
    wait_until(lambda: not plugin.panel.services.jobs.busy, 10 * REQUEST["wait_s"])
    plugin.dock.show_step("tiles")
    plugin.panel.split.make()
    wait_until(lambda: not plugin.panel.services.jobs.busy, 10 * REQUEST["wait_s"])
    wait_until(lambda: not plugin.panel.services.result_queue.busy, REQUEST["wait_s"])
    for node in QgsProject.instance().layerTreeRoot().findLayers():
        if node.name() in ("Tiles", "Split blocks", "Findings"):
            node.setItemVisibilityChecked(node.name() != "Findings")
    iface.mapCanvas().zoomToFullExtent()
    pause(3000)
    iface.mainWindow().grab().save(str(OUT / "window-blocks.png"))
    plugin.dock.grab().save(str(OUT / "tiles-made.png"))


def picture_train(plugin: GeoSegPlugin) -> None:
    """The newest dataset and run on the Train page: curves, plan, all settings, a baseline, a beginning, a preview."""
    services, page = plugin.panel.services, plugin.panel.pages.train
    datasets, runs = services.view.datasets(), services.view.runs()
    services.state.dataset = datasets[0].folder if datasets else None
    services.state.run = runs[0].folder if runs else None
    services.refresh()
    plugin.dock.show_step("train")
    pause(2500)
    wait_until(lambda: not services.queries.busy, 2 * REQUEST["wait_s"])
    picture_page(plugin, "train-plan")
    groups = page.findChildren(QgsCollapsibleGroupBox)
    for group in groups:
        group.setCollapsed(False)
    page.network.fields["loss"].set_value(["ce", "dice"])
    picture_page(plugin, "train-advanced")
    for group in groups:
        group.setCollapsed(True)
    page.network.fields["loss"].set_value(["auto"])
    area = page.findChild(QScrollArea)
    area.ensureWidgetVisible(page.curves)
    picture_page(plugin, "train-curves")
    for key, name in (("forest", "train-baseline"), ("zoo", "train-zoo"), ("unet", "train-start")):
        page.model.setCurrentIndex(page.model.findData(key))
        page.start.kind.setCurrentIndex(page.start.kind.findData("encoder" if key == "unet" else "none"))
        area.verticalScrollBar().setValue(0)
        pause(1500)
        wait_until(lambda: not services.queries.busy, 2 * REQUEST["wait_s"])
        picture_page(plugin, name)
    page.preview_requested.emit()
    pause(800)
    wait_until(lambda: not services.queries.busy, 2 * REQUEST["wait_s"])
    pause(500)
    if plugin.panel.train.planner.window is not None:
        plugin.panel.train.planner.window.grab().save(str(OUT / "train-preview.png"))
        plugin.panel.train.planner.window.close()


def picture_judging(plugin: GeoSegPlugin) -> None:
    """The newest comparison of --workspace, its best model on the Results page, and the register of runs."""
    services = plugin.panel.services
    datasets = services.view.datasets()
    services.state.dataset = datasets[0].folder if datasets else None
    services.refresh()
    plugin.dock.show_step("train")
    plugin.panel.train.comparison.open()
    pause(1200)
    window = plugin.panel.train.comparison.window
    window.grab().save(str(OUT / "compare.png"))
    if window.use_button.isEnabled():
        window.use_button.click()
        pause(800)
        picture_page(plugin, "results-of-comparison")
    window.close()
    plugin.panel.train.runs.open()
    pause(600)
    register = plugin.panel.train.runs.window
    for line in range(min(register.table.rowCount(), 3)):
        for column in range(register.table.columnCount()):
            register.table.item(line, column).setSelected(True)
    pause(600)
    register.grab().save(str(OUT / "runs.png"))
    register.close()
    plugin.dock.show_step("train")
    plugin.panel.train.experiments.search()
    pause(400)
    if plugin.panel.train.experiments.dialog is not None:
        plugin.panel.train.experiments.dialog.grab().save(str(OUT / "search.png"))
        plugin.panel.train.experiments.dialog.close()


def picture_predict(plugin: GeoSegPlugin) -> None:
    """The newest model of --workspace: the page as it is and with all groups open, a map, and the page after it."""
    services, page = plugin.panel.services, plugin.panel.pages.predict
    runs = [entry for entry in services.view.runs() if entry.finished]
    services.state.run = runs[0].folder if runs else None
    services.refresh()
    plugin.dock.show_step("predict")
    pause(1500)
    wait_until(lambda: not services.queries.busy, 2 * REQUEST["wait_s"])
    pause(1500)
    wait_until(lambda: not services.queries.busy, 2 * REQUEST["wait_s"])
    picture_page(plugin, "predict-plan")
    page.layers.ticks["beyond"].setChecked(True)
    page.cleaning.fields["min_patch_px"].setValue(9)
    groups = page.findChildren(QgsCollapsibleGroupBox)
    for group in groups:
        group.setCollapsed(False)
    picture_page(plugin, "predict-advanced")
    for group in groups:
        group.setCollapsed(True)
    pause(1500)
    wait_until(lambda: not services.queries.busy, 2 * REQUEST["wait_s"])
    page.primary.click()
    wait_until(lambda: not services.jobs.busy, 10 * REQUEST["wait_s"])
    wait_until(lambda: not services.result_queue.busy, REQUEST["wait_s"])
    pause(2500)
    picture_page(plugin, "predict-done")
    iface.mainWindow().grab().save(str(OUT / "window-predict-done.png"))
    page.place_requested.emit("beyond_training")
    pause(2500)
    iface.mainWindow().grab().save(str(OUT / "window-predict-beyond.png"))


def picture_map(plugin: GeoSegPlugin) -> None:
    """The newest prediction of --workspace: its areas, a sample (answered mostly as the map says), labels, a sheet.

    Labels are the first polygon layer of the project.
    """
    from geoseg_plugin.layers import publish
    from geoseg_plugin.records.workspace import last_result

    services, page = plugin.panel.services, plugin.panel.pages.results
    folder = services.view.predictions()[0].folder
    publish.publish_prediction(folder, last_result(folder), later=services.result_queue.add)

    def done() -> bool:
        return not services.jobs.busy and not services.result_queue.busy

    wait_until(done, REQUEST["wait_s"])
    plugin.dock.show_step("results")
    page.show_map()
    part = page.map
    picture_page(plugin, "map-counted")
    of_sample, of_labels = part.findChildren(QgsCollapsibleGroupBox)
    of_sample.setCollapsed(False)
    part.points.setValue(150)
    part.sample_button.click()
    wait_until(done, 4 * REQUEST["wait_s"])
    picture_page(plugin, "map-sample")
    fill_in(part.sample.currentLayer())
    pause(1500)
    iface.mainWindow().grab().save(str(OUT / "window-map-sample.png"))
    part.use_button.click()
    wait_until(done, 4 * REQUEST["wait_s"])
    picture_page(plugin, "map-corrected")
    of_sample.setCollapsed(True)
    of_labels.setCollapsed(False)
    vectors = [
        layer for layer in QgsProject.instance().mapLayers().values() if isinstance(layer, QgsVectorLayer)
    ]
    part.labels.setLayer(next(layer for layer in vectors if not layer.customProperty(publish.RESULT_MARK)))
    part.compare_button.click()
    wait_until(done, 10 * REQUEST["wait_s"])
    pause(2500)
    picture_page(plugin, "map-compared")
    iface.mainWindow().grab().save(str(OUT / "window-map-compared.png"))
    for kind in ("pdf", "png"):
        began = time.monotonic()
        plugin.panel.results.maps.write_sheet(OUT / f"sheet.{kind}")
        wait_until(done, 4 * REQUEST["wait_s"])
        print(f"sheet.{kind}: {time.monotonic() - began:.1f} s", flush=True)
    picture_page(plugin, "map-sheet")


def fill_in(layer: QgsVectorLayer) -> None:
    """Answer most points of a sample, unsaved: as the map says, every ninth otherwise."""
    answer, said = (layer.fields().lookupField(name) for name in ("reference", "class_name"))
    points = list(layer.getFeatures())
    names = sorted({point[said] for point in points})
    layer.startEditing()
    for number, point in enumerate(points):
        if number % 20:
            value = point[said] if number % 9 else names[number % len(names)]
            layer.changeAttributeValue(point.id(), answer, value)


def picture_page(plugin: GeoSegPlugin, name: str) -> None:
    """The panel, and all that scrolls in its page."""
    pause(500)
    plugin.dock.grab().save(str(OUT / f"{name}.png"))
    page = plugin.dock.page(plugin.dock.current_step())
    page.findChild(QScrollArea).widget().grab().save(str(OUT / f"{name}-whole.png"))


def picture_setup(plugin: GeoSegPlugin) -> None:
    """Every state of the Engine page with the badge below it, and the dialogs of the set-up."""
    sys.path.insert(0, REQUEST["scripts"])
    from setup_states import SITUATIONS, show

    plugin.dock.show_step("engine")
    for name in SITUATIONS:
        show(plugin.panel, name)
        pause(400)
        plugin.dock.grab().save(str(OUT / f"setup-{name}.png"))
    for name in ("card", "ready"):
        show(plugin.panel, name)
        plugin.panel.engine.setup.open_dialog()
        pause(600)
        dialog = plugin.panel.engine.setup.dialog
        dialog.grab().save(str(OUT / f"setup-dialog-{name}.png"))
        dialog.findChild(QScrollArea).widget().grab().save(str(OUT / f"setup-dialog-{name}-whole.png"))
        dialog.close()
    dialog = plugin.panel.engine.setup.kit_dialog()
    dialog.show()
    pause(400)
    dialog.grab().save(str(OUT / "setup-kit.png"))
    dialog.close()


EXTRAS = {
    "setup": picture_setup,
    "train": picture_train,
    "judging": picture_judging,
    "predict": picture_predict,
    "map": picture_map,
    "table": picture_table,
    "dialogs": picture_dialogs,
    "advanced": picture_advanced,
    "findings": picture_findings,
    "blocks": picture_blocks,
}


def started_plugin() -> GeoSegPlugin:
    """The running plugin."""
    name = "geoseg_plugin"
    if name not in plugins and not (loadPlugin(name) and startPlugin(name)):
        raise RuntimeError("QGIS could not load the plugin")
    return plugins[name]


def load_layers() -> None:
    """The project, or the layers, of the request."""
    project = QgsProject.instance()
    if REQUEST["project"]:
        project.read(REQUEST["project"])
        iface.mapCanvas().zoomToProjectExtent()
    elif REQUEST["layers"]:
        for path in map(Path, REQUEST["layers"]):
            kind = QgsRasterLayer if path.suffix.lower() in RASTERS else QgsVectorLayer
            project.addMapLayer(kind(str(path), path.stem))
        first = next(iter(project.mapLayers().values()))
        project.setCrs(first.crs())
        iface.mapCanvas().zoomToFullExtent()


def wait_until(condition: object, timeout_s: float) -> None:
    """Run the event loop until a condition holds or time is up."""
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        pause(50)


def pause(milliseconds: int) -> None:
    """Let QGIS live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def main() -> None:
    """Take the pictures and quit, whatever happens."""
    iface.mainWindow().resize(1480, 960)
    iface.mainWindow().move(0, 0)
    try:
        take_pictures()
    except Exception:  # noqa: BLE001  (the border: QGIS must end)
        traceback.print_exc()
    QgsProject.instance().setDirty(False)
    iface.newProject(False)
    QTimer.singleShot(200, QApplication.quit)


QTimer.singleShot(1200, main)
