"""Lengths in metres of lines on the lattice of pixel corners, fast enough for millions of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...contract import Grid
from ...raster.geodesy import pixel_vectors_m

Floats = NDArray[np.float64]
ROWS, COLS = 257, 65
EDGES = 1_000_000
"""Lines that are measured at once: one outline may have a hundred times as many."""


@dataclass(frozen=True)
class Edges:
    """Successive lines of outlines, from each point to the next one.

    Attributes:
        place: which of all points they begin at.
        row, col: (n) where they begin.
        rows, cols: (n) how far they go.
    """

    place: slice
    row: Floats
    col: Floats
    rows: Floats
    cols: Floats


def edges(points: NDArray[Any], offsets: NDArray[np.int64]) -> Iterator[Edges]:
    """All lines of outlines, EDGES at a time.

    Args:
        points: (n, 2 or more) row and column.
        offsets: where each outline begins; its last point joins its first.
    """
    last, first = points[offsets[1:] - 1, :2], points[offsets[:-1], :2]
    for begin in range(0, len(points), EDGES):
        end = min(begin + EDGES, len(points))
        row, col = points[begin:end, :2].T.astype(np.float64)
        step = np.zeros((end - begin, 2))
        step[:-1] = np.diff(np.stack([row, col], axis=1), axis=0)
        if end < len(points):
            step[-1] = points[end, :2] - np.array([row[-1], col[-1]])
        closing = slice(*np.searchsorted(offsets[1:], [begin + 1, end + 1]).tolist())
        step[offsets[1:][closing] - 1 - begin] = first[closing].astype(np.float64) - last[closing]
        yield Edges(slice(begin, end), row, col, *step.T)


class PixelMetres:
    """Metres on the ellipsoid of steps of one pixel anywhere in a grid.

    They are measured at 257 × 65 places and interpolated between them; over a whole meridian this errs by 6e-5. They go
    along the row and to its left: east turns too quickly around a pole to be interpolated.
    """

    def __init__(self, grid: Grid) -> None:
        rows = np.linspace(0, max(grid.height - 1, 1), ROWS)
        cols = np.linspace(0, max(grid.width - 1, 1), COLS)
        places = (item.ravel() for item in np.meshgrid(rows, cols, indexing="ij"))
        across, down = pixel_vectors_m(grid, *places)
        length = np.hypot(*across)
        ahead = across / np.where(length > 0, length, 1)
        along, left = (down * ahead).sum(axis=0), ahead[0] * down[1] - ahead[1] * down[0]
        self._table = np.ascontiguousarray(np.stack([length, 0 * length, along, left]).T)
        self._step = rows[1], cols[1]

    def pixel_m(self, row: Floats, col: Floats) -> Floats:
        """Return steps of one pixel in metres at corners of pixels.

        Args:
            row, col: (n,) corners.
        """
        down = np.clip((row - 0.5) / self._step[0], 0, ROWS - 1)
        across = np.clip((col - 0.5) / self._step[1], 0, COLS - 1)
        i, j = np.minimum(down.astype(np.intp), ROWS - 2), np.minimum(across.astype(np.intp), COLS - 2)
        down, across = (down - i)[:, None], (across - j)[:, None]
        corner = i * COLS + j
        upper = self._table[corner] * (1 - across) + self._table[corner + 1] * across
        lower = self._table[corner + COLS] * (1 - across) + self._table[corner + COLS + 1] * across
        return np.asarray((upper * (1 - down) + lower * down).T)

    def perimeters_m(
        self, points: NDArray[Any], offsets: NDArray[np.int64], owner: NDArray[np.int64], count: int
    ) -> Floats:
        """Length in metres of all outlines of each of `count` areas.

        Args:
            points: (n, 2 or more) row and column.
            offsets: where each outline begins; the last point joins the first.
            owner: area of each outline.
        """
        if not len(owner):
            return np.zeros(count)
        length = np.empty(len(points))
        for line in edges(points, offsets):
            along, left, along_down, left_down = self.pixel_m(
                line.row + line.rows / 2, line.col + line.cols / 2
            )
            length[line.place] = np.hypot(
                line.cols * along + line.rows * along_down, line.cols * left + line.rows * left_down
            )
        return np.bincount(owner, np.add.reduceat(length, offsets[:-1]), count).astype(np.float64)
