"""How much validation ground there is, counted in pieces that tell something of their own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

ENOUGH = 4
"""With fewer pieces neither the epoch nor the decision is chosen by them: what suits two places may spoil the map
elsewhere. docs/training.md has the figures."""
PIECE_PX = 128
"""Connected ground is as many pieces as squares of this side have room in it."""
CELL_PX = 8


def pieces(known: NDArray[np.bool_]) -> int:
    """Count pieces: connected parts, to a few pixels, each by its size but at least one.

    Args:
        known: (rows, cols), True where a pixel is labelled.
    """
    rows, cols = (-(-side // CELL_PX) for side in known.shape)
    counts = np.zeros((rows, cols), np.int64)
    for row in range(rows):
        line = known[row * CELL_PX : (row + 1) * CELL_PX].sum(axis=0)
        counts[row] = np.add.reduceat(line, np.arange(0, known.shape[1], CELL_PX))
    labelled, count = ndimage.label(counts > 0, np.ones((3, 3)))
    pixels = ndimage.sum_labels(counts, labelled, np.arange(1, count + 1))
    return int(np.maximum(np.round(np.asarray(pixels) / PIECE_PX**2), 1).sum())
