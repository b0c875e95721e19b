"""Runs inside QGIS (`qgis --code`): works the GeoSeg panel as a user would, and records what came of it.

Reads the request of `demo.py` from the file that GEOSEG_REQUEST names. Every step sets inputs of a page, presses its
button and waits for the panel to be idle again. A timer on the main thread measures how long QGIS was ever unable
to answer while jobs ran.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProject,
    QgsRasterLayer,
    QgsRendererCategory,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QElapsedTimer, QEventLoop, QObject, Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QComboBox, QPushButton
from qgis.utils import iface, loadPlugin, plugins, startPlugin

if TYPE_CHECKING:
    from geoseg_plugin.jobs.choices import RasterChoice

Layer = TypeVar("Layer", QgsRasterLayer, QgsVectorLayer)

REQUEST = json.loads(Path(os.environ["GEOSEG_REQUEST"]).read_text(encoding="utf-8"))
OUT = Path(REQUEST["out"])
COLORS = ("#d95f02", "#e6c229", "#1b9e77", "#7570b3", "#66a61e", "#e7298a", "#a6761d", "#377eb8")
SPLIT_FIELDS = ("split", "traindata_type", "fold")
ASK_TRANSFORM = "projections/promptWhenMultipleTransformsExist"
ANSWER_S, JOB_S = 120, 3000
TICK_MS = 20


class StepError(Exception):
    """A step of the demo ended otherwise than it should; carries the panel's own words."""


