"""Patches that go on from strip to strip: which belong together, and what is known of each as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...contract import IGNORE, present
from ...raster.grid import Window
from .flood import Facts, facts_of
from .patches import (
    Codes,
    Ints,
    Pairs,
    Patches,
    find_runs,
    grouped,
    selected_pairs,
    stacked_neighbours,
    unique_pairs,
)


@dataclass(frozen=True)
class Strips:
    """How a raster is cut into strips over its whole width.

    Attributes:
        height, width: of the raster, in pixels.
        rows: of a strip; the last may have fewer.
        connectivity: 4 or 8.
    """

    height: int
    width: int
    rows: int
    connectivity: int

    def __len__(self) -> int:
        return -(-self.height // self.rows)

    def window(self, index: int) -> Window:
        """Pixels of a strip."""
        row = index * self.rows
        return Window(row, 0, min(self.rows, self.height - row), self.width)

    def facts(self, index: int, patches: Patches) -> Facts:
        """Return the facts about the patches of a strip.

        Args:
            index: number of the strip.
            patches: its patches.
        """
        runs, of_run = patches.runs, patches.of_run
        at_edge = np.zeros(len(patches.code), bool)
        at_edge[of_run[runs.start % self.width == 0]] = True
        at_edge[of_run[np.append(runs.start[1:] % self.width == 0, True)]] = True
        if index == 0:
            at_edge[of_run[runs.in_row(0)]] = True
        if index == len(self) - 1:
            at_edge[of_run[runs.in_row(runs.shape[0] - 1)]] = True
        return facts_of(patches, at_edge)

    def crossing(self, index: int, patches: Patches) -> NDArray[np.int32]:
        """Return the patches of a strip that touch the border to another strip, ascending.

        Args:
            index: number of the strip.
            patches: its patches.
        """
        rows = [row for row, there in ((0, index > 0), (-1, index < len(self) - 1)) if there]
        runs = patches.runs
        found = [patches.of_run[runs.in_row(row % runs.shape[0])] for row in rows]
        return np.unique(np.concatenate([np.empty(0, np.int32), *found]))


@dataclass(frozen=True)
class Crossing:
    """All patches that cross or touch a border of strips, as wholes.

    Attributes:
        first: number of the first piece of each strip; a piece is what a strip has of such a patch.
        whole: the whole of each piece.
        facts: of the wholes.
        touching: pairs of wholes that touch across a border.
    """

    first: list[int]
    whole: NDArray[np.int32]
    facts: Facts
    touching: Pairs

    def wholes(self, index: int) -> NDArray[np.int32]:
        """The whole of each piece of a strip, in the order of `Strips.crossing`."""
        return self.whole[self.first[index] : self.first[index + 1]]

    def completed(self, facts: Facts, pieces: NDArray[np.int32], index: int) -> Facts:
        """Return the facts of a strip's patches; a piece of a crossing patch has those of the whole.

        Args:
            facts: facts of the strip's patches.
            pieces: patches that touch a border.
            index: number of the strip.
        """
        names = ("size_px", "at_edge", "lowest", "highest")
        found = {name: getattr(facts, name).copy() for name in names}
        for name in names:
            found[name][pieces] = getattr(self.facts, name)[self.wholes(index)]
        return replace(facts, **found)


class PatchScan:
    """Takes the strips from the top down and learns which of their patches belong together."""

    def __init__(self, strips: Strips) -> None:
        self._strips = strips
        self._first = [0]
        self._facts: list[Facts] = []
        self._same: list[Pairs] = []
        self._touching: list[Pairs] = []
        self._above: tuple[Codes, Ints] | None = None

    def add(self, index: int, patches: Patches) -> None:
        """Add the patches of the next strip.

        Args:
            index: number of the strip.
            patches: its patches.
        """
        pieces = self._strips.crossing(index, patches)
        number = np.full(len(patches.code), -1, np.int64)
        number[pieces] = self._first[-1] + np.arange(len(pieces))
        facts = self._strips.facts(index, patches)
        self._facts.append(Facts(*(getattr(facts, name)[pieces] for name in facts.__dataclass_fields__)))
        self._first.append(self._first[-1] + len(pieces))
        runs, last = patches.runs, patches.runs.shape[0] - 1
        if self._above is not None:
            self._join(runs.row(0), number[patches.of_run[runs.in_row(0)]])
        self._above = runs.row(last), number[patches.of_run[runs.in_row(last)]]

    def _join(self, row: Codes, numbers: Ints) -> None:
        """Compare the first row of a strip with the last of the strip above."""
        above, numbers_above = present(self._above, "the last row of the strip above")
        runs = find_runs(np.stack([above, row]))
        upper, lower = stacked_neighbours(runs, self._strips.connectivity)
        same = runs.code[upper] == runs.code[lower]
        pairs = np.stack([numbers_above[upper], numbers[lower - len(numbers_above)]])
        self._same.append(unique_pairs(selected_pairs(pairs, same), self._first[-1]))
        self._touching.append(unique_pairs(selected_pairs(pairs, ~same), self._first[-1]))

    def done(self) -> Crossing:
        """Return what is known when all strips were added."""
        count = self._first[-1]
        same = np.concatenate([np.empty((2, 0), np.int64), *self._same], axis=1)
        wholes, whole = grouped(same, count)
        touching = np.concatenate([np.empty((2, 0), np.int64), *self._touching], axis=1)
        touching = unique_pairs(whole[touching], wholes)
        facts = _united(self._facts, whole, wholes)
        facts.touch(touching)
        return Crossing(self._first, whole, facts, touching)


def nothing_crosses() -> Crossing:
    """Of a raster that is one strip."""
    none, codes = np.empty(0, np.int64), np.empty(0, np.uint8)
    facts = Facts(codes, none, np.empty(0, bool), codes, codes)
    return Crossing([0, 0], none.astype(np.int32), facts, np.empty((2, 0), np.int64))


def _united(pieces: list[Facts], whole: NDArray[np.int32], wholes: int) -> Facts:
    """Facts of wholes from those of their pieces."""
    code, size_px, at_edge, lowest, highest = (
        np.concatenate([getattr(item, name) for item in pieces]) for name in Facts.__dataclass_fields__
    )
    united = Facts(
        np.zeros(wholes, np.uint8),
        np.zeros(wholes, np.int64),
        np.zeros(wholes, bool),
        np.full(wholes, IGNORE, np.uint8),
        np.zeros(wholes, np.uint8),
    )
    united.code[whole] = code
    np.add.at(united.size_px, whole, size_px)
    np.logical_or.at(united.at_edge, whole, at_edge)
    np.minimum.at(united.lowest, whole, lowest)
    np.maximum.at(united.highest, whole, highest)
    return united
