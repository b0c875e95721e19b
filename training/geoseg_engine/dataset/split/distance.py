"""The exact minimum distance between pixels of different splits, and what it means for scores."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import rasterio
from scipy import ndimage
from scipy.spatial import KDTree

from ...contract import SPLITS, Dataset, Grid, Problem
from ...raster.geodesy import pixel_size_m
from ...raster.grid import Window
from . import NONE
from .cell_counts import CellCounts

CELL_PX = 16
SPLITS_CLOSE = "splits_close"
STRIP_ROWS = 512
BLOCKS_OF_REACH, MIN_BLOCKS = (8, 6, 4), 6
"""Widths of proposed blocks, in reaches of a network, and how many such blocks must fit on the rasters."""
ROUNDING = math.sqrt(2) + 1e-6
"""Two pixels are nearer or farther than the corners of their cells by at most a cell's diagonal."""


def min_split_distance_px(split: Path) -> float:
    """Return the minimum distance between the centres of pixels of different splits, in pixels; 0 for one split.

    Cells of 16 × 16 pixels bound the distance from above and show which of them can hold the nearest pair; in those
    the pixels at the rim of each split (the nearest pair always consists of such) are searched with a k-d tree.
    Strips are read in turn, and pixels farther back than the bound are dropped, so memory does not grow with the
    raster.
    """
    with rasterio.open(split) as raster:
        presence = _presence(raster)
        best, near = _bound(presence)
        if not math.isfinite(best):
            return 0.0
        kept = [np.zeros((0, 2)) for _ in SPLITS]
        for row in range(0, raster.height, STRIP_ROWS):
            fresh = _rim_points(raster, row, near)
            best = _nearest(fresh, kept, best)
            kept = [
                _recent(np.concatenate([old, new]), row + STRIP_ROWS - best)
                for old, new in zip(kept, fresh, strict=True)
            ]
    return best


def distance_sentence(distance_px: float, grid: Grid, reach_px: int) -> str:
    """Return the meaning of the distance as a sentence.

    Args:
        distance_px: between splits; 0 for one split.
        grid: of the split raster.
        reach_px: how far a network sees around a pixel.
    """
    if not distance_px:
        return "All labelled pixels belong to one split."
    apart = (
        f"Pixels of different splits are at least {distance_px:.4g} px ({_metres(distance_px, grid)}) apart"
    )
    if distance_px <= reach_px:
        return f"{apart}."
    return f"{apart}, farther than the {reach_px} px that a neural network sees around a pixel."


def distance_m(distance_px: float, grid: Grid) -> float:
    """Return a distance in metres, with the pixel size at the middle of the grid.

    Args:
        distance_px: in pixels.
        grid: of the split raster.
    """
    width, height = pixel_size_m(grid, grid.height / 2, grid.width / 2)
    return distance_px * math.sqrt(width * height)


def distance_problems(distance_px: float, grid: Grid, reach_px: int) -> list[Problem]:
    """Return a warning where a network sees across the borders, with larger blocks only if they fit the grid.

    Args:
        distance_px: between splits; 0 for one split.
        grid: of the split raster.
        reach_px: how far a network sees around a pixel.
    """
    if not 0 < distance_px <= reach_px:
        return []
    return [
        Problem(
            SPLITS_CLOSE,
            f"Pixels of different splits are as close as {distance_px:.4g} px ({_metres(distance_px, grid)}), and a "
            f"neural network sees up to {reach_px} px around a pixel: its scores may be too high near block borders.",
            _wider(grid, reach_px),
            "warning",
        )
    ]


