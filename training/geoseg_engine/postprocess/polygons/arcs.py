"""Boundaries as arcs between the corners where three areas or more meet, so that a shared border is drawn once.

Each of two neighbours draws their border by itself, from the same arc in the same direction with the same surroundings:
the result is the same, and no table of arcs is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .joining import Outlined
from .tracing import LEAVES_EAST, LEAVES_SOUTH, PLAIN, kinds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Arcs:
    """Borders, each from its end that comes first in reading order.

    Attributes:
        points: (n, 2) row and column of all corners, ends included.
        offsets: (arcs + 1) where each begins.
        reverse: (arcs) whether its outline runs through it from its last to its first corner.
        east, south: (arcs) whether a border line leaves the first corner in that direction.
        loop: (arcs) whether it is a whole outline without a node; its last corner is its first.
        outline: (arcs) number of the outline; arcs follow each other along it.
    """

    points: NDArray[Any]
    offsets: Ints
    reverse: NDArray[np.bool_]
    east: NDArray[np.bool_]
    south: NDArray[np.bool_]
    loop: NDArray[np.bool_]
    outline: Ints


def ragged(begins: Ints, lengths: Ints) -> Ints:
    """Return begins[0], begins[0] + 1, … lengths[0] numbers, then those of the second, and so on.

    Args:
        begins: (n,) first number of each range.
        lengths: (n,) length of each range.
    """
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - (ends - lengths), lengths)


def offsets_of(lengths: Ints) -> Ints:
    """Where each begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths)])


def arcs_of(outlined: Outlined) -> Arcs:
    """Cut outlines at their nodes."""
    begins, lengths = outlined.offsets[:-1], np.diff(outlined.offsets)
    node = kinds(outlined.points) != PLAIN
    nodes_before = np.concatenate([[0], np.cumsum(node)])
    has_node = nodes_before[begins] < nodes_before[begins + lengths]
    first_node = np.append(np.flatnonzero(node), 0)[nodes_before[begins]]
    shift = np.where(has_node, first_node - begins, 0)
    ring = np.repeat(np.arange(len(begins)), lengths)
    within = np.arange(len(node)) - begins[ring]
    rotated = begins[ring] + (within + shift[ring]) % lengths[ring]
    starts = np.flatnonzero(node[rotated] | (within == 0))
    corners = np.diff(np.append(starts, len(rotated))) + 1
    offsets = offsets_of(corners)
    index = ragged(starts, corners)
    outline = ring[starts]
    ends = offsets[1:] - 1
    closes = np.append(outline[1:] != outline[:-1], True)
    index[ends[closes]] = begins[outline[closes]]
    points = outlined.points[rotated[index]]
    key = points[:, 0].astype(np.int64) << 32 | points[:, 1]
    one, other = key[offsets[:-1]], key[ends]
    same = one == other
    one = np.where(same, key[offsets[:-1] + 1], one)
    other = np.where(same, key[ends - 1], other)
    reverse = one > other
    along = ragged(np.zeros(len(corners), np.int64), corners)
    turned = np.repeat(reverse, corners)
    place = np.repeat(offsets[:-1], corners) + np.where(
        turned, np.repeat(corners, corners) - 1 - along, along
    )
    leaves = points[place[offsets[:-1]], 2]
    return Arcs(
        points[place, :2],
        offsets,
        reverse,
        (leaves & LEAVES_EAST) > 0,
        (leaves & LEAVES_SOUTH) > 0,
        ~has_node[outline],
        outline,
    )


def outlines_of(arcs: Arcs, points: Floats, offsets: Ints, count: int) -> tuple[Floats, Ints]:
    """Put arcs that were drawn anew together again.

    Args:
        arcs: as they were.
        points: (n, 2) of the arcs as they are now.
        offsets: where each begins.
        count: number of outlines.

    Returns:
        Points of all outlines, without a last one that is the first, and where each outline begins.
    """
    corners = np.diff(offsets) - 1
    along = ragged(np.zeros(len(corners), np.int64), corners)
    turned = np.repeat(arcs.reverse, corners)
    place = np.repeat(offsets[:-1], corners) + np.where(turned, np.repeat(corners, corners) - along, along)
    return points[place], offsets_of(np.bincount(arcs.outline, corners, count).astype(np.int64))