class Pulse(QObject):
    """Longest time the main thread did not come back to its event loop, per phase, in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_ms: dict[str, float] = {}
        self.phase = ""
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start(TICK_MS)

    def begin(self, phase: str) -> None:
        """Measure under a name from now on; empty stops measuring."""
        self.phase = phase
        self._clock.start()

    def _on_tick(self) -> None:
        late = self._clock.restart() - TICK_MS
        if self.phase:
            self.longest_ms[self.phase] = max(self.longest_ms.get(self.phase, 0), late)


class Demo:
    """One run over all pages."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.seconds: dict[str, float] = {}
        self.train_result: dict = {}
        self.evaluation: dict = {}
        self.prediction: dict = {}
        self.layers: dict[str, Any] = {}

    def run(self) -> None:
        """All steps, then the files."""
        self.load_layers()
        self.open_panel()
        for name in ("data", "tiles", "train", "predict"):
            started = time.monotonic()
            getattr(self, name)()
            self.seconds[name] = round(time.monotonic() - started, 1)
            say(f"{name} done in {self.seconds[name]:.0f} s")
        self.write_results()
        self.take_screenshots()

    def load_layers(self) -> None:
        """Layers as a user has them before GeoSeg is opened."""
        QgsSettings().setValue(ASK_TRANSFORM, False, QgsSettings.Section.App)
        project = QgsProject.instance()
        for path in reversed(REQUEST["rasters"]):
            self.layers[path] = project.addMapLayer(checked(QgsRasterLayer(path, Path(path).stem), path))
        reference = self.layers[REQUEST.get("reference") or REQUEST["rasters"][0]]
        labels = checked(
            QgsVectorLayer(REQUEST["labels"], Path(REQUEST["labels"]).stem, "ogr"), REQUEST["labels"]
        )
        style_labels(labels, REQUEST["field"])
        self.layers["labels"] = project.addMapLayer(labels)
        if REQUEST["area"]:
            area = checked(QgsVectorLayer(REQUEST["area"], "labelled area", "ogr"), REQUEST["area"])
            symbol = {"color": "0,0,0,0", "outline_color": "#222222", "outline_width": "0.6"}
            area.renderer().setSymbol(QgsFillSymbol.createSimple(symbol))
            self.layers["area"] = project.addMapLayer(area)
        pause(300)  # QGIS takes the CRS of the first layer a moment later
        project.setCrs(reference.crs())
        canvas = iface.mapCanvas()
        canvas.setExtent(canvas.mapSettings().layerExtentToOutputExtent(reference, reference.extent()))

    def open_panel(self) -> None:
        """Start the plugin and open its dock."""
        QgsSettings().setValue("geoseg/workspace", str(OUT / "workspace"))
        if "geoseg_plugin" not in plugins and not (
            loadPlugin("geoseg_plugin") and startPlugin("geoseg_plugin")
        ):
            raise StepError("QGIS could not load the plugin geoseg_plugin.")
        self.plugin = plugins["geoseg_plugin"]
        self.plugin.open_dock()
        self.dock, self.panel = self.plugin.dock, self.plugin.panel
        self.pages = self.panel.pages
        self.panel.services.jobs.runner.submission_finished.connect(self._on_submission_finished)

    def _on_submission_finished(self, kind: str, result: dict, _folder: str) -> None:
        attribute = {"train": "train_result", "evaluate": "evaluation", "predict": "prediction"}.get(kind)
        if attribute:
            setattr(self, attribute, result)

    def data(self) -> None:
        """Tick everything, choose labels and area, prepare."""
        page = self.pages.data
        self.dock.show_step("data")
        wait_until(lambda: page.tree.topLevelItemCount() >= len(REQUEST["rasters"]), ANSWER_S)
        page.tree.set_choices(self.raster_choices())
        page.label_layer.setLayer(self.layers["labels"])
        select(page.class_field, REQUEST["field"])
        if REQUEST["area_kind"]:
            select(page.area_kind, REQUEST["area_kind"])
        if "area" in self.layers:
            page.area_layer.setLayer(self.layers["area"])
        if REQUEST["unlabelled"]:
            {"background": page.background, "unknown": page.unknown}[REQUEST["unlabelled"]].click()
        if REQUEST.get("reference"):
            select(page.options.reference, self.layers[REQUEST["reference"]].id())
        wait_until(lambda: not self.panel.services.queries.busy and page.sentence.text(), ANSWER_S)
        say(page.sentence.text())
        self.grab("1-data")
        self.press(page.primary, "data")

    def raster_choices(self) -> list[RasterChoice]:
        """All bands of all rasters, and the terrain of the DEM instead of its elevation."""
        from geoseg_plugin.contract import TERRAIN_ATTRIBUTES
        from geoseg_plugin.jobs.choices import RasterChoice

        chosen = []
        for path in REQUEST["rasters"]:
            layer = self.layers[path]
            is_dem = path == REQUEST.get("dem")
            bands = () if is_dem else tuple(range(1, layer.bandCount() + 1))
            chosen.append(RasterChoice(layer.id(), bands, TERRAIN_ATTRIBUTES if is_dem else ()))
        return chosen

    def tiles(self) -> None:
        """Split and tile; a field of the area layer that names splits is used."""
        page = self.pages.split
        self.dock.show_step("tiles")
        if "area" in self.layers:
            fields = [field.name() for field in self.layers["area"].fields()]
            named = [name for name in fields if name.lower() in SPLIT_FIELDS]
            if named:
                select(page.options.split_field, named[0])
        self.press(page.primary, "tiles")
        self.grab("2-tiles")

    def train(self) -> None:
        """Train within the time budget; the panel evaluates on the test blocks by itself."""
        page = self.pages.train
        self.dock.show_step("train")
        page.minutes.setValue(max(1, round(REQUEST["max_minutes"])))
        page.network.fields["epochs"].setValue(REQUEST["epochs"])
        self.press(page.primary, "train", lambda: bool(self.evaluation))
        self.dock.show_step("train")
        self.grab("3-train")

    def predict(self) -> None:
        """Predict on the same layers, with confidence and polygons."""
        page = self.pages.predict
        self.dock.show_step("predict")
        wait_until(lambda: page.primary.isEnabled() and not self.panel.services.queries.busy, ANSWER_S)
        self.press(page.primary, "predict", lambda: bool(self.prediction))
        self.grab("4-predict")

    def press(self, button: QPushButton, phase: str, done: Callable[[], bool] = lambda: True) -> None:
        """Press a page's primary button and wait until the runner is idle and `done()`."""
        problems: list[Any] = []
        runner = self.panel.services.jobs.runner
        runner.failed.connect(problems.append)
        wait_until(lambda: button.isEnabled(), ANSWER_S)
        self.pulse.begin(phase)
        button.click()
        try:
            wait_until(
                lambda: (
                    problems or (not runner.busy and not self.panel.services.result_queue.busy and done())
                ),
                JOB_S,
            )
        finally:
            self.pulse.begin("")
            runner.failed.disconnect(problems.append)
        if problems:
            raise StepError(
                f"{problems[0]['message']} {problems[0].get('hint', '')}\n{problems[0].get('details', '')}"
            )

    def write_results(self) -> None:
        """metrics.json, the report, the prediction files and the project, where `make demo` promises them."""
        evaluation, training = self.evaluation, self.train_result
        metrics = {
            "per_class": evaluation["per_class"],
            "miou": evaluation["miou"],
            "accuracy": evaluation["accuracy"],
            "largest_class_accuracy": evaluation.get("majority_accuracy"),
            "split": evaluation["split"],
            "device": training.get("device", ""),
            "precision": training.get("precision", ""),
            "seconds_per_step": training.get("seconds_per_step"),
            "epochs": training.get("epochs_run"),
            "train_minutes": round(self.seconds["train"] / 60, 2),
            "seconds": self.seconds,
            "main_thread_longest_block_ms": self.pulse.longest_ms,
            "foreign_modules_in_qgis": sorted(
                {"torch", "rasterio", "geopandas", "shapely", "richdem", "onnxruntime"} & set(sys.modules)
            ),
            "confusion": evaluation["confusion"],
            "warnings": evaluation.get("warnings", []),
        }
        folder = Path(self.prediction["output"]).parent
        for path in folder.iterdir():
            if path.suffix in (".tif", ".gpkg", ".qml", ".xml"):
                shutil.copy2(path, OUT / path.name)
        report = evaluation.get("report")
        if report and Path(report).exists():
            shutil.copy2(report, OUT / "report.html")
        QgsProject.instance().write(str(OUT / "demo.qgz"))
        (OUT / "metrics.json").write_text(json.dumps(metrics, indent=1), encoding="utf-8")

    def take_screenshots(self) -> None:
        """The picture of the whole window with the results page and the styled layers over the image."""
        tree = QgsProject.instance().layerTreeRoot()
        tree.findLayer(self.layers["labels"].id()).setItemVisibilityChecked(False)
        self.dock.show_step("results")
        pause(1500)
        self.grab("5-results")
        shutil.copy2(OUT / "pages" / "5-results.png", OUT / "screenshot.png")

    def grab(self, name: str) -> None:
        """A picture of the QGIS window."""
        (OUT / "pages").mkdir(exist_ok=True)
        canvas = iface.mapCanvas()
        iface.messageBar().clearWidgets()
        canvas.refresh()
        wait_until(lambda: not canvas.isDrawing(), 30, quiet=True)
        pause(400)
        iface.mainWindow().grab().save(str(OUT / "pages" / f"{name}.png"))


