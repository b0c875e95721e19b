"""Which pixels polygons hold, by pixel centres, the same whatever the window.

A pixel belongs to a polygon if its centre does, as GDAL burns polygons: every edge is crossed with the line through
the centres of each row, the crossings of a polygon are sorted, and pixels between the first and the second, the
third and the fourth and so on are inside (even-odd rule; Foley et al. 1990, section 3.6). All crossings of a window are
found and sorted at once. Crossings are computed in pixels of the whole grid, so no window sees other ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract import Grid
from ..raster.grid import Window, affine_of

PAINT_PX = 1 << 22
"""Pixels addressed at once."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """Pixels side by side that a feature holds: flat place of the first, how many, and the feature."""

    place: Ints
    length: Ints
    feature: Ints

    def paint(self, out: NDArray[Any], value_of: NDArray[Any]) -> None:
        """Write each feature's value where it holds the pixel, later runs over earlier ones.

        Args:
            out: (rows, cols) of the window, C-contiguous.
            value_of: value of every feature of the ScanFill.
        """
        flat = out.reshape(-1)
        for places, features in self.pixels():
            flat[places] = value_of[features]

    def paint_classes(
        self, out: NDArray[np.uint8], value_of: NDArray[np.uint8], nothing: int
    ) -> NDArray[np.bool_] | None:
        """Paint as `paint`, and find where features of different values meet.

        Args:
            out: (rows, cols) of the window, all `nothing`.
            value_of: value of every feature; features of one value follow one another.
            nothing: no feature's value.

        Returns:
            Boolean (rows, cols); None if they meet nowhere.
        """
        flat = out.reshape(-1)
        overlap: NDArray[np.bool_] | None = None
        for part in self._parts(value_of[self.feature]):
            value = value_of[self.feature[part.start]]
            places = self._places(part)
            there = flat[places]
            meets = (there != nothing) & (there != value)
            if meets.any():
                overlap = np.zeros(out.size, bool) if overlap is None else overlap
                overlap[places[meets]] = True
            flat[places] = value
        return None if overlap is None else overlap.reshape(out.shape)

    def pixels(self) -> Iterator[tuple[Ints, Ints]]:
        """Flat places in the window and the feature that holds each, in order, in parts of bounded size."""
        for part in self._parts(np.zeros(len(self.place), np.uint8)):
            yield self._places(part), np.repeat(self.feature[part], self.length[part])

    def _parts(self, group: NDArray[np.uint8]) -> Iterator[slice]:
        """Slices of runs of one group, of at most PAINT_PX pixels unless one run has more."""
        ends = np.cumsum(self.length)
        borders = [*(np.flatnonzero(np.diff(group)) + 1).tolist(), len(ends)]
        begin = 0
        for border in borders:
            while begin < border:
                done = ends[begin - 1] if begin else 0
                end = int(np.searchsorted(ends, done + PAINT_PX, side="right"))
                end = min(max(end, begin + 1), border)
                yield slice(begin, end)
                begin = end

    def _places(self, part: slice) -> Ints:
        length = self.length[part]
        offset = np.cumsum(length) - length
        places = np.repeat(self.place[part] - offset, length)
        places += np.arange(len(places))
        return places


class ScanFill:
    """Polygons on a grid, ready to be burnt window by window."""

    def __init__(self, geometries: np.ndarray, grid: Grid) -> None:
        """Index the edges of polygons.

        Args:
            geometries: polygons and multipolygons in the grid's CRS, (features,).
            grid: its pixels.
        """
        parts, part_of = shapely.get_parts(geometries, return_index=True)
        rings, ring_part = shapely.get_rings(parts, return_index=True)
        points, ring_of = shapely.get_coordinates(rings, return_index=True)
        cols, rows = ~affine_of(grid) * (points[:, 0], points[:, 1])
        same = ring_of[1:] == ring_of[:-1]
        feature = part_of[ring_part[ring_of[:-1][same]]]
        self._edges = np.stack([cols[:-1][same], rows[:-1][same], cols[1:][same], rows[1:][same]])
        self._begin = np.searchsorted(feature, np.arange(len(geometries) + 1))
        self._bounds = self._envelopes(len(geometries))

    def _envelopes(self, features: int) -> NDArray[np.float64]:
        """Bounds (4, features): minimum column and row, maximum column and row; NaN for features without edges."""
        bounds = np.full((4, features), np.nan)
        filled = np.flatnonzero(np.diff(self._begin))
        if len(filled):
            x, y = self._edges[0], self._edges[1]
            begin = self._begin[filled]
            bounds[0, filled] = np.minimum.reduceat(x, begin)
            bounds[1, filled] = np.minimum.reduceat(y, begin)
            bounds[2, filled] = np.maximum.reduceat(x, begin)
            bounds[3, filled] = np.maximum.reduceat(y, begin)
        return bounds

    def runs(self, window: Window, features: Ints) -> Runs:
        """What features hold of a window.

        Args:
            window: may reach outside the grid.
            features: numbers of polygons, in the order in which they are to be painted.
        """
        left, top, right, bottom = self._bounds[:, features]
        meets = (left < window.col + window.width) & (right > window.col)
        meets &= (top < window.row + window.height) & (bottom > window.row)
        near: Ints = features[meets]
        place, length, which = self._runs(window, near)
        return Runs(place, length, near[which])

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Boolean (rows, cols): pixels that any polygon holds."""
        out = np.zeros((window.height, window.width), bool)
        for places, _ in self.runs(window, np.arange(len(self._begin) - 1)).pixels():
            out.reshape(-1)[places] = True
        return out

    def _runs(self, window: Window, features: Ints) -> tuple[Ints, Ints, Ints]:
        """Runs of pixels inside: flat place of the first, length, index into `features` (ascending)."""
        counts = np.diff(self._begin)[features]
        edges, of = _ranges(self._begin[features], counts)
        x1, y1, x2, y2 = self._edges[:, edges]
        keys = _crossings(window, x1, y1, x2, y2, of)
        keys.sort()
        first, second = keys[0::2], keys[1::2]
        line = first // (window.width + 1)
        place, length, which = _run(window, line, first - line * (window.width + 1), second - first)
        flat = (y1 == y2) & (x1 != x2) & (np.floor(y1) + 0.5 == y1)
        if flat.any():
            # a centre on an edge that runs along the row is inside, as GDAL has it
            more = _flat_runs(window, x1[flat], y1[flat], x2[flat], of[flat])
            place, length, which = (
                np.concatenate(pair) for pair in zip((place, length, which), more, strict=True)
            )
            order = np.argsort(which, kind="stable")
            place, length, which = place[order], length[order], which[order]
        return place, length, which


