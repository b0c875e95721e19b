"""Puts the areas and outlines of successive strips together, so that the strips do not show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .components import Areas
from .tracing import ABOVE, Chains

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Outlined:
    """Areas that can grow no more, with their outlines.

    Attributes:
        code: (areas) of each.
        sums: (areas, 3) pixels, m², summed confidence.
        points: (n, 3) of all outlines: row, column, what the corner is.
        offsets: (outlines + 1) where each outline begins; the last point joins the first.
        owner: (outlines) number of the area.
    """

    code: NDArray[Any]
    sums: Floats
    points: Ints
    offsets: NDArray[np.int64]
    owner: NDArray[np.int64]

    def only(self, areas: NDArray[np.bool_]) -> Outlined:
        """Some of the areas."""
        if areas.all():
            return self
        number = np.cumsum(areas) - 1
        outlines = areas[self.owner]
        length = np.diff(self.offsets)
        return Outlined(
            self.code[areas],
            self.sums[areas],
            self.points[np.repeat(outlines, length)],
            np.concatenate([[0], np.cumsum(length[outlines])]),
            number[self.owner[outlines]],
        )


@dataclass
class _Open:
    """An area that reaches the last row so far."""

    code: Any
    sums: Floats
    row: int
    outlines: list[Ints] = field(default_factory=list)


@dataclass(eq=False)
class _Piece:
    """Part of an outline; `end` is where it is waited for: a table and the column."""

    points: list[Ints]
    end: tuple[dict[int, _Piece], int] | None = None


class Joiner:
    """Takes strips from north to south and gives back the areas that are whole."""

    def __init__(self) -> None:
        self._below = np.zeros(0, np.int64)
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._falling: dict[int, _Piece] = {}
        self._rising: dict[int, _Piece] = {}

    def first_row(self, default: int) -> int:
        """The first row of the strips in which open areas begin; `default` if there is none."""
        return min((area.row for area in self._open.values()), default=default)

    def add(self, areas: Areas, sums: Floats, chains: Chains, stride: int, row: int) -> Outlined:
        """Add a strip.

        Args:
            row: its first row.
            areas: connected areas, the row before the strip included.
            sums: (areas, 3) over the strip's own pixels.
            chains: outlines of the strip.
            stride: width + 1.
        """
        key_of = self._opened(areas, sums, row)
        chain_area = areas.at(chains.own[:, 0] * stride + chains.own[:, 1] - 1)
        here, closed = key_of[chain_area] < 0, chains.closed
        for number in np.flatnonzero(closed & ~here).tolist():
            self._open[int(key_of[chain_area[number]])].outlines.append(_chain(chains, number))
        for number, outline in self._joined(chains, np.flatnonzero(~closed)):
            self._open[int(key_of[chain_area[number]])].outlines.append(outline)
        self._below = key_of[areas.area[len(areas.area) - areas.last :]]
        growing = set(np.unique(self._below).tolist())
        ended = [self._open.pop(key) for key in list(self._open) if key not in growing]
        whole = Outlined(
            areas.code,
            sums,
            chains.points[np.repeat(closed & here, np.diff(chains.offsets))],
            np.concatenate([[0], np.cumsum(np.diff(chains.offsets)[closed & here])]),
            chain_area[closed & here],
        )
        return _together(whole.only(key_of < 0), ended)

    def _opened(self, areas: Areas, sums: Floats, row: int) -> NDArray[np.int64]:
        """Key of the open area that each of the strip's areas is part of; -1 for those within the strip."""
        key_of = np.full(areas.count, -1, np.int64)
        taken: dict[int, int] = {}
        pairs = np.unique(np.stack([areas.area[: areas.first], self._below]), axis=1)
        for area, key in pairs.T.tolist():
            if key_of[area] < 0:
                key_of[area] = key
                continue
            one, other = _last(taken, int(key_of[area])), _last(taken, key)
            if one != other:
                self._open[one].outlines += self._open[other].outlines
                self._open[one].row = min(self._open[one].row, self._open[other].row)
                self._open[one].sums = self._open[one].sums + self._open.pop(other).sums
                taken[other] = one
        for area in np.unique(pairs[0]).tolist():
            key_of[area] = _last(taken, int(key_of[area]))
            self._open[int(key_of[area])].sums = self._open[int(key_of[area])].sums + sums[area]
        for area in np.unique(areas.area[len(areas.area) - areas.last :]).tolist():
            if key_of[area] < 0:
                key_of[area] = self._next
                self._open[self._next] = _Open(areas.code[area], sums[area], row)
                self._next += 1
        return key_of

    def _joined(self, chains: Chains, numbers: NDArray[Any]) -> list[tuple[int, Ints]]:
        """Go on with the outlines that were cut; those that close, with the number of their last chain."""
        falling, rising = self._falling, self._rising
        self._falling, self._rising = {}, {}
        closed = []
        for number in numbers.tolist():
            (begin, begin_col), (end, end_col) = chains.begin[number].tolist(), chains.end[number].tolist()
            if begin == ABOVE:
                piece = falling.pop(begin_col)
                piece.points.append(_chain(chains, number))
            else:
                piece = self._rising[begin_col] = _Piece([_chain(chains, number)])
            if end != ABOVE:
                self._falling[end_col] = piece
                piece.end = (self._falling, end_col)
                continue
            after = rising.pop(end_col)
            if after is piece:
                closed.append((number, _from_first_corner(np.concatenate(piece.points))))
                continue
            piece.points += after.points
            piece.end = after.end
            if after.end is not None:
                after.end[0][after.end[1]] = piece
        return closed


def _last(taken: dict[int, int], key: int) -> int:
    """The area that has taken over this one."""
    while key in taken:
        key = taken[key]
    return key


def _chain(chains: Chains, number: int) -> Ints:
    """A copy: what waits for the rest of its area must not keep all chains of its strip."""
    return chains.points[chains.offsets[number] : chains.offsets[number + 1]].copy()


def _from_first_corner(outline: Ints) -> Ints:
    """The outline begun at its first corner in reading order."""
    return np.roll(outline, -int(np.lexsort((outline[:, 1], outline[:, 0]))[0]), axis=0)


def _together(whole: Outlined, ended: list[_Open]) -> Outlined:
    if not ended:
        return whole
    outlines = [outline for area in ended for outline in area.outlines]
    counts = [len(area.outlines) for area in ended]
    return Outlined(
        np.concatenate([whole.code, np.array([area.code for area in ended], whole.code.dtype)]),
        np.concatenate([whole.sums, [area.sums for area in ended]]),
        np.concatenate([whole.points, *outlines]),
        np.concatenate([whole.offsets, whole.offsets[-1] + np.cumsum([len(item) for item in outlines])]),
        np.concatenate([whole.owner, len(whole.code) + np.repeat(np.arange(len(ended)), counts)]),
    )