def style_labels(layer: QgsVectorLayer, field: str) -> None:
    """Categories with colours, as an analyst would have them; the panel takes its legend from here."""
    if not field:
        layer.renderer().setSymbol(QgsFillSymbol.createSimple({"color": COLORS[0]}))
        return
    values = sorted({feature[field] for feature in layer.getFeatures() if feature[field]}, key=str)
    categories = [
        QgsRendererCategory(
            value, QgsFillSymbol.createSimple({"color": COLORS[index % len(COLORS)]}), str(value)
        )
        for index, value in enumerate(values)
    ]
    layer.setRenderer(QgsCategorizedSymbolRenderer(field, categories))


def checked(layer: Layer, path: str) -> Layer:
    """The layer, if QGIS can read it."""
    if not layer.isValid():
        raise StepError(f"QGIS cannot read {path}.")
    return layer


def select(combo: QComboBox, value: str) -> None:
    """Choose an entry of a combo box by its data."""
    index = combo.findData(value)
    if index < 0:
        known = [combo.itemData(position) for position in range(combo.count())]
        raise StepError(f"'{value}' is not among {known}.")
    combo.setCurrentIndex(index)
    combo.activated.emit(index)


def wait_until(condition: Callable[[], object], timeout_s: float, quiet: bool = False) -> None:
    """Run the event loop until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            if quiet:
                return
            raise StepError(f"Waited {timeout_s:.0f} s in vain.")
        pause(30)


def pause(milliseconds: int) -> None:
    """Let QGIS live for a while."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def say(text: str) -> None:
    """A line for the user of `make demo`."""
    print(f"demo: {text}", flush=True)


def main() -> None:
    """Run, record a failure if there is one, and close QGIS unless it shall stay open."""
    iface.mainWindow().resize(1660, 1010)
    try:
        Demo().run()
    except Exception as error:  # noqa: BLE001  (the border: QGIS must end)
        problem = {"message": str(error), "details": traceback.format_exc()}
        (OUT / "failure.json").write_text(json.dumps(problem, indent=1), encoding="utf-8")
        iface.mainWindow().grab().save(str(OUT / "failure.png"))
    if not REQUEST.get("stay_open"):
        QgsProject.instance().setDirty(False)
        iface.newProject(False)
        QTimer.singleShot(300, QApplication.quit)


QTimer.singleShot(1500, main)
