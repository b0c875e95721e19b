"""QGIS closed while training: the run goes on or stops, as the user's setting says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from geoseg_plugin.engine.liveness import end_group, running_pid
from geoseg_plugin.records.workspace import state_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("on_close", "state"), [("continue", "running"), ("stop", "cancelled")])
def test_closing_qgis_while_training(tmp_path: Path, on_close: str, state: str) -> None:
    if not shutil.which("qgis") or not shutil.which("xvfb-run"):
        pytest.skip("needs the programs qgis and xvfb-run")
    settings = tmp_path / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[geoseg]\non_close={on_close}\n", encoding="utf-8")
    run = tmp_path / "run"
    run.mkdir()
    environ = {name: value for name, value in os.environ.items()
               if name not in ("QT_QPA_PLATFORM", "QGIS_CUSTOM_CONFIG_PATH", "PYTHONPATH")}  # fmt: skip
    python = getattr(sys, "_base_executable", "") or sys.executable
    environ.update(GEOSEG_RUN=str(run), GEOSEG_ROOT=str(ROOT), GEOSEG_FAKE_PYTHON=python)
    script = Path(__file__).with_name("training_while_qgis_closes.py")
    command = ["xvfb-run", "-a", "qgis", "--nologo", "--noversioncheck", "--profiles-path", str(tmp_path),
               "--profile", "default", "--code", str(script)]  # fmt: skip
    done = subprocess.run(command, env=environ, capture_output=True, timeout=300, check=False)
    pid = running_pid(run)
    try:
        assert state_of(run) == state, done.stderr.decode(errors="replace")[-2000:]
        assert done.returncode == 0
    finally:
        if pid is not None:
            end_group(pid, force=True)
