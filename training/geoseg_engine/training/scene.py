"""The data of a training: the normalised image and the labels of each split, around the labelled pixels.

Arrays are relative to `region`, the part of the grid that holds labelled pixels and padding. The image
is kept in memory while it fits and is read by window otherwise; both have the same `read`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow
from torch import Tensor

from ..channel import Channel
from ..contract import IGNORE, SPLITS, Band, Dataset, GeoSegError, Grid, Problem
from ..dataset.datasets import open_dataset_stack
from ..dataset.subset import band_positions
from ..modelfile.stats import Statistics, measure, normalise
from ..modelfile.validation_data import ValidationData, count_validation
from ..raster.grid import Window
from ..stacking.reader import StackReader

MEMORY_BUDGET_BYTES = 2 * 2**30
STATISTICS_PIXELS = 2_000_000
STRIP_ROWS = 256
REGION_ALIGN_PX = 64
"""The region starts at a multiple of this, so that poolings fall on the same pixels as in prediction."""
PADDING_PX = 384
"""Pixels that are read around the labelled part: as many as any of our networks sees at its usual depth."""

Measured = tuple[Statistics, list[Problem]]
"""Statistics of the bands, and the problems of bands that were found when they were measured."""
Adjust = Callable[[Statistics, Sequence[Band]], Measured]
"""Replaces measured statistics of some bands, e.g. by those of an earlier model."""


class Image(Protocol):
    """Z-scores by window. `height` and `width` are those of the scene's region."""

    bands: int
    height: int
    width: int

    def read(self, row: int, col: int, height: int, width: int) -> Tensor:
        """Read a window of z-scores.

        Args:
            row, col: of its upper left pixel, relative to the region; it may reach outside.
            height, width: in pixels.

        Returns:
            float32 (bands, height, width) on the CPU or the training device; 0 outside the region.
        """
        ...


class ImageInMemory:
    """The whole region as one tensor, float32 or float16, on any device.

    Args:
        scores: (bands, rows, cols).
        on_gpu: whether it is on a GPU: then the crops of a step are cut in one operation.
    """

    def __init__(self, scores: Tensor, on_gpu: bool = False) -> None:
        self.scores, self.on_gpu = scores, on_gpu
        self.bands, self.height, self.width = (int(side) for side in scores.shape)

    def read(self, row: int, col: int, height: int, width: int) -> Tensor:
        """Read a window of z-scores.

        Args:
            row, col: of its upper left pixel, relative to the region; it may reach outside.
            height, width: in pixels.

        Returns:
            float32 (bands, height, width) on the image's device; 0 outside the region.
        """
        return cut(self.scores, row, col, height, width, 0.0).float()


class StackBands:
    """Some bands of a stack, by window.

    Args:
        stack: open; holds every band of its recipe.
        chosen: indices of the bands to read, from 0.
    """

    def __init__(self, stack: StackReader, chosen: Sequence[int]) -> None:
        self._stack, self._chosen = stack, list(chosen)
        self._all = self._chosen == list(range(len(stack.band_names)))

    def __len__(self) -> int:
        return len(self._chosen)

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read float32 (bands, rows, cols), NaN where there is no value."""
        values = self._stack.read(window)
        return values if self._all else values[self._chosen]

    def close(self) -> None:
        """Close the stack's files."""
        self._stack.close()


class ImageOnDisk:
    """Reads and normalises a window of the stack on each call; one reader at a time."""

    def __init__(self, stack: StackBands, region: Window, statistics: Statistics) -> None:
        self.bands, self.height, self.width = len(stack), region.height, region.width
        self._stack, self._region, self._statistics = stack, region, statistics
        self._lock = threading.Lock()

    def read(self, row: int, col: int, height: int, width: int) -> Tensor:
        """Read a window of z-scores.

        Args:
            row, col: of its upper left pixel, relative to the region; it may reach outside.
            height, width: in pixels.

        Returns:
            float32 (bands, height, width) on the CPU; 0 outside the stack.
        """
        window = Window(self._region.row + row, self._region.col + col, height, width)
        with self._lock:
            values = self._stack.read(window)
        return torch.from_numpy(normalise(values, self._statistics))


@dataclass(frozen=True)
class Scene:
    """Image and labels of one dataset.

    Attributes:
        image: z-scores.
        train, validation: uint8 (rows, cols) class ids, IGNORE outside the split.
        bands: the recipe's bands.
        classes: number of classes K.
        statistics: of the training pixels.
        region: window of the arrays on the dataset's grid.
        intermediates: the recipe's other bands, which expressions take values from.
        grid: of the dataset; None for arrays that are in memory.
    """

    image: Image
    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    bands: tuple[Band, ...]
    classes: int
    statistics: Statistics
    region: Window
    intermediates: tuple[Band, ...] = ()
    grid: Grid | None = None

    @cached_property
    def validation_data(self) -> ValidationData:
        """Amount of validation data, and what it suffices for."""
        return count_validation(self.validation, self.classes)

    def train_counts(self) -> list[int]:
        """Return the training pixels per class."""
        return count(self.train, self.classes)


