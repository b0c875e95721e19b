"""Lengths on the ground of lines on the lattice of pixel corners, fast enough for millions of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Grid
from ..raster.geodesy import pixel_vectors_m

Floats = NDArray[np.float64]
ROWS, COLS = 257, 65


class Ground:
    """Metres on the ellipsoid of steps of one pixel anywhere in a grid.

    They are measured at 257 × 65 places and interpolated between them; over a whole meridian this errs by 6e-5.
    """

    def __init__(self, grid: Grid) -> None:
        rows = np.linspace(0, max(grid.height - 1, 1), ROWS)
        cols = np.linspace(0, max(grid.width - 1, 1), COLS)
        across, down = pixel_vectors_m(
            grid, *(item.ravel() for item in np.meshgrid(rows, cols, indexing="ij"))
        )
        self._table = np.ascontiguousarray(np.concatenate([across, down]).T)
        self._step = rows[1], cols[1]

    def pixel_m(self, row: Floats, col: Floats) -> Floats:
        """(4, n) metres east and north of a step of one column, and of a step of one row, at corners of pixels."""
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
        after = np.arange(1, len(points) + 1)
        after[offsets[1:] - 1] = offsets[:-1]
        row, col = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
        rows, cols = row[after] - row, col[after] - col
        east, north, east_down, north_down = self.pixel_m(row + rows / 2, col + cols / 2)
        length = np.hypot(cols * east + rows * east_down, cols * north + rows * north_down)
        return np.bincount(owner, np.add.reduceat(length, offsets[:-1]), count).astype(np.float64)
