"""The studies that work the panel in QGIS run to their end on a made scene."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("GEOSEG_ENGINE_DIR", ROOT / ".envs" / "engine")) / "bin" / "python"
LIMIT_S = 900


def test_real_cases_runs_to_its_end(tmp_path: Path) -> None:
    if not shutil.which("qgis") or not shutil.which("xvfb-run"):
        pytest.skip("needs the programs qgis and xvfb-run")
    command = [str(PYTHON), str(ROOT / "scripts" / "studies" / "real_cases.py"), "--small"]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| made |" in ended.stdout
    assert list(tmp_path.iterdir()) == []