def padding(crop_px: int, tile_px: int) -> int:
    """Return the pixels to read around the labelled part.

    Args:
        crop_px: of the job; 0 is automatic.
        tile_px: side of the dataset's tiles in pixels.
    """
    return max(crop_px, tile_px, PADDING_PX)


def count(labels: NDArray[np.uint8], classes: int) -> list[int]:
    """Return the pixels per class.

    Args:
        labels: uint8 (rows, cols) class ids.
        classes: number of classes.
    """
    return [int(item) for item in np.bincount(labels.ravel(), minlength=256)[:classes]]


def cut(array: Tensor, row: int, col: int, height: int, width: int, fill: float) -> Tensor:
    """Return a window of the last two axes that may reach outside.

    Args:
        array: (…, rows, cols).
        row, col: of the window's upper left pixel.
        height, width: in pixels.
        fill: value outside the array.

    Returns:
        (…, height, width).
    """
    rows, cols = int(array.shape[-2]), int(array.shape[-1])
    top, left = max(-row, 0), max(-col, 0)
    bottom, right = max(row + height - rows, 0), max(col + width - cols, 0)
    inside = array[..., max(row, 0) : min(row + height, rows), max(col, 0) : min(col + width, cols)]
    if not (top or left or bottom or right):
        return inside
    return torch.nn.functional.pad(inside, (left, right, top, bottom), value=fill)


