"""What is judged, and by what measure: truth of one split, confusion by pixel, block and tile, reliability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..contract import IGNORE, SPLITS, Dataset, GeoSegError, LabelClass
from ..raster.grid import Window
from ..scores.cells import Cells, lattice_px
from ..scores.intervals import DEFAULT_BLOCK_PX
from ..scores.metrics import Matrix, background_and_object, confusion
from ..scores.reliability import Reliability

BINARY_ERRORS = (
    LabelClass(0, "true negative", "", "#f0f0f0"),
    LabelClass(1, "true positive", "", "#1a9641"),
    LabelClass(2, "false positive", "", "#d7191c"),
    LabelClass(3, "false negative", "", "#fdae61"),
)
CLASS_ERRORS = (LabelClass(1, "right", "", "#1a9641"), LabelClass(2, "wrong", "", "#d7191c"))


class Judge:
    """Truth of one split, and what was counted so far.

    Attributes:
        matrix: the confusion matrix of all pixels.
        blocks: of each block of the split, for intervals.
        tiles: of each tile, for examples.
        reliability: of the confidences, where there are any.
        unpredicted_px: labelled pixels without a prediction.
    """

    def __init__(self, labels: Any, split: Any, dataset: Dataset, number: int) -> None:
        self._labels, self._split, self._number = labels, split, number
        self.classes = dataset.classes
        self.binary = background_and_object(dataset.classes)
        count, size = len(dataset.classes), (dataset.recipe.grid.height, dataset.recipe.grid.width)
        self.matrix: Matrix = np.zeros((count, count), np.int64)
        self.blocks = Cells(lattice_px(dataset.block_px or DEFAULT_BLOCK_PX, *size), *size, count)
        self.tiles = Cells(dataset.tile_px, *size, count)
        self.reliability = Reliability()
        self.unpredicted_px = 0

    def truth(self, window: Window) -> NDArray[np.uint8]:
        """Labels of a window inside the raster; IGNORE outside the split."""
        truth: NDArray[np.uint8] = self._labels.read(1, window=window.rasterio)
        truth[self._split.read(1, window=window.rasterio) != self._number] = IGNORE
        return truth

    def judge(
        self, window: Window, ids: NDArray[np.uint8], confidence: NDArray[Any] | None = None
    ) -> NDArray[np.uint8]:
        """Count a window; returns its errors.

        Args:
            window: inside the raster.
            ids: class ids of the dataset, IGNORE where there is none.
            confidence: calibrated probability of each of them.
        """
        truth = self.truth(window)
        self.matrix += confusion(truth, ids, len(self.classes))
        for cells in (self.blocks, self.tiles):
            cells.add(window.row, window.col, truth, ids)
        if confidence is not None:
            counted = (truth != IGNORE) & (ids != IGNORE)
            self.reliability.add(confidence[counted], (truth == ids)[counted])
        self.unpredicted_px += int(((truth != IGNORE) & (ids == IGNORE)).sum())
        return errors(truth, ids, self.binary)


@contextmanager
def judging(dataset: Dataset, folder: Path, split: str) -> Iterator[Judge]:
    """Open labels and split rasters."""
    with rasterio.open(folder / dataset.labels) as labels, rasterio.open(folder / dataset.split) as splits:
        yield Judge(labels, splits, dataset, SPLITS.index(split))


def class_table(given: Sequence[LabelClass], wanted: Sequence[LabelClass]) -> NDArray[np.uint8]:
    """Lookup table from class ids of a model or raster to those of the dataset, by name.

    Raises:
        GeoSegError: `other_classes` if a class has no namesake.
    """
    table = np.full(IGNORE + 1, IGNORE, np.uint8)
    by_name = {item.name: item.id for item in wanted}
    missing = [item.name for item in given if item.name not in by_name]
    if missing:
        raise GeoSegError(
            "other_classes",
            f"The prediction has the classes {', '.join(item.name for item in given)}; the dataset has "
            f"{', '.join(by_name)}.",
            "Evaluate on a dataset with the same class names.",
        )
    for item in given:
        table[item.id] = by_name[item.name]
    return table


def errors(truth: NDArray[np.uint8], ids: NDArray[np.uint8], binary: bool) -> NDArray[np.uint8]:
    """Kinds of error of a window; IGNORE where nothing is judged.

    Binary, one class against a background: 0 true negative, 1 true positive, 2 false positive, 3 false negative.
    Else: 1 right, 2 wrong.
    """
    if binary:
        kinds = np.where(truth == 1, np.where(ids == 1, 1, 3), np.where(ids == 1, 2, 0))
    else:
        kinds = np.where(truth == ids, 1, 2)
    kinds[(truth == IGNORE) | (ids == IGNORE)] = IGNORE
    return kinds.astype(np.uint8)
