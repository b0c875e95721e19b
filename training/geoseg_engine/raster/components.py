"""Connected components of a class raster, without a loop over pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def label_components(ids: NDArray[Any], wanted: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the areas of equal value whose pixels share edges (4-connected).

    Rows are cut into runs of equal value; runs that touch are joined by hooking each component's number to
    the smaller of its neighbours' and shortening the chains, until nothing changes (Shiloach and Vishkin 1982).

    Args:
        ids: (rows, cols) of integers.
        wanted: pixels to look at.

    Returns:
        int32 (rows, cols) with 0..n-1, -1 where not wanted; and n.
    """
    if not wanted.any():
        return np.full(ids.shape, -1, np.int32), 0
    first = np.ones(ids.shape, bool)
    first[:, 1:] = (ids[:, 1:] != ids[:, :-1]) | (wanted[:, 1:] != wanted[:, :-1])
    run = (np.cumsum(first.ravel(), dtype=np.int64) - 1).reshape(ids.shape)
    touching = (ids[1:] == ids[:-1]) & wanted[1:] & wanted[:-1]
    above, below = run[:-1][touching], run[1:][touching]
    fresh = np.ones(above.shape, bool)
    fresh[1:] = (above[1:] != above[:-1]) | (below[1:] != below[:-1])
    label = _joined(int(run[-1, -1]) + 1, above[fresh], below[fresh])
    counted = wanted.ravel()[np.flatnonzero(first.ravel())]
    roots, number = np.unique(label[counted], return_inverse=True)
    numbers = np.full(len(label), -1, np.int32)
    numbers[counted] = number
    return numbers[run], len(roots)


def _joined(count: int, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest member of the component of each of 0..count-1, joined by pairs."""
    label = np.arange(count)
    while len(one):
        low = np.minimum(label[one], label[other])
        high = np.maximum(label[one], label[other])
        apart = low != high
        if not apart.any():
            break
        one, other = one[apart], other[apart]
        np.minimum.at(label, high[apart], low[apart])
        while True:
            shorter = label[label]
            if np.array_equal(shorter, label):
                break
            label = shorter
    return label
