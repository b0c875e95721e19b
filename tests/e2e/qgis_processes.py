"""Runs of the program qgis_process with the plugin in a profile of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from geoseg_plugin.engine.environment import find

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
NEEDED = pytest.mark.skipif(not shutil.which("qgis_process"), reason="needs the program qgis_process")


def qgis_process(
    config: Path, *arguments: str, engine: bool = True, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environ = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "QGIS_PLUGINPATH")
    }
    environ.update(QGIS_CUSTOM_CONFIG_PATH=str(config), QT_QPA_PLATFORM="offscreen")
    environ.pop("GEOSEG_ENGINE_PYTHON", None)
    environ["GEOSEG_ENGINE_DIR"] = str(config / "no_engine")
    if engine:
        found = find(Path(os.environ.get("GEOSEG_ENGINE_DIR", ROOT / ".envs" / "engine")))
        if found is None:
            pytest.skip("needs the engine environment: make setup")
        environ["GEOSEG_ENGINE_PYTHON"] = str(found.python)
    return subprocess.run(
        ["qgis_process", *arguments],
        env=environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        encoding="utf-8",
    )


def run(config: Path, name: str, *parameters: str, folder: Path | None = None) -> dict[str, Any]:
    """Results of `qgis_process --json run geoseg:<name>` in a folder."""
    done = qgis_process(config, "--json", "run", f"geoseg:{name}", *parameters, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return dict(answer["results"])
