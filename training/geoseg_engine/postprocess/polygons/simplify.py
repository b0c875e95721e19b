"""Draw borders anew with fewer corners, or rounder, such that no two ever cross.

A stretch of a border may become a straight line only if its convex hull holds no corner of any other border, nor of
another stretch of its own (the condition of de Berg, van Kreveld and Schirra 1998, Topologically correct subdivision
simplification using the bandwidth criterion, made stricter by the hull). All corners of the raster are looked at as
they were, so each border can be drawn by itself, whatever became of its neighbours, and all still fit together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from .arcs import Arcs, offsets_of, ragged
from .pixel_metres import PixelMetres

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
ROUNDS = 10
"""A stretch that would not fit is tried again with half the tolerance; after so many times it stays as it was."""
ROUNDING = 1e-9


class Surroundings:
    """All corners of border lines near some areas."""

    def __init__(self, corners: Ints, stride: int) -> None:
        """Take corners as row · stride + column, sorted."""
        self._corners, self._stride = corners, stride

    def intrude(self, shapes: NDArray[Any], owned: Ints, owner: Ints) -> Bools:
        """Whether a corner that is not its own lies in or on each shape.

        Args:
            shapes: polygons in column and row.
            owned: corners that may lie in a shape, as row · stride + column.
            owner: number of the shape for each.
        """
        low_col, low_row, high_col, high_row = shapely.bounds(shapes).T
        rows = (np.floor(high_row) - np.ceil(low_row)).astype(np.int64) + 1
        shape = np.repeat(np.arange(len(shapes)), rows)
        row = ragged(np.ceil(low_row).astype(np.int64), rows)
        low = np.searchsorted(self._corners, row * self._stride + np.ceil(low_col).astype(np.int64)[shape])
        high = np.searchsorted(
            self._corners, row * self._stride + np.floor(high_col).astype(np.int64)[shape], "right"
        )
        key = self._corners[ragged(low, high - low)]
        shape = np.repeat(shape, high - low)
        span = int(self._corners[-1]) + 1 if len(self._corners) else 1
        foreign = ~np.isin(shape * span + key, owner * span + owned)
        key, shape = key[foreign], shape[foreign]
        inside = shapely.intersects_xy(shapes[shape], key % self._stride, key // self._stride)
        return np.bincount(shape[inside], minlength=len(shapes)) > 0


def simplified(
    arcs: Arcs, tolerance_m: float, pixel_metres: PixelMetres, surroundings: Surroundings, stride: int
) -> Bools:
    """Which corners of arcs are kept: with them alone no border moves by more than a tolerance (Douglas, Peucker 1973).

    Args:
        arcs: borders.
        tolerance_m: in metres.
        pixel_metres: metres per pixel, those where an arc begins.
        surroundings: all corners.
        stride: width + 1.
    """
    points = arcs.points.astype(np.float64)
    key = arcs.points[:, 0].astype(np.int64) * stride + arcs.points[:, 1]
    arc = np.repeat(np.arange(len(arcs.outline)), np.diff(arcs.offsets))
    first = points[arcs.offsets[:-1]]
    scale = pixel_metres.pixel_m(first[:, 0], first[:, 1])[:, arc]
    row, col = (points - first[arc]).T
    metres = np.stack([col * scale[0] + row * scale[2], col * scale[1] + row * scale[3]], axis=1)
    kept = np.zeros(len(points), bool)
    kept[arcs.offsets[:-1]] = kept[arcs.offsets[1:] - 1] = True
    begin, end = arcs.offsets[:-1], arcs.offsets[1:] - 1
    for turn in range(ROUNDS):
        long = end - begin > 1
        begin, end = begin[long], end[long]
        if not len(begin):
            return kept
        chosen, stretch = _douglas_peucker(metres, begin, end, tolerance_m / 2**turn)
        chosen, stretch = _bent(arcs, metres, begin, end, chosen, stretch)
        spoilt = (arcs.points[begin] == arcs.points[end]).all(axis=1) & (np.bincount(stretch) < 4)
        one, other = chosen[:-1], chosen[1:]
        chord = (stretch[1:] == stretch[:-1]) & ~spoilt[stretch[1:]]
        one, other = one[chord], other[chord]
        cut = other - one > 1
        bad = np.zeros(len(one), bool)
        bad[cut] = _too_far(metres, one[cut], other[cut], tolerance_m)
        cut &= ~bad
        bad[cut] = _hull_intruded(points, key, one[cut], other[cut], surroundings)
        kept[one] = kept[other] = True
        begin, end = np.append(begin[spoilt], one[bad]), np.append(end[spoilt], other[bad])
    kept[ragged(begin, end - begin)] = True
    return kept


def _douglas_peucker(metres: Floats, begin: Ints, end: Ints, tolerance_m: float) -> tuple[Ints, Ints]:
    """Corners to keep of the stretches begin..end, both included, and the stretch of each."""
    length = end - begin + 1
    index = ragged(begin, length)
    stretch = np.repeat(np.arange(len(begin)), length)
    lines = shapely.linestrings(np.column_stack([metres[index], index]), indices=stretch)
    fewer = shapely.simplify(lines, tolerance_m, preserve_topology=False)
    coordinates, stretch = shapely.get_coordinates(fewer, include_z=True, return_index=True)
    return coordinates[:, 2].astype(np.int64), stretch


def _bent(
    arcs: Arcs, metres: Floats, begin: Ints, end: Ints, chosen: Ints, stretch: Ints
) -> tuple[Ints, Ints]:
    """The same corners, and the farthest from the straight line of each arc that must not become straight.

    It could fall onto another arc with the same ends. Of two that bend, only the one that bends to a certain side may
    become straight; where a straight border joins the ends already, none.
    """
    at = np.searchsorted(arcs.offsets, begin, "right") - 1
    whole = (arcs.offsets[at] == begin) & (arcs.offsets[at + 1] - 1 == end)
    apart = arcs.points[end] - arcs.points[begin]
    first = arcs.points[begin + 1] - arcs.points[begin]
    along_row = (apart[:, 0] == 0) & arcs.east[at] & ((first[:, 0] != 0) | (first[:, 1] < 0))
    along_col = (apart[:, 1] == 0) & arcs.south[at] & ((first[:, 1] != 0) | (first[:, 0] < 0))
    two = (np.bincount(stretch, minlength=len(begin)) == 2) & whole & (apart != 0).any(axis=1)
    step = ragged(begin, end - begin)
    row, col = arcs.points.T.astype(np.float64)
    cross = col[step] * row[step + 1] - col[step + 1] * row[step]
    bend = (
        np.add.reduceat(cross, offsets_of(end - begin)[:-1]) + col[end] * row[begin] - col[begin] * row[end]
    )
    spoilt = np.flatnonzero(two & ((bend <= 0) | along_row | along_col))
    index = ragged(begin[spoilt] + 1, (end - begin - 1)[spoilt])
    owner = np.repeat(np.arange(len(spoilt)), (end - begin - 1)[spoilt])
    line, to = (metres[end] - metres[begin])[spoilt][owner], metres[index] - metres[begin[spoilt]][owner]
    distance = np.abs(line[:, 0] * to[:, 1] - line[:, 1] * to[:, 0])
    farthest = index[np.lexsort((distance, owner))[np.cumsum((end - begin - 1)[spoilt]) - 1]]
    before = np.searchsorted(stretch, spoilt, "right") - 1
    return np.insert(chosen, before, farthest), np.insert(stretch, before, spoilt)


def _too_far(metres: Floats, begin: Ints, end: Ints, tolerance_m: float) -> Bools:
    """Whether a corner between begin and end is farther than the tolerance from the line between both."""
    if not len(begin):
        return np.zeros(0, bool)
    index = ragged(begin + 1, end - begin - 1)
    owner = np.repeat(np.arange(len(begin)), end - begin - 1)
    line, to = (metres[end] - metres[begin])[owner], metres[index] - metres[begin][owner]
    along = (line * to).sum(axis=1) / np.maximum((line**2).sum(axis=1), np.finfo(np.float64).tiny)
    beside = to - line * np.clip(along, 0, 1)[:, None]
    return np.bincount(owner[np.hypot(*beside.T) > tolerance_m * (1 + ROUNDING)], minlength=len(begin)) > 0


def _hull_intruded(points: Floats, key: Ints, begin: Ints, end: Ints, surroundings: Surroundings) -> Bools:
    if not len(begin):
        return np.zeros(0, bool)
    length = end - begin + 1
    index = ragged(begin, length)
    stretch = np.repeat(np.arange(len(begin)), length)
    hulls = shapely.convex_hull(shapely.linestrings(points[index][:, ::-1], indices=stretch))
    return surroundings.intrude(hulls, key[index], stretch)


def smoothed(
    arcs: Arcs, kept: Bools, rounds: int, surroundings: Surroundings, stride: int
) -> tuple[Floats, Ints]:
    """Arcs with their corners cut so many times (Chaikin 1974), and where each begins.

    What a corner becomes lies in the triangle between it and the middles of its two sides; where that holds a corner of
    another border, the corner stays. Ends of arcs stay too, except those of loops.

    Args:
        arcs: borders.
        kept: which of their corners count.
        rounds: 1 or more; each doubles the corners.
        surroundings: all corners.
        stride: width + 1.
    """
    place = np.flatnonzero(kept)
    arc = np.searchsorted(arcs.offsets, place, "right") - 1
    bounds = offsets_of(np.bincount(arc, minlength=len(arcs.outline)))
    first, last = bounds[:-1], bounds[1:] - 1
    before, after = np.arange(len(place)) - 1, np.arange(len(place)) + 1
    before[first], after[last] = last - 1, first + 1
    here = place.copy()
    here[first] = place[last]
    points = arcs.points[place].astype(np.float64)
    middles = (points + points[before]) / 2, (points + points[after]) / 2
    free = np.ones(len(place), bool)
    free[first], free[last] = arcs.loop, False
    corner = np.flatnonzero(free)
    triangles = shapely.polygons(np.stack([middles[0], points, middles[1]], axis=1)[corner][..., ::-1])
    sides = [(place[before], here), (place, place[after])]
    owned = [ragged(begin[corner], (end - begin + 1)[corner]) for begin, end in sides]
    owner = [np.repeat(np.arange(len(corner)), (end - begin + 1)[corner]) for begin, end in sides]
    key = arcs.points[:, 0].astype(np.int64) * stride + arcs.points[:, 1]
    free[corner] = ~surroundings.intrude(triangles, key[np.concatenate(owned)], np.concatenate(owner))
    drawn, offsets = _cut(points, middles, free, 2**rounds)
    begins = offsets[bounds]
    drawn[begins[1:] - 1] = np.where(arcs.loop[:, None], drawn[begins[:-1]], drawn[begins[1:] - 1])
    return drawn, begins


def _cut(points: Floats, middles: tuple[Floats, Floats], free: Bools, parts: int) -> tuple[Floats, Ints]:
    """Each free corner as so many on the curve between its middles, by the blossom of the quadratic B-spline."""
    begin = np.arange(parts)[None, :, None] / parts
    end = begin + 1 / parts
    curve = (
        (1 - begin) * (1 - end) * middles[0][free][:, None]
        + ((1 - begin) * end + begin * (1 - end)) * points[free][:, None]
        + begin * end * middles[1][free][:, None]
    )
    count = np.where(free, parts, 1)
    offsets = offsets_of(count)
    drawn = np.empty((int(offsets[-1]), 2))
    drawn[offsets[:-1][~free]] = points[~free]
    drawn[ragged(offsets[:-1][free], count[free])] = curve.reshape(-1, 2)
    return drawn, offsets
