"""Small scenes with known truth for the tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from geoseg_engine.contract import (
    Band,
    Dataset,
    Grid,
    LabelClass,
    Recipe,
    Source,
    TrainJob,
    write_json,
)

CLASSES = (LabelClass(0, "background", "", "#dddddd"), LabelClass(1, "scar", "s", "#cc2200"))


def blobs(rows: int = 96, cols: int = 128, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image (3, rows, cols), labels and split: bright squares on noise; left train, right validation, test."""
    random = np.random.default_rng(seed)
    labels = np.zeros((rows, cols), dtype=np.uint8)
    for _ in range(rows * cols // 400):
        row, col = random.integers(0, rows - 8), random.integers(0, cols - 8)
        labels[row : row + 8, col : col + 8] = 1
    image = random.normal(0, 10, (3, rows, cols)).astype(np.float32)
    image[0] += 1000 + 40 * labels.astype(np.float32)
    image[1] -= 30 * labels.astype(np.float32)
    split = np.zeros((rows, cols), dtype=np.uint8)
    split[:, cols * 6 // 10 :] = 1
    split[:, cols * 8 // 10 :] = 2
    return image, labels, split


def write_dataset(folder: Path, rows: int = 96, cols: int = 128, seed: int = 0, tile_px: int = 32) -> Path:
    """A dataset of `blobs` on disk, its stack the file itself. Returns the path of dataset.json."""
    folder.mkdir(parents=True, exist_ok=True)
    image, labels, split = blobs(rows, cols, seed)
    transform = Affine(10, 0, 500_000, 0, -10, 5_000_000)
    grid = Grid("EPSG:32631", (10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0), cols, rows)
    for name, array in (("image", image), ("labels", labels[None]), ("split", split[None])):
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            driver="GTiff",
            width=cols,
            height=rows,
            count=len(array),
            dtype=array.dtype,
            crs=grid.crs,
            transform=transform,
        ) as raster:
            raster.write(array)
    source = Source("r1", str(folder / "image.tif"), "image")
    bands = tuple(Band(f"b{index}", "r1", index) for index in (1, 2, 3))
    dataset = Dataset(
        "blobs",
        Recipe((source,), bands, grid),
        "labels.tif",
        "split.tif",
        "tiles.gpkg",
        CLASSES,
        tile_px=tile_px,
    )
    write_json(folder / "dataset.json", dataset)
    return folder / "dataset.json"


def small_job(dataset: Path, **changes: object) -> TrainJob:
    """A training of seconds."""
    settings: dict[str, object] = {
        "dataset": str(dataset),
        "width": 4,
        "levels": 2,
        "epochs": 4,
        "steps_per_epoch": 15,
        "batch_size": 4,
        "crop_px": 32,
        "learning_rate": 5e-3,
        "precision": "float32",
        "device": "cpu",
        **changes,
    }
    return TrainJob(**settings)  # type: ignore[arg-type]
