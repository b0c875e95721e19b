"""Pixels and true area of each class in a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Grid
from .geodesy import even_columns_px, row_areas_m2
from .grid import Window

FEW_CODES = 16


def row_counts(codes: NDArray[np.uint8], wanted: Sequence[int]) -> NDArray[np.int64]:
    """Count the pixels of each wanted code in each row; few codes are compared one by one, which is faster.

    Args:
        codes: uint8 (rows, cols).
        wanted: codes.

    Returns:
        int64 (rows, wanted).
    """
    if len(wanted) > FEW_CODES:
        return np.stack([np.bincount(row, minlength=256)[list(wanted)] for row in codes])
    found = [[np.count_nonzero(row) for row in codes == item] for item in wanted]
    return np.array(found, np.int64).reshape(len(wanted), len(codes)).T


def class_areas(
    grid: Grid, codes: NDArray[np.uint8], window: Window, wanted: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Count the pixels of wanted codes in a window and measure their area on the ellipsoid.

    Args:
        grid: of the raster.
        codes: (rows, cols) of the window.
        window: inside the grid.
        wanted: codes.

    Returns:
        Pixels of each code in each row, (rows, wanted), and m² of each code, (wanted,).
    """
    counts = np.zeros((window.height, len(wanted)), np.int64)
    area_m2 = np.zeros(len(wanted))
    step = even_columns_px(grid)
    pixel_m2 = row_areas_m2(grid, window.row, window.height, window.col, window.width)
    for place, col in enumerate(range(0, window.width, step)):
        found = row_counts(codes[:, col : col + step], wanted)
        counts += found
        area_m2 += pixel_m2[:, place] @ found
    return counts, area_m2
