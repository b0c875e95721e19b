"""Share of the evaluated pixels that a map's model was trained on: scores on them are too high."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import IGNORE, SPLITS, Dataset, GeoSegError, Grid, Problem
from ..dataset.datasets import read_ids
from ..modelfile.reading import read_model
from ..prediction.training_tiles import trained_on
from ..raster.grid import Window
from .map_source import ClassesOnGrid, Ids

TRAINING = (SPLITS.index("train"), SPLITS.index("validation"))
"""Validation pixels select the epoch, and calibrate."""
MIN_SHARE = 0.005
"""Share of the evaluated pixels below which there is no warning."""
ONE_CLASS = np.zeros(1, np.uint8)


@dataclass(frozen=True)
class TrainingPixels:
    """Labelled pixels of a dataset that were used in training, as a map of one class."""

    dataset: Dataset
    folder: Path

    @property
    def grid(self) -> Grid:
        """The dataset's."""
        return self.dataset.recipe.grid

    def places(self, window: Window) -> NDArray[np.uint8]:
        """Return 0 for a pixel that was used in training, IGNORE for any other (rows, cols)."""
        labelled = read_ids(self.folder / self.dataset.labels, window) != IGNORE
        trained = labelled & np.isin(read_ids(self.folder / self.dataset.split, window), TRAINING)
        return np.where(trained, 0, IGNORE).astype(np.uint8)


class TrainingOverlap:
    """Counts evaluated pixels, and those of them that a model was trained on."""

    def __init__(self, ids: Ids) -> None:
        """Begin with nothing counted; `ids` as `ClassesOnGrid` gives them of a `TrainingPixels`."""
        self._ids, self._evaluated, self._trained = ids, 0, 0

    def add(self, window: Window, evaluated: NDArray[np.bool_]) -> None:
        """Count a window.

        Args:
            window: inside the grid.
            evaluated: (rows, cols) whether each pixel is evaluated.
        """
        self._evaluated += int(evaluated.sum())
        self._trained += int((evaluated & (self._ids(window) != IGNORE)).sum())

    def problems(self) -> list[Problem]:
        """Return the warning if enough pixels overlap."""
        share = self._trained / max(self._evaluated, 1)
        if share < MIN_SHARE:
            return []
        return [
            Problem(
                "seen_ground",
                f"{self._trained:,} of the {self._evaluated:,} evaluated pixels ({share:.0%}) were used to "
                "train the map's model. Scores on them are too high.",
                "Evaluate with labels that were not used in training, or evaluate the model on its test blocks.",
                "warning",
            )
        ]


def training_overlap(model: Path, grid: Grid, channel: Channel) -> TrainingOverlap | None:
    """Return a counter over the pixels of a grid.

    Args:
        model: the model file.
        grid: evaluated pixels.
        channel: for the log.

    Returns:
        The counter; None, with a line in the log, if the model's dataset is not found.
    """
    try:
        pixels = TrainingPixels(*trained_on(read_model(model)))
    except GeoSegError as error:
        channel.log(f"It is not known whether the labels were used in training. {error.message}")
        return None
    return TrainingOverlap(ClassesOnGrid(pixels, grid, ONE_CLASS).ids)
