"""Tests of the whole: the packaged plugin, real QGIS processes, the real engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, ROOT / "scripts" / "dev", ROOT / "tests" / "plugin"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

if TYPE_CHECKING:
    from geoseg_plugin.engine.environment import Environment


@pytest.fixture(scope="session")
def environment() -> Environment:
    """The engine's environment."""
    from geoseg_plugin.engine.environment import find

    found = find(Path(os.environ.get("GEOSEG_ENGINE_DIR", ROOT / ".envs" / "engine")))
    if found is None:
        pytest.skip("needs the engine environment: make setup")
    return found


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of profiles with the plugin unpacked and switched on."""
    from stage_profile import stage

    folder = tmp_path_factory.mktemp("qgis")
    stage(folder)
    return folder


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a dataset of squares; tests write elsewhere."""
    from small_scene import make_dataset

    return make_dataset(tmp_path_factory.mktemp("workspace") / "datasets" / "squares")


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A map of three classes."""
    from small_scene import make_classes

    return make_classes(tmp_path / "classes.tif")


@pytest.fixture(scope="session")
def forest(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder of a run: a small forest."""
    from engine_runs import run

    from geoseg_plugin.jobs import train

    folder = tmp_path_factory.mktemp("run")
    settings = {"trees": 10, "depth": 6, "features": 1, "search": False}
    _, _, failed = run(environment, train.forest(folder, dataset, **settings))
    assert failed == []
    return folder
