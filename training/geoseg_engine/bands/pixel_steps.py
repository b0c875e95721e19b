"""True size and orientation of pixels, and derivatives per metre from those per pixel.

Where the plane of a CRS is true to scale (TRUE_SCALE, TRUE_NORTH_DEGREES), as in UTM and most national grids,
pixels are measured on the map, as QGIS and GDAL do. Elsewhere (degrees, Mercator, polar and
continental grids) pixels are measured on the ellipsoid, and directions count from true north.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ..contract import Grid
from ..raster.geodesy import pixel_vectors_m, plane_of
from ..raster.grid import Window, affine_of
from ..raster.sources import parse_crs

Steps = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Columns and rows that a metre to the east and a metre to the north go: (col_east, col_north, row_east, row_north)."""

TRUE_SCALE, TRUE_NORTH_DEGREES = 0.005, 5.0
"""Maximum relative error of map distances, and error of map directions, up to which the map is measured."""

MAX_ROWS, MAX_PLACES = 4096, 65
LATTICE_M, LATTICE_PX = 2000.0, 64
"""Largest distance between places where pixels are measured; in between they are interpolated."""

QUICKLY = 0.05
"""Radians that east may turn between these places."""


def is_plane(grid: Grid) -> bool:
    """Return whether the map is measured, and not the ellipsoid."""
    plane = plane_of(grid)
    return plane.scale_error < TRUE_SCALE and plane.turn_degrees < TRUE_NORTH_DEGREES


def unit_m(grid: Grid) -> float:
    """Return the metres in one unit of a projected CRS."""
    axes = parse_crs(grid.crs).axis_info
    return float(axes[0].unit_conversion_factor) if axes else 1.0


class PixelSteps:
    """How many pixels a metre to the east and a metre to the north go, in a window of a grid.

    A pixel has the same values in every window.
    """

    def __init__(self, grid: Grid, window: Window) -> None:
        self._lattice = None
        if is_plane(grid):
            affine = affine_of(grid)
            on_map = unit_m(grid) * np.array([[affine.a, affine.b], [affine.d, affine.e]])
            self._steps = _inverse(*(np.array(plane_of(grid).axes) @ on_map).reshape(4, 1, 1))
        elif plane_of(grid).by_row:
            across, down = pixel_vectors_m(grid, *_rows(grid, window))
            none = np.zeros((1, 1))
            self._steps = _inverse(across[0], none, none, down[1])
        else:
            self._lattice = MeasuredLattice(grid, window, _steps)

    def of(self, start: int, end: int, dtype: np.dtype) -> Steps:
        """Return the steps of some rows of the window.

        Args:
            start, end: rows, half-open.
            dtype: of the result.

        Returns:
            Four arrays: (1, 1) where all pixels are alike, (rows, 1) where those of a row are, else (rows, cols).
        """
        if self._lattice is not None:
            return self._lattice.of(start, end, dtype)  # type: ignore[return-value]
        parts = (part if len(part) == 1 else part[start:end] for part in self._steps)
        col_east, col_north, row_east, row_north = (part.astype(dtype) for part in parts)
        return col_east, col_north, row_east, row_north


