"""Confusion matrices of square cells of a raster, counted window by window."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE

MAX_CELLS = 16_384


class Cells:
    """One confusion matrix per cell of a lattice that begins at the raster's first pixel."""

    def __init__(self, cell_px: int, height: int, width: int, classes: int) -> None:
        """Lay the lattice.

        Args:
            cell_px: side of a cell.
            height, width: of the raster.
            classes: number of classes K.
        """
        self.cell_px, self.classes = cell_px, classes
        self._across, self._down = -(-width // cell_px), -(-height // cell_px)
        self._every = -(-(self._down * self._across) // MAX_CELLS)
        self._found: dict[int, NDArray[np.int32]] = {}

    def add(self, row: int, col: int, truth: NDArray[np.uint8], ids: NDArray[np.uint8]) -> None:
        """Count a window; IGNORE in either array is left out.

        Args:
            row, col: first pixel of the window.
            truth: reference class ids (rows, cols).
            ids: predicted class ids (rows, cols).
        """
        side, size = self.cell_px, self.classes**2
        first = col // side
        columns = (np.arange(truth.shape[1]) + col) // side - first
        for line in range(row // side, -(-(row + truth.shape[0]) // side)):
            part = slice(max(line * side - row, 0), (line + 1) * side - row)
            counted = (truth[part] != IGNORE) & (ids[part] != IGNORE)
            if counted.any():
                codes = truth[part].astype(np.int64) * self.classes + ids[part] + columns * size
                counts = np.bincount(codes[counted], minlength=(int(columns[-1]) + 1) * size)
                self._note(line * self._across + first, counts.reshape(-1, self.classes, self.classes))

    def _note(self, first: int, counts: NDArray[np.int64]) -> None:
        """Add the matrices of neighbouring cells, from number `first` on."""
        for place in np.flatnonzero(counts.any(axis=(1, 2))).tolist():
            cell = first + place
            if cell % self._every == 0:
                self._found[cell] = (counts[place] + self._found.get(cell, 0)).astype(np.int32)

    def matrices(self) -> NDArray[np.int64]:
        """Return (cells, K, K) of the cells with evaluated pixels, in order of the lattice; rows are the truth."""
        found = [self._found[cell] for cell in sorted(self._found)]
        return np.array(found, np.int64).reshape(-1, self.classes, self.classes)

    def all_matrices(self) -> NDArray[np.int64]:
        """Return (cells of the lattice, K, K), also of the cells without evaluated pixels."""
        found = np.zeros((self._down * self._across, self.classes, self.classes), np.int64)
        for cell, matrix in self._found.items():
            found[cell] = matrix
        return found

    def corners(self) -> list[tuple[int, int]]:
        """Return the first row and column of each cell of `matrices`."""
        return [
            (cell // self._across * self.cell_px, cell % self._across * self.cell_px)
            for cell in sorted(self._found)
        ]


def lattice_px(cell_px: int, height: int, width: int) -> int:
    """Return `cell_px`, or its multiple by a power of two with which a raster has at most MAX_CELLS cells.

    Args:
        cell_px: side of a cell.
        height, width: size of the raster.
    """
    while -(-height // cell_px) * -(-width // cell_px) > MAX_CELLS:
        cell_px *= 2
    return cell_px


def ious(matrices: NDArray[Any]) -> NDArray[np.float64]:
    """Return the IoU (…, K) of matrices (…, K, K); NaN for a class that neither truth nor prediction holds."""
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    union = matrices.sum(axis=-1) + matrices.sum(axis=-2) - hits
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(hits / union, np.float64)
