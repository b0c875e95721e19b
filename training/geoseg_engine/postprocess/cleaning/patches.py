"""Connected patches of a class raster, strip by strip: found in runs of equal pixels, not pixel by pixel.

A map has far fewer runs (stretches of one class in a row) than pixels, so what is done with runs costs next to
nothing beside reading them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]
Pairs = NDArray[np.integer[Any]]
"""(2, n): two members of n pairs."""


@dataclass(frozen=True)
class Runs:
    """Stretches of equal codes in the rows of a strip, in reading order.

    Attributes:
        shape: (rows, cols) of the strip.
        start: (n,) place of the first pixel of each in the flattened strip.
        code: (n,) their class.
    """

    shape: tuple[int, int]
    start: Ints
    code: Codes

    @property
    def length(self) -> Ints:
        """Pixels of each run."""
        return np.diff(self.start, append=self.shape[0] * self.shape[1])

    def in_row(self, row: int) -> slice:
        """The runs of one row."""
        first, last = np.searchsorted(self.start, [row * self.shape[1], (row + 1) * self.shape[1]])
        return slice(int(first), int(last))

    def row(self, row: int) -> Codes:
        """The pixels of one row."""
        runs = self.in_row(row)
        return np.repeat(self.code[runs], np.diff(self.start[runs], append=(row + 1) * self.shape[1]))

    def pixels(self, codes: Codes) -> Codes:
        """The strip when each run has the code given."""
        return np.repeat(codes, self.length).reshape(self.shape)


@dataclass(frozen=True)
class Patches:
    """The patches of a strip: 0..n-1 in reading order; pixels without class form patches of their own.

    Attributes:
        runs: that they are made of.
        of_run: patch of each run.
        code, size_px: (n,) of each patch.
        touching: each pair of patches of the strip that touch once, the lower number first.
    """

    runs: Runs
    of_run: NDArray[np.int32]
    code: Codes
    size_px: Ints
    touching: Pairs

    @property
    def nbytes(self) -> int:
        """Memory that they take."""
        arrays = (self.runs.start, self.runs.code, self.of_run, self.code, self.size_px, self.touching)
        return sum(array.nbytes for array in arrays)


def find_runs(codes: Codes) -> Runs:
    """Runs of a strip (rows, cols) of at most 2³¹ pixels."""
    first = np.ones(codes.shape, bool)
    np.not_equal(codes[:, 1:], codes[:, :-1], out=first[:, 1:])
    start = np.flatnonzero(first).astype(np.int32)
    return Runs((codes.shape[0], codes.shape[1]), start, codes.ravel()[start])


def find_patches(codes: Codes, connectivity: int) -> Patches:
    """Return the patches of a strip.

    Args:
        codes: (rows, cols).
        connectivity: 4 for shared edges, 8 for shared edges or corners.
    """
    runs = find_runs(codes)
    beside = neighbours(runs, connectivity)
    same = runs.code[beside[0]] == runs.code[beside[1]]
    count, of_run = grouped(selected_pairs(beside, same), len(runs.start))
    code = np.zeros(count, np.uint8)
    code[of_run] = runs.code
    size_px = np.bincount(of_run, runs.length, count).astype(np.int64)
    return Patches(runs, of_run, code, size_px, unique_pairs(of_run[selected_pairs(beside, ~same)], count))


def neighbours(runs: Runs, connectivity: int) -> Pairs:
    """Return pairs of runs that touch, in one row or in two.

    Args:
        runs: runs of a strip.
        connectivity: 4 or 8.
    """
    across = np.flatnonzero(runs.start[1:] % runs.shape[1] != 0)
    return np.concatenate([np.stack([across, across + 1]), stacked_neighbours(runs, connectivity)], axis=1)


def stacked_neighbours(runs: Runs, connectivity: int) -> Pairs:
    """Return pairs of runs of one row and the next that touch.

    Args:
        runs: runs of a strip.
        connectivity: 4 or 8.
    """
    rows, cols = runs.shape
    upper = slice(0, runs.in_row(rows - 1).start)
    begin, end = runs.start[upper], runs.start[upper] + runs.length[upper]
    below = (begin // cols + 1) * cols
    begin, end = begin + cols, end + cols - 1
    if connectivity == 8:
        begin, end = np.maximum(begin - 1, below), np.minimum(end + 1, below + cols - 1)
    first = np.searchsorted(runs.start, begin, "right") - 1
    count = np.searchsorted(runs.start, end, "right") - first
    ahead = np.cumsum(count) - count
    lower = np.arange(count.sum()) + np.repeat(first - ahead, count)
    return np.stack([np.repeat(np.arange(len(count)), count), lower])


def grouped(pairs: Pairs, count: int) -> tuple[int, NDArray[np.int32]]:
    """Return the number of groups that pairs form, and the group of each member, in order of their first member.

    Args:
        pairs: (2, n) of 0..count-1.
        count: number of members.
    """
    links = coo_array((np.ones(pairs.shape[1], np.int8), (pairs[0], pairs[1])), (count, count))
    groups, group = connected_components(links, directed=False)
    return int(groups), group.astype(np.int32, copy=False)


def unique_pairs(pairs: NDArray[np.integer], count: int) -> Pairs:
    """Return each pair once, the lower number first.

    Args:
        pairs: (2, n) of 0..count-1.
        count: number of members.
    """
    lower, upper = np.minimum(*pairs), np.maximum(*pairs)
    keys = np.unique(lower.astype(np.int64) * count + upper)
    return np.stack(np.divmod(keys, max(count, 1)))


def selected_pairs(pairs: Pairs, wanted: Mask) -> Pairs:
    """Return some of the pairs.

    Args:
        pairs: (2, n).
        wanted: (n,) whether to keep each.
    """
    places = np.flatnonzero(wanted)
    return np.stack([pairs[0][places], pairs[1][places]])


def pairs_within(pairs: Pairs, members: Mask) -> Pairs:
    """Return the pairs of which both are members.

    Args:
        pairs: (2, n).
        members: whether each number is a member.
    """
    return selected_pairs(pairs, members[pairs[0]] & members[pairs[1]])