def pixel_lengths_m(grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths in metres of a step of one column and of one row.

    Args:
        grid: of the raster.
        window: inside the grid.

    Returns:
        Two arrays, (1, 1), (rows, 1) or (rows, cols) as in `PixelSteps`.
    """
    if is_plane(grid):
        affine, unit = affine_of(grid), unit_m(grid)
        across, down = np.hypot(affine.a, affine.d) * unit, np.hypot(affine.b, affine.e) * unit
        return np.full((1, 1), across), np.full((1, 1), down)
    if plane_of(grid).by_row:
        return _lengths(grid, *_rows(grid, window))
    across_m, down_m = MeasuredLattice(grid, window, _lengths).of(0, window.height, np.dtype(float))
    return across_m, down_m


def sampled_lengths_m(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return lengths as `pixel_lengths_m`, at places all over a grid that are dense enough to find the minimum."""
    if is_plane(grid):
        return pixel_lengths_m(grid, Window(0, 0, 1, 1))
    counts = (MAX_ROWS, 1) if plane_of(grid).by_row else (MAX_PLACES, MAX_PLACES)
    places = (
        np.unique(np.linspace(0, size - 1, min(size, count)).round())
        for size, count in zip((grid.height, grid.width), counts, strict=True)
    )
    return _lengths(grid, *np.meshgrid(*places, indexing="ij"))


def _rows(grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a window and the grid's middle column, (rows, 1) each."""
    rows = np.arange(window.row, window.row + window.height)[:, None]
    return rows, np.full(rows.shape, grid.width / 2)


def _inverse(
    east_col: np.ndarray, east_row: np.ndarray, north_col: np.ndarray, north_row: np.ndarray
) -> Steps:
    """From metres per pixel to pixels per metre."""
    if not (east_row.any() or north_col.any()):
        return 1 / east_col, np.zeros((1, 1)), np.zeros((1, 1)), 1 / north_row
    determinant = east_col * north_row - east_row * north_col
    return north_row / determinant, -east_row / determinant, -north_col / determinant, east_col / determinant


def _steps(grid: Grid, rows: np.ndarray, cols: np.ndarray) -> Steps:
    across, down = pixel_vectors_m(grid, rows, cols)
    return _inverse(across[0], down[0], across[1], down[1])


def _lengths(grid: Grid, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    across, down = pixel_vectors_m(grid, rows, cols)
    return np.hypot(*across), np.hypot(*down)


Measure = Callable[[Grid, np.ndarray, np.ndarray], tuple[np.ndarray, ...]]


class MeasuredLattice:
    """Measures of the pixels of a window, taken at places tied to the grid, so that windows agree.

    In between they are interpolated; where east turns quickly, near a pole, every pixel is measured.
    """

    def __init__(self, grid: Grid, window: Window, measure: Measure) -> None:
        self._grid, self._window, self._measure = grid, window, measure
        self._px = step = lattice_px(grid)
        self._row, self._col = window.row // step * step, window.col // step * step
        rows = np.arange(self._row, window.row + window.height + step, step)
        cols = np.arange(self._col, window.col + window.width + step, step)
        places = np.meshgrid(rows, cols, indexing="ij")
        self._nodes = np.stack(measure(grid, *places))
        across, _ = pixel_vectors_m(grid, *places)
        ahead = across / np.hypot(*across)
        corners = [ahead[:, :-1, :-1], ahead[:, :-1, 1:], ahead[:, 1:, :-1], ahead[:, 1:, 1:]]
        near = [(corners[0] * other).sum(axis=0) > math.cos(QUICKLY) for other in corners[1:]]
        self._quick = ~np.all(near, axis=0)

    def of(self, start: int, end: int, dtype: np.dtype) -> tuple[np.ndarray, ...]:
        """Return each measure, (rows, cols), of some rows of the window.

        Args:
            start, end: rows, half-open.
            dtype: of the result.
        """
        step, window, nodes = self._px, self._window, self._nodes
        down = np.arange(window.row + start, window.row + end) - self._row
        upper, share = down // step, (down % step / step)[:, None]
        by_row = (nodes[:, upper] * (1 - share) + nodes[:, upper + 1] * share).astype(dtype)
        result = (np.diff(by_row, axis=2) / step)[..., None] * np.arange(step, dtype=dtype)
        result += by_row[:, :, :-1, None]
        inside = slice(window.col - self._col, window.col - self._col + window.width)
        result = result.reshape(len(nodes), end - start, -1)[:, :, inside]
        if self._quick.any():
            rows, cols = np.nonzero(np.repeat(self._quick[upper], step, axis=1)[:, inside])
            result[:, rows, cols] = self._measure(self._grid, rows + start + window.row, cols + window.col)
        return tuple(result)


@lru_cache(maxsize=64)
def lattice_px(grid: Grid) -> int:
    """Return the pixels between places that are measured, a power of two."""
    middle = _lengths(grid, np.array([grid.height / 2]), np.array([grid.width / 2]))
    longest = float(np.nan_to_num(middle, nan=LATTICE_M).max())
    return 1 << int(np.log2(np.clip(LATTICE_M / longest, 1, LATTICE_PX)))


def world_gradient(steps: Steps, per_col: np.ndarray, per_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return height per metre to the east and to the north.

    Args:
        steps: of `PixelSteps`.
        per_col, per_row: height per pixel to the right and down, (rows, cols).
    """
    col_east, col_north, row_east, row_north = steps
    if col_north.shape == (1, 1) and col_north == 0 == row_east:
        return per_col * col_east, per_row * row_north
    return per_col * col_east + per_row * row_east, per_col * col_north + per_row * row_north


def world_hessian(
    steps: Steps, col_col: np.ndarray, col_row: np.ndarray, row_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return second derivatives per metre: east-east, east-north, north-north.

    Args:
        steps: of `PixelSteps`.
        col_col, col_row, row_row: second derivatives per pixel, (rows, cols).
    """
    first = world_gradient(steps, col_col, col_row)
    second = world_gradient(steps, col_row, row_row)
    east_east, east_north = world_gradient(steps, first[0], second[0])
    _, north_north = world_gradient(steps, first[1], second[1])
    return east_east, east_north, north_north
