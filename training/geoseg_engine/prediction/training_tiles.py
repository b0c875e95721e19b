"""Tiles of the dataset that a model was trained on, located from the model file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, SPLITS, Dataset, GeoSegError, Grid
from ..dataset.datasets import open_dataset_stack, read_dataset, read_ids
from ..modelfile.reading import ModelFile
from ..modelfile.source_paths import dataset_folders
from ..modelfile.stats import normalise
from ..raster.grid import Window, round_up
from ..scores.metrics import confusion
from ..stacking.reader import StackReader

TILE_PX = 256
MAX_TILES = {"train": 24, "validation": 48}


@dataclass(frozen=True)
class Tile:
    """One window of a split.

    Attributes:
        scores: z-scores (bands, rows, cols).
        labels: (rows, cols); IGNORE where the pixel is of another split or has no label.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]


class TrainingTiles:
    """Tiles of a dataset's splits as z-scores of a model."""

    def __init__(self, model: ModelFile, dataset: Dataset, folder: Path, stack: StackReader) -> None:
        self._model, self._dataset, self._folder, self._stack = model, dataset, folder, stack
        self._order = [stack.band_names.index(band.name) for band in model.recipe.bands]

    def tiles(self, split: str) -> Iterator[Tile]:
        """Yield tiles with labelled pixels of a split, spread evenly over it, at most MAX_TILES of them.

        Raises:
            GeoSegError: `empty_split` if there are none.
        """
        side = round_up(TILE_PX, self._model.align_px)
        places = list(self._places(SPLITS.index(split), side))
        if not places:
            raise GeoSegError(
                "empty_split",
                f"The dataset has no labelled pixel for {split}.",
                "Make tiles with a share for it.",
            )
        step = max(len(places) / MAX_TILES[split], 1.0)
        for number in range(int(len(places) / step)):
            yield self._tile(places[int(number * step)], SPLITS.index(split))

    def _places(self, code: int, side: int) -> Iterator[Window]:
        """Windows of an even mesh that hold labelled pixels of a split."""
        grid = self._dataset.recipe.grid
        for row in range(0, grid.height, side):
            strip = Window(row, 0, min(side, grid.height - row), grid.width)
            wanted = self._labels(strip, code) != IGNORE
            for col in range(0, grid.width, side):
                if wanted[:, col : col + side].any():
                    yield window_inside(grid, row, col, side, self._model.align_px)

    def _tile(self, window: Window, code: int) -> Tile:
        values = self._stack.read(window)[self._order]
        labels = self._labels(window, code)
        labels[np.isnan(values).any(axis=0)] = IGNORE
        return Tile(normalise(values, self._model.statistics), labels)

    def _labels(self, window: Window, code: int) -> NDArray[np.uint8]:
        labels: NDArray[np.uint8] = read_ids(self._folder / self._dataset.labels, window)
        labels[read_ids(self._folder / self._dataset.split, window) != code] = IGNORE
        return labels


def window_inside(grid: Grid, row: int, col: int, side: int, align_px: int) -> Window:
    """Return a square window moved into the grid, smaller if the grid is; its sides are multiples of `align_px`.

    Args:
        grid: the grid.
        row, col: wanted first pixel.
        side: wanted side in pixels.
        align_px: total stride of the network.
    """
    height = min(side, grid.height // align_px * align_px)
    width = min(side, grid.width // align_px * align_px)
    return Window(min(row, grid.height - height), min(col, grid.width - width), height, width)


def tile_confusion(tile: Tile, output: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix (classes, classes) of a tile's labelled pixels.

    Args:
        tile: scores and labels.
        output: output q of the model (classes, rows, cols).
        classes: number of classes.
    """
    known = tile.labels != IGNORE
    return confusion(tile.labels[known], output.argmax(axis=0)[known].astype(np.uint8), classes)


@contextmanager
def open_training_tiles(model: ModelFile) -> Iterator[TrainingTiles]:
    """Open the dataset that a model was trained on.

    Raises:
        GeoSegError: as `trained_on`, `open_dataset_stack`.
    """
    dataset, folder = trained_on(model)
    with open_dataset_stack(dataset, folder) as stack:
        yield TrainingTiles(model, dataset, folder, stack)


def trained_on(model: ModelFile) -> tuple[Dataset, Path]:
    """Return the dataset that a model was trained on, and the folder that its paths are relative to.

    Raises:
        GeoSegError: `no_dataset` if it is not found, `dataset_changed` if it has changed since; as `read_dataset`.
    """
    dataset, folder = read_dataset(dataset_path(model))
    names = {band.name for band in dataset.recipe.bands}
    if dataset.fingerprint != model.fingerprint or any(band.name not in names for band in model.recipe.bands):
        raise GeoSegError(
            "dataset_changed",
            f"The dataset at {folder} is not the one that {model.path.name} was trained on.",
            "Train again on it.",
        )
    return dataset, folder


def dataset_path(model: ModelFile) -> Path:
    """Return the path of a model's dataset, from the files in its run's folder; older model files store it themselves.

    Raises:
        GeoSegError: `no_dataset`.
    """
    provenance = model.trained.get("provenance", {}).get("dataset", {})
    origin = provenance.get("folder", "") if isinstance(provenance, dict) else ""
    if isinstance(origin, str) and origin and Path(origin).is_dir():
        return Path(origin)
    for folder in dataset_folders(model.path):
        return folder
    raise GeoSegError(
        "no_dataset",
        f"The dataset that {model.path.name} was trained on is not found.",
        "Put the model back into its run's folder, or choose the precision 'auto'.",
    )
