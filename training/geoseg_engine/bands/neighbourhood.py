"""What is derived from a pixel and those around it, in the raster's own pixels: by name, with its halo."""

from __future__ import annotations

import numpy as np

from ..contract import Band, Grid
from ..raster.grid import Window
from . import relief


def halo_px(bands: tuple[Band, ...], grid: Grid) -> int:
    """Pixels around a window that these bands need."""
    return relief.HALO_PX


def derived(values: np.ndarray, grid: Grid, window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Derive bands from one band of a raster.

    Args:
        values: float64 (rows, cols) of `window.padded(halo_px(bands, grid))`, NaN where invalid and beyond the edge.
        grid: the raster's own.
        window: inside the grid.
        bands: each with `derive` and its parameters.

    Returns:
        Float64 (bands, rows, cols) of the window.
    """
    return relief.attributes(values, grid, window, tuple(band.derive for band in bands))
