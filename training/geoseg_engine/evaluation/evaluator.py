"""Evaluation of class ids against reference labels: confusion per pixel, block and tile, reliability, areas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..contract import IGNORE, SPLITS, Dataset, GeoSegError, Grid, LabelClass, Problem
from ..raster.class_areas import class_areas
from ..raster.grid import Window
from ..scores.cells import Cells, lattice_px
from ..scores.intervals import DEFAULT_BLOCK_PX
from ..scores.metrics import Matrix, background_and_object, confusion
from ..scores.reliability import Reliability

BACKGROUND = "background"
BINARY_ERRORS = (
    LabelClass(0, "true negative", "", "#f0f0f0"),
    LabelClass(1, "true positive", "", "#1a9641"),
    LabelClass(2, "false positive", "", "#d7191c"),
    LabelClass(3, "false negative", "", "#fdae61"),
)
CLASS_ERRORS = (LabelClass(1, "right", "", "#1a9641"), LabelClass(2, "wrong", "", "#d7191c"))


ReferenceIds = Callable[[Window], NDArray[np.uint8]]
"""Class ids (rows, cols) of a window inside the grid; IGNORE where there is no label."""

Record = Callable[[Window, NDArray[np.uint8], NDArray[Any] | None], None]
"""Receives predicted class ids of a window, and their confidence if there is one."""


class Evaluator:
    """Reference labels, and the counts so far.

    Attributes:
        classes: ids 0..K-1.
        binary: one class against a background.
        matrix: the confusion matrix of all pixels.
        blocks: confusion matrices of square blocks, for intervals.
        tiles: confusion matrices of tiles, for examples.
        reliability: of the confidences, if there are any.
        true_m2, mapped_m2: (K,) evaluated area of each class in the reference and on the map, on the ellipsoid.
        unpredicted_px: labelled pixels without a prediction.
    """

    def __init__(
        self, truth: ReferenceIds, classes: Sequence[LabelClass], grid: Grid, block_px: int, tile_px: int = 0
    ) -> None:
        """Begin with nothing counted.

        Args:
            truth: reference labels.
            classes: ids 0..K-1.
            grid: pixels of the reference labels.
            block_px: side of blocks; doubled while there are too many.
            tile_px: side of tiles; 0 is that of the blocks.
        """
        self._truth, self._grid = truth, grid
        self._last: tuple[Window, NDArray[np.uint8]] | None = None
        self.classes = tuple(classes)
        self.binary = background_and_object(classes)
        count, size = len(classes), (grid.height, grid.width)
        self.matrix: Matrix = np.zeros((count, count), np.int64)
        self.blocks = Cells(lattice_px(block_px, *size), *size, count)
        self.tiles = Cells(tile_px, *size, count) if tile_px else self.blocks
        self.reliability = Reliability()
        self.true_m2, self.mapped_m2 = np.zeros(count), np.zeros(count)
        self.unpredicted_px = 0

    def reference(self, window: Window) -> NDArray[np.uint8]:
        """Return the reference labels of a window inside the grid, read-only; those of the last window are cached."""
        if self._last is None or self._last[0] != window:
            self._last = window, self._truth(window)
        return self._last[1]

    def add(
        self, window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None = None
    ) -> NDArray[np.uint8]:
        """Count a window.

        Args:
            window: inside the grid.
            ids: class ids of the reference (rows, cols), IGNORE where there is no prediction.
            confidence: calibrated probability of each of them, 0 to 1.

        Returns:
            Kinds of error (rows, cols), see `error_kinds`.
        """
        truth = self.reference(window)
        self.matrix += confusion(truth, ids, len(self.classes))
        for cells in {self.blocks, self.tiles}:
            cells.add(window.row, window.col, truth, ids)
        counted = (truth != IGNORE) & (ids != IGNORE)
        if confidence is not None:
            self.reliability.add(confidence[counted], (truth == ids)[counted])
        for areas_m2, found in ((self.true_m2, truth), (self.mapped_m2, ids)):
            both = np.where(counted, found, np.uint8(IGNORE))
            areas_m2 += class_areas(self._grid, both, window, range(len(areas_m2)))[1]
        self.unpredicted_px += int(((truth != IGNORE) & ~counted).sum())
        return error_kinds(truth, ids, self.binary)


@contextmanager
def split_evaluator(
    dataset: Dataset, folder: Path, split: str, classes: Sequence[LabelClass]
) -> Iterator[Evaluator]:
    """Yield an evaluator for the labels of one split of a dataset.

    Args:
        dataset: the dataset.
        folder: folder that its paths are relative to.
        split: name of the split.
        classes: classes of the dataset, and possibly more of the prediction.
    """
    number = SPLITS.index(split)
    with rasterio.open(folder / dataset.labels) as labels, rasterio.open(folder / dataset.split) as splits:

        def truth(window: Window) -> NDArray[np.uint8]:
            ids: NDArray[np.uint8] = labels.read(1, window=window.rasterio)
            ids[splits.read(1, window=window.rasterio) != number] = IGNORE
            return ids

        block_px = dataset.block_px or DEFAULT_BLOCK_PX
        yield Evaluator(truth, classes, dataset.recipe.grid, block_px, dataset.tile_px)


def joined_classes(
    given: Sequence[LabelClass], wanted: Sequence[LabelClass]
) -> tuple[tuple[LabelClass, ...], NDArray[np.uint8], list[Problem]]:
    """Join the classes of a dataset and those that only a prediction has; pixels predicted as one of these are wrong.

    Args:
        given: classes of the prediction.
        wanted: classes of the dataset, ids 0..K-1.

    Returns:
        Classes with ids from 0, the id among them of each given one, and the warning of those that were added.

    Raises:
        GeoSegError: `other_classes` if the two share none but the background.
    """
    ids = {name_key(item.name): item.id for item in wanted} | {item.name: item.id for item in wanted}
    found = [ids.get(item.name, ids.get(name_key(item.name))) for item in given]
    added = [item for item, number in zip(given, found, strict=True) if number is None]
    shared = {name_key(item.name) for item in given} & ids.keys() - {BACKGROUND}
    if added and not shared:
        raise GeoSegError(
            "other_classes",
            f"The prediction has the classes {', '.join(item.name for item in given)}; the dataset has "
            f"{', '.join(item.name for item in wanted)}.",
            "Evaluate on a dataset with the same class names.",
        )
    more = [replace(item, id=len(wanted) + number) for number, item in enumerate(added)]
    free = iter(item.id for item in more)
    problems = [unshared_classes(added, "The prediction", "the dataset")] if added else []
    numbers = [next(free) if number is None else number for number in found]
    return (*wanted, *more), np.array(numbers, np.uint8), problems


def lookup_table(given: Sequence[LabelClass], numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a table (256,) from the ids of classes to their numbers, IGNORE for any other id.

    Args:
        given: the classes.
        numbers: (classes,) number of each.
    """
    table = np.full(IGNORE + 1, IGNORE, np.uint8)
    table[[item.id for item in given]] = numbers
    return table


