"""Training and validation pixels of a baseline, read window by window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import IGNORE, SPLITS, Dataset, ForestJob, GeoSegError, Problem
from ..dataset.datasets import open_dataset_stack
from ..dataset.subset import band_positions
from ..modelfile.reading import FAST
from ..modelfile.stats import Statistics, measure, normalise
from ..raster.grid import Window, round_up, window_px, windows
from ..stacking.reader import StackReader
from .features import Features, bands_of_features, features_of

STATISTICS_PIXELS = 2_000_000
VALIDATION_PIXELS, FAST_VALIDATION_PIXELS = 200_000, 20_000
COUNTED_PX = 2048
TRAIN, VALIDATION = SPLITS.index("train"), SPLITS.index("validation")
Array = NDArray[np.float32]
Truth = NDArray[np.uint8]


@dataclass(frozen=True)
class Samples:
    """Training and validation pixels.

    Attributes:
        train, validation: features (pixels, features), see `features`.
        train_truth, validation_truth: class ids (pixels).
        counts: training pixels per class in the whole dataset.
        validation_px: validation pixels in the whole dataset.
        statistics: of the bands.
        problems: of the bands.
    """

    train: Array
    train_truth: Truth
    validation: Array
    validation_truth: Truth
    counts: list[int]
    validation_px: int
    statistics: Statistics
    problems: list[Problem]


@dataclass(frozen=True)
class Chosen:
    """Chosen pixels of one window (row * width + col), in order."""

    window: Window
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    statistics: NDArray[np.int64]


def draw(job: ForestJob, dataset: Dataset, whole: Dataset, folder: Path, channel: Channel) -> Samples:
    """Draw training pixels balanced across classes and validation pixels at random, and compute their features.

    Args:
        job: method, texture, maximum number of training pixels, and seed of the draw.
        dataset: with the bands to use.
        whole: the same with every band of its written stack.
        folder: paths of both are relative to it.
        channel: gets progress; cancel point.

    Raises:
        GeoSegError: `no_training_pixels` if fewer than two classes have any.
    """
    bands = len(dataset.recipe.bands)
    size = window_px(len(bands_of_features(job, bands)) if job.method == FAST else len(whole.recipe.bands))
    counts = count_labels(dataset, folder)
    check_two_classes(counts[TRAIN], dataset)
    chosen = list(_choose(dataset, folder, size, counts, job))
    order = band_positions(whole.recipe, dataset.recipe)
    with open_dataset_stack(whole, folder) as stack:
        raw = []
        for done, part in enumerate(chosen):
            channel.progress("measuring statistics", done, len(chosen))
            if len(part.statistics):
                values = stack.read(part.window)[order]
                raw.append(values.reshape(len(order), -1)[:, part.statistics])
        statistics, problems = measure(np.concatenate(raw, axis=1), dataset.recipe.bands)
        seen = features_of(job, statistics)
        train, validation = [], []
        for done, part in enumerate(chosen):
            channel.progress("reading the stack", done, len(chosen))
            if len(part.train) or len(part.validation):
                found = window_features(stack, order, part.window, seen, statistics)
                train.append(found[:, part.train].T)
                validation.append(found[:, part.validation].T)
    labels = [_labels(dataset, folder, part) for part in chosen]
    return Samples(
        np.ascontiguousarray(np.concatenate(train)),
        np.concatenate([one for one, _ in labels]),
        np.ascontiguousarray(np.concatenate(validation)),
        np.concatenate([other for _, other in labels]),
        counts[TRAIN].tolist(),
        int(counts[VALIDATION].sum()),
        statistics,
        problems,
    )


def window_features(
    stack: StackReader, order: list[int], window: Window, seen: Features, statistics: Statistics
) -> Array:
    """Return the features of a window of the stack, as prediction computes them.

    Args:
        stack: bands to read.
        order: numbers of the bands that are used.
        window: inside the raster.
        seen: what computes them.
        statistics: of the bands.

    Returns:
        float32 (features, pixels), row by row.
    """
    around = _aligned(window.padded(round_up(seen.reach_px, seen.align_px)), seen.align_px)
    inside = around.clipped(stack.grid.height, stack.grid.width)
    wanted = _aligned(inside, seen.align_px)
    scores = normalise(stack.read(inside)[order], statistics, seen.missing)
    if wanted != inside:
        beyond = ((0, 0), (0, wanted.height - inside.height), (0, wanted.width - inside.width))
        scores = np.pad(scores, beyond, constant_values=seen.missing)
    found = seen.of(scores)
    rows, cols = window.within(wanted)
    return found[:, rows, cols].reshape(len(found), -1)


def _aligned(window: Window, align_px: int) -> Window:
    """The smallest window around one whose borders are multiples of a number of pixels."""
    row, col = (place // align_px * align_px for place in (window.row, window.col))
    bottom, right = window.row + window.height, window.col + window.width
    return Window(row, col, round_up(bottom - row, align_px), round_up(right - col, align_px))


def check_two_classes(counts: NDArray[np.int64], dataset: Dataset) -> None:
    """Check that two classes have training pixels.

    Args:
        counts: training pixels per class.
        dataset: its classes.

    Raises:
        GeoSegError: `no_training_pixels`, or `one_class` if the dataset has only one.
    """
    if (counts > 0).sum() < 2:
        absent = [item.name for item, count in zip(dataset.classes, counts, strict=True) if not count]
        raise GeoSegError(
            "no_training_pixels" if len(dataset.classes) > 1 else "one_class",
            "Training needs pixels of at least two classes; the train split has no pixel of "
            f"{', '.join(absent) or 'a second class'}.",
            "Increase the training share, make split blocks smaller, or label more pixels.",
        )


def pixels_per_class(counts: NDArray[np.int64], pixels: int) -> NDArray[np.int64]:
    """Return how many pixels to draw per class: the same number, and what small classes lack goes to the others.

    Args:
        counts: training pixels per class.
        pixels: maximum number of all.
    """
    drawn = np.zeros_like(counts)
    left, open_ = pixels, counts > 0
    while left > 0 and open_.any():
        each = max(left // int(open_.sum()), 1)
        more = np.where(open_, np.minimum(counts - drawn, each), 0)
        if more.sum() > left:  # fewer pixels left than classes
            more = np.where(np.cumsum(more) <= left, more, 0)
        drawn += more
        left -= int(more.sum())
        open_ = drawn < counts
    return drawn


def validation_pixels(job: ForestJob) -> int:
    """Return the maximum number of validation pixels that are used."""
    return FAST_VALIDATION_PIXELS if job.method == FAST else VALIDATION_PIXELS


def _label_windows(dataset: Dataset, folder: Path, size: int) -> Iterator[tuple[Window, Truth, Truth]]:
    """Windows with labels and split, row by row."""
    with rasterio.open(folder / dataset.labels) as labels, rasterio.open(folder / dataset.split) as split:
        for window in windows(dataset.recipe.grid, size):
            ids = labels.read(1, window=window.rasterio).ravel()
            yield window, ids, split.read(1, window=window.rasterio).ravel()


def count_labels(dataset: Dataset, folder: Path) -> NDArray[np.int64]:
    """Return the labelled pixels by split (train, validation) and class.

    Args:
        dataset: labels and split.
        folder: paths of the dataset are relative to it.

    Returns:
        (2, classes).
    """
    classes = len(dataset.classes)
    counts = np.zeros((2, classes), np.int64)
    for _, ids, split in _label_windows(dataset, folder, COUNTED_PX):
        for index in (TRAIN, VALIDATION):
            counts[index] += np.bincount(ids[split == index], minlength=IGNORE + 1)[:classes]
    return counts


def _choose(
    dataset: Dataset, folder: Path, size: int, counts: NDArray[np.int64], job: ForestJob
) -> Iterator[Chosen]:
    """The drawn places, window by window; windows without any are left out."""
    rng = np.random.default_rng(job.seed)
    wanted = pixels_per_class(counts[TRAIN], job.pixels)
    train = [_draw(rng, int(all_), int(some)) for all_, some in zip(counts[TRAIN], wanted, strict=True)]
    total = int(counts[VALIDATION].sum())
    validation = _draw(rng, total, min(total, validation_pixels(job)))
    step = max(1, int(counts[TRAIN].sum()) // STATISTICS_PIXELS)
    even = np.arange(0, int(counts[TRAIN].sum()), step)
    seen = np.zeros(len(train), np.int64)
    seen_all = [0, 0]
    for window, ids, split in _label_windows(dataset, folder, size):
        chosen = []
        for index, numbers in enumerate(train):
            here = np.flatnonzero((split == TRAIN) & (ids == index))
            chosen.append(_part(here, numbers, int(seen[index])))
            seen[index] += len(here)
        labelled = [np.flatnonzero((split == which) & (ids != IGNORE)) for which in (TRAIN, VALIDATION)]
        part = Chosen(
            window,
            np.sort(np.concatenate(chosen)),
            _part(labelled[1], validation, seen_all[1]),
            _part(labelled[0], even, seen_all[0]),
        )
        seen_all = [before + len(here) for before, here in zip(seen_all, labelled, strict=True)]
        if len(part.train) or len(part.validation) or len(part.statistics):
            yield part


def _draw(rng: np.random.Generator, all_: int, some: int) -> NDArray[np.int64]:
    return np.sort(rng.choice(all_, some, replace=False, shuffle=False)) if some else np.zeros(0, np.int64)


def _part(here: NDArray[np.int64], numbers: NDArray[np.int64], before: int) -> NDArray[np.int64]:
    """Of the places found in this window, those whose running number was drawn."""
    first, last = np.searchsorted(numbers, (before, before + len(here)))
    return here[numbers[first:last] - before]


def _labels(dataset: Dataset, folder: Path, part: Chosen) -> tuple[Truth, Truth]:
    with rasterio.open(folder / dataset.labels) as labels:
        ids = labels.read(1, window=part.window.rasterio).ravel()
    return ids[part.train], ids[part.validation]
