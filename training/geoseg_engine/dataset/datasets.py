"""dataset.json and the rasters beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import rasterio

from ..contract import (
    Dataset,
    GeoSegError,
    check_order,
    check_sound,
    file_exists,
    read_json,
    write_json,
)
from ..raster.grid import Window
from ..stacking.reader import StackReader

FILE = "dataset.json"
STRIP_ROWS = 512


def read_dataset(path: Path | str) -> tuple[Dataset, Path]:
    """Read a dataset by its dataset.json or its folder.

    Args:
        path: of either.

    Returns:
        The dataset and the folder that its paths are relative to.

    Raises:
        GeoSegError: `no_dataset`, `bad_json`, `file_missing`.
    """
    path = Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.exists():
        raise GeoSegError("no_dataset", f"There is no dataset at {path}.", "Make tiles first.")
    dataset = read_json(Dataset, file)
    check_sound(dataset.recipe, file.name)
    check_order(dataset.classes, file.name)
    folder = file.resolve().parent
    for name in (dataset.labels, dataset.split):
        if not file_exists(str(folder / name)):
            raise GeoSegError(
                "file_missing", f"The dataset's file {folder / name} does not exist.", "Make tiles again."
            )
    return dataset, folder


def save_dataset(dataset: Dataset, folder: Path) -> Path:
    """Write dataset.json and return its path.

    Args:
        dataset: to write.
        folder: that its paths are relative to.

    Raises:
        GeoSegError: as `write_json`.
    """
    write_json(folder / FILE, dataset)
    return folder / FILE


def fingerprint(labels: Path, split: Path) -> str:
    """Return the SHA-256 of size and pixels of two rasters: equal only where both are, pixel by pixel.

    Args:
        labels: the label raster.
        split: the split raster.
    """
    digest = hashlib.sha256()
    for path in (split, labels):
        with rasterio.open(path) as raster:
            digest.update(f"{raster.width} {raster.height} ".encode())
            for row in range(0, raster.height, STRIP_ROWS):
                strip = Window(row, 0, min(STRIP_ROWS, raster.height - row), raster.width)
                digest.update(raster.read(1, window=strip.rasterio).tobytes())
    return digest.hexdigest()


def relative_to(path: Path, folder: Path) -> str:
    """Return a path as a dataset in `folder` names it; absolute where no relative path exists (other drive).

    Args:
        path: of a file.
        folder: of the dataset.
    """
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return str(path.resolve())


def open_dataset_stack(dataset: Dataset, folder: Path) -> StackReader:
    """Open the dataset's stack: the written composite if it still exists, else the sources.

    Args:
        dataset: with its recipe.
        folder: that its paths are relative to.

    Raises:
        GeoSegError: as `open_source`; `stack_changed`.
    """
    written = folder / dataset.stack if dataset.stack else None
    return StackReader(dataset.recipe, written if written is not None and written.exists() else None)


def read_ids(path: Path, window: Window | None = None) -> np.ndarray:
    """Read a label or split raster, whole or a window inside it.

    Args:
        path: of the raster.
        window: inside it; None reads all.

    Returns:
        uint8 (rows, cols).
    """
    with rasterio.open(path) as raster:
        ids: np.ndarray = raster.read(1, window=window.rasterio if window else None)
        return ids
