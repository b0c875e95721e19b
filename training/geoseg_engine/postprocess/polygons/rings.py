"""Outlines on the lattice of pixel corners -> valid polygons."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from .joining import Outlined
from .pixel_metres import EDGES, edges
from .tracing import CROSSING, kinds

Floats = NDArray[np.float64]
Offsets = NDArray[np.int64]
Transform = tuple[float, float, float, float, float, float]


def without_touching(outlined: Outlined) -> Outlined:
    """The same areas with every outline that passes a corner twice cut into outlines that do not.

    An outline that touches itself is no valid ring; cut there, it is an outline and a hole, or two holes, that touch.
    """
    ring = np.repeat(np.arange(len(outlined.owner)), np.diff(outlined.offsets))
    crossing = np.flatnonzero(kinds(outlined.points) == CROSSING)
    key = np.stack([ring[crossing], outlined.points[crossing, 0], outlined.points[crossing, 1]], axis=1)
    places, times = np.unique(key, axis=0, return_counts=True)
    touching = np.unique(places[times > 1, 0])
    if not len(touching):
        return outlined
    pieces, lengths, owner = [], [], []
    bounds, previous = outlined.offsets, 0
    for number in touching.tolist():
        pieces.append(outlined.points[bounds[previous] : bounds[number]])
        lengths.append(np.diff(bounds[previous : number + 1]))
        owner.append(outlined.owner[previous:number])
        loops = _loops(outlined.points[bounds[number] : bounds[number + 1]])
        pieces += loops
        lengths.append(np.array([len(loop) for loop in loops]))
        owner.append(np.repeat(outlined.owner[number], len(loops)))
        previous = number + 1
    pieces.append(outlined.points[bounds[previous] :])
    lengths.append(np.diff(bounds[previous:]))
    owner.append(outlined.owner[previous:])
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return Outlined(outlined.code, outlined.sums, np.concatenate(pieces), offsets, np.concatenate(owner))


def _loops(points: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """An outline cut at the corners that it passes twice; none is passed more often, and no loop crosses another."""
    loops, stretches, place = [], list[NDArray[np.int32]](), dict[tuple[int, int], int]()
    begin = 0
    crossing = np.flatnonzero(kinds(points) == CROSSING)
    for end, (row, col) in zip(crossing.tolist(), points[crossing, :2].tolist(), strict=True):
        stretches.append(points[begin:end])
        if (row, col) in place:
            since = place[row, col]
            loops.append(np.concatenate(stretches[since:]))
            del stretches[since:]
        place[row, col] = len(stretches)
        begin = end
    return [*loops, np.concatenate([*stretches, points[begin:]])]


def signed_areas(points: NDArray[Any], offsets: Offsets) -> Floats:
    """Return the area in pixels inside each ring; that of a hole is negative.

    Args:
        points: (n, 2) row and column.
        offsets: where each ring begins.
    """
    cross = np.empty(len(points))
    for line in edges(points, offsets):
        cross[line.place] = line.col * line.rows - line.cols * line.row
    return np.asarray(np.add.reduceat(cross, offsets[:-1]) / 2)


def in_order(outlined: Outlined, several: bool) -> tuple[Offsets, NDArray[np.bool_]]:
    """Return the order of rings by area and part, and which are holes.

    The outer ring of each part comes before its holes.

    Args:
        outlined: areas with their rings.
        several: whether an area may have several parts.
    """
    if not len(outlined.owner):
        return np.zeros(0, np.int64), np.zeros(0, bool)
    size = signed_areas(outlined.points, outlined.offsets)
    first = outlined.points[outlined.offsets[:-1]]
    order = np.lexsort((first[:, 1], first[:, 0], size < 0, outlined.owner))
    if several:
        rank = np.argsort(order)
        part = _parts(outlined.points, outlined.offsets, outlined.owner, size)
        order = np.lexsort((rank, rank[part]))
    return order, (size < 0)[order]


def polygons(
    points: NDArray[Any],
    offsets: Offsets,
    order: Offsets,
    hole: NDArray[np.bool_],
    transform: Transform,
    area: Offsets | None = None,
) -> NDArray[Any]:
    """Polygons of outlines, in the order of areas.

    Args:
        points: (n, 2 or more) row and column of all outlines.
        offsets: where each begins.
        order, hole: of `in_order`.
        transform: pixels to coordinates.
        area: of each outline; given, areas become multipolygons of their parts.
    """
    length = np.diff(offsets)[order]
    ends = np.cumsum(length + 1)
    begins = ends - length - 1
    index = np.arange(ends[-1] if len(ends) else 0)
    index -= np.repeat(begins - offsets[:-1][order], length + 1)
    index[ends - 1] = offsets[:-1][order]
    coordinates = np.empty((len(index), 2))
    a, b, c, d, e, f = transform
    for begin in range(0, len(index), EDGES):
        part = slice(begin, begin + EDGES)
        row, col = points[index[part], :2].T
        coordinates[part, 0] = a * col + b * row + c
        coordinates[part, 1] = d * col + e * row + f
    outer = np.append(np.flatnonzero(~hole), len(order))
    rings = np.concatenate([[0], ends])
    if area is None:
        return np.asarray(
            shapely.from_ragged_array(shapely.GeometryType.POLYGON, coordinates, (rings, outer))
        )
    areas = np.concatenate([[0], np.cumsum(np.bincount(area[order][outer[:-1]]))])
    kind = shapely.GeometryType.MULTIPOLYGON
    return np.asarray(shapely.from_ragged_array(kind, coordinates, (rings, outer, areas)))


def _parts(
    points: NDArray[Any], offsets: Offsets, owner: NDArray[np.int64], size: Floats
) -> NDArray[np.int64]:
    """For each outline the number of the outer outline it belongs to: of those of its area around it, the smallest."""
    part = np.arange(len(owner))
    outer = size > 0
    single = np.bincount(owner[outer], minlength=owner.max() + 1) == 1
    the_one = np.zeros(len(single), np.int64)
    the_one[owner[outer]] = np.flatnonzero(outer)
    easy = ~outer & single[owner]
    part[easy] = the_one[owner[easy]]
    holes = np.flatnonzero(~outer & ~single[owner])
    if not len(holes):
        return part
    around = np.flatnonzero(outer & np.isin(owner, owner[holes]))
    rings = [shapely.linearrings(points[offsets[i] : offsets[i + 1], :2]) for i in around.tolist()]
    tree = shapely.STRtree(shapely.polygons(rings))
    inside, shell = tree.query(shapely.points(_beside(points, offsets, holes)), predicate="within")
    same = owner[holes[inside]] == owner[around[shell]]
    inside, shell = inside[same], shell[same]
    largest_first = np.argsort(-size[around[shell]], kind="stable")
    part[holes[inside[largest_first]]] = around[shell[largest_first]]
    return part


def _beside(points: NDArray[Any], offsets: Offsets, holes: NDArray[Any]) -> Floats:
    """A place of the area itself, close to the first line of each hole: half a pixel to the right of its middle."""
    begin = points[offsets[holes], :2].astype(np.float64)
    step = points[offsets[holes] + 1, :2] - begin
    step /= np.abs(step).sum(axis=1, keepdims=True)
    right = np.stack([step[:, 1], -step[:, 0]], axis=1)
    return begin + step / 2 + right / 2
