"""qgis_process with the plugin in a fresh profile: listed, helped, and from rasters to a map."""

from __future__ import annotations

import json
from pathlib import Path

import small_scene
from qgis_processes import NEEDED, qgis_process, run

pytestmark = NEEDED


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
