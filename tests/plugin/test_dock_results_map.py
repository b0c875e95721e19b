"""The Results page about a map: areas, a sample, labels beside it, a sheet; the runner is a fake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from classmaps import ADJUSTED, AREAS, PLAIN, class_map, sample_points
from docked import Desk, polygon_layer, raster_layer
from qgis.core import QgsLayerTree, QgsProject, QgsRasterLayer, QgsVectorLayer
from waiting import wait_for

from geoseg_plugin.contract import PredictJob
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.layers import publish
from geoseg_plugin.panel.widgets.notes import small_label
from geoseg_plugin.steps.results import map_controller as controller_results_map
from geoseg_plugin.steps.results.map_controller import place_of, same_file, unused
from geoseg_plugin.steps.results.sheet import layers_below, sheet_of, title_of

RESULT = {
    "output": "classes.tif",
    "classes": PLAIN,
    "areas_m2": {"0": 140_000.0, "1": 50_000.0, "2": 10_000.0},
    "counts": {"0": 1400, "1": 500, "2": 100},
}
JUDGED = {
    "miou": 0.5,
    "accuracy": 0.75,
    "per_class": [{"id": 1, "name": "scarp", "iou": 0.4}],
    "classes": PLAIN,
    "errors": "errors.tif",
    "errors_kind": "right_wrong",
}


@pytest.fixture
def desk(desk: Desk, tmp_path: Path) -> Desk:
    """A panel on a workspace with one prediction that is on the map."""
    folder = desk.services.workspace.new_prediction("20260101-0900-slides")
    class_map(folder)
    write_job(Submission(PredictJob(str(tmp_path / "runs" / "slides" / "model.onnx")), folder, ""))
    ended(folder, RESULT)
    publish.publish_prediction(folder, RESULT)
    desk.services.refresh()
    desk.pages.results.show_map()
    return desk


def ended(folder: Path, result: dict[str, Any]) -> None:
    """The record of a job that is done."""
    folder.mkdir(parents=True, exist_ok=True)
    events = [{"type": "hello"}, {"type": "done", "result": result}]
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")


def prediction(desk: Desk) -> Path:
    return Path(desk.pages.results.map.path()).parent


def settled(desk: Desk) -> None:
    """All layers that were on their way are on the map."""
    while desk.services.result_queue.busy:
        with wait_for(desk.services.result_queue._timer.timeout):
            pass


def test_a_prediction_shows_the_areas_that_it_counted(desk: Desk) -> None:
    part = desk.pages.results.map
    assert part.path().endswith("20260101-0900-slides/classes.tif")
    assert [part.table.item(1, column).text() for column in range(3)] == ["scarp", "25.0\u00a0%", "5.00"]
    assert "scarp: 5.00 ha on the map" in part.bars.accessibleDescription()
    assert not part.table_button.isEnabled() and part.sheet_button.isEnabled()
    part.bars.resize(300, 100)
    assert not part.bars.grab().isNull()


def test_an_expected_accuracy_keeps_its_decimal(desk: Desk) -> None:
    desk.pages.results.restore({"sample_expected": 82.5})
    assert desk.pages.results.values()["sample_expected"] == 82.5


def test_model_and_map_are_two_tabs(desk: Desk) -> None:
    page = desk.pages.results
    desk.dock.show_step("results")
    page.show_model()
    assert not page.model_part.isHidden() and page.map.isHidden() and page.map.foot.isHidden()
    page.show_map()
    assert page.model_part.isHidden() and page.model_foot.isHidden() and not page.map.isHidden()


def test_a_note_is_as_high_as_its_text_however_narrow_it_was(qgis_app: Any) -> None:
    note = small_label("many words " * 20)
    note.show()
    note.resize(80, 20)
    narrow = note.minimumHeight()
    note.resize(400, 20)
    assert 0 < note.minimumHeight() < narrow / 2


def test_areas_are_measured_with_the_sample_as_it_is_edited(desk: Desk) -> None:
    part = desk.pages.results.map
    assert not part.use_button.isEnabled(), "no sample is chosen"
    file = sample_points(prediction(desk) / "sample" / "sample.gpkg")
    layer = QgsVectorLayer(f"{file}|layername=sample", "sample", "ogr")
    QgsProject.instance().addMapLayer(layer)
    part.sample.setLayer(layer)
    part.use_button.click()
    job = desk.runner.job()
    folder = desk.runner.submissions[0].folder
    assert job.kind == "areas" and folder == prediction(desk) / "areas" and job.problems() == []
    assert job.sample == str(folder / "sample.gpkg") and len(desk.runner.exports) == 1
    assert not part.areas_button.isEnabled(), "one job at a time"
    ended(folder, ADJUSTED)
    desk.runner.finish(**ADJUSTED)
    assert "96 points" in part.note.text() and part.table.item(1, 2).text() == "5.50\n5.00–6.00"
    assert part.table_button.isEnabled() and not part.bars_note.isHidden()
    part.bars.resize(300, 100)
    assert not part.bars.grab().isNull()


def test_points_that_are_no_sample_are_refused(desk: Desk) -> None:
    layer = QgsVectorLayer("Point?crs=EPSG:32632&field=seen:string", "points", "memory")
    QgsProject.instance().addMapLayer(layer)
    desk.pages.results.map.sample.setLayer(layer)
    desk.pages.results.map.use_button.click()
    assert not desk.runner.submissions and "no field 'reference'" in desk.dock.footer.log.toPlainText()


def test_a_sample_comes_into_the_group_of_its_map_and_is_chosen(desk: Desk) -> None:
    part = desk.pages.results.map
    part.half_width.setValue(4.0)
    part.sample_button.click()
    job, folder = desk.runner.job(), desk.runner.submissions[0].folder
    assert job.problems() == [] and (job.count, job.allocation, job.dry_run) == (0, "mixed", False)
    assert job.standard_error == pytest.approx(0.0204, abs=1e-4)
    sample_points(folder / "sample.gpkg")
    desk.runner.finish(output=str(folder / "sample.gpkg"), count=4, rows=[], warnings=[])
    settled(desk)
    assert part.sample.currentLayer().name() == "Reference sample" and "4 points" in part.created.text()
    (group,) = [
        node for node in QgsProject.instance().layerTreeRoot().children() if QgsLayerTree.isGroup(node)
    ]
    assert [node.name() for node in group.findLayers()] == ["Reference sample", "Classes"]
    part.sample_button.click()
    folder = desk.runner.submissions[0].folder
    assert folder.name == "sample-2", "somebody may have filled in the first"
    sample_points(folder / "sample.gpkg")
    desk.runner.finish(output=str(folder / "sample.gpkg"), count=4, rows=[], warnings=[])
    settled(desk)
    shown = {node.name(): node.itemVisibilityChecked() for node in group.findLayers()}
    assert shown == {"Sample 2 (reference)": True, "Reference sample": False, "Classes": True}
    assert part.sample.currentLayer().name() == "Sample 2 (reference)" and "hidden" in part.created.text()


def test_the_number_of_points_is_shown_as_the_settings_change(desk: Desk) -> None:
    part, maps = desk.pages.results.map, desk.panel.results.maps
    asked: list[Any] = []
    desk.services.queries.submit = asked.append
    maps.plan_sample()
    assert not asked, "nobody looks at the settings"
    part.sample_group.setCollapsed(False)
    part.half_width.setValue(5.0)
    assert maps._timer.isActive()
    maps.plan_sample()
    job = asked[-1].submissions[0].job
    assert job.dry_run and job.problems() == [] and job.standard_error == pytest.approx(0.0255, abs=1e-4)
    small = {"code": "small_map", "message": "Only 900 pixels.", "hint": "Fewer do.", "severity": "warning"}
    asked[-1].on_result({"sentence": "64 points: overall accuracy to ± 9.8%.", "warnings": [small]})
    assert part.plan_note.text() == "64 points: overall accuracy to ± 9.8%. Only 900 pixels. Fewer do."
    part.points.setValue(200)
    assert part.plan_note.isHidden(), "that was said of other settings"
    maps.plan_sample()
    asked[-1].on_problem({"message": "No.", "hint": "Other raster."})
    assert part.plan_note.text() == "No. Other raster."


def test_labels_of_the_project_judge_a_map(desk: Desk) -> None:
    part = desk.pages.results.map
    labels = polygon_layer()
    part.labels.setLayer(labels)
    assert part.class_field.currentData() == "class", "named like a class"
    part.area.setLayer(labels)
    part.complete.setChecked(True)
    part.compare_button.click()
    job, folder = desk.runner.job(), desk.runner.submissions[0].folder
    assert job.problems() == [] and (job.kind, job.prediction) == ("evaluate", part.path())
    assert job.truth.unlabelled == "background" and job.truth.class_field == "class"
    assert job.area.kind == "polygons" and len(desk.runner.exports) == 2
    class_map(folder, "errors.tif")
    ended(folder, JUDGED)
    desk.runner.finish(**JUDGED)
    settled(desk)
    assert "Mean IoU 0.500, accuracy 0.750" in part.fit.text() and part.scores.item(1, 0).text() == "0.400"
    group = publish.group_of(prediction(desk))
    assert [node.name() for node in group.findLayers()] == ["Errors", "Classes"]


def test_labels_that_the_model_was_trained_on_are_warned_of(desk: Desk, tmp_path: Path) -> None:
    part = desk.pages.results.map
    part.labels.setLayer(polygon_layer())
    part.compare_button.click()
    assert desk.runner.job().made_by == "", "its model is gone"
    desk.runner.finish()
    model = tmp_path / "runs" / "slides" / "model.onnx"
    model.parent.mkdir(parents=True)
    model.touch()
    part.compare_button.click()
    assert desk.runner.job().made_by == str(model)
    warning = {
        "code": "seen_ground",
        "message": "Trained on it.",
        "hint": "Take others.",
        "severity": "warning",
    }
    ended(desk.runner.submissions[0].folder, {**JUDGED, "warnings": [warning]})
    desk.runner.finish(**JUDGED)
    settled(desk)
    assert "Trained on it." in part.fit_problems.toPlainText()


def test_other_class_rasters_of_the_project_are_maps_too(desk: Desk, tmp_path: Path) -> None:
    other = QgsRasterLayer(str(class_map(tmp_path / "else", "forest.tif")), "forest 2020", "gdal")
    QgsProject.instance().addMapLayer(other)
    desk.dock.show_step("results")
    part = desk.pages.results.map
    names = [part.map.itemText(index) for index in range(part.map.count())]
    assert names == ["20260101-0900-slides", "forest 2020  (layer)"]
    part.map.setCurrentIndex(1)
    assert part.table.isHidden() and "Not measured" in part.note.text()
    part.areas_button.click()
    folder = desk.runner.submissions[0].folder
    assert folder.parent.parent == desk.services.workspace.root / "maps" and folder.parent.name.startswith(
        "forest-"
    )
    ended(folder, AREAS)
    desk.runner.finish(**AREAS)
    assert part.table.rowCount() == 3


def test_a_new_prediction_is_the_map_that_is_shown(desk: Desk) -> None:
    desk.pages.results.show_model()
    folder = desk.services.workspace.new_prediction("newer")
    class_map(folder)
    ended(folder, RESULT)
    desk.runner.submission_finished.emit("predict", RESULT, str(folder))
    assert desk.pages.results.map.path() == str(folder / "classes.tif")
    assert desk.pages.results.tabs.currentIndex() == 1


def test_errors_of_a_run_come_into_the_group_of_its_map(desk: Desk) -> None:
    run = desk.services.workspace.root / "runs" / "20260101-0900-slides"
    class_map(run / "evaluation", "errors.tif")
    ended(run / "evaluation", JUDGED)
    desk.panel.results.show_errors(str(run))
    settled(desk)
    group = publish.group_of(prediction(desk))
    assert [node.name() for node in group.findLayers()] == ["Errors", "Classes"]


def test_the_sheet_knows_what_is_known_of_the_map(desk: Desk, tmp_path: Path) -> None:
    controller = desk.panel.results.maps
    image = raster_layer(tmp_path, "image", 3)
    ended(prediction(desk) / "evaluation", JUDGED)
    ended(prediction(desk) / "areas", ADJUSTED)
    layer = controller._class_layer()
    found = sheet_of(layer, prediction(desk), QgsProject.instance(), desk.services.view.evaluation)
    assert (found.title, found.name) == ("Map of scarp, deposit", "Map slides")
    assert found.areas == ADJUSTED and found.legend == (layer,)
    assert found.layers == (layer, image) and layers_below(image, QgsProject.instance()) == []
    assert "labels" in found.scores_title and found.scores[0] == "Mean IoU 0.50"
    assert found.notes["Model"] == "slides"


def test_a_sheet_is_kept_as_layout_and_written(desk: Desk, tmp_path: Path) -> None:
    controller = desk.panel.results.maps
    QgsProject.instance().removeAllMapLayers()
    controller.write_sheet(tmp_path / "map.pdf")
    settled(desk)
    assert (tmp_path / "map.pdf").read_bytes().startswith(b"%PDF")
    assert [item.name() for item in QgsProject.instance().layoutManager().layouts()] == ["Map slides"]
    assert "map.pdf is written" in desk.pages.results.map.written.text()


def test_a_map_that_comes_back_keeps_the_facts_beside_its_file(desk: Desk, tmp_path: Path) -> None:
    controller, place = desk.panel.results.maps, prediction(desk)
    QgsProject.instance().removeAllMapLayers()
    beside = {path: path.read_bytes() for path in (place / "classes.qml", place / "classes.qmd")}
    found = sheet_of(controller._class_layer(), place, QgsProject.instance(), desk.services.view.evaluation)
    assert {path: path.read_bytes() for path in beside} == beside
    assert found.notes["Made"] and len(found.legend[0].renderer().classes()) == 3


def test_a_raster_of_somebody_else_comes_back_as_it_is(desk: Desk, tmp_path: Path) -> None:
    layer = QgsRasterLayer(str(class_map(tmp_path / "other", "forest.tif")), "forest", "gdal")
    QgsProject.instance().addMapLayer(layer)
    desk.panel.results.maps.show_map(tmp_path / "other" / "forest.tif")
    QgsProject.instance().removeAllMapLayers()
    before = {path: path.read_bytes() for path in (tmp_path / "other").iterdir()}
    assert desk.panel.results.maps._class_layer().isValid()
    assert {path: path.read_bytes() for path in (tmp_path / "other").iterdir()} == before


def test_a_map_behind_a_link_is_the_same_map(desk: Desk, tmp_path: Path) -> None:
    place = prediction(desk)
    (tmp_path / "link").symlink_to(place, target_is_directory=True)
    assert desk.panel.results.maps._layer_of(str(tmp_path / "link" / "classes.tif")) is not None
    assert same_file(str(place / "classes.tif"), str(tmp_path / "link" / "classes.tif"))
    assert not same_file(str(place / "classes.tif"), str(tmp_path / "classes.tif"))


def test_a_comparison_belongs_to_the_map_it_was_begun_for(desk: Desk) -> None:
    place, other = prediction(desk), desk.services.workspace.new_prediction("other")
    class_map(other)
    ended(other, RESULT)
    desk.pages.results.map.labels.setLayer(polygon_layer("truth", ("scarp",)))
    desk.pages.results.map.compare_button.click()
    desk.panel.results.maps.show_map(other / "classes.tif")
    class_map(place / "evaluation", "errors.tif")
    ended(place / "evaluation", JUDGED)
    desk.runner.finish(**JUDGED)
    settled(desk)
    names = [node.name() for node in publish.group_of(place).findLayers()]
    assert names == ["Errors", "Classes"]


def test_the_button_asks_where_to(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_parent: Any, _title: str, proposed: str, _kinds: str) -> tuple[str, str]:
        asked.append(proposed)
        return str(tmp_path / "map"), ""

    monkeypatch.setattr(controller_results_map.QFileDialog, "getSaveFileName", answer)
    desk.pages.results.map.sheet_button.click()
    settled(desk)
    assert asked[0].endswith("Map_slides.pdf") and (tmp_path / "map.pdf").is_file()


def test_a_map_that_is_gone_says_so(desk: Desk, tmp_path: Path) -> None:
    QgsProject.instance().removeAllMapLayers()
    Path(desk.pages.results.map.path()).unlink()
    desk.panel.results.maps.write_sheet(tmp_path / "map.pdf")
    assert "cannot be opened" in desk.dock.footer.log.toPlainText()


def test_places(tmp_path: Path) -> None:
    inside = tmp_path / "predictions" / "a" / "classes.tif"
    assert place_of(inside, tmp_path) == inside.parent
    one, two = (place_of(tmp_path / name / "forest.tif", tmp_path) for name in ("x", "y"))
    assert one != two and one.parent == two.parent == tmp_path / "maps"
    (tmp_path / "sample").mkdir()
    assert unused(tmp_path / "sample").name == "sample-2" and unused(tmp_path / "new").name == "new"
    assert title_of(Path("20260101-0900-land_cover")) == "Map land cover"
