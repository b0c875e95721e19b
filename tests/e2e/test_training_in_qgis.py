"""Planning, preview, a baseline and its map through the plugin's tasks and the real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from osgeo import gdal
from test_engine_in_qgis import environment, run

from geoseg_plugin.contract import (
    Band,
    Dataset,
    ForestJob,
    Grid,
    LabelClass,
    Recipe,
    Source,
    TrainJob,
    write_json,
)
from geoseg_plugin.engine.environment import Environment
from geoseg_plugin.jobs import evaluate, predict, train
from geoseg_plugin.jobs.workspace import entry_of
from geoseg_plugin.panel.records import dataset_of
from geoseg_plugin.steps.train.planner import plan_sentence

__all__ = ["environment"]
ROWS, COLS = 96, 128
GRID = Grid("EPSG:32631", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), COLS, ROWS)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bright squares on noise; left train, middle validation, right test. Returns its folder."""
    folder = tmp_path_factory.mktemp("workspace") / "datasets" / "squares"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    labels = np.kron(random.random((ROWS // 8, COLS // 8)) < 0.3, np.ones((8, 8))).astype(np.uint8)
    image = random.normal(100, 10, (2, ROWS, COLS)) + 40 * labels
    split = np.broadcast_to(np.digitize(np.arange(COLS), (76, 102)), (ROWS, COLS))
    for name, values in (("image", image), ("labels", labels[None]), ("split", split[None])):
        kind = gdal.GDT_Float32 if name == "image" else gdal.GDT_Byte
        raster = gdal.GetDriverByName("GTiff").Create(
            str(folder / f"{name}.tif"), COLS, ROWS, len(values), kind
        )
        raster.SetGeoTransform((500_000, 10, 0, 5_000_000, 0, -10))
        raster.SetProjection(GRID.crs)
        for index, band in enumerate(values, 1):
            raster.GetRasterBand(index).WriteArray(band)
        raster = None
    recipe = Recipe(
        (Source("r1", str(folder / "image.tif"), "image"),), (Band("a", "r1", 1), Band("b", "r1", 2)), GRID
    )
    classes = (LabelClass(0, "background", "", "#dddddd"), LabelClass(1, "square", "s", "#cc2200"))
    write_json(
        folder / "dataset.json",
        Dataset("squares", recipe, "labels.tif", "split.tif", "tiles.gpkg", classes, tile_px=32),
    )
    return folder


def test_a_training_is_planned_in_words(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path: Path
) -> None:
    job = TrainJob(str(dataset), device="cpu", precision="float32")
    _, done, failed = run(environment, train.plan(tmp_path, job))
    assert failed == []
    text = plan_sentence(done[0])
    assert text.startswith("Crops of") and "parameters" in text and " on CPU" in text
    assert done[0]["reasons"] and not (tmp_path / "model.onnx").exists()


def test_a_preview_is_a_picture(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path: Path
) -> None:
    _, done, failed = run(environment, train.preview(tmp_path, TrainJob(str(dataset)), 4))
    assert failed == [] and (tmp_path / done[0]["image"]).stat().st_size > 0 and done[0]["sentences"]


def test_a_baseline_is_planned_trained_judged_and_applied(
    qgis_app: Any, environment: Environment, dataset: Path, tmp_path: Path
) -> None:
    job = ForestJob(str(dataset), trees=10, depth=6, features=1, search=False)
    _, done, failed = run(environment, train.plan(tmp_path / "plan", job))
    assert failed == [] and plan_sentence(done[0]).endswith(".")
    folder = tmp_path / "run"
    submission = train.forest(folder, dataset, trees=10, depth=6, features=1, search=False)
    _, done, failed = run(environment, submission)
    assert failed == [] and done[0]["miou"] > 0.5
    entry = entry_of(folder, train.MODEL)
    assert entry.finished and entry.state == "done" and not entry.resumable
    assert dataset_of(folder) == dataset
    judged = evaluate.evaluate(folder / "evaluation", dataset, folder / train.MODEL)
    _, done, failed = run(environment, judged)
    assert failed == [] and done[0]["miou"] > 0.5
    mapped = predict.predict(tmp_path / "map", folder / train.MODEL, outputs=("confidence",))
    _, _, failed = run(environment, mapped)
    assert failed == [] and (tmp_path / "map" / "classes.tif").exists()
    record = json.loads((folder / train.METRICS).read_text(encoding="utf-8"))
    assert record["architecture"]["name"] == "forest"
