"""The real engine through the plugin's tasks: the line between the processes, whole."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from geoseg_plugin.contract import PROTOCOL
from geoseg_plugin.engine.environment import Environment, check, diagnostics, find, interpreter
from geoseg_plugin.jobs import engine
from geoseg_plugin.tasks.execution import Launch
from geoseg_plugin.tasks.runner import TaskRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "plugin"))

from waiting import wait_for  # noqa: E402


@pytest.fixture(scope="module")
def environment() -> Environment:
    found = find(Path(os.environ.get("GEOSEG_ENGINE_DIR", ROOT / ".envs" / "engine")))
    if found is None:
        pytest.skip("needs the engine environment: make setup")
    return found


def run(environment: Environment, submission: Any) -> tuple[list[dict[str, Any]], list[Any], list[Any]]:
    runner = TaskRunner(launch=lambda: Launch(environment.python))
    hellos: list[dict[str, Any]] = []
    done: list[Any] = []
    failed: list[Any] = []
    runner.hello_received.connect(hellos.append)
    runner.finished.connect(lambda title, result, folder: done.append(result))
    runner.failed.connect(failed.append)
    with wait_for(runner.idle, 120.0):
        runner.start(submission.title, None, [submission])
    return hellos, done, failed


def test_the_engine_says_what_it_can_do(qgis_app: Any, environment: Environment, tmp_path: Path) -> None:
    hellos, done, failed = run(environment, engine.probe(tmp_path))
    assert failed == [] and hellos[0]["protocol"] == PROTOCOL
    assert done[0]["torch"] and (done[0]["device"] == "cpu" or done[0]["device"].startswith("cuda"))
    assert json.dumps(done[0]["providers"]) in diagnostics(environment, done[0])
    assert check(environment) == []
    record = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["type"] for line in record][-1] == "done"


def test_a_model_that_is_not_ours_is_one_clear_sentence(
    qgis_app: Any, environment: Environment, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.onnx"
    foreign.write_bytes(b"no model at all")
    _, done, failed = run(environment, engine.describe(tmp_path / "job", foreign))
    assert done == [] and failed[0]["code"] == "not_our_model"
    assert "foreign.onnx" in failed[0]["message"] and failed[0]["hint"]


def test_the_installer_made_this_environment(environment: Environment) -> None:
    root = environment.python.parent.parent
    assert environment.python == interpreter(root) and environment.managed
    assert (environment.python.parent / "geoseg").exists() or sys.platform == "win32"
