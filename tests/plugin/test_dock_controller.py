"""Requests of the pages become jobs, and answers come back to the pages; runners are fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from docked import Desk, FakeRunner, finished_run, is_done, polygon_layer, prepared, raster_layer
from qgis.core import QgsProject
from setup_states import RTX_4090, WINDOWS, look, situation

from geoseg_plugin import paths
from geoseg_plugin.contract import (
    EvaluateJob,
    GeoSegError,
    TrainJob,
)
from geoseg_plugin.jobs.choices import RasterChoice
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.layers.publish import RESULT_MARK
from geoseg_plugin.panel.assembly import GeoSegPanel
from geoseg_plugin.panel.project_state import read_page
from geoseg_plugin.steps.engine.setup_state import setup_view

CLASS = {"id": 0, "name": "scarp", "color": "#ff0000"}


def with_layers(desk: Desk, tmp_path: Path) -> None:
    raster_layer(tmp_path, "optical", 3)
    raster_layer(tmp_path, "dem", 1)
    polygon_layer()
    desk.panel.data.refresh_layers()


def test_layers_are_proposed(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    choices = desk.pages.data.choices()
    assert [len(item.bands) + len(item.terrain) for item in choices.rasters] == [6, 3]
    assert choices.class_field == "class", "named like a class field"
    assert "scarp" in desk.pages.data.legend.names()


def test_results_are_no_inputs(desk: Desk, tmp_path: Path) -> None:
    layer = raster_layer(tmp_path, "classes", 1)
    layer.setCustomProperty(RESULT_MARK, True)
    labels = polygon_layer()
    labels.setCustomProperty(RESULT_MARK, True)
    desk.panel.data.refresh_layers()
    tree = desk.pages.data.tree
    assert tree.choices() == () and tree.topLevelItemCount() == 1, "they stand apart, unticked"
    assert tree.topLevelItem(0).text(0) == "Made by GeoSeg: 1" and "result" in tree.topLevelItem(0).toolTip(0)
    assert desk.pages.data.label_layer.currentLayer() is None


def test_the_plan_is_asked_and_answered_with_a_sentence(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    desk.panel.data.plan()
    job = desk.asked.job()
    assert job.dry_run and job.labels.class_field == "class" and len(job.bands) == 9
    assert desk.asked.exports, "polygons are written for the engine in the task"
    desk.asked.finish(sentence="Stack 9 bands.", problems=[], warnings=[])
    assert desk.pages.data.sentence.text() == "Stack 9 bands."
    assert desk.asked.job().kind == "check"
    desk.asked.finish(problems=[{"severity": "warning", "message": "Invalid polygon.", "hint": ""}])
    assert desk.pages.data.problem_list.texts() == ["Invalid polygon."]
    assert not desk.runner.busy, "questions never occupy the user's runner"


def test_only_the_newest_plan_counts(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    desk.panel.data.plan()
    desk.panel.data.plan()
    desk.asked.finish(sentence="Old.", problems=[])
    assert desk.pages.data.sentence.text() != "Old."
    desk.asked.finish(sentence="New.", problems=[])
    assert desk.pages.data.sentence.text() == "New."


def test_without_engine_the_page_says_what_to_do(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    desk.asked.refusal = GeoSegError("no_engine", "The engine is not set up yet.", "Set it up.")
    desk.panel.data.plan()
    assert desk.pages.data.problem_list.texts() == ["The engine is not set up yet."]


def test_prepare_writes_stack_and_labels_into_a_new_dataset(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    desk.pages.data.primary.click()
    kinds = [item.job.kind for item in desk.runner.submissions]
    assert kinds == ["stack", "rasterize"]
    assert not desk.pages.data.primary.isEnabled()
    labels = Path(desk.runner.job().output)
    labels.write_bytes(b"")
    desk.runner.finish(output=str(labels), warnings=[])
    assert desk.services.state.dataset == labels.parent
    assert is_done(desk.dock.steps, "data")
    assert "tiles" in desk.pages.data.next_step.text()


def test_prepare_without_writing_the_stack_uses_its_recipe(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    desk.pages.data.options.write_stack.setChecked(False)
    desk.pages.data.primary.click()
    stack, rasterize = (item.job for item in desk.runner.submissions)
    assert stack.dry_run and rasterize.stack.endswith("stack.recipe.json")


def test_an_empty_project_says_what_is_next_and_not_that_anything_is_wrong(desk: Desk) -> None:
    desk.panel.data.plan()
    page = desk.pages.data
    assert page.problem_list.texts() == [] and not page.primary.isEnabled()
    assert "Tick at least one raster band." in page.sentence.text()
    assert "Choose the layer with your labels." in page.primary.toolTip()
    desk.panel.data.prepare()
    assert not desk.runner.busy and not (desk.services.workspace.root / "datasets").exists()


def test_a_layer_that_the_engine_cannot_open_is_exported_once(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    desk.pages.data.primary.click()
    before = len(desk.runner.exports)
    desk.runner.fail("cannot_open", f"{tmp_path / 'optical.tif'} cannot be opened.")
    assert desk.runner.busy and len(desk.runner.exports) == before + 1
    desk.runner.fail("cannot_open", f"{tmp_path / 'optical.tif'} cannot be opened.")
    assert not desk.runner.busy


def test_tiles_are_made_with_the_area_of_the_labels(desk: Desk, tmp_path: Path) -> None:
    folder = prepared(desk, tmp_path)
    desk.pages.split.tile_px.setCurrentIndex(desk.pages.split.tile_px.findData(128))
    desk.pages.split.overlap.setCurrentIndex(desk.pages.split.overlap.findData(50))
    desk.pages.split.primary.click()
    job = desk.runner.job()
    assert (job.tile_px, job.stride_px, Path(job.output)) == (128, 64, folder)


def test_train_then_evaluate_then_results(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    desk.pages.train.primary.click()
    run = desk.runner.submissions[0].folder
    assert isinstance(desk.runner.job(), TrainJob) and Path(desk.runner.job().dataset) == dataset
    desk.runner.epoch_completed.emit({"epoch": 1, "epochs": 5, "miou": 0.5, "train_loss": 1.0})
    assert "1 of 5" in desk.pages.train.epoch_line.text()
    (run / "model.onnx").write_bytes(b"")
    desk.runner.finish(best_epoch=1, miou=0.5, warnings=[])
    assert desk.runner.job().kind == "evaluate", "evaluated without being asked"
    evaluation = desk.runner.submissions[0].folder
    write_job(desk.runner.submissions[0])
    result = {"miou": 0.4, "accuracy": 0.8, "confusion": [[4]], "classes": [CLASS], "per_class": []}
    events = [{"type": "hello"}, {"type": "done", "result": result}]
    (evaluation / "events.jsonl").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    desk.runner.finish(**result)
    assert desk.dock.current_step() == "data", "nobody is taken from his page"
    assert "0.400" in desk.dock.messages.text()
    desk.dock.messages.button.click()
    assert desk.dock.current_step() == "results"
    assert "0.400" in desk.pages.results.headline.text()
    assert is_done(desk.dock.steps, "results") and is_done(desk.dock.steps, "train")


def test_a_cancelled_training_keeps_its_model_and_is_not_evaluated(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    desk.pages.train.primary.click()
    desk.dock.footer.cancel_requested.emit()
    assert desk.runner.wishes == ["cancel"]
    folder = desk.runner.submissions[0].folder
    (folder / "model.onnx").write_bytes(b"")
    desk.runner.busy = False
    desk.runner.submission_finished.emit(
        "train", {"cancelled": True, "best_epoch": 3, "miou": 0.6}, str(folder)
    )
    desk.runner.cancelled.emit()
    desk.runner.idle.emit()
    assert desk.services.state.run == folder and not desk.runner.busy
    assert "0.600" in desk.pages.train.next_step.text()
    assert desk.dock.footer.title() == "Cancelled"


def test_a_failure_is_shown_in_one_place_with_its_details_in_the_log(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    desk.pages.train.primary.click()
    desk.runner.fail("out_of_memory", "There is not enough memory.", "Choose a smaller batch.")
    assert "not enough memory" in desk.dock.messages.text()
    assert "line two" in desk.dock.footer.log.toPlainText()
    assert desk.pages.train.primary.isEnabled()


def test_a_model_is_described_matched_and_applied(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    run = finished_run(desk, prepared(desk, tmp_path))
    while desk.asked.job().kind != "describe":
        desk.asked.finish()
    desk.asked.finish(
        sources=[{"key": "r1", "name": "Optical", "bands": [{"name": "Optical: red"}]}],
        bands=["red"],
        classes=[],
    )
    layer = QgsProject.instance().mapLayersByName("optical")[0]
    assert desk.pages.predict.choices().slots == {"r1": layer.id()}
    assert desk.asked.job().kind == "predict" and desk.asked.job().dry_run
    desk.asked.finish(problems=[], sentence="Predict.", matched=[])
    assert desk.pages.predict.sentence.text() == "Predict."
    desk.pages.predict.primary.click()
    job = desk.runner.job()
    assert Path(job.model) == run / "model.onnx"
    assert [(item.key, item.name) for item in job.sources] == [("r1", "optical")]
    assert job.confidence and job.polygons and not job.entropy


def test_a_missing_layer_is_named_before_predicting(desk: Desk, tmp_path: Path) -> None:
    finished_run(desk, prepared(desk, tmp_path))
    while desk.asked.job().kind != "describe":
        desk.asked.finish()
    desk.asked.finish(sources=[{"key": "r1", "name": "optical", "bands": []}], bands=["red"], classes=[])
    desk.pages.predict.primary.click()
    assert not desk.runner.busy
    assert desk.pages.predict.problem_list.texts() == ["A layer is missing."]


def test_evaluate_names_the_dataset_of_the_run(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    run = finished_run(desk, dataset)
    desk.pages.results.primary.click()
    assert desk.runner.submissions[0].folder == run / "evaluation"
    assert desk.runner.job() == EvaluateJob(str(dataset), str(run / "model.onnx"), split="test")


def test_page_values_are_kept_in_the_project(desk: Desk, tmp_path: Path) -> None:
    with_layers(desk, tmp_path)
    page = desk.pages.data
    page.tree.set_choices([RasterChoice(page.tree.choices()[0].layer_id, (1,), ("slope",))])
    page.area_kind.setCurrentIndex(page.area_kind.findData("bounds"))
    desk.pages.split.tile_px.setCurrentIndex(desk.pages.split.tile_px.findData(256))
    desk.services.state.dataset = prepared(desk, tmp_path)
    wanted = page.choices()
    file = str(tmp_path / "project.qgz")
    assert QgsProject.instance().write(file)
    QgsProject.instance().clear()
    assert desk.services.state.dataset is None
    assert QgsProject.instance().read(file)
    desk.panel.restore()
    found = desk.pages.data.choices()
    assert (found.rasters, found.area_kind) == (wanted.rasters, "bounds")
    assert desk.pages.split.choices().tile_px == 256
    assert desk.services.state.dataset is not None


def test_looking_at_the_panel_does_not_change_the_project(desk: Desk) -> None:
    QgsProject.instance().setDirty(False)
    for step in ("tiles", "train", "predict", "results", "engine", "data"):
        desk.dock.show_step(step)
    desk.services.state.save()
    assert read_page("data")
    QgsProject.instance().setDirty(False)
    desk.services.state.save()
    assert not QgsProject.instance().isDirty()


def test_an_unwritable_workspace_stops_before_the_engine(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_layers(desk, tmp_path)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("x", encoding="utf-8")
    monkeypatch.setenv("GEOSEG_WORKSPACE", str(in_the_way))
    desk.pages.data.primary.click()
    assert not desk.runner.busy and "cannot be written" in desk.dock.footer.log.toPlainText()


def test_set_up_and_probe(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk.panel.engine.setup, "look", lambda: None)
    desk.panel.engine.setup.show_found(look(WINDOWS, RTX_4090))
    desk.pages.engine.show_view(setup_view(situation("card")))
    desk.pages.engine.install_button.click()
    assert desk.runner.wishes == ["install auto True"]
    desk.runner.busy = False
    desk.runner.finished.emit("install", {"python": "x"}, "")
    desk.runner.idle.emit()
    assert desk.asked.job().kind == "probe"
    desk.asked.finish(
        device="cuda:0", device_name="NVIDIA H200", device_memory_mb=144_000, versions={}, problems=[]
    )
    assert desk.dock.footer.device() == "NVIDIA H200"
    assert "NVIDIA H200, 141 GB" in desk.pages.engine.headline.text()
    assert is_done(desk.dock.steps, "engine")


def test_a_run_that_outlived_qgis_is_offered(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run(desk, prepared(desk, tmp_path))
    monkeypatch.setattr(
        "geoseg_plugin.records.workspace.running_pid", lambda folder: 1 if folder == run else None
    )
    (run / "events.jsonl").write_text('{"type": "hello"}\n', encoding="utf-8")
    desk.panel.train.offer_running()
    assert run.name in desk.dock.messages.text()
    desk.panel.train.attach(str(run))
    assert desk.runner.wishes == [f"attach {run.name}"]


def test_no_engine_starts_before_the_panel_is_seen(
    qgis_app: Any, qgis_new_project: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSEG_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", "/usr/bin/python3")
    runner, asked = FakeRunner(), FakeRunner()
    panel = GeoSegPanel(paths.guide(), None, runner=runner, queries=asked)
    raster_layer(tmp_path, "optical", 3)
    polygon_layer()
    panel.data.refresh_layers()
    panel.data.plan()
    assert not asked.busy and not panel.services.queries.busy
    panel.begin()
    assert asked.busy
    panel.close()
