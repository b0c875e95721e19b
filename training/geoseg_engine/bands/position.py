"""Where a pixel lies within its surroundings: above or below them, by how much, at which scale.

TPI is the height minus the mean of the neighbours (Weiss 2001), local relief the height minus the mean of a wide
surrounding, and multi-scale TPI the deviation from mean elevation, (height - mean) / standard deviation, of the
radius at which it is largest (Lindsay, Cockburn & Russell 2015, DEVmax). Surroundings are rectangles of
2 · radius + 1 pixels, measured in metres on the ground row by row; voids and ground beyond the edge do not count.

Sums come from integral images of integers (heights in 1/65536 m, for variances in 1/64 m): integers add up
exactly, so a value does not depend on the window it is read in, not even in its last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from ..contract import Band, GeoSegError, Grid
from ..raster.grid import Window
from .ground import metre_per_pixel_at

Parameters = Mapping[str, float | str]

RADIUS_LIMIT_PX = 512
"""Largest radius; a wider one would have to read many times the pixels that it gives."""

DEFAULT_RADII = {"tpi": "0", "local_relief": "500", "multiscale_tpi": "50,150,450"}
"""In metres; 0 means the eight neighbours."""

FINE, COARSE = 65536.0, 64.0
HIGHEST_M = 32768.0
"""Heights beyond it, of either sign, are taken as it: no ground lies there, and sums of squares stay exact."""

ROWS_LOOKED_AT = 4096
STRIP_PX = 1 << 15
"""Pixels worked on at once, so that temporaries stay in the processor's cache."""


def radii_m(name: str, parameters: Parameters) -> list[float]:
    """Radii that an attribute is asked for, in metres: `radii` ("100,300,900") of `multiscale_tpi`, else `radius_m`.

    Raises:
        GeoSegError: `bad_parameter`.
    """
    key = "radii" if name == "multiscale_tpi" else "radius_m"
    text = str(parameters.get(key, DEFAULT_RADII[name]))
    try:
        radii = [float(part) for part in text.split(",")]
    except ValueError:
        radii = []
    if not radii or not all(0 <= radius < np.inf for radius in radii):
        raise GeoSegError(
            "bad_parameter",
            f"'{text}' is no radius of {name}.",
            "Give metres: one number, or for multiscale_tpi several with commas, as 100,300,900.",
        )
    return radii


def position_halo_px(name: str, parameters: Parameters, grid: Grid) -> int:
    """Pixels around a window that the widest radius needs.

    Raises:
        GeoSegError: `bad_parameter`; `radius` beyond RADIUS_LIMIT_PX.
    """
    widest = max(radii_m(name, parameters))
    halo = max(_reach(widest, grid))
    if halo > RADIUS_LIMIT_PX:
        raise GeoSegError(
            "radius",
            f"A radius of {widest:g} m around every pixel is {halo} pixels of this elevation model for {name}.",
            f"Choose at most {widest * RADIUS_LIMIT_PX / halo:.0f} m, or an elevation model with larger pixels.",
        )
    return halo


@lru_cache(maxsize=64)
def _reach(radius_m: float, grid: Grid) -> tuple[int, int]:
    """Largest half height and half width in pixels, over the grid's rows."""
    rows = np.unique(np.linspace(0, grid.height - 1, min(grid.height, ROWS_LOOKED_AT)).round())
    down, across = _halves(radius_m, grid, rows)
    return int(down.max()), int(across.max())


def _halves(radius_m: float, grid: Grid, rows: np.ndarray) -> np.ndarray:
    """Half height and half width of the surroundings of each row, in pixels, at least 1: int (2, rows)."""
    east_col, east_row, north_col, north_row = metre_per_pixel_at(grid, rows)
    across, down = np.hypot(east_col, north_col)[:, 0], np.hypot(east_row, north_row)[:, 0]
    steps = np.stack([np.broadcast_to(step, rows.shape) for step in (down, across)])
    return np.maximum(np.rint(radius_m / steps), 1).astype(int)


