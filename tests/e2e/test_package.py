"""The zip, installed into a fresh profile of a real QGIS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import package
import pytest
from stage_profile import stage

START_S = 120
PROMISED = ["checklabels", "evaluate", "maketiles", "polygonize", "predict", "rasterizelabels", "stackrasters",
            "terrainattributes", "trainmodel"]  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package.build(tmp_path_factory.mktemp("zip") / "geoseg_plugin.zip")


@pytest.fixture(scope="module")
def seen(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a QGIS with this plugin showed, see session_in_qgis.py."""
    if not shutil.which("qgis") or not shutil.which("xvfb-run"):
        pytest.skip("needs the programs qgis and xvfb-run")
    config = tmp_path_factory.mktemp("profiles")
    profile = stage(config, archive)
    report = config / "seen.json"
    environ = {**os.environ, "GEOSEG_SEEN": str(report), "GEOSEG_ENGINE_DIR": str(config / "no_engine")}
    for name in ("QT_QPA_PLATFORM", "QGIS_CUSTOM_CONFIG_PATH", "PYTHONPATH"):
        environ.pop(name, None)
    script = Path(__file__).with_name("session_in_qgis.py")
    command = ["xvfb-run", "-a", "-s", "-screen 0 1400x900x24", "qgis", "--nologo", "--noversioncheck",
               "--profiles-path", str(config), "--profile", "default", "--code", str(script)]  # fmt: skip
    log = config / "qgis.log"
    with log.open("wb") as stream:
        done = subprocess.run(
            command, env=environ, stdout=stream, stderr=stream, timeout=START_S, check=False
        )
    said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    assert report.exists(), f"QGIS ended with {done.returncode} and left no report:\n{said}"
    shown: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert "error" not in shown, shown["error"]
    shown["profile"], shown["said"], shown["exit"] = str(profile), said, done.returncode
    return shown


def test_the_zip_holds_one_folder_with_all_that_is_needed(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    assert {name.split("/")[0] for name in names} == {"geoseg_plugin"}
    needed = ["__init__.py", "metadata.txt", "LICENSE", "training/geoseg_engine/cli.py", "resources/icons/geoseg.svg",
              "training/requirements/torch.txt", "docs/guide.md"]  # fmt: skip
    assert [name for name in needed if f"geoseg_plugin/{name}" not in names] == []
    assert [
        name for name in names if "__pycache__" in name or "/tests/" in name or name.endswith(".pyc")
    ] == []


def test_the_zip_depends_on_the_files_alone(archive: Path, tmp_path: Path) -> None:
    assert package.build(tmp_path / "again.zip").read_bytes() == archive.read_bytes()


def test_qgis_loads_it_from_the_profile(seen: dict[str, Any]) -> None:
    assert seen["file"].startswith(seen["profile"])
    assert seen["at_start"]["loaded"] and seen["at_start"]["docks"] == 1 and seen["at_start"]["actions"] == 1
    ids = [name.removeprefix("geoseg:") for name in seen["at_start"]["algorithms"]]
    assert set(PROMISED) <= set(ids)


def test_the_dock_opens(seen: dict[str, Any]) -> None:
    assert seen["opened"]["visible"] == [True]


def test_unload_leaves_nothing_and_it_loads_again(seen: dict[str, Any]) -> None:
    assert seen["unload"] is True
    assert seen["unloaded"] == {"loaded": False, "docks": 0, "visible": [], "actions": 0, "algorithms": []}
    assert seen["load"] is True and seen["again"] == seen["at_start"]
    assert seen["opened_again"]["visible"] == [True]


def test_qgis_holds_none_of_the_engines_packages(seen: dict[str, Any]) -> None:
    assert seen["forbidden"] == []


def test_qgis_ends_cleanly(seen: dict[str, Any]) -> None:
    assert seen["exit"] == 0, seen["said"]
    assert "Traceback" not in seen["said"]
