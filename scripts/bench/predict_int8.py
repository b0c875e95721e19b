"""Prediction in int8, which a user chooses by name, beside MONAI's sliding windows at their defaults in float32.

The int8 graph is made before the clock starts, as it lies beside a model after its first prediction in int8. The
network is untrained: what int8 costs in IoU is measured on trained models, see docs/performance.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import rasterio
from measuring import ENGINE_ENV, Row, engine_command, timed
from predict_monai import beside_monai
from predict_runs import CLASSES, prepared, size_for

from geoseg_engine.contract import SPLITS, Dataset
from geoseg_engine.dataset.datasets import save_dataset
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.raster.grid import Window, rasterio_profile

OPTIONS = {"precision": "int8", "int8_loss": 1.0}
TILE_PX = 256


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns.

    Raises:
        NotMeasured: where MONAI cannot be had.
    """
    size = size_for(small)
    folder = prepared(folder.parent, size)
    give_ground(folder)
    first = {"model": "../model.onnx", "output": "classes.tif", "extent": corner(folder), **OPTIONS}
    timed([engine_command(folder / "run", "predict", first)], ENGINE_ENV)
    return beside_monai(folder, repeat, small, f"{size.work}, cpu, whole process, in int8", **OPTIONS)


def give_ground(folder: Path) -> None:
    """A dataset beside the model: the image, classes by chance, one block of rows a split; the run's job names it."""
    model = read_model(folder / "model.onnx")
    grid = model.recipe.grid
    for name, ids in (("labels", CLASSES), ("split", len(SPLITS))):
        with rasterio.open(folder / f"{name}.tif", "w", **rasterio_profile(grid, 1, "uint8", 255)) as raster:
            random = np.random.default_rng(0).integers(0, ids, (TILE_PX * ids, TILE_PX), np.uint8)
            if name == "split":
                random[:] = np.arange(ids).repeat(TILE_PX)[:, None]
            raster.write(random, 1, window=Window(0, 0, *random.shape).rasterio)
    save_dataset(Dataset("ground", model.recipe, "labels.tif", "split.tif", "", tuple(model.classes)), folder)
    (folder / "job.json").write_text(json.dumps({"job": {"dataset": "."}}), encoding="utf-8")


def corner(folder: Path) -> list[float]:
    """West, south, east, north of the first TILE_PX pixels each way."""
    with rasterio.open(folder / "image.tif") as raster:
        west, north = raster.transform * (0, 0)
        east, south = raster.transform * (TILE_PX, TILE_PX)
    return [west, south, east, north]
