"""qgis_process with the plugin in a fresh profile: listed, helped, and from rasters to a map."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import small_scene
from stage_profile import stage

from geoseg_plugin.engine.environment import find

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("qgis_process"), reason="needs the program qgis_process"),
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of profiles with the plugin unpacked and switched on."""
    folder = tmp_path_factory.mktemp("qgis")
    stage(folder)
    return folder


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


def test_the_provider_is_listed_and_helps(config: Path) -> None:
    listed = qgis_process(config, "--json", "list")
    providers = json.loads(listed.stdout[listed.stdout.index("{") :])["providers"]
    assert {"geoseg:trainmodel", "geoseg:trainforest", "geoseg:pretrain"} <= set(
        providers["geoseg"]["algorithms"]
    )
    helped = qgis_process(config, "help", "geoseg:trainmodel")
    assert helped.returncode == 0 and "LEARNING_RATE" in helped.stdout and "ce+lovasz" in helped.stdout


def test_without_engine_it_says_how_to_get_one(config: Path, tmp_path: Path) -> None:
    scene = small_scene.make(tmp_path)
    arguments = (f"--DEM={scene.dem}", f"--OUTPUT={tmp_path}/slope.tif")
    done = qgis_process(config, "run", "geoseg:terrainattributes", *arguments, engine=False)
    assert done.returncode != 0
    assert "geoseg_plugin.engine.installer" in done.stdout + done.stderr


def test_from_rasters_to_a_map_and_its_scores(config: Path, tmp_path: Path) -> None:
    scene = small_scene.make(tmp_path / "scene")
    stack = run(
        config,
        "stackrasters",
        f"--LAYERS={scene.optical}",
        f"--DEM={scene.dem}",
        "--TERRAIN=slope",
        f"--OUTPUT={tmp_path}/stack.tif",
    )
    tiles = run(
        config,
        "maketiles",
        f"--STACK={stack['OUTPUT']}",
        f"--LABELS={scene.labels}",
        "--CLASS_FIELD=kind",
        "--AREA=bounds",
        "--TILE_SIZE=32",
        f"--OUTPUT={tmp_path}/dataset",
    )
    trained = run(
        config,
        "trainmodel",
        f"--DATASET={tiles['DATASET']}",
        "--EPOCHS=3",
        "--STEPS_PER_EPOCH=6",
        "--BATCH_SIZE=4",
        "--WIDTH=8",
        "--LEVELS=2",
        "--DEVICE=cpu",
        f"--OUTPUT={tmp_path}/run",
    )
    assert 0 <= trained["MIOU"] <= 1
    predicted = run(
        config,
        "predict",
        f"--MODEL={trained['MODEL']}",
        f"--OUTPUT={tmp_path}/classes.tif",
        f"--OUTPUT_CONFIDENCE={tmp_path}/confidence.tif",
        f"--OUTPUT_POLYGONS={tmp_path}/polygons.gpkg",
    )
    for key in ("OUTPUT", "OUTPUT_CONFIDENCE", "OUTPUT_POLYGONS"):
        assert Path(predicted[key]).stat().st_size > 0
    assert (tmp_path / "classes.qml").exists()
    scores = run(
        config,
        "evaluate",
        f"--DATASET={tiles['OUTPUT']}",
        f"--MODEL={trained['MODEL']}",
        f"--OUTPUT={tmp_path}/evaluation",
    )
    assert 0 <= scores["MIOU"] <= scores["ACCURACY"] <= 1
    assert Path(scores["REPORT"]).exists()


def test_preparation_with_computed_bands_options_and_chips(config: Path, tmp_path: Path) -> None:
    """Options by number, indices, expressions, settings a band; findings, folds and chips that are there."""
    scene = small_scene.make(tmp_path / "scene")
    stack = run(
        config,
        "stackrasters",
        f"--LAYERS={scene.optical}",
        f"--DEM={scene.dem}",
        "--TERRAIN=0,8",
        "--RADIUS=60",
        "--INDICES=NDVI",
        "--ROLES=red=optical@1;nir=optical@2",
        '--EXPRESSIONS=sum = "optical@1" + "optical@2"',
        f"--VECTORS={scene.labels}",
        "--VECTOR_BANDS=labels:distance 300",
        "--FILL=median",
        f"--OUTPUT={tmp_path}/stack.tif",
    )
    recipe = json.loads(Path(stack["RECIPE"]).read_text(encoding="utf-8"))
    names = [band["name"] for band in recipe["bands"]]
    assert names[2:] == ["dem: slope", "dem: tri", "labels: distance", "NDVI", "sum"]
    checked = run(
        config,
        "checklabels",
        f"--LAYERS={scene.optical}",
        f"--LABELS={scene.labels}",
        "--CLASS_FIELD=kind",
        "--AREA=rasters",
        f"--OUTPUT={tmp_path}/findings.gpkg",
        f"--REPORT={tmp_path}/report.json",
    )
    assert Path(checked["OUTPUT"]).exists() and "problems" in json.loads(
        (tmp_path / "report.json").read_text(encoding="utf-8")
    )
    tiles = run(
        config,
        "maketiles",
        f"--STACK={stack['OUTPUT']}",
        f"--LABELS={scene.labels}",
        "--CLASS_FIELD=kind",
        "--AREA=2",
        "--BORDER=1",
        "--TILE_SIZE=32",
        "--EMPTY_SHARE=0.5",
        "--FOLDS=3",
        f"--OUTPUT={tmp_path}/dataset",
    )
    assert all((tmp_path / "dataset" / "folds" / str(fold) / "dataset.json").exists() for fold in (1, 2, 3))
    chips = run(
        config,
        "exportchips",
        f"--DATASET={tiles['DATASET']}",
        "--LAYOUT=arcgis",
        f"--OUTPUT={tmp_path}/chips",
    )
    assert chips["COUNT"] == len(list((tmp_path / "chips" / "images").iterdir())) > 0
