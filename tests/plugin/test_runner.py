"""Tasks in the real task manager: signals on the main thread, which is never held up."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from fakes import fake_launch, fake_session
from heartbeat import Heartbeat
from qgis.core import QgsApplication
from waiting import wait_for

from geoseg_plugin.contract import GeoSegError, ProbeJob, TrainJob
from geoseg_plugin.engine import session
from geoseg_plugin.engine.liveness import running_pid
from geoseg_plugin.jobs.submission import Submission
from geoseg_plugin.tasks import runner as runner_module
from geoseg_plugin.tasks.runner import TaskRunner

LONGEST_BLOCK_S = 0.1


class Listener:
    """Remembers all signals of a runner, and whether each came on the main thread."""

    def __init__(self, runner: TaskRunner) -> None:
        self.seen: list[tuple[str, tuple[Any, ...]]] = []
        self.threads: set[threading.Thread] = set()
        for name in ("started", "hello_received", "progressed", "epoch_completed", "log_added",
                     "artifact_written", "submission_finished", "finished", "failed", "cancelled", "idle"):  # fmt: skip
            getattr(runner, name).connect(lambda *values, name=name: self._on(name, values))

    def _on(self, name: str, values: tuple[Any, ...]) -> None:
        self.seen.append((name, values))
        self.threads.add(threading.current_thread())

    def names(self) -> list[str]:
        return [name for name, _ in self.seen]

    def values(self, name: str) -> list[tuple[Any, ...]]:
        return [values for seen, values in self.seen if seen == name]


def probe_in(folder: Path) -> list[Submission]:
    return [Submission(ProbeJob(), folder, "Probe")]


def run(runner: TaskRunner, submissions: Any, exports: Any = None, timeout_s: float = 30.0) -> Listener:
    listener = Listener(runner)
    with wait_for(runner.idle, timeout_s):
        runner.start("Test", exports, submissions)
    return listener


def test_a_job_from_start_to_idle(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds"))
    exported: list[threading.Thread] = []
    listener = run(runner, probe_in(tmp_path), [lambda: exported.append(threading.current_thread())])
    names = listener.names()
    assert names[0] == "started" and names[-2:] == ["finished", "idle"]
    assert names.count("epoch_completed") == 2 and names.count("submission_finished") == 1
    assert listener.values("progressed")[-1][:2] == ("work", 1.0)
    assert listener.values("artifact_written") == [("text", "result.txt")]
    assert listener.values("finished")[0][1]["output"] == "result.txt"
    assert listener.threads == {threading.main_thread()}
    assert exported and exported[0] is not threading.main_thread()
    assert not runner.busy


@pytest.mark.parametrize("logs", [{}, {"FAKE_LOGS": "1"}])
def test_a_flood_of_events_does_not_hold_up_the_main_thread(
    qgis_app: Any, tmp_path: Path, logs: dict[str, str]
) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="20000", **logs))
    heart = Heartbeat()
    listener = run(runner, probe_in(tmp_path))
    assert heart.longest_s < LONGEST_BLOCK_S
    assert listener.names().count("progressed") < 500
    assert listener.names().count("epoch_completed") == 2
    assert "finished" in listener.names()


def test_submissions_made_after_the_exports_run_in_order(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds"))
    snapshot = tmp_path / "snapshot"

    def submissions() -> list[Submission]:
        assert snapshot.exists()
        return [*probe_in(tmp_path / "a"), *probe_in(tmp_path / "b")]

    listener = run(runner, submissions, [snapshot.touch])
    folders = [Path(values[2]).name for values in listener.values("submission_finished")]
    assert folders == ["a", "b"]


def test_a_failure_is_told_once_and_stops_the_list(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("dies"))
    listener = run(runner, [*probe_in(tmp_path / "a"), *probe_in(tmp_path / "b")])
    assert [values[0]["code"] for values in listener.values("failed")] == ["engine_died"]
    assert not {"finished", "cancelled", "submission_finished"} & set(listener.names())
    assert not (tmp_path / "b").exists()


def test_a_fault_in_an_export_is_reported_not_swallowed(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds"))

    def export() -> None:
        raise ZeroDivisionError("seven by zero")

    listener = run(runner, probe_in(tmp_path), [export])
    problem = listener.values("failed")[0][0]
    assert problem["code"] == "internal" and "seven by zero" in problem["message"]
    assert "ZeroDivisionError" in problem["details"]


def test_cancel_keeps_the_result_of_a_training(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="9999", FAKE_PAUSE_S="0.02"))
    listener = Listener(runner)
    with wait_for(runner.epoch_completed, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    with wait_for(runner.idle, 15.0):
        runner.cancel()
    assert listener.names()[-3:] == ["submission_finished", "cancelled", "idle"]
    assert listener.values("submission_finished")[0][1]["cancelled"] is True


def test_a_hanging_training_is_idle_within_fifteen_seconds(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("hangs"))
    listener = Listener(runner)
    with wait_for(runner.hello_received, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    heart = Heartbeat()
    with wait_for(runner.idle, 60.0):
        runner.cancel()
    assert "cancelled" in listener.names() and "failed" not in listener.names()
    assert heart.longest_s < LONGEST_BLOCK_S


def test_a_second_job_is_refused_while_one_runs(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="9999", FAKE_PAUSE_S="0.02"))
    runner.start("First", None, probe_in(tmp_path / "a"))
    with pytest.raises(GeoSegError, match="First"):
        runner.start("Second", None, probe_in(tmp_path / "b"))
    with wait_for(runner.idle, 15.0):
        runner.cancel()


def test_without_an_engine_nothing_starts(
    qgis_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", str(tmp_path / "nowhere"))
    monkeypatch.delenv("GEOSEG_ENGINE_PYTHON", raising=False)
    runner = TaskRunner()
    with pytest.raises(GeoSegError) as error:
        runner.start("Job", None, probe_in(tmp_path))
    assert error.value.code == "no_engine" and not runner.busy


def test_shutdown_leaves_a_training_running_to_be_attached(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="200", FAKE_PAUSE_S="0.02"))
    with wait_for(runner.epoch_completed, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    runner.shutdown(stop=False)
    assert running_pid(tmp_path) is not None
    again = TaskRunner(launch=lambda: fake_launch("succeeds"))
    listener = Listener(again)
    with wait_for(again.idle, 20.0):
        again.attach(tmp_path)
    assert listener.names().count("epoch_completed") == 2
    assert "finished" in listener.names()


def test_shutdown_stops_what_shall_not_go_on(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="9999", FAKE_PAUSE_S="0.02"))
    with wait_for(runner.hello_received, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    runner.shutdown(stop=True)
    assert running_pid(tmp_path) is None and not runner.busy
    assert (tmp_path / "result.txt").exists()


def test_kill_from_outside_is_told_with_the_way_on(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="9999", FAKE_PAUSE_S="0.02"))
    listener = Listener(runner)
    with wait_for(runner.hello_received, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    pid = running_pid(tmp_path)
    assert pid is not None
    with wait_for(runner.idle, 10.0):
        os.kill(pid, signal.SIGKILL)
    problem = listener.values("failed")[0][0]
    assert "SIGKILL" in problem["message"] and problem["hint"].startswith("Resume")


def test_attaching_to_a_finished_run_replays_it(qgis_app: Any, tmp_path: Path) -> None:
    engine = fake_session("succeeds", tmp_path)
    engine.start()
    while engine.running:
        engine.poll(0.05)
    runner = TaskRunner()
    listener = Listener(runner)
    with wait_for(runner.idle, 10.0):
        runner.attach(tmp_path)
    assert "finished" in listener.names() and listener.names().count("epoch_completed") == 2


def test_qgis_may_cancel_a_training_from_its_task_list(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="9999", FAKE_PAUSE_S="0.02"))
    listener = Listener(runner)
    with wait_for(runner.hello_received, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    with wait_for(runner.idle, 15.0):
        QgsApplication.taskManager().cancelAll()
    assert "cancelled" in listener.names() and running_pid(tmp_path) is None


def test_qgis_cancelling_everything_because_it_closes_is_no_cancel(qgis_app: Any, tmp_path: Path) -> None:
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", FAKE_EVENTS="9999", FAKE_PAUSE_S="0.02"))
    with wait_for(runner.hello_received, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    QgsApplication.taskManager().cancelAll()
    runner.shutdown(stop=False)
    QgsApplication.taskManager().cancelAll()
    pid = running_pid(tmp_path)
    assert pid is not None
    (tmp_path / "cancel").touch()
    again = TaskRunner()
    with wait_for(again.idle, 15.0):
        again.attach(tmp_path)


def test_shutdown_waits_longer_than_an_engine_may_write_its_model() -> None:
    assert runner_module.STOP_S > session.WRITING_S + session.TERMINATE_S
    assert runner_module.STOP_S > session.WRITING_S + session.LINGER_S


def test_a_task_that_outlasts_the_shutdown_is_not_forgotten(
    qgis_app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "STOP_S", 0.3)
    environ = {"FAKE_EVENTS": "9999", "FAKE_PAUSE_S": "0.02", "FAKE_SAVE_S": "2"}
    runner = TaskRunner(launch=lambda: fake_launch("succeeds", **environ))
    with wait_for(runner.hello_received, 10.0):
        runner.start("Train", None, [Submission(TrainJob("d"), tmp_path, "Train")])
    with wait_for(runner.idle, 15.0):
        runner.shutdown(stop=True)
        assert runner.busy
    assert not runner.busy and (tmp_path / "result.txt").exists()
