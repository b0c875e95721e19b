"""Mean and majority of the source pixels that a pixel of a grid covers, each counted by the area covered of it.

A value depends on the pixel's own footprint alone: its source pixels are added in their order, whatever was read
around them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .interpolation import BORDER_PX, separable

CELLS_AT_ONCE = STRIP_PX = 1 << 15
"""Pairs of a pixel and a source pixel, and values, that are computed at once: they stay in the processor's cache."""

TORN = 3
"""A corner this many times as far from the centre as the opposite one does not belong to the same pixel."""

TIE = 1e-6
"""Areas that differ by less, as a share of the footprint, are equal."""

PARTS = 1 << 31
"""Of a footprint: areas of codes are added in whole numbers."""

NOT_SIGN, NO_VALUE = np.int32(0x7FFFFFFF), 0x7FFFFFFF
TINY = 1e-300

Statistic = Literal["mean", "majority"]


@dataclass(frozen=True)
class Footprints:
    """Positions of pixels of a grid on a source, in source pixels from its corner.

    Attributes:
        rows, cols: of the pixels' centres, float64 (rows, cols).
        corner_rows, corner_cols: of their corners, float64 (rows + 1, cols + 1).
        inside: whether the centre is inside the source.
        shape: rows and columns of the source.
        widened: footprints narrower than a source pixel are made one wide, which interpolates between two.

    Where the way to the source is torn, as at a turn of longitude, or ends, a corner beyond is the mirror image of the
    one across.
    """

    rows: np.ndarray
    cols: np.ndarray
    corner_rows: np.ndarray
    corner_cols: np.ndarray
    inside: np.ndarray
    shape: tuple[int, int]
    widened: bool = False

    @property
    def is_upright(self) -> bool:
        """Whether rows of the pixels are rows of the source, and columns columns."""
        return separable(self.corner_rows, self.corner_cols)

    def ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lowest and highest row, and column, of the source that are covered; NaN if there is no footprint."""
        if self.is_upright:
            rows, cols = self.corner_rows[:, 0], self.corner_cols[0]
            return (float(rows.min()), float(rows.max())), (float(cols.min()), float(cols.max()))
        low, high = np.full(2, np.inf), np.full(2, -np.inf)
        for strip in self.strips():
            rows, cols, known = self.quads(strip)
            if known.any():
                found = rows[:, known], cols[:, known]
                low = np.minimum(low, [axis.min() for axis in found])
                high = np.maximum(high, [axis.max() for axis in found])
        if not np.isfinite(low).all():
            return (np.nan, np.nan), (np.nan, np.nan)
        return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))

    def strips(self) -> Iterator[slice]:
        """Rows of the pixels, a few at a time."""
        height, width = self.rows.shape
        step = max(STRIP_PX // width, 1)
        return (slice(row, min(row + step, height)) for row in range(0, height, step))

    def quads(self, strip: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows and columns (4, rows, cols) of the corners of footprints, and which pixels (rows, cols) have one."""
        above, below = strip, slice(strip.start + 1, strip.stop + 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            arms = []
            for centres, corners in ((self.rows, self.corner_rows), (self.cols, self.corner_cols)):
                corner = (corners[above, :-1], corners[above, 1:], corners[below, 1:], corners[below, :-1])
                arms.append(np.stack(corner) - centres[strip])
            length = np.abs(arms[0]) + np.abs(arms[1])
            across = length[[2, 3, 0, 1]]
            torn = ~(length <= TORN * across) & np.isfinite(across)
            if torn.any():
                arms = [np.where(torn, -arm[[2, 3, 0, 1]], arm) for arm in arms]
            if self.widened:
                spans = [np.ptp(arm, axis=0) for arm in arms]
                arms = [np.where(span < 1, arm / span, arm) for arm, span in zip(arms, spans, strict=True)]
            known = self.inside[strip] & np.isfinite(arms[0] + arms[1]).all(axis=0)
            return self.rows[strip] + arms[0], self.cols[strip] + arms[1], known


def covered(
    values: np.ndarray, corner: tuple[int, int], footprints: Footprints, statistic: Statistic
) -> np.ndarray:
    """Return mean or majority of the valid source pixels of each footprint.

    What a footprint covers beyond the source's edge does not count.

    Args:
        values: float32 (bands, rows, cols), NaN where invalid; all that the footprints cover of the source.
        corner: row and column of the first value in the source.
        footprints: of the pixels.
        statistic: `majority` is the value with the largest area, the smallest of several with the same area.

    Returns:
        Float32 (bands, *footprints.rows.shape); NaN where less than half of the footprint's area is valid, and where
        its centre is not on the source.
    """
    result = np.full((len(values), *footprints.rows.shape), np.nan, np.float32)
    if statistic == "mean" and footprints.is_upright:
        down, right = _overlaps(footprints, 0), _overlaps(footprints, 1)
        for layer, out in zip(values, result, strict=True):
            _mean_by_axes(layer, corner, down, right, out)
        result[:, ~footprints.inside] = np.nan
        return result
    reduced = _mean if statistic == "mean" else _majority
    height, width = values.shape[1:]
    flat = values.reshape(len(values), -1)
    for pixels, cells in _cells(footprints):
        at_rows = np.clip(cells.rows - corner[0], 0, height - 1)
        at_cols = np.clip(cells.cols - corner[1], 0, width - 1)
        places = (at_rows[:, None] * width + at_cols).reshape(cells.areas.shape)
        for layer, out in zip(flat, result.reshape(len(values), -1), strict=True):
            out[pixels] = reduced(layer.take(places), cells.areas)
    return result


@dataclass(frozen=True)
class Overlaps:
    """Overlap of each pixel, along an axis, with source pixels from `first` on: `shares` (taps, pixels) sum to 1."""

    first: np.ndarray
    shares: np.ndarray


def _overlaps(footprints: Footprints, axis: int) -> Overlaps:
    if axis == 0:
        centres, edges = footprints.rows[:, 0], footprints.corner_rows[:, 0]
    else:
        centres, edges = footprints.cols[0], footprints.corner_cols[0]
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    if footprints.widened:
        narrow = high - low < 1
        low, high = np.where(narrow, centres - 0.5, low), np.where(narrow, centres + 0.5, high)
    low, high = (_on_border(np.clip(edge, 0, footprints.shape[axis])) for edge in (low, high))
    first = np.floor(low).astype(np.int64)
    taps = max(int((np.ceil(high) - first).max(initial=1)), 1)
    starts = first + np.arange(taps)[:, None]
    lengths = np.maximum(np.minimum(high, starts + 1) - np.maximum(low, starts), 0)
    with np.errstate(invalid="ignore"):
        return Overlaps(first, lengths / _summed(lengths))


def _on_border(edge: np.ndarray) -> np.ndarray:
    border = np.round(edge)
    return np.where(np.abs(edge - border) < BORDER_PX, border, edge)


def _summed(terms: np.ndarray) -> np.ndarray:
    """Sum over the first axis, term after term: zeros among them change no bit, which `np.sum` does not promise."""
    return np.add.accumulate(terms, axis=0)[-1]


def _mean_by_axes(
    layer: np.ndarray, corner: tuple[int, int], down: Overlaps, right: Overlaps, out: np.ndarray
) -> None:
    invalid = ~np.isfinite(layer)
    complete = not invalid.any()
    filled = layer if complete else np.where(invalid, np.float32(0), layer)
    step = max(STRIP_PX // layer.shape[1], 1)
    for start in range(0, len(out), step):
        strip = Overlaps(down.first[start : start + step], down.shares[:, start : start + step])
        total = _along_cols(_along_rows(filled, corner[0], strip), corner[1], right)
        if not complete:
            lost = _along_cols(_along_rows(invalid, corner[0], strip), corner[1], right)
            total = _of_valid(total, lost, 1.0)
        out[start : start + step] = total


def _along_rows(values: np.ndarray, corner: int, overlaps: Overlaps) -> np.ndarray:
    total = np.zeros((len(overlaps.first), values.shape[1]))
    for tap, shares in enumerate(overlaps.shares):
        total += values[np.clip(overlaps.first + (tap - corner), 0, len(values) - 1)] * shares[:, None]
    return total


def _along_cols(values: np.ndarray, corner: int, overlaps: Overlaps) -> np.ndarray:
    total = np.zeros((len(values), len(overlaps.first)))
    for tap, shares in enumerate(overlaps.shares):
        places = np.clip(overlaps.first + (tap - corner), 0, values.shape[1] - 1)
        total += values.take(places, axis=1) * shares
    return total


def _of_valid(total: np.ndarray, lost: np.ndarray, area: np.ndarray | float) -> np.ndarray:
    """The mean from the sum over what is not lost of an area; NaN where that is less than half of it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(lost <= (0.5 + TIE) * area, total / (area - lost), np.nan)


def _mean(values: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Mean of values (cells, pixels) weighted by areas of the same shape."""
    area, invalid = _summed(areas), ~np.isfinite(values)
    if not invalid.any():
        return _of_valid(_summed(values * areas), np.zeros_like(area), area)
    return _of_valid(_summed(np.where(invalid, 0, values) * areas), _summed(areas * invalid), area)


def _majority(values: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """The value of the largest area among values (cells, pixels)."""
    area = _summed(areas)
    found = np.full(len(area), np.nan, np.float32)
    uniform = (values.min(axis=0) == values.max(axis=0)) & (area > 0)
    found[uniform] = values[0, uniform]
    mixed = np.flatnonzero(~uniform & (area > 0))
    if len(mixed):
        parts = np.rint(areas[:, mixed] * (PARTS / area[mixed])).astype(np.int64)
        found[mixed] = _largest(values[:, mixed].T, parts.T)
    return found


def _largest(values: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The value with most parts in each row of (pixels, cells), the smallest of several.

    NaN where less than half of the parts have a value. Value and parts are sorted together, as one whole number.
    """
    bits = (values + np.float32(0)).view(np.int32)
    ranks = np.where(bits < 0, bits ^ NOT_SIGN, bits).astype(np.int64)
    ranks[~np.isfinite(values)] = NO_VALUE
    ordered = np.sort(ranks << 32 | parts, axis=1)
    ranks = ordered >> 32
    ends = np.ones(ranks.shape, bool)
    np.not_equal(ranks[:, 1:], ranks[:, :-1], out=ends[:, :-1])
    last = np.flatnonzero(ends)
    areas = np.diff((ordered & 0xFFFFFFFF).ravel().cumsum()[last], prepend=0)
    pixel, rank = last // ranks.shape[1], ranks.ravel()[last]
    first = np.flatnonzero(np.diff(pixel, prepend=-1))
    lost = np.add.reduceat(np.where(rank == NO_VALUE, areas, 0), first)
    areas[rank == NO_VALUE] = -1
    winners = np.flatnonzero(areas >= np.maximum.reduceat(areas, first)[pixel] - TIE * PARTS)
    rank = rank[winners[np.searchsorted(winners, first)]].astype(np.int32)
    codes = np.where(rank < 0, rank ^ NOT_SIGN, rank).view(np.float32)
    return np.where(lost <= (0.5 + TIE) * PARTS, codes, np.float32(np.nan))


@dataclass(frozen=True)
class Cells:
    """Source rows (K, pixels) and columns (L, pixels) around footprints; areas (K * L, pixels) covered of them."""

    rows: np.ndarray
    cols: np.ndarray
    areas: np.ndarray


def _cells(footprints: Footprints) -> Iterator[tuple[slice, Cells]]:
    """What the footprints cover, piece by piece: which pixels, counted row by row, and their `Cells`."""
    width = footprints.rows.shape[1]
    for strip in footprints.strips():
        rows, cols, known = footprints.quads(strip)
        rows, cols = (np.where(known, axis, 0).reshape(4, -1) for axis in (rows, cols))
        counts = [int(np.ceil(np.ptp(axis, axis=0).max())) + 1 for axis in (rows, cols)]
        pixels = max(CELLS_AT_ONCE // (counts[0] * counts[1]), 1)
        for start in range(0, rows.shape[1], pixels):
            part = slice(start, min(start + pixels, rows.shape[1]))
            place = slice(strip.start * width + part.start, strip.start * width + part.stop)
            yield place, _overlapped(rows[:, part], cols[:, part], footprints.shape)


def _overlapped(rows: np.ndarray, cols: np.ndarray, shape: tuple[int, int]) -> Cells:
    """The source pixels under quadrilaterals with corners (4, pixels), cut to the source's shape."""
    places = []
    for corners, length in ((rows, shape[0]), (cols, shape[1])):
        first = np.clip(np.floor(corners.min(axis=0)), 0, length - 1).astype(np.int64)
        last = np.clip(np.ceil(corners.max(axis=0)), 1, length).astype(np.int64)
        places.append(first + np.arange((last - first).max())[:, None])
    areas = _areas(rows - places[0][0], cols - places[1][0], len(places[0]), len(places[1]))
    areas *= (places[0] < shape[0])[:, None]
    areas *= places[1] < shape[1]
    return Cells(places[0], places[1], areas.reshape(-1, rows.shape[1]))


def _areas(rows: np.ndarray, cols: np.ndarray, down: int, right: int) -> np.ndarray:
    """Areas (down, right, pixels) that quadrilaterals with corners (4, pixels) share with the unit squares from 0 on.

    By Green's theorem: the part of a row of squares to the left of a border between columns is the sum, over the four
    sides, of the integral of min(column, border) along the rows.
    """
    tops, borders = np.arange(down)[:, None], np.arange(right + 1.0)[:, None]
    left_of = np.zeros((down, right + 1, rows.shape[1]))
    for side in range(4):
        row, col = rows[side], cols[side]
        height = rows[side - 3] - row
        slope = np.where(height == 0, 0, (cols[side - 3] - col) / np.where(height == 0, 1, height))
        enters, leaves = np.clip(row, tops, tops + 1), np.clip(rows[side - 3], tops, tops + 1)
        from_col, to_col = col + (enters - row) * slope, col + (leaves - row) * slope
        low, width = np.minimum(from_col, to_col)[:, None], np.abs(to_col - from_col)[:, None]
        past = np.clip(borders - low, 0, width)
        mean = np.minimum(borders, low)
        mean += past
        past *= past
        past /= np.maximum(2 * width, TINY)
        mean -= past
        mean *= (leaves - enters)[:, None]
        left_of += mean
    return np.abs(np.diff(left_of, axis=1))
