"""Orthogonalized polygons: right angles along their own main direction, as buildings have."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from .arcs import offsets_of
from .pixel_metres import PixelMetres
from .rings import Transform, polygons, signed_areas

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AREA_CHANGE = 0.25
"""A polygon whose area would change by a larger share stays as it was."""


def orthogonalized(
    points: Floats,
    offsets: Ints,
    owner: Ints,
    order: Ints,
    hole: NDArray[np.bool_],
    metres: PixelMetres,
    transform: Transform,
) -> tuple[Floats, Ints]:
    """Outlines whose sides are parallel or square to the main direction of their area.

    Each side of an outline becomes a line along or across that direction, through its middle; sides in a row with the
    same direction become one line through their common middle, so the area is roughly kept. An area stays as it
    was where the result would not be a valid polygon or its size would change by a quarter. Borders that neighbours
    share are not kept.

    Args:
        points: (n, 2) row and column of outlines with few corners.
        offsets: where each begins.
        owner: area of each.
        order, hole: as of `rings.in_order`.
        metres: metres per pixel; angles are right in metres.
        transform: pixels to coordinates, in which the polygons must be valid.
    """
    outer = order[np.unique(owner[order], return_index=True)[1]]
    place = points[offsets[:-1][outer]]
    to_metres = metres.pixel_m(place[:, 0], place[:, 1]).T.reshape(-1, 2, 2)
    direction = main_directions(points, offsets, to_metres[owner])[outer]
    rings = []
    for number, area in enumerate(owner.tolist()):
        old = points[offsets[number] : offsets[number + 1]]
        turn = np.array([[np.cos(direction[area]), -np.sin(direction[area])],
                         [np.sin(direction[area]), np.cos(direction[area])]])  # fmt: skip
        matrix = to_metres[area] @ turn
        new = right_angled((old - old[0])[:, ::-1] @ matrix)
        rings.append(old if new is None else (new @ np.linalg.inv(matrix))[:, ::-1] + old[0])
    lengths = np.array([len(ring) for ring in rings], np.int64)
    drawn, begin = np.concatenate(rings), offsets_of(lengths)
    before = np.bincount(owner, signed_areas(points, offsets))
    after = np.bincount(owner, signed_areas(drawn, begin))
    kind = owner if np.bincount(owner[order][~hole]).max() > 1 else None
    shapes = polygons(drawn, begin, order, hole, transform, kind)
    good = shapely.is_valid(shapes) & (np.abs(after - before) <= AREA_CHANGE * before)
    kept = [
        rings[i] if good[area] else points[offsets[i] : offsets[i + 1]]
        for i, area in enumerate(owner.tolist())
    ]
    return np.concatenate(kept), offsets_of(np.array([len(ring) for ring in kept], np.int64))


def main_directions(points: Floats, offsets: Ints, to_metres: Floats) -> Floats:
    """Angle in radians, up to an eighth turn either way, in which the sides of each outline mostly run.

    The mean of the sides' directions on a circle of a quarter turn, each counted by its length.

    Args:
        points, offsets: outlines of row and column.
        to_metres: (outlines, 2, 2) metres along the row and to its left of a step of one column and of one row.
    """
    after = np.arange(1, len(points) + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    outline = np.repeat(np.arange(len(to_metres)), np.diff(offsets))
    side = np.einsum("ni,nij->nj", (points[after] - points)[:, ::-1], to_metres[outline])
    angle, length = np.arctan2(side[:, 1], side[:, 0]), np.hypot(side[:, 0], side[:, 1])
    sine = np.bincount(outline, length * np.sin(4 * angle))
    return np.asarray(np.arctan2(sine, np.bincount(outline, length * np.cos(4 * angle))) / 4)


def right_angled(ring: Floats) -> Floats | None:
    """A ring (n, 2) of x and y with all its sides along x or y; None if that leaves fewer than four."""
    side = np.roll(ring, -1, axis=0) - ring
    level = np.abs(side[:, 0]) >= np.abs(side[:, 1])
    changes = np.flatnonzero(level != np.roll(level, 1))
    if len(changes) < 4:
        return None
    ring, side, level = (np.roll(item, -changes[0], axis=0) for item in (ring, side, level))
    begins = changes - changes[0]
    along = np.where(level, side[:, 0], side[:, 1])
    middle = (ring + side / 2)[np.arange(len(ring)), level.astype(int)]
    weight = np.abs(along)
    line = np.add.reduceat(middle * weight, begins) / np.add.reduceat(weight, begins)
    before = np.roll(line, 1)
    return np.where(level[begins][:, None], np.stack([before, line], 1), np.stack([line, before], 1))
