"""Facts of a scene that the settings of a training follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..contract import IGNORE
from .augmentation import DirectionalBands
from .scene import Scene

SURVEYED_PIXELS = 4_000_000
"""Objects are measured on every n-th row and column where there are more pixels than this."""


@dataclass(frozen=True)
class DataSurvey:
    """Facts of a scene.

    Attributes:
        shape: rows and columns of the part that is read.
        class_pixels: labelled training pixels per class.
        object_px: side of a typical object in pixels, see `object_side`; 0 without objects.
        validation_px: labelled validation pixels.
        labelled_extent_px: shorter side of the box around all labelled training pixels; 0 is unknown.
        directions: bands that allow only some rotations, or none.
    """

    shape: tuple[int, int]
    class_pixels: tuple[int, ...]
    object_px: float = 0.0
    validation_px: int = 0
    labelled_extent_px: int = 0
    directions: DirectionalBands = DirectionalBands()

    @property
    def labelled(self) -> int:
        """Training pixels of all classes."""
        return sum(self.class_pixels)

    @property
    def rarest(self) -> int:
        """Training pixels of the rarest class that has any."""
        return min((pixels for pixels in self.class_pixels if pixels), default=0)


def survey_scene(scene: Scene) -> DataSurvey:
    """Measure a scene."""
    return DataSurvey(
        (scene.image.height, scene.image.width),
        tuple(scene.train_counts()),
        object_side(scene.train, scene.classes),
        int((scene.validation != IGNORE).sum()),
        labelled_extent(scene.train),
        DirectionalBands.of(scene.bands, scene.intermediates, scene.grid),
    )


def labelled_extent(labels: NDArray[Any]) -> int:
    """Return the shorter side in pixels of the box around all labelled pixels; 0 without any."""
    known = labels != IGNORE
    sides = [np.flatnonzero(known.any(axis=axis)) for axis in (1, 0)]
    return min(int(side[-1] - side[0]) + 1 if side.size else 0 for side in sides)


def object_side(labels: NDArray[Any], classes: int) -> float:
    """Return the side of a typical object, from its area: half of all object pixels are in smaller objects.

    Objects are connected parts of every class but the most frequent one, which is their background.

    Args:
        labels: (rows, cols) class ids, IGNORE where unlabelled.
        classes: number of classes.

    Returns:
        Side in pixels; 0 without objects.
    """
    step = max(int(np.ceil((labels.size / SURVEYED_PIXELS) ** 0.5)), 1)
    coarse = labels[::step, ::step]
    counts = np.bincount(coarse.ravel(), minlength=256)[:classes]
    areas = []
    for index in np.flatnonzero(counts):
        if index != counts.argmax():
            parts = ndimage.label(coarse == index, structure=np.ones((3, 3)))[0]
            areas.append(np.bincount(parts.ravel())[1:])
    if not areas:
        return 0.0
    ordered = np.sort(np.concatenate(areas))
    cumulative = ordered.cumsum()
    median = ordered[int(np.searchsorted(cumulative, cumulative[-1] / 2))]
    return float(step * median**0.5)