def position_bands(heights_m: np.ndarray, grid: Grid, window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Attributes of a window of a DEM.

    Args:
        heights_m: (rows, cols) of the window with the halo of `position_halo_px`, NaN for voids and beyond the edge.
        grid: the DEM's grid.
        window: a window inside it.
        bands: `tpi`, `local_relief` and `multiscale_tpi` with their parameters.

    Returns:
        Float64 (bands, rows, cols), NaN where the height is unknown; TPI and local relief in metres, positive above
        the surroundings; multi-scale TPI in standard deviations, 0 on flat ground.
    """
    sums = Sums(heights_m, grid, window)
    result = np.empty((len(bands), window.height, window.width))
    step = max(STRIP_PX // max(window.width, 1), 1)
    for row in range(0, window.height, step):
        rows = slice(row, min(row + step, window.height))
        for place, band in enumerate(bands):
            result[place, rows] = _position(sums, band, rows)
    result[:, sums.void] = np.nan
    return result


def _position(sums: Sums, band: Band, rows: slice) -> np.ndarray:
    radii = radii_m(band.derive, band.parameters)
    if band.derive == "tpi":
        return sums.above_mean(radii[0], rows, without_itself=True)
    if band.derive == "local_relief":
        return sums.above_mean(radii[0], rows)
    result = sums.deviation(radii[0], rows)
    for radius_m in radii[1:]:
        deviation = sums.deviation(radius_m, rows)
        result = np.where(np.abs(deviation) > np.abs(result), deviation, result)
    return result


class Sums:
    """Integral images of a window of a DEM, kept for all its radii and bands; `rows` are those of the window."""

    def __init__(self, heights_m: np.ndarray, grid: Grid, window: Window) -> None:
        self._grid, self._window = grid, window
        self._halo = (heights_m.shape[0] - window.height) // 2
        known = np.isfinite(heights_m)
        heights = np.clip(np.where(known, heights_m, 0.0), -HIGHEST_M, HIGHEST_M)
        inner = slice(self._halo, -self._halo)
        fine = np.rint(heights * FINE).astype(np.int64)
        self.void = ~known[inner, inner]
        self._height = fine[inner, inner]
        self._counts = integral(known.astype(np.int64))
        self._heights = integral(fine)
        self._coarse = np.rint(heights * COARSE).astype(np.int64)
        self._squares: tuple[np.ndarray, np.ndarray] | None = None
        self._halves: dict[float, np.ndarray] = {}

    def above_mean(self, radius_m: float, rows: slice, without_itself: bool = False) -> np.ndarray:
        """Height minus the mean around it, in metres; 0 for a pixel alone among voids."""
        count, total = (self._around(table, radius_m, rows) for table in (self._counts, self._heights))
        difference = self._height[rows] * count - total  # the pixel itself adds 0 to it
        others = count - 1 if without_itself else count
        result: np.ndarray = difference / (np.maximum(others, 1) * FINE)
        return result

    def deviation(self, radius_m: float, rows: slice) -> np.ndarray:
        """Height minus the mean around it, in standard deviations of the heights there; 0 where all are equal."""
        if self._squares is None:
            self._squares = integral(self._coarse), integral(self._coarse * self._coarse)
        count = np.maximum(self._around(self._counts, radius_m, rows), 1)
        total, squares = (self._around(table, radius_m, rows) for table in self._squares)
        middle = np.rint(total / count).astype(np.int64)
        rest = total - middle * count
        spread = squares - 2 * middle * total + middle * middle * count  # of heights around `middle`, exact
        variance = np.maximum((spread - rest * (rest / count)) / count, 0.0) / COARSE**2
        with np.errstate(divide="ignore", invalid="ignore"):
            result = self.above_mean(radius_m, rows) / np.sqrt(variance)
        return np.where(variance > 0, result, 0.0)

    def _halves_of(self, radius_m: float) -> np.ndarray:
        """Half heights and half widths of the window's rows."""
        if radius_m not in self._halves:
            rows = np.arange(self._window.height) + self._window.row
            self._halves[radius_m] = np.minimum(_halves(radius_m, self._grid, rows), self._halo)
        return self._halves[radius_m]

    def _around(self, table: np.ndarray, radius_m: float, rows: slice) -> np.ndarray:
        """Sum over the surroundings of every pixel of some rows, int64 (rows, cols)."""
        height, width, halo = rows.stop - rows.start, self._window.width, self._halo
        halves = self._halves_of(radius_m)[:, rows]
        starts = np.flatnonzero(np.any(np.diff(halves, axis=1, prepend=-1) != 0, axis=0))
        result = np.empty((height, width), np.int64)
        for start, end in zip(starts, [*starts[1:], height], strict=True):  # rows of the same size
            down, across = halves[:, start]
            middle = rows.start + start + halo
            above, below = middle - down, middle + down + 1
            left, right = halo - across, halo + across + 1
            count = end - start
            strip = table[below : below + count] - table[above : above + count]
            np.subtract(strip[:, right : right + width], strip[:, left : left + width], out=result[start:end])
        return result


def integral(values: np.ndarray) -> np.ndarray:
    """Sums of all values above and left: int64 (rows + 1, cols + 1), modulo 2^64, which differences undo."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int64)
    np.cumsum(values, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table
