"""Assign pixels to train, validation and test by blocks or by the polygons of an area layer.

A pixel belongs to one split or to none; pixels of different splits are at least `buffer_px` pixels apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import shapely
from scipy import ndimage

from ...contract import SPLITS, Grid
from ...raster.grid import Window, affine_of
from ...vector.area import burn_shapes
from . import NONE

TRAIN, VALIDATION, TEST = range(len(SPLITS))
NEIGHBOURS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]

STARTS, MOVES = 200, 1500
MISSING_COST = (100.0, 15.0, 20.0)
"""Cost of a class without pixels in train, validation, test; a class off its shares by all costs up to 2."""

FOLD_MISSING_COST = 20.0
"""The same for every fold of a cross-validation."""

NEAREST_PX = 16
"""Pixels outside polygons belong to the split of the nearest one, by squares of this side."""


class Splitter(Protocol):
    """Gives the split of every pixel."""

    def window(self, window: Window) -> np.ndarray:
        """Return the splits of a window, uint8 (rows, cols): index into SPLITS, or NONE."""


@dataclass(frozen=True)
class Blocks:
    """Square blocks counted from the grid's corner.

    Attributes:
        block_px: side of a block.
        buffer_px: width that belongs to no split along borders between blocks of different splits.
        codes: uint8 (block rows, block cols), index into SPLITS or NONE.
    """

    block_px: int
    buffer_px: int
    codes: np.ndarray

    def window(self, window: Window) -> np.ndarray:
        """Return the splits of a window, uint8 (rows, cols): index into SPLITS, or NONE."""
        rows = np.arange(window.row, window.row + window.height)
        cols = np.arange(window.col, window.col + window.width)
        block_rows = np.clip(rows // self.block_px, 0, self.codes.shape[0] - 1)
        block_cols = np.clip(cols // self.block_px, 0, self.codes.shape[1] - 1)
        padded = np.pad(self.codes, 1, constant_values=NONE)
        own = self.codes[block_rows][:, block_cols]
        result = own.copy()
        before, after = self.buffer_px // 2, self.buffer_px - self.buffer_px // 2
        for down, right in NEIGHBOURS:
            # two corners cut by half leave a gap of half: the weaker split gives the whole square
            width_px = (self.buffer_px, self.buffer_px) if down and right else (before, after)
            near_rows = np.flatnonzero(self._near(rows, down, width_px))
            near_cols = np.flatnonzero(self._near(cols, right, width_px))
            near = np.ix_(near_rows, near_cols)
            other = padded[block_rows[near_rows] + 1 + down][:, block_cols[near_cols] + 1 + right]
            gives_way = other > own[near] if down and right else other != own[near]
            result[near] = np.where(gives_way & (other != NONE), NONE, result[near])
        return result

    def _near(self, positions: np.ndarray, side: int, width_px: tuple[int, int]) -> np.ndarray:
        """Which positions are near the lower (-1) or upper (1) side of their block; all for 0."""
        offsets = positions % self.block_px
        if side == 0:
            return np.ones(len(positions), bool)
        return offsets < width_px[0] if side < 0 else offsets >= self.block_px - width_px[1]


@dataclass(frozen=True)
class Regions:
    """Polygons that name their split; test keeps its pixels, the others give way around it.

    Attributes:
        grid: of the label raster.
        shapes: polygon in the grid's CRS and its split, in any order.
        buffer_px: width that belongs to no split around test, and around validation towards train.
        carve: blocks that divide the train polygons further, or None.
        nearest: pixels outside the polygons belong to the split of the nearest one instead of to none.
        left_out: polygons that name no split; their pixels belong to none, unless one of `shapes` holds them.
    """

    grid: Grid
    shapes: tuple[tuple[shapely.Geometry, int], ...]
    buffer_px: int
    carve: Blocks | None = None
    nearest: bool = False
    left_out: tuple[shapely.Geometry, ...] = ()

    def window(self, window: Window) -> np.ndarray:
        """Return the splits of a window, uint8 (rows, cols): index into SPLITS, or NONE."""
        halo = window.padded(self.buffer_px)
        codes = self.raw(halo)
        if self.carve is not None:
            codes = np.where(codes == TRAIN, self.carve.window(halo), codes)
        for strong, weak in ((TEST, (TRAIN, VALIDATION)), (VALIDATION, (TRAIN,))):
            near = ndimage.maximum_filter((codes == strong).astype(np.uint8), size=2 * self.buffer_px + 1)
            codes[(near == 1) & np.isin(codes, weak)] = NONE
        return codes[window.within(halo)]

    def raw(self, window: Window) -> np.ndarray:
        """Return the splits of a window without buffer; where polygons overlap test wins, then validation."""
        ordered = sorted(self.shapes, key=lambda item: item[1])
        codes = burn_shapes(list(ordered), self.grid, window, NONE)
        if not self.nearest:
            return codes
        unassigned = codes == NONE
        if self.left_out:
            unassigned &= burn_shapes([(shape, 1) for shape in self.left_out], self.grid, window, 0) == 0
        return np.where(unassigned, self._of_nearest(window), codes)

    def _of_nearest(self, window: Window) -> np.ndarray:
        """Split of the polygon nearest to the middle of each square of NEAREST_PX pixels, for every pixel."""
        rows = np.arange(window.row, window.row + window.height) // NEAREST_PX
        cols = np.arange(window.col, window.col + window.width) // NEAREST_PX
        down, across = np.arange(rows[0], rows[-1] + 1), np.arange(cols[0], cols[-1] + 1)
        middles = np.meshgrid((across + 0.5) * NEAREST_PX, (down + 0.5) * NEAREST_PX)
        x, y = affine_of(self.grid) * tuple(part.ravel() for part in middles)
        found = self._tree.nearest(shapely.points(x, y))
        codes = np.array([code for _, code in self.shapes], np.uint8)[found].reshape(len(down), len(across))
        expanded: np.ndarray = codes[rows - rows[0]][:, cols - cols[0]]
        return expanded

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree([shape for shape, _ in self.shapes])


def assign(counts: np.ndarray, fractions: tuple[float, ...], seed: int) -> np.ndarray:
    """Divide units (blocks or polygons) so that every class comes close to its shares in every split.

    The best of random starts, improved by random moves and exchanges.

    Args:
        counts: (units, classes) labelled pixels.
        fractions: wanted shares of the splits; 0 leaves a split out.
        seed: the same seed gives the same division.

    Returns:
        uint8 (units,): index into SPLITS.
    """
    rng = np.random.default_rng(seed)
    present = counts[:, counts.sum(axis=0) > 0].astype(float)
    shares = present / present.sum(axis=0)
    wanted = np.array(fractions)
    best = min(
        (_random_start(rng, present, wanted) for _ in range(STARTS)),
        key=lambda codes: _cost(codes, shares, wanted),
    )
    return _improved(rng, best, shares, wanted)


def shared_out(number: int, fractions: tuple[float, ...], seed: int) -> np.ndarray:
    """Divide units without labels at random by the shares of the splits.

    Args:
        number: of units.
        fractions: wanted shares of the splits.
        seed: the same seed gives the same division.

    Returns:
        uint8 (number,): index into SPLITS.
    """
    wanted = np.cumsum(fractions) * number
    codes = np.searchsorted(wanted, np.arange(number) + 0.5, side="right").astype(np.uint8)
    return np.random.default_rng(seed).permutation(np.minimum(codes, len(fractions) - 1))


def _random_start(rng: np.random.Generator, counts: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    order = rng.permutation(len(counts))
    size = counts.sum(axis=1)[order]
    middle = (np.cumsum(size) - size / 2) / size.sum()
    codes = np.empty(len(counts), np.uint8)
    codes[order] = np.minimum(
        np.searchsorted(np.cumsum(wanted), middle, side="right"), np.flatnonzero(wanted)[-1]
    )
    return codes


def _cost(codes: np.ndarray, shares: np.ndarray, wanted: np.ndarray) -> float:
    got = np.stack([shares[codes == split].sum(axis=0) for split in range(len(wanted))])
    off = np.abs(got - wanted[:, None]) / np.maximum(wanted[:, None], 0.05)
    missing = (got <= 0) & (wanted[:, None] > 0)
    price = np.array(MISSING_COST if len(wanted) == len(SPLITS) else (FOLD_MISSING_COST,) * len(wanted))
    return float(off.sum(axis=0).mean() + (missing * price[:, None]).sum())


def _improved(
    rng: np.random.Generator, codes: np.ndarray, shares: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    active = np.flatnonzero(wanted)
    cost = _cost(codes, shares, wanted)
    for _ in range(MOVES if len(codes) > 1 else 0):
        tried = codes.copy()
        one, other = rng.integers(len(codes), size=2)
        if rng.random() < 0.5:
            tried[one] = rng.choice(active)
        else:
            tried[one], tried[other] = codes[other], codes[one]
        tried_cost = _cost(tried, shares, wanted)
        if tried_cost < cost:
            codes, cost = tried, tried_cost
    return codes
