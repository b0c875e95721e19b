"""Preparation from the panel: what is asked of the engine, what is shown of its answers; runners are fakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from docked import UTM, layer_id, polygon_layer, prepared, raster_layer, ratio
from docked import DataDesk as Desk
from engine_results import OFFER, SUMMARY, write_findings
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFillSymbol,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRuleBasedRenderer,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QColor

from geoseg_plugin.contract import Area, Labels, RasterizeJob
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.layers.inputs.dataset_problems import data_problems
from geoseg_plugin.layers.legendclasses import LEGEND_FIELD
from geoseg_plugin.steps.data.add_band.dialog import band_options
from geoseg_plugin.steps.data.add_band.index import IndexDialog
from geoseg_plugin.steps.data.add_band.series import SeriesDialog
from geoseg_plugin.steps.data.add_band.vector import VectorDialog
from geoseg_plugin.steps.split.state import LABELS, LAYERS


@pytest.fixture
def desk(data_desk: Desk) -> Desk:
    return data_desk


def test_added_bands_go_into_plan_check_and_dataset(desk: Desk) -> None:
    desk.page.bands.add(ratio())
    desk.page.bands.set_fields(["ratio"], {"fill": "0"})
    desk.data.plan()
    job = desk.asked.job()
    assert (job.bands[-1].name, job.bands[-1].fill) == ("ratio", "0")
    assert job.bands[-1].inputs == {"a": "optical: band 1", "b": "dem"}
    assert [band.name for band in job.intermediates] == ["dem"]
    desk.asked.finish(sentence="", problems=[])
    assert desk.asked.job().kind == "check" and desk.asked.job().intermediates == job.intermediates
    desk.pages.data.primary.click()
    stack = desk.runner.submissions[0].job
    assert stack.bands == job.bands and stack.intermediates == job.intermediates  # type: ignore[attr-defined]


def test_vector_features_are_written_in_the_task(desk: Desk) -> None:
    dialog = VectorDialog()
    dialog.mode.setCurrentIndex(dialog.mode.findData("onehot"))
    desk.page.bands.add(dialog.addition())
    desk.data.plan()
    source = desk.asked.job().sources[-1]
    assert source.kind == "vector" and len(desk.asked.exports) == 2
    for export in desk.asked.exports:
        export()
    assert Path(source.path).exists()


def test_a_layer_that_went_away_is_named_with_its_band(desk: Desk) -> None:
    desk.page.bands.add(ratio())
    QgsProject.instance().removeMapLayer(layer_id("dem"))
    desk.data.refresh_layers()
    desk.data.plan()
    assert any("added band" in text for text in desk.page.problem_list.texts())
    assert not desk.asked.busy
    desk.page.bands.remove([0])
    desk.data.plan()
    assert desk.asked.busy


def test_layers_of_one_sensor_are_one_source(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "east", 3)
    desk.data.refresh_layers()
    desk.page.bands.add_mosaic([layer_id("optical"), layer_id("east")])
    names = [desk.page.tree.topLevelItem(row).text(0) for row in range(desk.page.tree.topLevelItemCount())]
    assert "optical and 1 more" in names and "east" not in names
    desk.data.plan()
    source = next(item for item in desk.asked.job().sources if item.name == "optical")
    assert [Path(path).name for path in source.paths] == ["east.tif"]
    desk.page.bands.part_mosaic(layer_id("optical"))
    assert desk.page.tree.layer_count() == 3


def test_the_table_of_bands_is_filled_and_its_values_are_asked_for(desk: Desk) -> None:
    desk.data.bands.open_table()
    window = desk.data.bands.window
    assert window is not None and window.table.rowCount() == 9
    window.look.click()
    while desk.asked.job().kind != "summarize":
        desk.asked.finish()
    bands = [{**SUMMARY["bands"][0], "name": band.name} for band in desk.asked.job().bands]
    desk.asked.finish(bands=bands)
    assert window.table.item(0, 7).text() == "50.0 %"
    window.settings.low.setValue(5)
    assert desk.page.choices().settings[bands[0]["name"]]["clip_percent"] == [5.0, 99.5]
    desk.data.plan()
    assert window.table.item(0, 7).text() == "50.0 %", "clip limits change nothing that was read"
    desk.page.bands.set_fields([bands[0]["name"]], {"resampling": "average"})
    desk.data.plan()
    assert window.table.item(0, 7).text() == ""


def test_dialogs_offer_what_is_there(desk: Desk, tmp_path: Path) -> None:
    dialog = desk.data.bands.make_dialog("index")
    assert isinstance(dialog, IndexDialog) and len(band_options(desk.data.bands.rows)) == 4
    for kind in ("expression", "relief", "radar", "vector"):
        assert desk.data.bands.make_dialog(kind).windowTitle()
    series = desk.data.bands.make_dialog("series")
    assert isinstance(series, SeriesDialog)
    series.file.setFilePath(str(tmp_path / "ndvi.nc"))
    while desk.asked.job().kind != "inspect":
        desk.asked.finish()
    assert desk.asked.job().path == str(tmp_path / "ndvi.nc")
    desk.asked.finish(**OFFER)
    assert "3 dates" in series.found.text()


SQUARE = "POLYGON((500000 4999000, 500400 4999000, 500400 4999400, 500000 4999000))"


def test_the_area_is_on_the_map_while_the_data_page_is_shown(desk: Desk) -> None:
    desk.dock.show()
    desk.dock.show_step("data")
    desk.data.plan()
    desk.asked.finish(sentence="", problems=[], area_wkt=SQUARE, grid={"crs": UTM})
    assert desk.data.area.drawn().boundingBox().width() == 400
    desk.dock.show_step("tiles")
    assert desk.data.area.drawn().isEmpty()
    desk.dock.show_step("data")
    assert not desk.data.area.drawn().isEmpty()
    canvas = desk.iface.canvas
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    assert desk.data.area.drawn().boundingBox().width() < 1, "it follows the map's CRS"
    desk.dock.hide()
    assert desk.data.area.drawn().isEmpty()
    desk.data.area.close()
    assert desk.data.area.drawn().isEmpty()


def test_metres_are_suggested_where_pixels_are_degrees(desk: Desk) -> None:
    desk.data.plan()
    desk.asked.finish(sentence="", problems=[], suggestion={"crs": "EPSG:32631", "reason": "Degrees."})
    assert "Degrees." in desk.page.suggestion.text() and not desk.page.suggestion.isHidden()
    desk.page.suggestion.linkActivated.emit("EPSG:32631")
    assert desk.page.choices().crs == "EPSG:32631" and desk.page.suggestion.isHidden()


def test_the_grid_follows_the_image_and_not_the_uppermost_layer(desk: Desk) -> None:
    dem = QgsProject.instance().mapLayersByName("dem")[0]
    dem.setCrs(QgsCoordinateReferenceSystem("EPSG:4326"))
    desk.data.look_again()
    job = desk.asked.job()
    names = [item.name for item in job.sources]
    assert names == ["dem", "optical"] and job.grid.reference == "r2"
    assert desk.page.options.reference.itemText(0) == "automatic: optical"
    desk.page.options.reference.setCurrentIndex(desk.page.options.reference.findData(dem.id()))
    desk.page.primary.click()
    assert desk.runner.submissions[0].job.grid.reference == "r1", "what the user chooses counts"  # type: ignore[attr-defined]


def test_rules_of_a_legend_are_offered_as_classes(desk: Desk) -> None:
    labels = QgsProject.instance().mapLayersByName("labels")[0]
    root = QgsRuleBasedRenderer.Rule(None)
    for name in ("scarp", "deposit"):
        symbol = QgsFillSymbol.createSimple({"color": "#123456"})
        root.appendChild(QgsRuleBasedRenderer.Rule(symbol, 0, 0, f"\"class\" = '{name}'", name.upper()))
    labels.setRenderer(QgsRuleBasedRenderer(root))
    desk.page.label_layer.setLayer(None)
    desk.page.label_layer.setLayer(labels)
    desk.page.class_field.setCurrentIndex(desk.page.class_field.findData(LEGEND_FIELD))
    assert desk.page.legend.names() == ["SCARP", "DEPOSIT"]
    desk.data.plan()
    found = desk.asked.job().labels
    assert (found.class_field, [item.value for item in found.classes]) == (LEGEND_FIELD, ["SCARP", "DEPOSIT"])


def test_classes_are_edited_and_options_go_along(desk: Desk) -> None:
    page = desk.page
    page.legend.cellWidget(1, 1).setCurrentIndex(1)
    page.options.labels["border_px"].setValue(2)
    page.options.labels["min_area_px"].setValue(9)
    page.options.labels["all_touched"].setChecked(True)
    scarps = polygon_layer("scarps only", ("x",))
    page.options.more_labels.layer.setLayer(scarps)
    page.options.more_labels.add_button.click()
    desk.data.plan()
    labels = desk.asked.job().labels
    assert len(labels.classes) == 1 and len(labels.classes[0].also) == 1
    assert (labels.border_px, labels.min_area_px, labels.all_touched) == (2, 9, True)
    assert [(item.name, item.class_field) for item in labels.more] == [("scarps only", "")]
    assert len(desk.asked.exports) == 2


def test_a_raster_can_be_the_labels(desk: Desk, tmp_path: Path) -> None:
    mask = raster_layer(tmp_path, "mask", 1)
    entries = [
        QgsPalettedRasterRenderer.Class(value, QColor("#112233"), name) for value, name in ((1, "Water"),)
    ]
    mask.setRenderer(QgsPalettedRasterRenderer(mask.dataProvider(), 1, entries))
    desk.data.refresh_layers()
    desk.page.label_layer.setLayer(mask)
    assert desk.page.legend.names() == ["Water"] and not desk.page.class_field.isEnabled()
    desk.data.plan()
    labels = desk.asked.job().labels
    assert (labels.kind, labels.path, labels.classes[0].value) == ("raster", str(tmp_path / "mask.tif"), "1")
    problems = data_problems(desk.page.choices(), QgsProject.instance())
    assert "label_is_band" in {item.code for item in problems}, "it is ticked as a band too"


def test_findings_come_to_the_map_and_lead_there(desk: Desk) -> None:
    desk.page.check_button.click()
    job = desk.runner.job()
    assert job.kind == "check" and job.findings.endswith("findings.gpkg")
    write_findings(Path(job.findings))
    problem = {"code": "tiny", "severity": "warning", "message": "1 polygon is tiny.", "hint": "Mend it."}
    desk.runner.finish(problems=[problem])
    desk.settle()
    layers = desk.data.checks.layers()
    assert [layer.featureCount() for layer in layers] == [1, 2]
    assert "Show on the map" in desk.page.problem_list.toPlainText()
    desk.page.problem_list.anchorClicked.emit(QUrl("tiny"))
    assert desk.iface.canvas.extent().width() < 10
    desk.page.check_button.click()
    write_findings(Path(desk.runner.job().findings))
    desk.runner.finish(problems=[problem])
    desk.settle()
    groups = [node.name() for node in QgsProject.instance().layerTreeRoot().findGroups()]
    assert len(groups) == 1, "new findings take the place of the old"


def test_a_check_without_labels_says_what_is_missing(desk: Desk) -> None:
    desk.page.label_layer.setLayer(None)
    desk.page.check_button.click()
    assert not desk.runner.busy and "No label layer is chosen." in desk.page.problem_list.texts()


def dataset_with_labels(desk: Desk, tmp_path: Path) -> Path:
    """A dataset whose label polygons have a field `fold`."""
    folder = prepared(desk, tmp_path)  # type: ignore[arg-type]
    from geoseg_plugin.layers import snapshot

    layer = polygon_layer("folded")
    layer.dataProvider().addAttributes([layer.fields().field("class")])
    path = tmp_path / "labels.gpkg"
    layer.startEditing()
    layer.renameAttribute(layer.fields().lookupField("note"), "fold")
    layer.commitChanges()
    snapshot.polygon_snapshot(layer, path, ["class", "fold"])()
    job = RasterizeJob("stack.tif", Labels(str(path), "polygons", class_field="class"), Area("convex_hull"))
    write_job(Submission(job, folder / "jobs" / "rasterize", "x"))
    desk.panel.split._show(folder)
    return folder


def test_tiles_are_thinned_folded_and_split_by_a_field_of_the_labels(desk: Desk, tmp_path: Path) -> None:
    dataset_with_labels(desk, tmp_path)
    page = desk.pages.split
    page.options.split_field.setCurrentIndex(page.options.split_field.findData(f"{LABELS}fold"))
    page.options.fields["min_labelled_share"].setValue(5)
    page.options.fields["empty_share"].setValue(20)
    page.options.fields["folds"].setValue(5)
    assert "“fold”" in page.sentence.text()
    page.primary.click()
    job = desk.runner.job()
    assert (job.min_labelled_share, job.empty_share, job.folds) == (0.05, 0.2, 5)
    assert (job.area.kind, job.area.split_field, Path(job.area.path).name) == (
        "polygons",
        "fold",
        "labels.gpkg",
    )


def test_layers_can_say_what_trains_and_what_tests(desk: Desk, tmp_path: Path) -> None:
    folder = prepared(desk, tmp_path)  # type: ignore[arg-type]
    page = desk.pages.split
    page.options.split_field.setCurrentIndex(page.options.split_field.findData(LAYERS))
    page.primary.click()
    assert not desk.runner.busy and "No layer is chosen" in desk.dock.footer.log.toPlainText()
    for combo in page.options.split_layers.combos.values():
        combo.setLayer(polygon_layer("area"))
    page.primary.click()
    job = desk.runner.job()
    assert [Path(area.path).name for area in job.split_areas] == [
        "area_train.gpkg",
        "area_validation.gpkg",
        "area_test.gpkg",
    ]
    assert len(desk.runner.exports) == 3 and job.area.split_field == ""
    desk.runner.finish(
        dataset=str(folder / "dataset.json"),
        tile_counts={"train": 3, "validation": 1, "test": 1},
        block_reason="blocks of 128 px: values are alike up to 400 m",
        split_distance="The splits are 60 m apart.",
        folds=["a", "b"],
    )
    assert page.split_note.text().startswith("Blocks of 128 px") and "60 m apart" in page.split_note.text()
    assert "2 folds" in page.next_step.text()
