"""Outlines of the areas of a class raster, strip by strip, along the edges of its pixels.

A strip is looked at corner by corner: where border lines turn, end or meet, a corner is kept; the lines between corners
are directed so that their own area is to the right, and each is followed by the one that keeps closest to it. What
leaves the strip is an open chain, which `joining` continues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

EAST, SOUTH, WEST, NORTH = range(4)
OWN_ROW, OWN_COL = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 1])
"""From a corner (row, col) to the pixel right of a line that leaves it, in codes with one row and column before."""

PLAIN, NODE, CROSSING = range(3)
"""Of a corner: a turn of one border line; three lines or more meet; four meet, where an outline can touch itself."""
LEAVES_EAST, LEAVES_SOUTH = 4, 8
"""Added to the kind of a corner, which is its rest modulo 4."""

NO_PORT, ABOVE, BELOW = range(3)
"""Where a chain comes from or goes to: nowhere, as it is closed; the strip before; the strip after."""


@dataclass(frozen=True)
class Chains:
    """Outlines, or parts of them, one after another.

    Attributes:
        points: (n, 3) of row and column of a corner and what it is: its kind and where border lines leave.
        offsets: (chains + 1) where each chain begins.
        own: (chains, 2) row and column in the codes of a pixel of the area.
        begin, end: (chains, 2) of NO_PORT, ABOVE, BELOW and the column of the line that is cut.
        corners: (m) row · (width + 1) + column of all corners of the strip, sorted.
    """

    points: Ints
    offsets: NDArray[np.int64]
    own: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    corners: NDArray[np.int64]

    @property
    def closed(self) -> Bools:
        """Which chains are whole outlines; they begin at their first corner in reading order."""
        return self.begin[:, 0] == NO_PORT


def trace(codes: NDArray[Any], vertical: Bools, row: int, straight: bool) -> Chains:
    """Outlines of the areas of equal code in a strip; code 0 is no area.

    Areas that touch at a corner only have outlines of their own (4-connected). Corner lines `row` to the last one
    between two rows of the strip are looked at.

    Args:
        codes: (rows + 1, width + 2); the row before the strip first, a column of 0 at both sides.
        vertical: (rows + 1, width + 1), whether the code changes from a pixel to the next.
        row: of the first corner line, which is below the row before the strip.
        straight: keep the nodes at which an outline goes straight on.
    """
    line, col, edges, own = _corners(codes, vertical)
    inner = edges.sum(axis=1) > 1
    exists = (edges & (own != 0)).ravel()
    segment = np.flatnonzero(exists)
    number = np.full(len(exists), -1, np.int32)
    number[segment] = np.arange(len(segment), dtype=np.int32)
    corner, direction = segment >> 2, (segment & 3).astype(np.int8)
    target = _targets(col)[direction, corner]
    heading = _headings(edges)[direction, target]
    following = np.where(inner[target], number[4 * target + heading], np.int32(-1))
    order, offsets = in_order(following)
    first, last = order[offsets[:-1]], order[offsets[1:] - 1]

    place, facing = corner[order], direction[order]
    kept = inner[place]
    if not straight:
        turns = np.ones(len(order), bool)
        turns[1:] = facing[1:] != facing[:-1]
        turns[offsets[:-1]] = True
        kept &= turns
    lines = edges.sum(axis=1)
    kind = (
        np.where(lines > 2, lines - 2, PLAIN) + LEAVES_EAST * edges[:, EAST] + LEAVES_SOUTH * edges[:, SOUTH]
    )
    points = np.stack([line + row, col, kind], axis=1).astype(np.int32)[place[kept]]
    kept_before = np.concatenate([[0], np.cumsum(kept)])
    start, facing_first = corner[first], direction[first]
    return Chains(
        points,
        kept_before[offsets],
        np.stack([line[start] + OWN_ROW[facing_first], col[start] + OWN_COL[facing_first]], axis=1),
        _ports(start, line, col, inner),
        _ports(target[last], line, col, inner),
        (line[inner] + row).astype(np.int64) * vertical.shape[1] + col[inner],
    )


def kinds(points: Ints) -> Ints:
    """PLAIN, NODE or CROSSING of each corner."""
    return np.asarray(points[:, 2] & 3)


def _corners(codes: NDArray[Any], vertical: Bools) -> tuple[Ints, Ints, Bools, NDArray[Any]]:
    """Line, column, lines that leave east, south, west and north, and the codes right of these.

    Border lines that are cut at the strip's first and last line end in corners of one line, on lines -1 and rows.
    """
    horizontal = codes[1:] != codes[:-1]
    turning = vertical[:-1] | vertical[1:]
    turning &= horizontal[:, :-1] | horizontal[:, 1:]
    line, col = np.divmod(np.flatnonzero(turning).astype(np.int32), np.int32(turning.shape[1]))
    top, bottom = np.flatnonzero(vertical[0]), np.flatnonzero(vertical[-1])
    rows = len(turning)
    edges = np.zeros((len(top) + len(line) + len(bottom), 4), bool)
    own = np.zeros(edges.shape, codes.dtype)
    inner, after = slice(len(top), len(top) + len(line)), len(top) + len(line)
    edges[: len(top), SOUTH], own[: len(top), SOUTH] = True, codes[0, top]
    edges[after:, NORTH], own[after:, NORTH] = True, codes[-1, bottom + 1]
    edges[inner, EAST], edges[inner, WEST] = horizontal[line, col + 1], horizontal[line, col]
    edges[inner, SOUTH], edges[inner, NORTH] = vertical[line + 1, col], vertical[line, col]
    for direction in range(4):
        own[inner, direction] = codes[line + OWN_ROW[direction], col + OWN_COL[direction]]
    lines = np.concatenate([np.full(len(top), -1), line, np.full(len(bottom), rows)]).astype(np.int32)
    return lines, np.concatenate([top, col, bottom]).astype(np.int32), edges, own


def _targets(col: Ints) -> NDArray[np.int32]:
    """(4, corners) the corner at which a line that leaves in each direction ends; without meaning if there is none."""
    count = len(col)
    targets = np.zeros((4, count), np.int32)
    small = col.astype(np.uint16) if count and col.max() < 1 << 16 else col
    by_column = np.argsort(small, kind="stable").astype(np.int32)
    targets[EAST, :-1] = np.arange(1, count)
    targets[WEST, 1:] = np.arange(count - 1)
    targets[SOUTH, by_column[:-1]] = by_column[1:]
    targets[NORTH, by_column[1:]] = by_column[:-1]
    return targets


def _headings(edges: Bools) -> NDArray[np.int8]:
    """(4, corners) the direction in which a line that arrives in each direction goes on: right before ahead, left."""
    headings = np.empty((4, len(edges)), np.int8)
    for arriving in range(4):
        right, left = (arriving + 1) % 4, (arriving + 3) % 4
        headings[arriving] = np.where(edges[:, right], right, np.where(edges[:, arriving], arriving, left))
    return headings


def _ports(corner: NDArray[Any], line: Ints, col: Ints, inner: Bools) -> NDArray[np.int64]:
    side = np.where(inner[corner], NO_PORT, np.where(line[corner] < 0, ABOVE, BELOW))
    return np.stack([side, col[corner]], axis=1).astype(np.int64)


def in_order(following: Ints) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Elements of cycles and chains, one after another, and where each begins.

    Args:
        following: the element after each; -1 at the end of a chain. A cycle begins at its smallest element.
    """
    count = len(following)
    if not count:
        return np.zeros(0, np.int32), np.zeros(1, np.int64)
    has = following >= 0
    chains, label = connected_components(_graph(following), connection="weak")
    elements = np.arange(count, dtype=np.int32)
    before = np.full(count, -1, np.int32)
    before[following[has]] = elements[has]
    start = np.empty(chains, np.int32)
    start[label[::-1]] = elements[::-1]
    begins = before < 0
    start[label[begins]] = elements[begins]
    end = before[start]
    end[label[~has]] = elements[~has]
    one_chain = following.copy()
    one_chain[end[:-1]] = start[1:]
    one_chain[end[-1]] = -1
    order = breadth_first_order(_graph(one_chain), start[0], return_predecessors=False)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(label, minlength=chains))])
    return order, offsets


def _graph(following: Ints) -> csr_array:
    has = following >= 0
    starts = np.concatenate([[0], np.cumsum(has)]).astype(np.int32)
    return csr_array(
        (np.ones(int(starts[-1]), np.int8), following[has], starts), shape=(len(following), len(following))
    )