def scene_from_arrays(
    values: NDArray[Any],
    labels: NDArray[np.uint8],
    split: NDArray[np.uint8],
    bands: Sequence[Band],
    classes: int,
    region: Window | None = None,
    measured: Measured | None = None,
    adjust: Adjust | None = None,
) -> tuple[Scene, list[Problem]]:
    """Return a scene of arrays that are in memory.

    Args:
        values: float32 (bands, rows, cols) in the units of the bands, NaN where invalid; normalised in place.
        labels: uint8 (rows, cols) class ids or IGNORE.
        split: uint8 (rows, cols) index into SPLITS or IGNORE.
        bands: of the recipe, in order.
        classes: number of classes.
        region: window of the arrays on the dataset's grid; None for all of it.
        measured: statistics of an earlier run, used as they are.
        adjust: applied to statistics that are measured here.
    """
    train, validation = (
        np.where(split == SPLITS.index(name), labels, IGNORE).astype(np.uint8)
        for name in ("train", "validation")
    )
    if measured is None:
        flat = np.flatnonzero(train.ravel() != IGNORE)
        flat = flat[:: max(1, len(flat) // STATISTICS_PIXELS)]
        measured = adjust_statistics(measure(values.reshape(len(bands), -1)[:, flat], bands), bands, adjust)
    statistics, problems = measured
    for index, layer in enumerate(values):
        values[index] = normalise(layer[None], _of_band(statistics, index))[0]
    region = region or Window(0, 0, *labels.shape)
    image = ImageInMemory(torch.from_numpy(values))
    return Scene(image, train, validation, tuple(bands), classes, statistics, region), problems


def open_part(dataset: Dataset, whole: Dataset, folder: Path) -> StackBands:
    """Open the bands of `dataset` in the written stack of `whole`; without one, compute them from their own sources.

    Args:
        dataset: with the bands to use.
        whole: with every band of its stack.
        folder: paths of both are relative to it.

    Raises:
        GeoSegError: as `open_dataset_stack`.
    """
    if whole.stack and (folder / whole.stack).exists():
        return StackBands(open_dataset_stack(whole, folder), band_positions(whole.recipe, dataset.recipe))
    return StackBands(open_dataset_stack(dataset, folder), range(len(dataset.recipe.bands)))


def adjust_statistics(measured: Measured, bands: Sequence[Band], adjust: Adjust | None) -> Measured:
    """Return measured statistics after `adjust`, with the problems of both.

    Args:
        measured: statistics and problems.
        bands: of the recipe, in order.
        adjust: None keeps the statistics.
    """
    if adjust is None:
        return measured
    statistics, problems = adjust(measured[0], bands)
    return statistics, [*measured[1], *problems]


def load_scene(
    dataset: Dataset,
    folder: Path,
    padding_px: int,
    channel: Channel,
    measured: Measured | None = None,
    whole: Dataset | None = None,
    adjust: Adjust | None = None,
) -> tuple[Scene, list[Problem]]:
    """Read labels, split and image of a dataset, and measure statistics unless they are given.

    Args:
        dataset: with the bands to use.
        folder: paths of the dataset are relative to it.
        padding_px: pixels to read around the labelled part.
        channel: gets progress; cancel point.
        measured: statistics of an earlier run, used as they are.
        whole: the dataset with every band of its written stack, where `dataset` has only some of them.
        adjust: applied to statistics that are measured here.

    Raises:
        GeoSegError: `no_training_pixels` if no labelled pixel belongs to the train split.
    """
    labels, split, region = _read_labels(folder / dataset.labels, folder / dataset.split, padding_px)
    bands, classes = dataset.recipe.bands, len(dataset.classes)
    pixels = region.height * region.width * len(bands)
    if not ((split == 0) & (labels != IGNORE)).any():
        raise GeoSegError(
            "no_training_pixels",
            f"No labelled pixel of dataset '{dataset.name}' belongs to the train split.",
            "Increase the training share, or check that polygons are inside the area.",
        )
    stack = open_part(dataset, whole or dataset, folder)
    if pixels * 4 <= MEMORY_BUDGET_BYTES:
        with closing(stack):
            values = np.empty((len(bands), region.height, region.width), dtype=np.float32)
            for row, height in _strips(region.height):
                channel.progress("reading the stack", row, region.height)
                values[:, row : row + height] = stack.read(
                    Window(region.row + row, region.col, height, region.width)
                )
        found, problems = scene_from_arrays(values, labels, split, bands, classes, region, measured, adjust)
    else:
        found, problems = _load_large(stack, labels, split, bands, classes, region, channel, measured, adjust)
    recipe = dataset.recipe
    return replace(found, intermediates=recipe.intermediates, grid=recipe.grid), problems


def _load_large(
    stack: StackBands,
    labels: NDArray[np.uint8],
    split: NDArray[np.uint8],
    bands: tuple[Band, ...],
    classes: int,
    region: Window,
    channel: Channel,
    measured: Measured | None,
    adjust: Adjust | None,
) -> tuple[Scene, list[Problem]]:
    """Statistics in a first pass; then float16 in memory if that fits, else reading by window."""
    train = np.where(split == 0, labels, IGNORE).astype(np.uint8)
    if measured is None:
        measured = adjust_statistics(_measure_large(stack, train, bands, region, channel), bands, adjust)
    statistics, problems = measured
    image: Image = ImageOnDisk(stack, region, statistics)
    if len(bands) * region.height * region.width * 2 <= MEMORY_BUDGET_BYTES:
        scores = torch.empty((len(bands), region.height, region.width), dtype=torch.float16)
        for row, height in _strips(region.height):
            channel.progress("reading the stack", row, region.height)
            scores[:, row : row + height] = image.read(row, 0, height, region.width).half()
        stack.close()
        image = ImageInMemory(scores)
    validation = np.where(split == 1, labels, IGNORE).astype(np.uint8)
    return Scene(image, train, validation, bands, classes, statistics, region), problems


def _measure_large(
    stack: StackBands,
    train: NDArray[np.uint8],
    bands: tuple[Band, ...],
    region: Window,
    channel: Channel,
) -> Measured:
    """Statistics of evenly chosen train pixels, strip by strip."""
    step = max(1, int((train != IGNORE).sum()) // STATISTICS_PIXELS)
    samples = []
    for row, height in _strips(region.height):
        channel.progress("measuring statistics", row, region.height)
        chosen = np.flatnonzero(train[row : row + height].ravel() != IGNORE)[::step]
        if len(chosen):
            values = stack.read(Window(region.row + row, region.col, height, region.width))
            samples.append(values.reshape(len(bands), -1)[:, chosen])
    return measure(np.concatenate(samples, axis=1), bands)


def _read_labels(
    labels_path: Path, split_path: Path, padding_px: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Window]:
    """Labels and split of the part of the grid that training reads."""
    with rasterio.open(labels_path) as labels, rasterio.open(split_path) as split:
        rows = np.zeros(labels.height, dtype=bool)
        cols = np.zeros(labels.width, dtype=bool)
        for row, height in _strips(labels.height):
            strip = RasterioWindow(0, row, labels.width, height)
            used = (labels.read(1, window=strip) != IGNORE) & (split.read(1, window=strip) <= 1)
            rows[row : row + height] = used.any(axis=1)
            cols |= used.any(axis=0)
        row, last_row = _span(rows, padding_px)
        col, last_col = _span(cols, padding_px)
        region = Window(row, col, last_row - row, last_col - col)
        part = RasterioWindow(col, row, region.width, region.height)
        return labels.read(1, window=part), split.read(1, window=part), region


def _span(used: NDArray[np.bool_], padding_px: int) -> tuple[int, int]:
    places = np.flatnonzero(used)
    if not places.size:
        return 0, min(1, used.size)
    first = max(int(places[0]) - padding_px, 0) // REGION_ALIGN_PX * REGION_ALIGN_PX
    return first, min(int(places[-1]) + 1 + padding_px, used.size)


def _strips(height: int) -> list[tuple[int, int]]:
    return [(row, min(STRIP_ROWS, height - row)) for row in range(0, height, STRIP_ROWS)]


def _of_band(statistics: Statistics, index: int) -> Statistics:
    return Statistics(
        (statistics.mean[index],),
        (statistics.std[index],),
        (statistics.low[index],),
        (statistics.high[index],),
    )
