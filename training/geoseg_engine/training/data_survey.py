"""What a scene is like, as far as the settings of a training follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..contract import IGNORE
from .augmentation import Directions
from .scene import Scene

SURVEYED_PIXELS = 4_000_000
"""Objects are measured on every n-th row and column where there are more pixels than this."""


@dataclass(frozen=True)
class Survey:
    """Facts of a scene.

    Attributes:
        shape: rows and columns of the part that is looked at.
        class_pixels: labelled training pixels of every class.
        object_px: side of a typical object in pixels, see `object_side`; 0 without objects.
        validation_px: labelled validation pixels.
        ground_px: shorter side of the box around all labelled training pixels; 0 is unknown.
        directions: bands that allow only some turns, or none.
    """

    shape: tuple[int, int]
    class_pixels: tuple[int, ...]
    object_px: float = 0.0
    validation_px: int = 0
    ground_px: int = 0
    directions: Directions = Directions()

    @property
    def labelled(self) -> int:
        """Training pixels of all classes."""
        return sum(self.class_pixels)

    @property
    def rarest(self) -> int:
        """Training pixels of the rarest class that has any."""
        return min((pixels for pixels in self.class_pixels if pixels), default=0)


def survey(scene: Scene) -> Survey:
    """Look at a scene once."""
    return Survey(
        (scene.image.height, scene.image.width),
        tuple(scene.train_counts()),
        object_side(scene.train, scene.classes),
        int((scene.validation != IGNORE).sum()),
        ground_side(scene.train),
        Directions.of(scene.bands, scene.intermediates, scene.grid),
    )


def ground_side(labels: NDArray[Any]) -> int:
    """Shorter side in pixels of the box around all labelled pixels; 0 without any."""
    known = labels != IGNORE
    sides = [np.flatnonzero(known.any(axis=axis)) for axis in (1, 0)]
    return min(int(side[-1] - side[0]) + 1 if side.size else 0 for side in sides)


def object_side(labels: NDArray[Any], classes: int) -> float:
    """Side of the square of a typical object's area: half of all pixels of objects lie in smaller ones.

    Objects are connected pieces of every class but the most frequent one, which is the ground they lie on.
    """
    step = max(int(np.ceil((labels.size / SURVEYED_PIXELS) ** 0.5)), 1)
    coarse = labels[::step, ::step]
    counts = np.bincount(coarse.ravel(), minlength=256)[:classes]
    areas = []
    for index in np.flatnonzero(counts):
        if index != counts.argmax():
            pieces = ndimage.label(coarse == index, structure=np.ones((3, 3)))[0]
            areas.append(np.bincount(pieces.ravel())[1:])
    if not areas:
        return 0.0
    ordered = np.sort(np.concatenate(areas))
    upto = ordered.cumsum()
    middle = ordered[int(np.searchsorted(upto, upto[-1] / 2))]
    return float(step * middle**0.5)
