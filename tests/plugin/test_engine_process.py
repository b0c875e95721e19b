"""The plugin's side of the line, against engines that behave well and badly."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from fakes import PYTHON, fake_command, fake_session, kinds, poll_to_end

from geoseg_plugin.contract import GeoSegError, TrainJob, job_to_json, write_json
from geoseg_plugin.engine import session as session_module
from geoseg_plugin.engine.liveness import is_alive, running_pid
from geoseg_plugin.engine.process import Attached, EngineProcess


def test_success_gives_all_events_and_the_result(tmp_path: Path) -> None:
    session = fake_session("succeeds", tmp_path)
    session.start()
    events = poll_to_end(session)
    assert kinds(events) == [
        "hello",
        "progress",
        "epoch",
        "progress",
        "epoch",
        *["progress"] * 3,
        "artifact",
        "done",
    ]
    assert session.outcome is not None and session.outcome.kind == "done"
    assert session.outcome.result["output"] == "result.txt"


def test_twenty_thousand_events_arrive_whole_and_in_order(tmp_path: Path) -> None:
    session = fake_session("succeeds", tmp_path, FAKE_EVENTS="20000")
    session.start()
    events = poll_to_end(session)
    assert [event["done"] for event in events if event["type"] == "progress"] == list(range(1, 20001))


def test_rubbish_is_logged_and_skipped(tmp_path: Path) -> None:
    session = fake_session("rubbish", tmp_path)
    session.start()
    events = poll_to_end(session)
    assert session.outcome is not None and session.outcome.result == {"answer": 42}
    logs = [event["text"] for event in events if event["type"] == "log"]
    assert any("not UTF-8" in text for text in logs)
    assert any("telepathy" in text for text in logs)
    assert any("last event" in text for text in logs)
    assert [kind for kind in kinds(events) if kind != "log"] == ["hello", "done"]


def test_a_silent_death_names_the_signal_and_quotes_the_log(tmp_path: Path) -> None:
    session = fake_session("dies", tmp_path)
    session.start()
    poll_to_end(session)
    assert session.outcome is not None and session.outcome.problem is not None
    assert session.outcome.problem["code"] == "engine_died"
    assert "SIGKILL" in session.outcome.problem["message"]
    assert "last thing it said" in session.outcome.problem["details"]
    assert "Resume" not in session.outcome.problem["hint"]


def test_a_training_that_died_can_be_resumed_and_says_so(tmp_path: Path) -> None:
    write_json(tmp_path / "job.json", job_to_json(TrainJob("d")))
    session = fake_session("dies", tmp_path)
    session.start()
    poll_to_end(session)
    assert session.outcome is not None and session.outcome.problem is not None
    assert session.outcome.problem["hint"].startswith("Resume continues from the last epoch")


def test_an_older_protocol_is_an_error_and_its_engine_is_ended(tmp_path: Path) -> None:
    session = fake_session("older", tmp_path)
    session.start()
    poll_to_end(session)
    assert session.outcome is not None and session.outcome.problem is not None
    assert session.outcome.problem["code"] == "protocol"
    assert "0.9" in session.outcome.problem["message"]
    assert not is_alive(session.pid, "older")


def test_cancel_is_heard_by_a_good_engine_which_keeps_its_result(tmp_path: Path) -> None:
    session = fake_session("succeeds", tmp_path, FAKE_EVENTS="1000", FAKE_PAUSE_S="0.02")
    session.start()
    session.poll(2.0)
    session.cancel()
    poll_to_end(session, 5.0)
    assert session.outcome is not None and session.outcome.kind == "cancelled"
    assert session.outcome.result["output"] == "result.txt"
    assert not (tmp_path / "cancel").exists()


def test_an_engine_that_writes_its_model_is_not_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "DEFAULT_SAVE_S", 0.5)
    session = fake_session("succeeds", tmp_path, FAKE_EVENTS="1000", FAKE_PAUSE_S="0.02", FAKE_SAVE_S="2")
    session.start()
    session.poll(2.0)
    session.cancel()
    poll_to_end(session, 10.0)
    assert session.outcome is not None and session.outcome.result["output"] == "result.txt"


@pytest.mark.parametrize("kind", ["stack", "train"])
def test_cancel_ends_a_hanging_engine_and_its_children(tmp_path: Path, kind: str) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"kind": kind}), encoding="utf-8")
    session = fake_session("hangs", tmp_path)
    session.start()
    session.poll(2.0)
    session.cancel()
    poll_to_end(session, 60.0)
    assert session.outcome is not None and session.outcome.kind == "cancelled"
    assert living_members(session.pid) == []


def living_members(group: int) -> list[str]:
    """Processes of a group that are more than a zombie."""
    members = []
    for record in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = record.read_text(encoding="utf-8").rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            members.append(record.parent.name)
    return members


def test_an_engine_that_stays_after_its_last_word_is_shown_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "LINGER_S", 0.3)
    done = '{"v": "1.0", "type": "done", "t": 1, "result": {"a": 1}}'
    script = f"import time; print({done!r}, flush=True); time.sleep(99)"
    session = EngineProcess(PYTHON, tmp_path, os.environ, lambda python, job: [str(python), "-c", script])
    session.start()
    poll_to_end(session, 5.0)
    assert session.outcome is not None and session.outcome.kind == "done"


def test_done_with_a_bad_exit_code_is_no_success(tmp_path: Path) -> None:
    script = (
        'import os; print(\'{"v": "1.0", "type": "done", "t": 1, "result": {}}\', flush=True); os._exit(3)'
    )
    session = EngineProcess(PYTHON, tmp_path, os.environ, lambda python, job: [str(python), "-c", script])
    session.start()
    poll_to_end(session, 5.0)
    assert session.outcome is not None and session.outcome.problem is not None
    assert session.outcome.problem["code"] == "engine_exit"
    assert "exit code 3" in session.outcome.problem["message"]


def test_an_interpreter_that_is_not_there(tmp_path: Path) -> None:
    session = EngineProcess(tmp_path / "python", tmp_path, os.environ)
    with pytest.raises(GeoSegError, match="cannot be started"):
        session.start()


def test_attach_replays_the_record_then_follows(tmp_path: Path) -> None:
    first = fake_session("succeeds", tmp_path, FAKE_EVENTS="40", FAKE_PAUSE_S="0.05")
    first.start()
    seen = first.poll(2.0)
    assert seen
    first.detach()
    assert running_pid(tmp_path) == first.pid
    second = Attached(tmp_path)
    second.start()
    events = poll_to_end(second)
    assert kinds(events)[0] == "hello" and kinds(events)[-1] == "done"
    assert [event["done"] for event in events if event["type"] == "progress"] == list(range(1, 41))
    assert second.outcome is not None and second.outcome.kind == "done"


def test_an_attached_engine_can_be_cancelled(tmp_path: Path) -> None:
    first = fake_session("succeeds", tmp_path, FAKE_EVENTS="1000", FAKE_PAUSE_S="0.05")
    first.start()
    first.poll(2.0)
    first.detach()
    second = Attached(tmp_path)
    second.start()
    second.cancel()
    poll_to_end(second, 5.0)
    assert second.outcome is not None and second.outcome.kind == "cancelled"


def test_attach_to_an_engine_that_is_killed(tmp_path: Path) -> None:
    first = fake_session("succeeds", tmp_path, FAKE_EVENTS="1000", FAKE_PAUSE_S="0.05")
    first.start()
    first.poll(2.0)
    first.detach()
    second = Attached(tmp_path)
    second.start()
    second.poll(0.1)
    os.kill(first.pid, signal.SIGKILL)
    poll_to_end(second, 5.0)
    assert second.outcome is not None and second.outcome.problem is not None
    assert second.outcome.problem["code"] == "engine_died"


def test_attach_judges_the_last_session_of_a_resumed_run(tmp_path: Path) -> None:
    lines = [
        {"v": "1.0", "type": "hello", "t": 1},
        {
            "v": "1.0",
            "type": "failed",
            "t": 2,
            "code": "disk_full",
            "message": "m",
            "hint": "",
            "details": "",
        },
        {"v": "1.0", "type": "hello", "t": 3},
        {"v": "1.0", "type": "done", "t": 4, "result": {"model": "model.onnx"}},
    ]
    (tmp_path / "events.jsonl").write_text(
        "\n".join(json.dumps(line) for line in lines) + "\n", encoding="utf-8"
    )
    session = Attached(tmp_path)
    session.start()
    assert len(poll_to_end(session)) == 4
    assert session.outcome is not None and session.outcome.result == {"model": "model.onnx"}


def test_a_process_id_used_again_is_not_our_engine(tmp_path: Path) -> None:
    (tmp_path / "engine.pid").write_text(str(os.getpid()), encoding="utf-8")
    assert running_pid(tmp_path) is None


def test_the_engine_survives_a_reader_that_goes_away(tmp_path: Path) -> None:
    """As when QGIS crashes: the pipe's other end is closed, not only unread."""
    import subprocess

    command = fake_command("succeeds")(PYTHON, tmp_path / "job.json")
    environ = {**os.environ, "FAKE_EVENTS": "20", "FAKE_PAUSE_S": "0.02"}
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(10) == 0
    assert (tmp_path / "result.txt").exists()
