"""What happens to layers is seen by itself, and results that no longer follow from them are out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docked import DataDesk as Desk
from docked import is_done, is_outdated, layer_id, polygon_layer, raster_layer, ratio, tooltip
from engine_results import later
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsGeometry,
    QgsProject,
    QgsRasterLayer,
    QgsRasterRange,
    QgsRectangle,
    QgsRendererCategory,
    QgsSymbol,
    QgsVectorLayer,
)
from waiting import wait_for

from geoseg_plugin.jobs.choices import RasterChoice
from geoseg_plugin.panel import freshness as controller_freshness
from geoseg_plugin.panel import layer_watch as watch
from geoseg_plugin.steps.data import controller as controller_data


@pytest.fixture
def desk(data_desk: Desk) -> Desk:
    return data_desk


def project_layer(name: str) -> Any:
    return QgsProject.instance().mapLayersByName(name)[0]


def box(layer: QgsVectorLayer, value: str, x: float = 500_300) -> QgsFeature:
    feature = QgsFeature(layer.fields())
    feature.setAttributes([value, ""])
    edges = f"{x} 4999900, {x + 50} 4999900, {x + 50} 4999950, {x} 4999950, {x} 4999900"
    feature.setGeometry(QgsGeometry.fromWkt(f"POLYGON(({edges}))"))
    return feature


def nine_boxes(layer: QgsVectorLayer) -> None:
    """Drawn, not saved."""
    for number in range(9):
        layer.addFeature(box(layer, f"class {number % 3}", 500_050 + 40 * number))


def categorized(layer: QgsVectorLayer) -> None:
    symbol = QgsSymbol.defaultSymbol(layer.geometryType())
    categories = [QgsRendererCategory("scarp", symbol.clone(), "Main scarp")]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))


def nodata(layer: QgsRasterLayer) -> None:
    layer.dataProvider().setUserNoDataValue(1, [QgsRasterRange(1, 1)])
    layer.triggerRepaint()


CHANGES: dict[str, Callable[[Any, Any], object]] = {
    "feature drawn": lambda labels, image: labels.addFeature(box(labels, "x")),
    "many features drawn": lambda labels, image: nine_boxes(labels),
    "feature deleted": lambda labels, image: labels.deleteFeature(next(labels.getFeatures()).id()),
    "geometry": lambda labels, image: labels.changeGeometry(
        next(labels.getFeatures()).id(), QgsGeometry.fromWkt("POLYGON((0 0, 1 0, 1 1, 0 0))")
    ),
    "attribute": lambda labels, image: labels.changeAttributeValue(next(labels.getFeatures()).id(), 0, "x"),
    "attribute deleted": lambda labels, image: labels.deleteAttribute(1),
    "commit": lambda labels, image: labels.commitChanges(),
    "rollback": lambda labels, image: labels.rollBack(),
    "written past the layer": lambda labels, image: labels.triggerRepaint(),
    "filter": lambda labels, image: labels.setSubsetString("\"class\" = 'scarp'"),
    "labels' style": lambda labels, image: categorized(labels),
    "labels' CRS": lambda labels, image: labels.setCrs(QgsCoordinateReferenceSystem("EPSG:32633")),
    "labels' name": lambda labels, image: labels.setName("other"),
    "raster's CRS": lambda labels, image: image.setCrs(QgsCoordinateReferenceSystem("EPSG:32633")),
    "raster's name": lambda labels, image: image.setName("other"),
    "raster's nodata": lambda labels, image: nodata(image),
    "raster's style": lambda labels, image: image.setRenderer(image.renderer().clone()),
    "raster's source": lambda labels, image: image.setDataSource(
        project_layer("dem").source(), "dem", "gdal"
    ),
    "layer removed": lambda labels, image: QgsProject.instance().removeMapLayer(image.id()),
    "layer added": lambda labels, image: polygon_layer("more"),
    "project's CRS": lambda labels, image: QgsProject.instance().setCrs(
        QgsCoordinateReferenceSystem("EPSG:3857")
    ),
}


NOT_WHILE_EDITING = ("filter", "raster's source")


@pytest.fixture
def seen(qgis_app: Any, qgis_new_project: None, tmp_path: Path) -> Iterator[watch.LayerWatch]:
    """A watch of two rasters and polygons that are being edited."""
    for name in ("optical", "dem"):
        raster_layer(tmp_path, name, 1)
    polygon_layer().startEditing()
    found = watch.LayerWatch(QgsProject.instance())
    yield found
    found.close()
    for layer in QgsProject.instance().mapLayersByName("labels"):
        layer.rollBack()


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_an_input_is_heard(change: str, seen: watch.LayerWatch) -> None:
    labels, image = project_layer("labels"), project_layer("optical")
    ids = labels.id(), image.id()
    if change in NOT_WHILE_EDITING:
        labels.rollBack()
    seen._timer.stop()
    before = [seen.revision(item) for item in ids]
    CHANGES[change](labels, image)
    assert seen._timer.isActive() and seen._timer.interval() <= watch.WAIT_MS
    assert [seen.revision(item) for item in ids] != before or change in ("layer added", "project's CRS"), (
        "it is known which layer has changed"
    )


def test_undo_and_redo_are_heard(seen: watch.LayerWatch) -> None:
    labels = project_layer("labels")
    labels.addFeature(box(labels, "x"))
    for step in (labels.undoStack().undo, labels.undoStack().redo):
        seen._timer.stop()
        step()
        assert seen._timer.isActive()


def test_an_endless_row_of_edits_is_looked_at_all_the_same(
    seen: watch.LayerWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    seen._timer.stop()
    waits = []
    for _edit in range(9):
        seen.touch()
        waits.append(seen._timer.interval())
        now[0] += 0.25
    assert waits[0] == watch.WAIT_MS and waits[-1] == 0


def test_nobody_listens_after_the_end(seen: watch.LayerWatch) -> None:
    layer = project_layer("optical")
    other = watch.LayerWatch(QgsProject.instance())
    other.close()
    layer.setName("other")
    QgsProject.instance().removeAllMapLayers()
    polygon_layer("later").setName("later still")
    assert not other._timer.isActive()


def test_many_edits_are_looked_at_once_and_unsaved_ones_count(desk: Desk) -> None:
    QgsProject.instance().removeMapLayer(layer_id("labels"))
    desk.dock.show()
    drawn = polygon_layer("drawn", ())
    changed = desk.services.freshness.layers_changed
    with wait_for(changed):
        pass
    assert any("no features" in text for text in desk.page.problem_list.texts())
    assert not desk.page.primary.isEnabled() and desk.page.legend.isHidden()
    drawn.startEditing()
    nine_boxes(drawn)
    with wait_for(changed) as times:
        pass
    assert len(times) == 1 and desk.page.legend.names() == ["class 0", "class 1", "class 2"]
    assert desk.asked.job().labels.name == "drawn", "it is planned by itself"
    desk.asked.finish(sentence="Stack.", problems=[])
    assert desk.page.primary.isEnabled() and desk.page.problem_list.texts() == []
    drawn.rollBack()


def test_nothing_is_read_for_a_panel_that_nobody_sees(desk: Desk) -> None:
    fresh, heard = desk.services.freshness, []
    fresh.layers_changed.connect(lambda: heard.append(1))
    desk.dock.hide()
    fresh.watch.settled.emit()
    assert heard == []
    fresh.watch._timer.stop()
    desk.dock.show()
    assert fresh.watch._timer.isActive(), "it is caught up with"
    fresh.watch.settled.emit()
    assert heard == [1]


def test_a_box_is_empty_after_its_layer_has_gone(desk: Desk) -> None:
    area, boxes = (
        polygon_layer("area"),
        [desk.page.area_layer, *desk.pages.split.options.split_layers.combos.values()],
    )
    for box_of_layers in boxes:
        box_of_layers.setLayer(area)
    QgsProject.instance().removeMapLayers([layer_id("labels"), area.id()])
    assert desk.page.choices().label_layer_id == "", "no raster takes the place of the labels"
    assert [item.layer_id() for item in boxes] == [""] * 4


def test_layers_may_go_while_the_look_is_still_to_come(desk: Desk) -> None:
    desk.dock.show()
    labels = project_layer("labels")
    labels.startEditing()
    labels.addFeature(box(labels, "x"))
    QgsProject.instance().removeAllMapLayers()
    with wait_for(desk.services.freshness.layers_changed):
        pass
    assert desk.page.tree.layer_count() == 0 and desk.page.legend.isHidden()
    assert desk.pages.data.problem_list.texts() == []


def test_a_raster_that_gets_its_crs_is_taken_up(desk: Desk) -> None:
    layer = project_layer("dem")
    layer.setCrs(QgsCoordinateReferenceSystem())
    desk.data.look_again()
    assert [item.layer_id for item in desk.page.tree.choices()] == [layer_id("optical")]
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:32632"))
    desk.data.look_again()
    assert len(desk.page.tree.choices()) == 2, "it is proposed like a new one"


def test_a_change_is_seen_before_there_are_labels(desk: Desk) -> None:
    QgsProject.instance().removeMapLayer(layer_id("labels"))
    desk.data.look_again()
    before = desk.asked.job()
    desk.asked.finish(problems=[])
    project_layer("optical").setCrs(QgsCoordinateReferenceSystem("EPSG:32633"))
    desk.data.look_again()
    assert desk.asked.busy and desk.asked.job() != before
    assert not is_outdated(desk.dock.steps, "data")


def made(desk: Desk) -> Path:
    """A dataset of the layers as they are, with tiles, a run on it, its evaluation and a map."""
    desk.data.look_again()
    desk.page.primary.click()
    labels = Path(desk.runner.job().output)
    labels.write_bytes(b"")
    desk.runner.finish(output=str(labels), warnings=[])
    later(labels.parent / "dataset.json", labels)
    return labels.parent


def test_the_tick_goes_with_an_edit_and_comes_back_with_undo(desk: Desk) -> None:
    made(desk)
    desk.data.look_again()
    steps, labels = desk.dock.steps, project_layer("labels")
    assert is_done(steps, "data") and is_done(steps, "tiles")
    labels.startEditing()
    desk.data.look_again()
    assert is_done(steps, "data"), "to edit is no edit"
    labels.addFeature(box(labels, "x"))
    desk.data.look_again()
    assert is_outdated(steps, "data") and not is_done(steps, "data") and is_outdated(steps, "tiles")
    assert "labels" in tooltip(steps, "data") and "labels" in desk.page.next_step.text()
    labels.undoStack().undo()
    desk.data.look_again()
    assert is_done(steps, "data") and "Prepared" in desk.page.next_step.text()
    labels.addFeature(box(labels, "x"))
    desk.data.look_again()
    labels.rollBack()
    desk.data.look_again()
    assert is_done(steps, "data") and is_done(steps, "tiles")


WHAT_CHANGES: list[tuple[str, Callable[[Any], object]]] = [
    ("labels", lambda desk: project_layer("labels").setSubsetString("\"class\" = 'scarp'")),
    ("labels", lambda desk: project_layer("labels").setSubsetString("")),
    ("labels", lambda desk: categorized(project_layer("labels"))),
    ("labels", lambda desk: desk.page.options.labels["border_px"].setValue(2)),
    ("labels", lambda desk: desk.page.legend.cellWidget(1, 1).setCurrentIndex(1)),
    ("rasters", lambda desk: project_layer("optical").setName("other")),
    ("rasters", lambda desk: nodata(project_layer("other"))),
    ("added bands", lambda desk: desk.page.bands.add(ratio("ratio", "other"))),
    ("grid", lambda desk: desk.page.options.pixel_size.setValue(5)),
    ("grid", lambda desk: desk.page.options.reference.setCurrentIndex(1)),
    ("area", lambda desk: desk.page.area_ratio.setValue(0.9)),
    ("area", lambda desk: desk.page.area_kind.setCurrentIndex(1)),
    ("rasters", lambda desk: desk.page.tree.set_choices([RasterChoice(layer_id("other"), (1,))])),
]
NOTHING_CHANGES: list[Callable[[Any], object]] = [
    lambda desk: project_layer("labels").setName("other"),
    lambda desk: project_layer("optical").setOpacity(0.5),
    lambda desk: project_layer("other").setOpacity(0.5),
    lambda desk: desk.page.options.write_stack.setChecked(False),
    lambda desk: desk.page.options.name.setText("another"),
    lambda desk: polygon_layer("more"),
    lambda desk: QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:3857")),
]


def test_it_is_said_what_has_changed(desk: Desk) -> None:
    for part, change in WHAT_CHANGES:
        made(desk)
        assert is_done(desk.dock.steps, "data")
        change(desk)
        desk.data.look_again()
        assert is_outdated(desk.dock.steps, "data") and part in tooltip(desk.dock.steps, "data")


def test_what_no_result_depends_on_leaves_the_tick(desk: Desk) -> None:
    made(desk)
    for number, change in enumerate(NOTHING_CHANGES):
        change(desk)
        desk.data.look_again()
        assert is_done(desk.dock.steps, "data"), (number, tooltip(desk.dock.steps, "data"))


def test_the_area_on_the_map_moves_with_the_map(desk: Desk) -> None:
    desk.page.area_kind.setCurrentIndex(desk.page.area_kind.findData("extent"))
    desk.iface.canvas.resize(100, 100)
    desk.iface.canvas.setExtent(QgsRectangle(500_000, 4_999_600, 500_500, 5_000_000))
    made(desk)
    desk.services.freshness.watch._timer.stop()
    desk.iface.canvas.setExtent(QgsRectangle(500_000, 4_999_800, 500_200, 5_000_000))
    assert desk.services.freshness.watch._timer.isActive()
    desk.data.look_again()
    assert is_outdated(desk.dock.steps, "data") and "area" in tooltip(desk.dock.steps, "data")


def test_classes_of_a_very_large_layer_wait_until_it_is_saved(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(desk)
    monkeypatch.setattr(controller_data, "MAX_LIVE", 1)
    labels = project_layer("labels")
    labels.startEditing()
    labels.addFeature(box(labels, "new"))
    desk.data.look_again()
    assert is_outdated(desk.dock.steps, "data") and "new" not in desk.page.legend.names()
    assert desk.page.filter_note.text() == "3 features: classes and plan follow when the edits are saved."
    labels.commitChanges()
    desk.data.look_again()
    assert "new" in desk.page.legend.names() and desk.page.filter_note.isHidden()


def test_a_large_layer_is_read_in_slices(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made(desk)
    monkeypatch.setattr(controller_freshness, "MAX_AT_ONCE", 1)
    labels, fresh = project_layer("labels"), desk.services.freshness
    labels.startEditing()
    labels.addFeature(box(labels, "x"))
    desk.asked.submissions = []
    desk.data.look_again()
    assert fresh.reading and is_done(desk.dock.steps, "data"), "as long as it is not known, nothing is said"
    assert desk.asked.submissions == [], "and nothing is asked"
    while fresh.reading:
        fresh._on_slice()
    desk.data.look_again()
    assert is_outdated(desk.dock.steps, "data")
    fresh.prints(hurry=True)
    labels.rollBack()
    desk.data.look_again()
    QgsProject.instance().removeMapLayer(labels.id())
    while fresh.reading:
        fresh._on_slice()