def _ranges(begin: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """begin[i]..begin[i]+counts[i] of every i after one another, and i for each."""
    ends = np.cumsum(counts)
    of = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(of)) + (begin - ends + counts)[of], of


def _crossings(
    window: Window,
    x1: NDArray[np.float64],
    y1: NDArray[np.float64],
    x2: NDArray[np.float64],
    y2: NDArray[np.float64],
    of: Ints,
) -> Ints:
    """(feature, row, column) of every crossing of an edge with a line of centres, as one number to sort by.

    An edge holds its upper end and not its lower one, so every closed ring is crossed an even number of times.
    """
    down = y1 < y2
    top, bottom = np.where(down, y1, y2), np.where(down, y2, y1)
    first = np.clip(np.ceil(top - 0.5), window.row, window.row + window.height).astype(np.int64)
    end = np.clip(np.ceil(bottom - 0.5), window.row, window.row + window.height).astype(np.int64)
    rows, edge = _ranges(first, np.maximum(end - first, 0))
    start, run, rise = np.where(down, x1, x2), np.where(down, x2 - x1, x1 - x2), bottom - top
    x = (rows + 0.5 - top[edge]) * run[edge] / rise[edge] + start[edge]
    cols = np.clip(np.floor(x + 0.5) - window.col, 0, window.width).astype(np.int64)
    return (of[edge] * window.height + (rows - window.row)) * (window.width + 1) + cols


def _flat_runs(
    window: Window, x1: NDArray[np.float64], y: NDArray[np.float64], x2: NDArray[np.float64], of: Ints
) -> tuple[Ints, Ints, Ints]:
    rows = np.floor(y).astype(np.int64) - window.row
    inside = (rows >= 0) & (rows < window.height)
    left = np.clip(np.floor(np.minimum(x1, x2)[inside] + 0.5) - window.col, 0, window.width).astype(np.int64)
    right = np.clip(np.floor(np.maximum(x1, x2)[inside] + 0.5) - window.col, 0, window.width).astype(np.int64)
    return _run(window, of[inside] * window.height + rows[inside], left, right - left)


def _run(window: Window, line: Ints, col: Ints, length: Ints) -> tuple[Ints, Ints, Ints]:
    which = line // window.height
    place = (line - which * window.height) * window.width + col
    some = length > 0
    return place[some], length[some], which[some]
