"""What happens at the end of a job, in order: a model is evaluated after its training, never beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from docked import Desk, finished_run, prepared

from geoseg_plugin.contract import TrainJob
from geoseg_plugin.jobs import experiments
from geoseg_plugin.jobs import train as train_jobs


class Log:
    """The runner's signals with what the panel shows by then; its own slots were connected before these."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.lines = desk, []
        runner = desk.runner
        runner.started.connect(lambda _title: self.add(f"started {self.kinds()}"))
        runner.submission_finished.connect(lambda *_values: self.add("submission finished"))
        runner.finished.connect(lambda *_values: self.add("finished"))
        runner.failed.connect(lambda *_values: self.add("failed"))
        runner.cancelled.connect(lambda *_values: self.add("cancelled"))
        runner.idle.connect(lambda: self.add("idle"))

    def kinds(self) -> str:
        return " ".join(item.job.kind for item in self.desk.runner.submissions) or "nothing"

    def add(self, event: str) -> None:
        run = self.desk.services.state.run
        self.lines.append((event, run.name if run is not None else ""))


def start_training(desk: Desk, tmp_path: Path) -> Path:
    """A training that was begun on the page; its folder holds a model as it would at the end."""
    prepared(desk, tmp_path)
    desk.pages.train.primary.click()
    folder: Path = desk.runner.submissions[0].folder
    (folder / "model.onnx").write_bytes(b"")
    return folder


def test_a_training_is_evaluated_after_its_end(desk: Desk, tmp_path: Path) -> None:
    log = Log(desk)
    run = start_training(desk, tmp_path)
    desk.runner.finish(miou=0.5, warnings=[])
    assert log.lines == [
        ("started train", ""),
        ("submission finished", ""),
        ("finished", run.name),
        ("started evaluate", run.name),
        ("idle", run.name),
    ]
    evaluation = desk.runner.job()
    assert Path(evaluation.model) == run / "model.onnx"
    assert "0.500" in desk.pages.train.next_step.text()
    assert desk.pages.results.folder() == str(run), "the lists were read again before the evaluation began"
    desk.runner.finish(miou=0.4)
    assert [event for event, _run in log.lines[5:]] == ["submission finished", "finished", "idle"]
    assert "0.400" in desk.dock.messages.text()


@pytest.mark.parametrize(("kind", "evaluated"), [("search", True), ("crossvalidate", False)])
def test_a_search_is_evaluated_and_folds_are_not(
    desk: Desk, tmp_path: Path, kind: str, evaluated: bool
) -> None:
    dataset = prepared(desk, tmp_path)
    log = Log(desk)
    folder = desk.services.workspace.new_run("several")
    make = experiments.search if kind == "search" else experiments.cross_validate
    desk.panel.train.experiments.run(make(folder, TrainJob(str(dataset))))
    (folder / "model.onnx").write_bytes(b"")
    desk.runner.finish(miou=0.5, folds=[1, 2, 3], best_trial=2, score=0.5, automatic=0.4)
    expected = [(f"started {kind}", ""), ("submission finished", ""), ("finished", folder.name)]
    expected += [("started evaluate", folder.name)] if evaluated else []
    assert log.lines == [*expected, ("idle", folder.name)]
    assert evaluated or "0.500" in desk.dock.messages.text(), "the folds' own scores are offered"


def test_a_training_that_fails_or_is_cancelled_is_not_evaluated(desk: Desk, tmp_path: Path) -> None:
    log = Log(desk)
    run = start_training(desk, tmp_path)
    desk.runner.fail("out_of_memory", "There is not enough memory.")
    assert log.lines == [("started train", ""), ("failed", ""), ("idle", "")]
    log.lines.clear()
    desk.pages.train.primary.click()
    run = desk.runner.submissions[0].folder
    desk.runner.busy = False
    desk.runner.submission_finished.emit("train", {"cancelled": True, "miou": 0.6}, str(run))
    desk.runner.cancelled.emit()
    desk.runner.idle.emit()
    expected = ["started train", "submission finished", "cancelled", "idle"]
    assert [event for event, _run in log.lines] == expected
    assert log.lines[1][1] == run.name, "what it had learnt until then is the current run"


def test_a_run_that_is_followed_again_is_evaluated_too(desk: Desk, tmp_path: Path) -> None:
    run = finished_run(desk, prepared(desk, tmp_path))
    desk.services.state.run = None
    log = Log(desk)
    desk.panel.train.attach(str(run))
    desk.runner.busy = False
    desk.runner.finished.emit("attached", {"miou": 0.5}, str(run))
    desk.runner.idle.emit()
    expected = ["started nothing", "finished", "started evaluate", "idle"]
    assert [event for event, _run in log.lines] == expected
    assert train_jobs.job_of(run).kind == "train"


def test_a_comparison_says_which_is_first_and_evaluates_nothing(desk: Desk, tmp_path: Path) -> None:
    prepared(desk, tmp_path)
    log = Log(desk)
    desk.panel.train.comparison.open()
    window: Any = desk.panel.train.comparison.window
    window.page.primary.click()
    assert log.lines == [("started compare", "")]
    desk.runner.finish(rows=[{"model": "unet", "bands": "all", "iou": 0.7}])
    assert [event for event, _run in log.lines[1:]] == ["submission finished", "finished", "idle"]
    assert "0.700" in desk.pages.train.next_step.text()
