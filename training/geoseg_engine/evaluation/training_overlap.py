"""How much of the judged ground the model of a map has seen: scores on that tell what it remembers."""

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
"""Validation ground decides which epoch is kept, and calibrates."""
MIN_SHARE = 0.005
"""Of the judged pixels; of fewer, nothing is said."""
ONLY_TRAINING_SHARE = np.zeros(1, np.uint8)


@dataclass(frozen=True)
class TrainingPixels:
    """Labelled pixels of a dataset that had a part in training, as a map of one class."""

    dataset: Dataset
    folder: Path

    @property
    def grid(self) -> Grid:
        """The dataset's."""
        return self.dataset.recipe.grid

    def places(self, window: Window) -> NDArray[np.uint8]:
        """0 for a pixel that had a part in training, IGNORE for any other."""
        labelled = read_ids(self.folder / self.dataset.labels, window) != IGNORE
        seen = labelled & np.isin(read_ids(self.folder / self.dataset.split, window), TRAINING)
        return np.where(seen, 0, IGNORE).astype(np.uint8)


class TrainingOverlap:
    """Counts judged pixels, and those of them that a model has seen."""

    def __init__(self, ids: Ids) -> None:
        """Begin with nothing counted; `ids` as `ClassesOnGrid` gives them of a `TrainingPixels`."""
        self._ids, self._judged, self._seen = ids, 0, 0

    def add(self, window: Window, judged: NDArray[np.bool_]) -> None:
        """Look at a window whose pixels are judged or not."""
        self._judged += int(judged.sum())
        self._seen += int((judged & (self._ids(window) != IGNORE)).sum())

    def problems(self) -> list[Problem]:
        """The warning, if there is anything to warn of."""
        share = self._seen / max(self._judged, 1)
        if share < MIN_SHARE:
            return []
        return [
            Problem(
                "seen_ground",
                f"{self._seen:,} of the {self._judged:,} judged pixels ({share:.0%}) are ground that the map's model "
                "was trained on; on such ground scores are too good.",
                "Compare with labels that had no part in training, or evaluate the model on its test blocks.",
                "warning",
            )
        ]


def training_overlap(model: Path, grid: Grid, channel: Channel) -> TrainingOverlap | None:
    """A count over the pixels of a grid; None, and a line in the log, where the model's dataset is not found."""
    try:
        seen = TrainingPixels(*trained_on(read_model(model)))
    except GeoSegError as error:
        channel.log(f"Whether the labels had a part in training is not known. {error.message}")
        return None
    return TrainingOverlap(ClassesOnGrid(seen, grid, ONLY_TRAINING_SHARE).ids)
