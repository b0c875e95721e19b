"""The blocks of a split as a file: later labels on the same grid fall into the blocks that were drawn once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...contract import SPLITS, GeoSegError, Grid, read_json, write_json
from ...raster.grid import same_grid
from .blocks import SplitPlan
from .splitters import NONE, Blocks

BLOCKS_FILE = "blocks.json"
NO_SPLIT = "-"
"""Of a block without split; the others are digits, places in SPLITS."""


@dataclass(frozen=True)
class KeptBlocks:
    """`blocks.json`: which block belongs to which split.

    Attributes:
        grid: that blocks are counted on, from its corner.
        block_px: side of a block.
        buffer_px: unused width along borders between blocks of different splits.
        codes: a text per row of blocks, with a character per block.
        reason: for the size of the blocks.
    """

    grid: Grid
    block_px: int
    buffer_px: int
    codes: tuple[str, ...]
    reason: str = ""
    version: int = 1


def keep_blocks(plan: SplitPlan, grid: Grid, path: Path) -> None:
    """Write the blocks of a split; of a split by polygons there are none, and an older file goes.

    Args:
        plan: of the split.
        grid: of the label raster.
        path: of the file.

    Raises:
        OSError: where the file cannot be written.
    """
    blocks = plan.splitter
    if not isinstance(blocks, Blocks):
        path.unlink(missing_ok=True)
        return
    rows = tuple(
        "".join(NO_SPLIT if code == NONE else str(code) for code in row) for row in blocks.codes.tolist()
    )
    write_json(path, KeptBlocks(grid, blocks.block_px, blocks.buffer_px, rows, plan.reason))


def kept_plan(path: Path, grid: Grid) -> SplitPlan:
    """Return the split that an earlier dataset had.

    Args:
        path: its blocks.json.
        grid: of the label raster.

    Raises:
        GeoSegError: `no_split_to_keep` where there is no file, `bad_json` for one that holds no blocks, `other_grid`
            for blocks of another grid.
    """
    try:
        kept = read_json(KeptBlocks, path)
    except OSError as error:
        raise GeoSegError(
            "no_split_to_keep",
            f"There is no {path}.",
            "Choose the blocks.json of a dataset, or draw the split anew.",
        ) from error
    if not same_grid(kept.grid, grid):
        raise GeoSegError(
            "other_grid",
            f"The blocks of {path.name} are of a grid of {kept.grid.width} × {kept.grid.height} pixels, not of this "
            f"one of {grid.width} × {grid.height}.",
            "Draw the split anew: the area has changed.",
        )
    codes = _codes(kept, path.name)
    return SplitPlan(
        Blocks(kept.block_px, kept.buffer_px, codes), kept.block_px, kept.buffer_px, [], kept.reason
    )


def _codes(kept: KeptBlocks, name: str) -> np.ndarray:
    """The splits of the blocks, uint8 (block rows, block cols).

    Raises:
        GeoSegError: `bad_json` for blocks that do not cover the grid.
    """
    known = {str(code): code for code in range(len(SPLITS))} | {NO_SPLIT: NONE}
    side = kept.block_px
    fits = side > 0 and 0 <= 2 * kept.buffer_px <= side
    rows, cols = (-(-length // side) for length in (kept.grid.height, kept.grid.width)) if fits else (0, 0)
    texts = kept.codes
    if not fits or len(texts) != rows or any(len(row) != cols or set(row) - set(known) for row in texts):
        raise GeoSegError(
            "bad_json",
            f"{name} does not hold the blocks of its grid.",
            "Draw the split anew, or choose another file.",
        )
    return np.array([[known[code] for code in row] for row in texts], np.uint8)
