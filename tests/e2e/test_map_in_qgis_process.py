"""geoseg:mapfromlayers in qgis_process with the real engine: one call makes a map, the next one only updates it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import small_scene
from qgis_processes import NEEDED, qgis_process, run

pytestmark = NEEDED


def make(config: Path, scene: small_scene.SmallScene, folder: Path, *more: str) -> dict[str, object]:
    return run(
        config,
        "mapfromlayers",
        f"--LAYERS={scene.optical}",
        f"--LABELS={scene.labels}",
        "--CLASS_FIELD=kind",
        "--MODEL=forest",
        "--BASELINE_TREES=8",
        "--BASELINE_SEARCH=false",
        "--SPLIT_TILE_SIZE=32",
        f"--OUTPUT={folder}",
        *more,
    )


def test_layers_in_map_out_and_an_update(config: Path, tmp_path: Path) -> None:
    scene = small_scene.make(tmp_path / "scene")
    folder = tmp_path / "map"
    first = make(config, scene, folder)
    for name in ("classes.tif", "classes.qml", "confidence.tif", "polygons.gpkg", "map.json"):
        assert (folder / name).stat().st_size > 0
    assert 0 <= float(str(first["MIOU"])) <= 1
    assert Path(str(first["REPORT"])).exists()
    assert Path(str(first["MODEL_USED"])).exists()
    blocks = (folder / "dataset" / "blocks.json").read_bytes()
    model = (folder / "model" / "model.onnx").stat().st_mtime_ns

    make(config, scene, folder)
    assert (folder / "model" / "model.onnx").stat().st_mtime_ns == model

    stack = (folder / "stack.recipe.json").stat().st_mtime_ns
    with sqlite3.connect(scene.labels) as database:
        table = database.execute("SELECT table_name FROM gpkg_geometry_columns").fetchone()[0]
        for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger[0]}"')
        database.execute(f'DELETE FROM "{table}" WHERE fid IN (SELECT fid FROM "{table}" LIMIT 2)')
    make(config, scene, folder)
    assert (folder / "model" / "model.onnx").stat().st_mtime_ns > model
    assert (folder / "stack.recipe.json").stat().st_mtime_ns == stack
    assert (folder / "dataset" / "blocks.json").read_bytes() == blocks


def test_it_says_what_is_missing(config: Path, tmp_path: Path) -> None:
    scene = small_scene.make(tmp_path / "scene")
    done = qgis_process(
        config, "run", "geoseg:mapfromlayers", f"--LAYERS={scene.optical}", f"--OUTPUT={tmp_path}/map"
    )
    assert done.returncode != 0
    assert "Set LABELS or LABEL_RASTER" in done.stdout + done.stderr
