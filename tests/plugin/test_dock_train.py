"""The Train page: every model and setting becomes a job; plan, preview, beginnings, baselines; runners are fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from docked import Desk, FakeRunner, finished_run, prepared

from geoseg_plugin.contract import (
    ARCHITECTURES,
    BASELINES,
    CATALOGUE,
    ForestJob,
    PretrainJob,
    TrainJob,
    write_json,
)
from geoseg_plugin.forms.ticks import AutoTicks, TickList
from geoseg_plugin.jobs import train as train_jobs
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.panel.records import dataset_of
from geoseg_plugin.steps.train import controller as controller_train
from geoseg_plugin.steps.train.page import TrainPage
from geoseg_plugin.steps.train.state import count_text, plan_sentence
from geoseg_plugin.steps.train.widgets.chart import score_of

PLAN = {
    "plan": {"crop_px": 128, "batch_size": 8, "epochs": 60},
    "reasons": ["crops of 128 px, for tiles of 64 px", "8 crops a step"],
    "facts": {"parameters": 1_900_000, "reach_px": 44, "memory_mb": 320, "tile_exact": True},
    "minutes": 4.2,
    "device": "CPU",
    "warnings": [{"severity": "warning", "code": "few", "message": "Few pixels.", "hint": "Draw more."}],
}


def choose(box: Any, value: Any) -> None:
    box.setCurrentIndex(box.findData(value))
    assert box.currentData() == value


def asked_plans(desk: Desk) -> FakeRunner:
    """The runner of questions, after the page was looked at."""
    desk.dock.show_step("train")
    desk.panel.train.planner.plan()
    return desk.asked


def test_every_model_makes_a_job_without_complaint(qgis_app: Any) -> None:
    page = TrainPage()
    found = set()
    for key in CATALOGUE:
        choose(page.model, key)
        job: Any = page.choices().job(Path("d"))
        assert job.problems() == [], key
        found.add(job.architecture if isinstance(job, TrainJob) else job.method)
    assert found == {*ARCHITECTURES, *BASELINES}


def test_choices_become_fields(qgis_app: Any) -> None:
    page = TrainPage()
    page.set_dataset("d", {"red": "", "nir": "", "slope": ""})
    page.bands.leave_out(["nir"])
    page.network.fields["loss"].set_value(["ce", "dice"])
    page.network.fields["augment"].set_value(["none"])
    page.network.fields["patience"].setValue(0)
    page.minutes.setValue(5)
    choose(page.model, "deeplabv3plus:resnet50")
    settings = page.choices().settings()
    assert (settings["bands"], settings["loss"], settings["augment"]) == (
        ("red", "slope"),
        "ce+dice",
        ("none",),
    )
    assert (settings["patience"], settings["max_minutes"]) == (0, 5.0)
    assert (settings["architecture"], settings["encoder"]) == ("deeplabv3plus", "resnet50")
    assert page.band_group.title() == "Bands: 2 of 3"


def test_the_page_is_remembered(qgis_app: Any) -> None:
    page, other = TrainPage(), TrainPage()
    page.set_dataset("d", {"red": "", "nir": ""})
    page.bands.leave_out(["red"])
    page.network.fields["augment"].set_value(["flip", "noise"])
    choose(page.preset, "quick")
    values = json.loads(json.dumps(page.values()))
    other.restore(values)
    other.set_dataset("d", {"red": "", "nir": ""})
    assert other.choices() == page.choices()
    other.set_dataset("d", {"nir": "", "blue": ""})
    assert other.bands.ticked() == ["nir", "blue"], "new bands come ticked"


def test_ticks_change_by_hand(qgis_app: Any) -> None:
    from qgis.PyQt.QtCore import Qt

    ticks = TickList("bands")
    ticks.set_entries({"a": "A", "b": "B"})
    heard: list[int] = []
    ticks.ticks_changed.connect(lambda: heard.append(1))
    ticks.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert ticks.ticked() == ["b"] and ticks.left_out() == ["a"] and heard == [1]
    auto = AutoTicks("loss", {"ce": "CE", "dice": "Dice"})
    auto.set_value(["unheard of"])
    assert auto.value() == ["auto"]
    auto.mode.setCurrentIndex(auto.mode.findData("own"))
    assert auto.value() == ["auto"] and not auto.ticks.isHidden(), "nothing is ticked yet"
    auto.ticks.item(0).setCheckState(Qt.CheckState.Checked)
    assert auto.value() == ["ce"]


def test_network_choices_are_hidden_for_baselines(qgis_app: Any) -> None:
    page = TrainPage()
    assert page.baseline.isHidden() and not page.network.isHidden()
    choose(page.model, "forest")
    page.baseline.fields["texture_px"].setText("3, 7; x")
    assert page.network.isHidden() and page.start.section.isHidden() and page.preview_button.isHidden()
    assert page.choices().settings()["texture_px"] == (3, 7)


def test_the_plan_is_asked_once_and_read_in_words(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    asked = asked_plans(desk)
    job = asked.job()
    assert isinstance(job, TrainJob) and job.dry_run
    asked.finish(**PLAN)
    page = desk.pages.train
    text = page.sentence.text()
    assert "Crops of 128 px, 8 per step, at most 60 epochs: about 4 min on CPU." in text
    assert "1.9 M parameters, sees 44 px around each pixel, 320 MB while training." in text
    assert "tiles of 64 px" in page.why.text() and not page.why_group.isHidden()
    assert page.problem_list.texts() == ["Few pixels."]
    asked.submissions.clear()
    desk.panel.train.planner.plan()
    assert asked.submissions == [] and "Crops of 128 px" in page.sentence.text()
    page.network.fields["crop_px"].setValue(64)
    assert "Crops of" not in page.sentence.text(), "that was about another crop"
    assert page.problem_list.texts() == ["Few pixels."] and not page.why_group.isHidden(), "nothing jumps"
    assert page.foot.indexOf(page.more) == page.foot.indexOf(page.primary) - 1, (
        "hints appear above the buttons"
    )
    desk.panel.train.planner.plan()
    assert asked.job().crop_px == 64


def test_no_plan_without_tiles_or_while_a_job_runs(desk: Desk, tmp_path: Path) -> None:
    assert asked_plans(desk).submissions == []
    prepared(desk, tmp_path)
    desk.pages.train.primary.click()
    desk.panel.train.planner.plan()
    assert desk.asked.submissions == []


def test_a_plan_that_is_worked_on_stops_when_training_begins(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    asked = asked_plans(desk)
    desk.pages.train.primary.click()
    assert asked.wishes == ["cancel"] and desk.runner.job().kind == "train"


def test_settings_that_cannot_be_are_said_without_the_engine(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    choose(desk.pages.train.model, "forest")
    desk.pages.train.baseline.fields["texture_px"].setText("4")
    assert asked_plans(desk).submissions == []
    assert "Texture windows of 4" in desk.pages.train.problem_list.texts()[0]


def test_a_preview_shows_picture_and_sentences(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    desk.pages.train.preview_button.click()
    assert desk.asked.job().kind == "preview"
    desk.asked.finish(image="preview.png", sentences=["no turns: band 'hillshade' has a fixed light"])
    window = desk.panel.train.planner.window
    assert window is not None and "No turns" in window.note.text()
    window.again.click()
    desk.asked.fail("no_training_pixels", "Nothing to see.")
    assert "Nothing to see." in window.note.text()


def test_a_baseline_is_trained_evaluated_and_listed(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    choose(desk.pages.train.model, "forest")
    desk.pages.train.primary.click()
    run = desk.runner.submissions[0].folder
    assert isinstance(desk.runner.job(), ForestJob) and Path(desk.runner.job().dataset) == dataset
    (run / "model.onnx").write_bytes(b"")
    desk.runner.finish(miou=0.61, warnings=[])
    assert "0.610" in desk.pages.train.next_step.text()
    assert desk.runner.job().kind == "evaluate" and dataset_of(run) == dataset
    desk.runner.finish(miou=0.5, per_class=[], classes=[], confusion=[])
    entry = desk.services.view.runs()[0]
    assert entry.finished and entry.folder == run
    assert desk.pages.train.start.model.findText(run.name) < 0, "no network can begin from a forest"


def test_beginning_from_a_model_takes_its_network(desk: Desk, tmp_path: Path) -> None:
    run = finished_run(desk, prepared(desk, tmp_path))
    architecture = {"name": "segnet", "bands": 3, "classes": 2, "width": 24, "levels": 4, "dropout": 0.1}
    write_json(run / "metrics.json", {"architecture": architecture})
    page = desk.pages.train
    choose(page.start.kind, "model")
    choose(page.start.model, str(run / "model.onnx"))
    page.start.freeze.setValue(-1)
    job = desk.panel.train.job()
    assert isinstance(job, TrainJob)
    assert (job.architecture, job.width, job.levels, job.freeze_epochs) == ("segnet", 24, 4, -1)
    assert job.start_from == str(run / "model.onnx") and job.problems() == []


def test_an_earlier_run_goes_on_after_drawing_more(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    run = desk.services.workspace.new_run("earlier")
    settings = {"loss": "ce+dice", "seed": 7, "epochs": 30, "resume": True}
    write_job(train_jobs.train(run, tmp_path / "old", **settings))
    (run / "model.onnx").write_bytes(b"")
    desk.services.refresh()
    page = desk.pages.train
    choose(page.start.kind, "again")
    choose(page.start.model, str(run / "model.onnx"))
    assert page.network.isHidden() and not page.model.isEnabled()
    job = desk.panel.train.job()
    assert isinstance(job, TrainJob)
    assert (job.dataset, job.loss, job.seed, job.epochs) == (str(dataset), "ce+dice", 7, 30)
    assert job.start_from == str(run / "model.onnx") and not job.resume


def test_a_beginning_that_is_not_chosen_is_refused(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    page = desk.pages.train
    for kind in ("encoder", "model", "again"):
        choose(page.start.kind, kind)
        assert asked_plans(desk).submissions == []
        assert "chosen" in page.problem_list.texts()[0]
    page.primary.click()
    assert desk.runner.submissions == []


def test_weights_are_made_from_rasters_and_then_used(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    page = desk.pages.train
    choose(page.start.kind, "encoder")
    page.start.pretrain.click()
    assert isinstance(desk.runner.job(), PretrainJob)
    folder = desk.runner.submissions[0].folder
    desk.runner.finish(encoder="encoder.pt", loss=0.2)
    assert page.choices().settings()["weights"] == str(folder / "encoder.pt")
    assert desk.services.view.open_runs() == [], "weights are no run to resume"


def test_curves_tell_speed_time_left_and_what_is_kept(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    page = desk.pages.train
    event = {
        "epoch": 1,
        "epochs": 9,
        "miou": 0.5,
        "iou": [0.6, 0.4],
        "tiles_per_s": 31.26,
        "seconds_left": 240,
    }
    page.show_epoch({**event, "best": True})
    page.show_epoch({**event, "epoch": 2, "miou": 0.4, "best": False})
    assert "31.3 tiles/s" in page.epoch_line.text() and "4 min left" in page.epoch_line.text()
    assert page.curves.kept_line.text().startswith("Kept so far: epoch 1")
    actions = page.curves.classes.menu().actions()
    assert [action.text() for action in actions] == ["scarp", "deposit"]
    actions[1].setChecked(True)
    page.chart.resize(320, 240)
    assert not page.chart.grab().isNull()
    page.clear_curves()
    assert page.curves.kept_line.isHidden()
    page.show_epoch({"epoch": 1, "epochs": 20, "train_loss": 0.25})
    assert page.epoch_line.text() == "Epoch 1 of 20: loss 0.250" and page.curves.kept_line.isHidden()


def test_the_curve_is_of_the_score_that_decides() -> None:
    event = {"epoch": 1, "miou": 0.5, "iou": [0.6, 0.4], "f1": [0.75, None]}
    found = [score_of(event, monitor) for monitor in ("miou", "foreground_iou", "f1", "loss")]
    assert found == [0.5, 0.4, 0.75, 0.5]
    assert score_of({**event, "iou": [0.6, 0.4, 0.5]}, "foreground_iou") == 0.5


def test_the_zoo_is_installed_into_our_own_environment_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = desk.pages.train
    choose(page.model, "zoo")
    assert not page.zoo_button.isHidden()
    page.zoo_button.click()
    assert desk.runner.wishes == [], "the user's own environment is left alone"
    monkeypatch.setattr(
        controller_train,
        "engine_environment",
        lambda: controller_train.Environment(Path("/engine/bin/python"), managed=True),
    )
    page.zoo_button.click()
    assert desk.runner.wishes == ["install auto True zoo"]


def test_a_plan_of_a_baseline_has_its_own_words() -> None:
    result = {"reasons": ["fitting a random forest on 4000 pixels"], "plan": {"method": "forest"}}
    assert plan_sentence(result) == "Fitting a random forest on 4000 pixels."
    assert count_text(480_000) == "480\u202f000"
