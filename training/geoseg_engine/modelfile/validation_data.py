"""Amount of validation data, in all and per class, and what it suffices for.

An epoch, and the class weights of a network, that fit one or two places may spoil the map elsewhere (docs/training.md
has the figures): they are chosen where there are MIN_REGIONS separate regions, two for each half that a choice is made
and checked on. A class is weighted where it has MIN_OBJECTS separate objects, for the same reason. A score of fewer
than MIN_PIXELS pixels has a standard error of 0.05 even where pixels are independent, which they are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..contract import LabelClass, counted

MIN_REGIONS = MIN_OBJECTS = 4
MIN_PIXELS = 100
"""Of a class; of all classes this many in each of MIN_REGIONS."""
REGION_PX = 128
"""A connected part counts as one region or object per square of this side that its area holds, at least one."""
CELL_PX, MAX_CELLS = 8, 2048
"""Regions are counted in cells of this side, wider ones where there would be more than MAX_CELLS across."""
WINDOW_PX = 2048
"""Objects are counted in windows of this side; one that is in several counts in each."""
EIGHT = np.ones((3, 3))


@dataclass(frozen=True)
class ValidationData:
    """Amount of validation data.

    Attributes:
        regions: separate regions of all classes together, those a few pixels apart counted as one.
        objects: separate objects per class.
        pixels: per class.
    """

    regions: int
    objects: tuple[int, ...]
    pixels: tuple[int, ...]

    @property
    def total(self) -> int:
        """Pixels of all classes."""
        return sum(self.pixels)

    @property
    def is_sufficient(self) -> bool:
        """Whether they suffice to choose an epoch by its score, and to weight the classes of a network."""
        return self.regions >= MIN_REGIONS and self.total >= MIN_REGIONS * MIN_PIXELS

    @property
    def weighted(self) -> tuple[bool, ...]:
        """Per class, whether data suffice to move the decision for or against it.

        For the most frequent class, which surrounds the objects of the others, only pixels count.
        """
        return tuple(
            pixels >= MIN_PIXELS and (objects >= MIN_OBJECTS or pixels == max(self.pixels))
            for objects, pixels in zip(self.objects, self.pixels, strict=True)
        )

    def amount(self) -> str:
        """Return the amount for a message."""
        return f"{counted(self.total, 'pixel')} in {counted(self.regions, 'separate region')}"

    def too_few_regions(self) -> str:
        """Return why no class of a network is weighted; empty where they may be."""
        if self.is_sufficient or not self.total:
            return ""
        needed = f"{MIN_REGIONS * MIN_PIXELS} pixels in {MIN_REGIONS}"
        return f"all classes keep weight 1: too few validation data ({self.amount()}; {needed} are needed)"

    def too_few_objects(self, classes: Sequence[LabelClass]) -> str:
        """Return which classes are not weighted, and why; empty where all may be."""
        few = [
            f"{item.name} ({counted(pixels, 'pixel')}, {counted(objects, 'object')})"
            for item, weighted, pixels, objects in zip(
                classes, self.weighted, self.pixels, self.objects, strict=True
            )
            if not weighted
        ]
        if not few or not self.total:
            return ""
        needed = f"{MIN_PIXELS} pixels in {MIN_OBJECTS} separate objects"
        return f"weight 1 for too few validation data: {', '.join(few)}; {needed} are needed"


class ValidationCounter:
    """Counts labels that come window by window.

    Args:
        height, width: pixels of the whole.
        classes: class ids are 0..classes-1; others are not counted.
    """

    def __init__(self, height: int, width: int, classes: int) -> None:
        self.cell_px = CELL_PX
        while max(height, width) > self.cell_px * MAX_CELLS:
            self.cell_px *= 2
        self._cells = np.zeros((-(-height // self.cell_px), -(-width // self.cell_px)), np.int64)
        self._objects = np.zeros(classes, np.int64)
        self._pixels = np.zeros(classes, np.int64)

    def add(self, row: int, col: int, ids: NDArray[np.uint8]) -> None:
        """Count a window of class ids.

        Args:
            row, col: of its upper left pixel, multiples of `cell_px`.
            ids: uint8 (rows, cols).
        """
        cell = self.cell_px
        tops, lefts = (np.arange(0, side, cell) for side in ids.shape)
        known = (ids < len(self._pixels)).astype(np.int64)
        sums = np.add.reduceat(np.add.reduceat(known, tops, axis=0), lefts, axis=1)
        self._cells[row // cell : row // cell + len(tops), col // cell : col // cell + len(lefts)] += sums
        for index in np.unique(ids[ids < len(self._pixels)]):
            self._objects[index] += _parts((ids == index).astype(np.int64))
        self._pixels += np.bincount(ids.ravel(), minlength=256)[: len(self._pixels)]

    def counted(self) -> ValidationData:
        """Return the amount so far."""
        return ValidationData(
            _parts(self._cells), tuple(self._objects.tolist()), tuple(self._pixels.tolist())
        )


def count_validation(ids: NDArray[np.uint8], classes: int) -> ValidationData:
    """Count the labels of a whole validation split.

    Args:
        ids: uint8 (rows, cols) class ids; IGNORE is no class.
        classes: number of classes.
    """
    height, width = ids.shape
    counter = ValidationCounter(height, width, classes)
    for row in range(0, height, WINDOW_PX):
        for col in range(0, width, WINDOW_PX):
            window = ids[row : row + WINDOW_PX, col : col + WINDOW_PX]
            if (window < classes).any():
                counter.add(row, col, window)
    return counter.counted()


def _parts(pixels: NDArray[np.int64]) -> int:
    """Connected parts (8-connected) of cells that hold pixels, each by its pixels but at least one."""
    parts, number = ndimage.label(pixels > 0, EIGHT)
    sizes = np.bincount(parts.ravel(), weights=pixels.ravel(), minlength=number + 1)[1:]
    return int(np.maximum(np.round(sizes / REGION_PX**2), 1).sum())
