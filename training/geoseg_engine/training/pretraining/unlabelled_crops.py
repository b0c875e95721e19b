"""The pixels that pretraining sees: crops of the whole stack, labelled or not, without those of the test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ...channel import Channel
from ...contract import SPLITS, Dataset, GeoSegError
from ...dataset.datasets import open_dataset_stack, read_ids
from ...dataset.subset import band_positions, with_bands
from ...modelfile.stats import Statistics, measure, normalise
from ...raster.grid import Window
from ...stacking.reader import StackReader
from ..sampler import crop_start
from ..scene import MEMORY_BUDGET_BYTES, STATISTICS_PIXELS

CELL_PX = 16
"""Pixels are held out by cells of this side."""
STRIP_ROWS = 256
MIN_KNOWN_SHARE, DRAWS = 0.2, 20
"""A crop with a smaller fraction of values is drawn again, at most DRAWS times."""


@dataclass(frozen=True)
class UnlabelledPixels:
    """The stack as scores, without what is held out.

    Attributes:
        stack: open reader of the whole dataset's bands.
        chosen: indices of those that are used.
        statistics: of these.
        held_out: bool (cells, cells); no pixel of such a cell is seen or scored.
        height, width: of the stack in pixels.
        scores: float16 (bands, rows, cols) with NaN, where the whole fits into memory.
    """

    stack: StackReader
    chosen: list[int]
    statistics: Statistics
    held_out: NDArray[np.bool_]
    height: int
    width: int
    scores: NDArray[Any] | None = None

    def crop(self, row: int, col: int, size: int) -> NDArray[np.float32]:
        """Return a square of scores.

        Args:
            row, col: of its upper left pixel; it may reach outside.
            size: side in pixels.

        Returns:
            float32 (bands, size, size), NaN where there is no value or the pixel is held out.
        """
        if self.scores is None:
            return self.read(Window(row, col, size, size))
        crop = np.full((len(self.chosen), size, size), np.nan, dtype=np.float32)
        inside = Window(row, col, size, size).clipped(self.height, self.width)
        rows, cols = inside.within(Window(row, col, size, size))
        crop[:, rows, cols] = self.scores[
            :, inside.row : inside.row + inside.height, inside.col : inside.col + inside.width
        ]
        return crop

    def read(self, window: Window) -> NDArray[np.float32]:
        """Read scores of a window from the stack; as `crop`."""
        values = self.stack.read(window)[self.chosen]
        scores = normalise(values, self.statistics)
        scores[~np.isfinite(values)] = np.nan
        rows = np.arange(window.row, window.row + window.height).clip(0, self.height - 1) // CELL_PX
        cols = np.arange(window.col, window.col + window.width).clip(0, self.width - 1) // CELL_PX
        scores[:, self.held_out[np.ix_(rows, cols)]] = np.nan
        return scores

    def draw(self, rng: np.random.Generator, batch_size: int, size: int) -> Tensor:
        """Draw random crops centred on pixels that are not held out.

        Args:
            rng: random numbers.
            batch_size: number of crops.
            size: side in pixels.

        Returns:
            float32 (batch, bands, size, size), NaN where there is no value or the pixel is held out.
        """
        cells = np.flatnonzero(~self.held_out.ravel())
        crops = []
        for _ in range(batch_size):
            for _ in range(DRAWS):
                row, col = divmod(int(rng.choice(cells)), self.held_out.shape[1])
                shift = rng.integers(0, CELL_PX, size=2) - size // 2
                top, left = row * CELL_PX + int(shift[0]), col * CELL_PX + int(shift[1])
                crop = self.crop(crop_start(top, size, self.height), crop_start(left, size, self.width), size)
                if np.isfinite(crop).mean() >= MIN_KNOWN_SHARE:
                    break
            crops.append(torch.from_numpy(crop))
        return torch.stack(crops)

    @property
    def count(self) -> int:
        """Approximate number of pixels that are not held out."""
        return int((~self.held_out).sum()) * CELL_PX**2


def open_unlabelled(
    dataset: Dataset, folder: Path, bands: tuple[str, ...], channel: Channel
) -> UnlabelledPixels:
    """Measure statistics, and read the stack where it fits into memory.

    Statistics are those of the training pixels, as in the training that follows; of all pixels where there are none.

    Args:
        dataset: stack, labels and split.
        folder: paths of the dataset are relative to it.
        bands: names of the bands to use; empty for all.
        channel: gets progress; cancel point.

    Raises:
        GeoSegError: `no_ground` if all pixels are held out or without values; `unknown_band`.
    """
    part = with_bands(dataset, bands)
    chosen = band_positions(dataset.recipe, part.recipe)
    grid = dataset.recipe.grid
    held_out = held_out_cells(dataset, folder)
    stack = open_dataset_stack(dataset, folder)
    sample = _sample(stack, dataset, folder, held_out, True, channel)
    if not sample.shape[1]:
        sample = _sample(stack, dataset, folder, held_out, False, channel)
    if held_out.all() or not np.isfinite(sample).any():
        raise GeoSegError(
            "no_ground",
            f"Dataset '{dataset.name}' has no pixel with values outside its test split.",
            "Decrease the test share, or check the nodata values of the bands.",
        )
    statistics, _ = measure(sample[chosen], part.recipe.bands)
    pixels = UnlabelledPixels(stack, chosen, statistics, held_out, grid.height, grid.width)
    if len(chosen) * grid.height * grid.width * 2 > MEMORY_BUDGET_BYTES:
        return pixels
    scores = np.empty((len(chosen), grid.height, grid.width), dtype=np.float16)
    for window in _strips(grid.height, grid.width):
        channel.progress("reading the stack", window.row, grid.height)
        scores[:, window.row : window.row + window.height] = pixels.read(window)
    return UnlabelledPixels(stack, chosen, statistics, held_out, grid.height, grid.width, scores)


def held_out_cells(dataset: Dataset, folder: Path) -> NDArray[np.bool_]:
    """Return the cells that hold pixels of the test split or are within its buffer.

    Args:
        dataset: split and grid.
        folder: paths of the dataset are relative to it.

    Returns:
        bool (cell rows, cell cols), cells of CELL_PX pixels a side.
    """
    grid = dataset.recipe.grid
    cells = np.zeros((-(-grid.height // CELL_PX), -(-grid.width // CELL_PX)), dtype=bool)
    for window in _strips(grid.height, grid.width):
        test = read_ids(folder / dataset.split, window) == SPLITS.index("test")
        padded = np.zeros((-(-window.height // CELL_PX) * CELL_PX, cells.shape[1] * CELL_PX), dtype=bool)
        padded[: window.height, : window.width] = test
        some = padded.reshape(-1, CELL_PX, cells.shape[1], CELL_PX).any(axis=(1, 3))
        first = window.row // CELL_PX
        cells[first : first + len(some)] = some
    reach = -(-dataset.buffer_px // CELL_PX)
    if reach and cells.any():
        cells = ndimage.binary_dilation(cells, np.ones((3, 3)), iterations=reach)
    return cells


def _sample(
    stack: StackReader,
    dataset: Dataset,
    folder: Path,
    held_out: NDArray[np.bool_],
    labelled: bool,
    channel: Channel,
) -> NDArray[np.float32]:
    """Values (all bands, pixels) of evenly chosen pixels: of the train split, or of all that are not held out."""
    grid = dataset.recipe.grid
    every = max(1, grid.height * grid.width // STATISTICS_PIXELS)
    found = [np.empty((len(dataset.recipe.bands), 0), dtype=np.float32)]
    for window in _strips(grid.height, grid.width):
        channel.progress("measuring statistics", window.row, grid.height)
        if labelled:
            known = read_ids(folder / dataset.labels, window) < len(dataset.classes)
            wanted = known & (read_ids(folder / dataset.split, window) == SPLITS.index("train"))
        else:
            rows = np.arange(window.row, window.row + window.height) // CELL_PX
            wanted = ~held_out[np.ix_(rows, np.arange(grid.width) // CELL_PX)]
        at = np.flatnonzero(wanted.ravel())[::every]
        if len(at):
            found.append(stack.read(window).reshape(len(dataset.recipe.bands), -1)[:, at])
    return np.concatenate(found, axis=1)


def _strips(height: int, width: int) -> list[Window]:
    return [Window(row, 0, min(STRIP_ROWS, height - row), width) for row in range(0, height, STRIP_ROWS)]
