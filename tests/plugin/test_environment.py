"""What an engine must not inherit from QGIS, and how its environment is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geoseg_plugin.engine import environment
from geoseg_plugin.engine.environment import (
    STAMP_FILE,
    Environment,
    check,
    cleaned,
    diagnostics,
    find,
    interpreter,
)
from geoseg_plugin.paths import training_dir


def test_nothing_of_qgis_is_inherited() -> None:
    dirty = {
        "PYTHONHOME": "a", "PYTHONPATH": "a", "VIRTUAL_ENV": "a", "PYTHONUSERBASE": "a", "PIP_TARGET": "a",
        "PROJ_LIB": "a", "PROJ_DATA": "a", "GDAL_DATA": "a", "GDAL_DRIVER_PATH": "a", "QT_PLUGIN_PATH": "a",
        "QGIS_PREFIX_PATH": "/opt/qgis", "LD_LIBRARY_PATH": "/opt/qgis/lib:/usr/local/cuda/lib64",
        "PATH": "/opt/qgis/bin:/usr/bin", "LD_PRELOAD": "/opt/qgis/lib/x.so", "HOME": "/home/me",
        "CUDA_VISIBLE_DEVICES": "1", "https_proxy": "p", "GTIFF_POINT_GEO_IGNORE": "YES", "GDAL_HTTP_PROXY": "p",
    }  # fmt: skip
    clean = cleaned(dirty)
    assert clean == {
        "HOME": "/home/me", "CUDA_VISIBLE_DEVICES": "1", "https_proxy": "p", "GDAL_HTTP_PROXY": "p",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64", "PATH": "/usr/bin", "PYTHONPATH": str(training_dir()),
        "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1",
    }  # fmt: skip


def test_a_system_qgis_leaves_the_system_paths() -> None:
    clean = cleaned({"QGIS_PREFIX_PATH": "/usr", "LD_LIBRARY_PATH": "/usr/lib", "PATH": "/usr/bin"})
    assert clean["LD_LIBRARY_PATH"] == "/usr/lib" and clean["PATH"] == "/usr/bin"


@pytest.fixture()
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("GEOSEG_ENGINE_PYTHON", "GEOSEG_ENGINE_DIR"):
        monkeypatch.delenv(name, raising=False)
    interpreter(tmp_path).parent.mkdir()
    interpreter(tmp_path).touch()
    return tmp_path


def test_an_environment_counts_when_its_stamp_is_there(root: Path) -> None:
    assert find(root) is None
    (root / STAMP_FILE).write_text(
        json.dumps({"requirements": environment.requirements_hash()}), encoding="utf-8"
    )
    found = find(root)
    assert found == Environment(interpreter(root), managed=True)
    assert check(found) == []


def test_another_versions_environment_is_a_warning(root: Path) -> None:
    (root / STAMP_FILE).write_text(json.dumps({"requirements": "old"}), encoding="utf-8")
    problems = check(find(root))
    assert [(item.code, item.severity) for item in problems] == [("engine_outdated", "warning")]


def test_the_users_own_python_goes_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = root / "own"
    own.touch()
    assert find(root, str(own)) == Environment(own, managed=False)
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", str(own))
    assert find(root) == Environment(own, managed=False)
    monkeypatch.setenv("GEOSEG_ENGINE_PYTHON", str(root / "nothing"))
    assert find(root) is None
    assert "GEOSEG_ENGINE_PYTHON" in check(None)[0].message


def test_the_folder_is_outside_the_plugin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GEOSEG_ENGINE_DIR", raising=False)
    assert not environment.default_root().is_relative_to(environment.training_dir().parent)
    monkeypatch.setenv("GEOSEG_ENGINE_DIR", str(tmp_path))
    assert environment.default_root() == tmp_path


def test_diagnostics_names_interpreter_problems_and_probe(root: Path) -> None:
    text = diagnostics(None, {"device": "cpu"})
    assert "not set up" in text and 'device: "cpu"' in text
    assert str(interpreter(root)) in diagnostics(Environment(interpreter(root), True))
