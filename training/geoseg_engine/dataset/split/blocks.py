"""Choose the side of the blocks of a split, their buffer and their splits from where the labels are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import rasterio

from ...contract import IGNORE, SPLITS, GeoSegError, Grid, Problem, TileJob
from ...raster.grid import Window, windows
from .block_size import Scale, block_reason, preferred_block_px
from .cell_counts import CellCounts
from .splitters import NONE, Blocks, Splitter, assign, shared_out

MAX_BUFFER_PX = 96
MIN_BLOCKS = 20
BLOCKS_PER_CLASS = 4
CELLS = 1024
STRIP_PX = 1024
SMALL_SHARE = 0.1
FEW_CLASSES = 32
"""Number of classes up to which a comparison for each is faster than a histogram."""

Mask = Callable[[Window], np.ndarray]


@dataclass
class SplitPlan:
    """A splitter with the chosen sizes, warnings, and the reason for the size of the blocks."""

    splitter: Splitter
    block_px: int
    buffer_px: int
    problems: list[Problem] = field(default_factory=list)
    reason: str = ""


def planned_buffer_px(job: TileJob, block_px: int) -> int:
    """Return the user's buffer, or else one that suits the blocks.

    Args:
        job: settings; a negative buffer is automatic.
        block_px: side of the blocks; 0 where polygons of an area layer name the splits.
    """
    if job.buffer_px >= 0:
        return job.buffer_px
    return min(MAX_BUFFER_PX, block_px // 8 if block_px else job.tile_px // 2)


def plan_blocks(
    job: TileJob,
    labels: Path,
    grid: Grid,
    classes: int,
    fractions: tuple[float, ...],
    mask: Mask | None,
    scale: Scale,
) -> SplitPlan:
    """Plan blocks with their splits for the labelled pixels.

    Args:
        job: settings.
        labels: the label raster.
        grid: of the label raster.
        classes: class ids are 0..classes-1.
        fractions: wanted shares of train, validation and test.
        mask: gives boolean (rows, cols) of a window, where labels count; None is everywhere.
        scale: what automatic block sizes follow from.

    Raises:
        GeoSegError: `no_labels_left`, `buffer_too_wide`.
    """
    cell = job.block_px or cell_size(grid)
    cells = cell_counts(labels, grid, cell, classes, mask)
    if not cells.any():
        raise GeoSegError(
            "no_labels_left",
            "No labelled pixel is left to split.",
            "Draw polygons inside the area and on the rasters, then rasterize again.",
        )
    start = preferred_block_px(scale, job.tile_px, grid)
    block = job.block_px or choose_block_px(cells, cell, job.tile_px, grid, 2 * job.buffer_px, start)
    if 2 * job.buffer_px > block:
        raise GeoSegError(
            "buffer_too_wide",
            f"A buffer of {job.buffer_px} px leaves little or nothing of blocks of {block} px.",
            f"Choose blocks of at least {4 * job.buffer_px} px, or a narrower buffer.",
        )
    counts = grouped(cells, block // cell)
    labelled = counts.sum(axis=2) > 0
    codes = np.full(labelled.shape, NONE, np.uint8)
    codes[labelled] = assign(counts[labelled], fractions, job.seed)
    if job.every_block:
        codes[~labelled] = shared_out(int((~labelled).sum()), fractions, job.seed)
    blocks = Blocks(block, planned_buffer_px(job, block), codes)
    problems = []
    if job.buffer_px < 0:
        blocks = narrowed_blocks(blocks, counts, labels, grid, mask)
    if int(labelled.sum()) < sum(fraction > 0 for fraction in fractions):
        problems.append(
            Problem(
                "too_few_blocks",
                f"Only {int(labelled.sum())} blocks of {block} px hold labels: not every split gets one.",
                "Choose smaller blocks, or draw polygons in more places.",
                "warning",
            )
        )
    reason = "as set" if job.block_px else block_reason(scale, block, start, grid)
    return SplitPlan(blocks, block, blocks.buffer_px, problems, f"Blocks of {block} px: {reason}.")


def narrowed_blocks(
    blocks: Blocks, counts: np.ndarray, labels: Path, grid: Grid, mask: Mask | None = None
) -> Blocks:
    """Return blocks whose buffer was halved until no class loses all its pixels of a split to it.

    Args:
        blocks: with the buffer to try first.
        counts: labelled pixels per block and class, (block rows, block cols, classes).
        labels, grid: the label raster.
        mask: where labels count; None is everywhere.
    """
    classes = counts.shape[2]
    without = np.stack([counts[blocks.codes == split].sum(axis=0) > 0 for split in range(len(SPLITS))])
    while blocks.buffer_px > 0:
        kept = split_counts(blocks, labels, grid, classes, mask) > 0
        if (kept == without).all():
            break
        blocks = replace(blocks, buffer_px=blocks.buffer_px // 2)
    return blocks


def cell_size(grid: Grid) -> int:
    """Side of the cells in which labels are counted to find a block size."""
    shortest, longest = min(grid.width, grid.height), max(grid.width, grid.height)
    return max(1, min(8, shortest // 4)) * max(1, -(-longest // (8 * CELLS)))


def strips(grid: Grid, step_px: int) -> list[Window]:
    """Return windows of full width that cover a grid once.

    Args:
        grid: to cover.
        step_px: heights are multiples of it, the last one perhaps excepted.
    """
    height = max(STRIP_PX // step_px, 1) * step_px
    return [
        Window(row, 0, min(height, grid.height - row), grid.width) for row in range(0, grid.height, height)
    ]


def cell_counts(labels: Path, grid: Grid, cell_px: int, classes: int, mask: Mask | None) -> np.ndarray:
    """Count labelled pixels per cell and class.

    Args:
        labels, grid: the label raster.
        cell_px: side of a cell.
        classes: class ids are 0..classes-1.
        mask: where labels count; None is everywhere.

    Returns:
        int64 (cell rows, cell cols, classes).
    """
    cells = CellCounts(_edges(grid.height, cell_px), _edges(grid.width, cell_px), classes)
    with rasterio.open(labels) as raster:
        for window in strips(grid, cell_px):
            ids = raster.read(1, window=window.rasterio)
            if mask is not None:
                ids[~mask(window)] = IGNORE
            cells.add(window, ids)
    return np.moveaxis(cells.counts, 0, 2).astype(np.int64)


def _edges(length: int, cell_px: int) -> np.ndarray:
    return np.append(np.arange(0, length, cell_px), length)


def grouped(cells: np.ndarray, factor: int) -> np.ndarray:
    """Add up counts of cells to counts of blocks.

    Args:
        cells: (cell rows, cell cols, classes).
        factor: cells along the side of a block; the last blocks may be cut.

    Returns:
        (block rows, block cols, classes).
    """
    rows, cols, classes = cells.shape
    padded = np.pad(cells, ((0, -rows % factor), (0, -cols % factor), (0, 0)))
    blocks: np.ndarray = padded.reshape(-(-rows // factor), factor, -(-cols // factor), factor, classes).sum(
        (1, 3)
    )
    return blocks


def choose_block_px(
    cells: np.ndarray, cell_px: int, tile_px: int, grid: Grid, min_px: int = 0, start_px: int = 0
) -> int:
    """Return the largest block side that leaves some twenty well-filled blocks and every class in a few of them.

    Args:
        cells: labelled pixels per cell and class, (cell rows, cell cols, classes).
        cell_px: side of a cell.
        tile_px: side of a tile; blocks become smaller only for the sake of the number of blocks.
        grid: of the label raster.
        min_px: smallest side.
        start_px: largest side; 0 is four tiles or a tenth of the raster, whichever is larger.
    """
    side = start_px or max(4 * tile_px, max(grid.width, grid.height) // 10)
    smallest = max(cell_px, min(16, min(grid.width, grid.height) // 4), min_px)
    side = max(side, smallest)
    enough = 0
    while side >= smallest:
        unit = tile_px if side >= 2 * tile_px and tile_px % cell_px == 0 else cell_px
        block = max(side // unit * unit, cell_px)
        counts = grouped(cells, block // cell_px)
        filled = counts.sum(axis=2)
        many = int((filled >= SMALL_SHARE * filled.max()).sum()) >= MIN_BLOCKS
        per_class = (counts > 0).sum(axis=(0, 1))
        spread = bool((per_class[counts.sum(axis=(0, 1)) > 0] >= BLOCKS_PER_CLASS).all())
        if many and spread:
            return block
        if many and not enough:
            enough = block
        if enough and block <= tile_px:
            break
        side = min(int(side * 0.8), block - 1)
    return enough or -(-smallest // cell_px) * cell_px


def split_counts(
    splitter: Splitter, labels: Path, grid: Grid, classes: int, mask: Mask | None = None
) -> np.ndarray:
    """Count labelled pixels per split and class.

    Args:
        splitter: gives the split of every pixel.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
        mask: where labels count; None is everywhere.

    Returns:
        int64 (3, classes).
    """
    counts = np.zeros((len(SPLITS), classes), np.int64)
    with rasterio.open(labels) as raster:
        for window in windows(grid, STRIP_PX):
            ids = raster.read(1, window=window.rasterio)
            if mask is not None:
                ids[~mask(window)] = IGNORE
            counts += counts_of(splitter.window(window), ids, classes)
    return counts


def counts_of(codes: np.ndarray, ids: np.ndarray, classes: int) -> np.ndarray:
    """Count the pixels of a window per split and class.

    Args:
        codes: uint8 (rows, cols), index into SPLITS or NONE.
        ids: uint8 (rows, cols), class ids or IGNORE.
        classes: class ids are 0..classes-1.

    Returns:
        int64 (3, classes).
    """
    counts = np.zeros((len(SPLITS), classes), np.int64)
    for split in range(len(SPLITS)):
        inside = codes == split
        if not inside.any():
            continue
        own = np.where(inside, ids, np.uint8(IGNORE))
        if classes <= FEW_CLASSES:
            counts[split] = [np.count_nonzero(own == value) for value in range(classes)]
        else:
            counts[split] = np.bincount(own.ravel(), minlength=256)[:classes]
    return counts