def _wider(grid: Grid, reach_px: int) -> str:
    """The fix on a grid of this size."""
    for times in BLOCKS_OF_REACH:
        side = times * reach_px
        if (grid.width // side) * (grid.height // side) >= MIN_BLOCKS:
            return f"Choose a buffer of {reach_px} px and blocks of at least {side} px if enough labels are left."
    return (
        f"The rasters are too small ({grid.width} × {grid.height} px) for a buffer of {reach_px} px: draw a separate "
        "test area, or regard the scores of a network as slightly too high."
    )


def warnings_for(dataset: Dataset, reach_px: int | None) -> list[Problem]:
    """Return the warnings of a dataset that concern a model.

    Args:
        dataset: with its warnings.
        reach_px: how far the model sees around a pixel; None if unknown.
    """
    sees_across = reach_px is None or reach_px >= dataset.split_distance_px
    return [item for item in dataset.warnings if sees_across or item.code != SPLITS_CLOSE]


def _metres(distance_px: float, grid: Grid) -> str:
    metres = distance_m(distance_px, grid)
    return f"{metres:,.0f} m" if metres >= 10 else f"{metres:.2g} m"


def _presence(raster: rasterio.DatasetReader) -> np.ndarray:
    """Boolean (3, cell rows, cell cols): which splits a cell has pixels of."""
    edges = [np.append(np.arange(0, length, CELL_PX), length) for length in raster.shape]
    cells = CellCounts(edges[0], edges[1], len(SPLITS))
    for row in range(0, raster.height, STRIP_ROWS):
        codes = _read(raster, row, STRIP_ROWS)
        cells.add(Window(row, 0, *codes.shape), codes)
    found: np.ndarray = cells.counts > 0
    return found


def _bound(presence: np.ndarray) -> tuple[float, np.ndarray]:
    """A distance in pixels that is not exceeded, and the cells that can hold the nearest pair, as `presence`."""
    apart = np.full(presence.shape, np.inf)
    for one, other in permutations(range(len(presence)), 2):
        if presence[one].any() and presence[other].any():
            to_other = ndimage.distance_transform_edt(~presence[other])
            apart[one] = np.minimum(apart[one], np.where(presence[one], to_other, np.inf))
    best = (float(apart.min()) + ROUNDING) * CELL_PX
    near: np.ndarray = presence & ((apart - ROUNDING) * CELL_PX <= best)
    return best, near


def _rim_points(raster: rasterio.DatasetReader, row: int, near: np.ndarray) -> list[np.ndarray]:
    """Rows and columns, (n, 2) a split, of a strip's pixels in near cells with a neighbour of no or another split."""
    first, last = row // CELL_PX, math.ceil(min(row + STRIP_ROWS, raster.height) / CELL_PX)
    if not near[:, first:last].any():
        return [np.zeros((0, 2)) for _ in SPLITS]
    top = max(row - 1, 0)
    codes = _read(raster, top, STRIP_ROWS + row - top + 1)
    padded = np.pad(codes, ((row == top, row + STRIP_ROWS >= raster.height), (1, 1)), constant_values=NONE)
    own = padded[1:-1, 1:-1]
    rim = (own != padded[:-2, 1:-1]) | (own != padded[2:, 1:-1])
    rim |= (own != padded[1:-1, :-2]) | (own != padded[1:-1, 2:])
    points = []
    for split in range(len(SPLITS)):
        rows, cols = np.nonzero(rim & (own == split))
        chosen = near[split, (rows + row) // CELL_PX, cols // CELL_PX]
        points.append(np.column_stack([rows[chosen] + row, cols[chosen]]).astype(float))
    return points


def _nearest(fresh: list[np.ndarray], kept: list[np.ndarray], best: float) -> float:
    """The minimum distance between new points and all of another split, if it is below `best`."""
    for one, other in combinations(range(len(fresh)), 2):
        for new, old in (
            (fresh[one], np.concatenate([kept[other], fresh[other]])),
            (fresh[other], kept[one]),
        ):
            if len(new) and len(old):
                few, many = sorted((new, old), key=len)
                distances, _ = KDTree(many).query(few, distance_upper_bound=best + 1e-9, workers=-1)
                best = min(best, float(distances.min()))
    return best


def _recent(points: np.ndarray, from_row: float) -> np.ndarray:
    return points[points[:, 0] >= from_row]


def _read(raster: rasterio.DatasetReader, row: int, height: int) -> np.ndarray:
    window = Window(row, 0, min(height, raster.height - row), raster.width)
    codes: np.ndarray = raster.read(1, window=window.rasterio)
    return codes
