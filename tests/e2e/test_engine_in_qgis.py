"""The real engine through the plugin's tasks: the line between the processes, whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from engine_runs import run

from geoseg_plugin.contract import PROTOCOL, DescribeJob, ProbeJob
from geoseg_plugin.engine.environment import Environment, check, diagnostics, interpreter
from geoseg_plugin.jobs.submission import Submission


def test_the_engine_says_what_it_can_do(qgis_app: Any, environment: Environment, tmp_path: Path) -> None:
    hellos, done, failed = run(environment, Submission(ProbeJob(), tmp_path, ""))
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
    _, done, failed = run(environment, Submission(DescribeJob(str(foreign)), tmp_path / "job", ""))
    assert done == [] and failed[0]["code"] == "not_our_model"
    assert "foreign.onnx" in failed[0]["message"] and failed[0]["hint"]


def test_the_installer_made_this_environment(environment: Environment) -> None:
    root = environment.python.parent.parent
    assert environment.python == interpreter(root) and environment.managed
    assert (environment.python.parent / "geoseg").exists() or sys.platform == "win32"
