"""The register of runs: read from files, compared, repeated, deleted; runners are fakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from docked import Desk, prepared

from geoseg_plugin.contract import (
    EVENTS_FILE,
    SEARCHED,
    CrossValidateJob,
    ForestJob,
    GeoSegError,
    SearchJob,
    TrainJob,
    write_json,
)
from geoseg_plugin.jobs import experiments
from geoseg_plugin.jobs import train as train_jobs
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.jobs.submission import write as write_job
from geoseg_plugin.panel.records import dataset_of
from geoseg_plugin.records import runs as register
from geoseg_plugin.steps.train.runs_window import RunsWindow


def record(folder: Path, *events: dict[str, Any]) -> None:
    """The events of a run, a minute apart."""
    lines = [json.dumps({"t": 60.0 * number, **event}) for number, event in enumerate(events)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS_FILE).write_text("\n".join(lines), encoding="utf-8")


def trained(desk: Desk, name: str, job: Any, miou: float = 0.5) -> Path:
    """A finished run with two epochs."""
    run = desk.services.workspace.new_run(name)
    write_job(Submission(job, run, name))
    epochs = [{"type": "epoch", "epoch": number, "miou": miou * number / 2} for number in (1, 2)]
    result = {"miou": miou, "device": "CPU"}
    record(run, {"type": "hello"}, *epochs, {"type": "done", "result": result})
    (run / "model.onnx").touch()
    return run


def opened(desk: Desk) -> RunsWindow:
    """The register, opened from the Train page."""
    actions = {action.text(): action for action in desk.pages.train.experiments_button.menu().actions()}
    actions["All runs…"].trigger()
    window = desk.panel.train.runs.window
    assert window is not None
    return window


def select(window: RunsWindow, *folders: Path) -> None:
    window.table.clearSelection()
    for line in range(window.table.rowCount()):
        if window.table.item(line, 0).toolTip() in map(str, folders):
            for column in range(window.table.columnCount()):
                window.table.item(line, column).setSelected(True)
    assert {run.entry.folder for run in window.selected()} == set(folders)


def test_runs_are_listed_with_scores(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    first = trained(desk, "net", TrainJob(str(dataset), bands=("red",)))
    scores = {"miou": 0.41, "intervals": {"miou": [0.3, 0.5]}}
    record(first / "evaluation", {"type": "hello"}, {"type": "done", "result": scores})
    trained(desk, "trees", ForestJob(str(dataset)), 0.3)
    comparison = desk.services.workspace.new_comparison("landslides")
    inner = comparison / "runs" / "unet"
    write_job(train_jobs.train(inner, dataset))
    window = opened(desk)
    found = {run.entry.folder.name.split("-")[-1]: run for run in desk.services.view.register()}
    assert set(found) == {"net", "trees", "unet"} and found["unet"].name == f"unet ({comparison.name})"
    assert window.table.rowCount() == 3
    net = found["net"]
    assert (net.model, net.dataset, net.bands, net.device) == ("U-Net", "landslides", 1, "CPU")
    assert (net.score, net.interval, net.tested, net.minutes) == (0.41, (0.3, 0.5), True, 3.0)
    assert (found["trees"].model, found["trees"].score, found["trees"].tested) == (
        "Random forest",
        0.3,
        False,
    )
    assert found["unet"].entry.state == "new"


def test_only_what_differs_and_the_curves_are_shown(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    runs = [trained(desk, f"r{seed}", TrainJob(str(dataset), seed=seed, output=str(seed))) for seed in (1, 2)]
    write_json(runs[0] / "plan.json", {"plan": {"crop_px": 128}})
    window = opened(desk)
    select(window, *runs)
    rows = {window.diff.item(line, 0).text() for line in range(window.diff.rowCount())}
    assert rows == {"seed", "plan: crop px"}
    assert len(window.curves.names()) == 2 and "0.500" in window.curves.accessibleDescription()
    window.curves.resize(300, 220)
    assert not window.curves.grab().isNull()
    select(window, runs[0])
    assert window.diff.rowCount() > 20, "all settings of one"


def test_a_run_is_trained_again(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    job = TrainJob(str(dataset), loss="ce+dice", resume=True)
    run = trained(desk, "net", job)
    window = opened(desk)
    select(window, run)
    window.buttons["repeat"].click()
    again = desk.runner.submissions[0]
    assert (again.job.loss, again.job.resume) == ("ce+dice", False) and again.folder != run
    assert not window.buttons["repeat"].isEnabled()


def test_runs_are_deleted_only_when_confirmed_and_not_in_use(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = prepared(desk, tmp_path)
    used, other = (trained(desk, name, TrainJob(str(dataset))) for name in ("used", "other"))
    desk.services.state.run = used
    window = opened(desk)
    asked: list[str] = []
    answers = [False, True]

    def confirm(_window: RunsWindow, text: str) -> bool:
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(desk.panel.train.runs, "_confirm", confirm)
    select(window, used, other)
    window.buttons["delete"].click()
    assert used.exists() and other.exists() and other.name in asked[0]
    window.buttons["delete"].click()
    assert used.exists() and not other.exists()
    assert window.table.rowCount() == 1
    monkeypatch.setattr(register, "running_pid", lambda _folder: 1)
    with pytest.raises(GeoSegError, match="still running"):
        register.delete(used, None)


def test_a_cross_validation_has_the_scores_of_all_folds(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    run = trained(desk, "folds", CrossValidateJob(TrainJob(str(dataset))))
    write_json(run / "metrics.json", {"miou": 0.6, "per_class": [], "intervals": {"miou": [0.5, 0.7]}})
    (found,) = desk.services.view.register()
    assert (found.model, found.score, found.interval) == ("U-Net, folds", 0.6, (0.5, 0.7))
    assert desk.services.view.evaluation(run)["miou"] == 0.6


def test_every_model_of_a_comparison_has_a_name() -> None:
    for key in experiments.CONTENDERS:
        made = experiments.contender(key)
        assert register.model_of(made.network or made.baseline) == made.name  # type: ignore[arg-type]


def test_what_cannot_be_read_is_listed_empty(desk: Desk, tmp_path: Path) -> None:
    run = desk.services.workspace.new_run("broken")
    (run / "job.json").write_text("{", encoding="utf-8")
    (found,) = desk.services.view.register()
    assert (found.model, found.score, found.minutes) == ("", None, None)
    window = opened(desk)
    select(window, run)
    assert not window.buttons["repeat"].isEnabled() and window.diff.rowCount() == 0


def way(desk: Desk, name: str) -> Any:
    """What a way of the Train page opens."""
    actions = {action.text(): action for action in desk.pages.train.experiments_button.menu().actions()}
    actions[name].trigger()
    return desk.panel.train.experiments.dialog


def test_folds_are_offered_where_there_are_none(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    assert way(desk, "Cross-validate this model…") is None
    assert desk.dock.messages.text()
    for number in "123":
        (dataset / "folds" / number).mkdir(parents=True)
        (dataset / "folds" / number / "dataset.json").write_text("{}", encoding="utf-8")
    dialog = way(desk, "Cross-validate this model…")
    dialog.ensemble.setChecked(False)
    dialog.accept()
    job = desk.runner.job()
    assert isinstance(job, CrossValidateJob) and job.training.dataset == str(dataset) and not job.ensemble
    folder = desk.runner.submissions[0].folder
    desk.runner.finish(miou=0.6, intervals={"miou": [0.5, 0.7]}, folds=[{}, {}, {}])
    assert "3 folds: mean IoU 0.600 (0.50–0.70)" in desk.pages.train.next_step.text()
    assert not desk.runner.busy, "an ensemble of all folds has no ground to be evaluated on"
    with pytest.raises(GeoSegError, match="all labelled pixels"):
        dataset_of(folder)


def test_a_search_is_evaluated_on_test_blocks(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    dialog = way(desk, "Search its settings…")
    dialog.parameters.leave_out([])
    dialog.fields["trials"].setValue(15)
    dialog.fields["max_minutes"].setValue(60)
    dialog.accept()
    job = desk.runner.job()
    assert isinstance(job, SearchJob) and (job.trials, job.max_minutes) == (15, 60.0)
    assert set(job.parameters) == set(SEARCHED) and job.problems() == []
    desk.runner.finish(best_trial=3, score=0.7, automatic=0.6)
    assert "Trial 3 is best: 0.700" in desk.pages.train.next_step.text()
    record(desk.services.state.run or tmp_path, {"type": "hello"}, {"type": "done", "result": {"score": 0.7}})
    (found,) = desk.services.view.register()
    assert (found.model, found.score, found.tested) == ("U-Net, search", 0.7, False)
    assert desk.runner.job().kind == "evaluate" and desk.runner.job().dataset == str(dataset)


def test_baselines_and_empty_desks_are_told_why(desk: Desk, tmp_path: Path) -> None:
    assert way(desk, "Search its settings…") is None
    assert "no dataset" in desk.dock.messages.text()
    prepared(desk, tmp_path)
    page = desk.pages.train
    page.model.setCurrentIndex(page.model.findData("forest"))
    assert way(desk, "Search its settings…") is None
    assert "Baselines" in desk.dock.messages.text()


def test_a_broken_search_goes_on(desk: Desk, tmp_path: Path) -> None:
    dataset = prepared(desk, tmp_path)
    run = desk.services.workspace.new_run("search")
    write_job(experiments.search(run, TrainJob(str(dataset)), trials=5, resume=False))
    record(run, {"type": "hello"}, {"type": "failed", "code": "cancelled"})
    desk.services.refresh()
    assert desk.pages.train.unfinished.currentData() == str(run)
    desk.pages.train.resume_button.click()
    job = desk.runner.job()
    assert isinstance(job, SearchJob) and job.resume and desk.runner.submissions[0].folder == run
