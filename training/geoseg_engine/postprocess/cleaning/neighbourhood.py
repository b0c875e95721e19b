"""Cleaning that looks at a pixel's surroundings only: majority filter, opening and closing.

Each function takes codes (rows, cols) with a halo on every side and returns them without it: 0, 1, 2 … are classes,
IGNORE is no class, like everything outside the raster. So a window with its halo gives what the whole raster
gives.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...contract import IGNORE, Cleaning

Codes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Value = TypeVar("Value", bound=np.generic)
VOTES_AT_ONCE = 4_000_000
"""Entries of the table of votes, pixels × classes, that are held at once."""


def halo_px(cleaning: Cleaning) -> int:
    """Pixels on every side that `filtered` takes away."""
    return cleaning.majority_px // 2 + 3 * cleaning.opening_px + 2 * cleaning.closing_px


def filtered(codes: Codes, cleaning: Cleaning, background: int) -> Codes:
    """Majority filter, opening and closing, as requested, of a window with `halo_px` on every side.

    Args:
        codes: of the window.
        cleaning: the steps.
        background: its code; -1 is none.
    """
    halo = halo_px(cleaning)
    if len(classes_in(codes)) <= 1:
        return _trimmed(codes, halo)
    if cleaning.majority_px > 1:
        codes = majority(codes, cleaning.majority_px)
    if cleaning.opening_px:
        codes = opened(codes, cleaning.opening_px, background)
    if cleaning.closing_px:
        codes = closed(codes, cleaning.closing_px, background)
    return codes


def majority(codes: Codes, side_px: int) -> Codes:
    """The most frequent class of a square around each pixel; a pixel keeps its own where several are as frequent.

    Args:
        codes: with a halo of `side_px // 2`.
        side_px: side of the square, odd.
    """
    halo = side_px // 2
    own = _trimmed(codes, halo)
    best = own.copy()
    maximum = np.zeros(own.shape, np.min_scalar_type(side_px**2))
    tie = np.zeros(own.shape, bool)
    for item in classes_in(codes):
        votes = _square_sums(codes == item, side_px).astype(maximum.dtype, copy=False)
        more = votes > maximum
        tie = (tie & ~more) | (votes == maximum)
        np.copyto(best, item, where=more)
        np.maximum(maximum, votes, out=maximum)
    return np.where(tie | (own == IGNORE), own, best)


def opened(codes: Codes, radius_px: int, background: int) -> Codes:
    """Take away what of a class is too narrow for a disc, for each class but the background.

    Such pixels get the most frequent other class of the disc around them that is left standing there, of several
    the lowest; where there is none, they become background, or stay as they are if there is no background. Pixels
    without class count as of every class, so what the edge of the map cuts is not narrow, but no disc is centred on
    one.

    Args:
        codes: with a halo of 3 × `radius_px`.
        radius_px: of the disc, as in `disc_rows`.
        background: its code; -1 is none.
    """
    inner = _trimmed(codes, 2 * radius_px)
    standing = inner.copy()
    unknown = codes == IGNORE
    for item in classes_in(inner):
        if item != background:
            outside = ~(unknown | (codes == item))
            centres = ~(dilated(outside, radius_px) | _trimmed(unknown, radius_px))
            kept = dilated(centres, radius_px)
            standing[(inner == item) & ~kept] = IGNORE
    result = _trimmed(inner, radius_px).copy()
    rows, cols = np.nonzero((result != IGNORE) & (_trimmed(standing, radius_px) == IGNORE))
    result[rows, cols] = _elected(standing, rows, cols, radius_px, result[rows, cols], background)
    return result


def closed(codes: Codes, radius_px: int, background: int) -> Codes:
    """Fill what of the background is too narrow for a disc beside a class, for each class but the background.

    A pixel that several classes would fill goes to the one with most pixels in the disc around it, of several the
    lowest. Pixels without class count as background that is not filled: nothing grows towards the edge of the map.
    Without background nothing is filled.

    Args:
        codes: with a halo of 2 × `radius_px`.
        radius_px: of the disc, as in `disc_rows`.
        background: its code; -1 is none.
    """
    result = _trimmed(codes, 2 * radius_px).copy()
    free = np.flatnonzero(result.ravel() == background)
    if background < 0 or not len(free):
        return result
    places, claims = [], []
    for item in classes_in(codes):
        if item != background:
            filled = ~dilated(~dilated(codes == item, radius_px), radius_px)
            mine = free[filled.ravel()[free]]
            places.append(mine)
            claims.append(np.full(len(mine), item, np.uint8))
    place, claim = np.concatenate([free[:0], *places]), np.concatenate([np.empty(0, np.uint8), *claims])
    votes = np.zeros(len(place), np.int64)
    contested = np.isin(place, place[_repeated(place)])
    rows, cols = np.divmod(place[contested], result.shape[1])
    around = _trimmed(codes, radius_px)
    for down, right in disc_offsets(radius_px):
        near = around[rows + down + radius_px, cols + right + radius_px]
        votes[contested] += near == claim[contested]
    order = np.lexsort((-claim.astype(np.int64), votes))  # the winner last: it is written last
    result.ravel()[place[order]] = claim[order]
    return result


def dilated(mask: Mask, radius_px: int) -> Mask:
    """Return whether a disc around each pixel holds a pixel of the mask.

    Args:
        mask: (rows, cols), with a halo of `radius_px`.
        radius_px: radius of the disc.
    """
    rows, cols = mask.shape[0] - 2 * radius_px, mask.shape[1] - 2 * radius_px
    half_widths = disc_rows(radius_px)
    wide = mask[:, radius_px : radius_px + cols].copy()
    result = np.zeros((rows, cols), bool)
    for width in range(radius_px + 1):
        if width:
            wide |= mask[:, radius_px - width : radius_px - width + cols]
            wide |= mask[:, radius_px + width : radius_px + width + cols]
        for down, half_width in enumerate(half_widths):
            if half_width == width:
                result |= wide[down : down + rows]
    return result


def disc_rows(radius_px: int) -> list[int]:
    """Half the width of each row of a disc, the centre not counted: pixels whose centres are within the radius."""
    return [math.isqrt(radius_px**2 - down**2) for down in range(-radius_px, radius_px + 1)]


def disc_offsets(radius_px: int) -> list[tuple[int, int]]:
    """(down, right) of every pixel of a disc from its centre."""
    return [
        (down, right)
        for down, width in enumerate(disc_rows(radius_px), -radius_px)
        for right in range(-width, width + 1)
    ]


def classes_in(codes: Codes) -> list[int]:
    """Codes of the classes that occur, ascending."""
    counts = np.bincount(codes.ravel(), minlength=IGNORE + 1)
    return [int(item) for item in np.flatnonzero(counts[:IGNORE])]


def _elected(
    standing: Codes,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    radius_px: int,
    own: Codes,
    background: int,
) -> Codes:
    """The most frequent class but their own in the disc around pixels of `standing`, which has that halo."""
    present = classes_in(standing)
    column = np.full(IGNORE + 1, len(present), np.uint8)
    column[present] = np.arange(len(present))
    code = np.array([*present, IGNORE], np.uint8)
    columns, width = column[standing].ravel(), standing.shape[1]
    centre = (rows + radius_px) * width + cols + radius_px
    result = own.copy()
    step = max(VOTES_AT_ONCE // len(code), 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        first = np.arange(len(rows[part])) * len(code)
        votes = np.zeros(len(first) * len(code), np.int32)
        for down, right in disc_offsets(radius_px):
            votes[first + columns.take(centre[part] + (down * width + right))] += 1
        votes[first + column[own[part]]] = 0
        table = votes.reshape(-1, len(code))[:, :-1]  # the last column is of pixels that do not vote
        fallback = own[part] if background < 0 else background
        chosen = code[table.argmax(axis=1)] if len(present) else own[part]
        result[part] = np.where(table.any(axis=1), chosen, fallback)
    return result


def _square_sums(mask: Mask, side_px: int) -> NDArray[np.unsignedinteger]:
    """Pixels of the mask in a square around each pixel; the mask has a halo of half the side."""
    lines = _line_sums(mask.astype(np.min_scalar_type(side_px)), side_px)
    return _line_sums(lines.T.astype(np.min_scalar_type(side_px**2)), side_px).T


def _line_sums(values: NDArray[np.unsignedinteger], length: int) -> NDArray[np.unsignedinteger]:
    """Sums of `length` rows in a row, from sums of 1, 2, 4 … rows."""
    rows = len(values) - length + 1
    total = np.zeros((rows, values.shape[1]), values.dtype)
    block, size, done = values, 1, 0
    while True:
        if length & size:
            total += block[done : done + rows]
            done += size
        if 2 * size > length:
            return total
        block, size = block[:-size] + block[size:], 2 * size


def _repeated(places: NDArray[np.int64]) -> Mask:
    """Which entries are equal to another."""
    _, number, counts = np.unique(places, return_inverse=True, return_counts=True)
    return np.asarray(counts[number] > 1)


def _trimmed(array: NDArray[Value], halo: int) -> NDArray[Value]:
    return array[halo : array.shape[0] - halo, halo : array.shape[1] - halo]