def unshared_classes(classes: Sequence[LabelClass], one: str, other: str) -> Problem:
    """Return the warning of classes that only one of map and labels has.

    Args:
        classes: those classes.
        one: subject of the sentence, which has them.
        other: which does not have them.
    """
    names = ", ".join(item.name for item in classes)
    return Problem(
        "other_classes",
        f"{one} has classes that {other} does not have: {names}. Pixels of them count as wrong.",
        "If a class only has another name there, give both the same name.",
        "warning",
    )


def name_key(name: str) -> str:
    """Return a class name in the form in which names are compared."""
    return name.strip().casefold()


def error_kinds(truth: NDArray[np.uint8], ids: NDArray[np.uint8], binary: bool) -> NDArray[np.uint8]:
    """Return the kind of error of each pixel; IGNORE where there is no label or no prediction.

    Binary, one class against a background: 0 true negative, 1 true positive, 2 false positive, 3 false negative.
    Else: 1 right, 2 wrong.

    Args:
        truth: reference class ids (rows, cols).
        ids: predicted class ids (rows, cols).
        binary: whether there is one class against a background.
    """
    if binary:
        kinds = np.where(truth == 1, np.where(ids == 1, 1, 3), np.where(ids == 1, 2, 0))
    else:
        kinds = np.where(truth == ids, 1, 2)
    kinds[(truth == IGNORE) | (ids == IGNORE)] = IGNORE
    return kinds.astype(np.uint8)
