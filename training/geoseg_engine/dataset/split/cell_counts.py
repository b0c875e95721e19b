"""Count pixels per cell and value at about the speed of reading them."""

from __future__ import annotations

import numpy as np

from ...raster.grid import Window

MAX_ROWS = 128
"""Rows added up at once: a column sum of that many ones fits a byte, and bytes add up fastest."""

CACHE_PX = 1 << 18
MANY_VALUES = 32
"""Number of values in a piece from which on one histogram is faster than a comparison for each."""


class CellCounts:
    """Pixels of each value 0..values-1 in the cells between edges; other values are not counted.

    Attributes:
        counts: uint32 (values, cell rows, cell cols).
    """

    def __init__(self, row_edges: np.ndarray, col_edges: np.ndarray, values: int) -> None:
        """Start from zero.

        Args:
            row_edges, col_edges: sorted positions of the cells' borders in pixels, first and last included.
            values: how many values are counted.
        """
        self._row_edges, self._col_edges = np.asarray(row_edges), np.asarray(col_edges)
        self._same = np.empty(0, bool)
        self.counts = np.zeros((values, len(row_edges) - 1, len(col_edges) - 1), np.uint32)

    def add(self, window: Window, ids: np.ndarray) -> None:
        """Add a window inside the edges; a cell may be spread over several windows.

        Args:
            window: of the raster.
            ids: uint8 (rows, cols) of the window.
        """
        tops, cell_rows = _cuts(self._row_edges, window.row, window.height)
        lefts, cell_cols = _cuts(self._col_edges, window.col, window.width)
        bottoms = [*tops[1:].tolist(), window.height]
        for top, bottom, cell_row in zip(tops.tolist(), bottoms, cell_rows.tolist(), strict=True):
            for first in range(top, bottom, MAX_ROWS):
                rows = ids[first : min(first + MAX_ROWS, bottom)]
                self._add_rows(cell_row, rows, lefts, cell_cols)

    def _add_rows(self, cell_row: int, rows: np.ndarray, lefts: np.ndarray, cell_cols: np.ndarray) -> None:
        step = max(1, len(lefts) * CACHE_PX // rows.size)
        for begin in range(0, len(lefts), step):
            end = min(begin + step, len(lefts))
            right = rows.shape[1] if end == len(lefts) else lefts[end]
            piece = rows[:, lefts[begin] : right]
            cells = slice(cell_cols[begin], cell_cols[end - 1] + 1)
            self._add_piece(cell_row, piece, lefts[begin:end] - lefts[begin], cells)

    def _add_piece(self, cell_row: int, piece: np.ndarray, lefts: np.ndarray, cells: slice) -> None:
        low, high = int(piece.min()), min(int(piece.max()), len(self.counts) - 1)
        if low > high:
            return
        target = self.counts[:, cell_row, cells]
        if high - low >= MANY_VALUES:
            target += _histograms(piece, lefts, len(self.counts))
            return
        if self._same.size < piece.size:
            self._same = np.empty(piece.size, bool)
        same = self._same[: piece.size].reshape(
            piece.shape
        )  # a new array each time would cost as much as the work
        for value in range(low, high + 1):
            np.equal(piece, value, out=same)
            per_col = np.add.reduce(same.view(np.uint8), axis=0, dtype=np.uint8)
            target[value] += np.add.reduceat(per_col, lefts, dtype=np.uint32)


def _cuts(edges: np.ndarray, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Where cells begin inside a stretch, from its start, and which cells these are."""
    first = int(np.searchsorted(edges, start, side="right")) - 1
    last = int(np.searchsorted(edges, start + length, side="left"))
    return np.maximum(edges[first:last] - start, 0), np.arange(first, last)


def _histograms(piece: np.ndarray, lefts: np.ndarray, values: int) -> np.ndarray:
    widths = np.diff([*lefts.tolist(), piece.shape[1]])
    cell = np.repeat(np.arange(len(lefts)) * 256, widths)
    found = np.bincount((cell[None, :] + piece).ravel(), minlength=256 * len(lefts))
    return found.reshape(len(lefts), 256)[:, :values].T.astype(np.uint32)
