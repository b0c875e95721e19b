"""Windows and coordinates of a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from ..contract import Grid

Pixels = TypeVar("Pixels")

Bounds = tuple[float, float, float, float]
"""(xmin, ymin, xmax, ymax)."""


@dataclass(frozen=True)
class Window:
    """Rows `row`..`row + height` and columns `col`..`col + width`, half-open; may reach outside the grid."""

    row: int
    col: int
    height: int
    width: int

    def moved(self, rows: int, cols: int) -> Window:
        """Return the window moved down and to the right.

        Args:
            rows, cols: pixels to move; negative moves up and to the left.
        """
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def padded(self, px: int) -> Window:
        """Return the window with `px` more pixels on every side."""
        return Window(self.row - px, self.col - px, self.height + 2 * px, self.width + 2 * px)

    def clipped(self, height: int, width: int) -> Window:
        """Return the part inside a raster; height or width is 0 if there is none.

        Args:
            height, width: of the raster.
        """
        row, col = min(max(self.row, 0), height), min(max(self.col, 0), width)
        end_row = max(row, min(self.row + self.height, height))
        end_col = max(col, min(self.col + self.width, width))
        return Window(row, col, end_row - row, end_col - col)

    def shared(self, other: Window) -> Window:
        """Return the intersection of two windows; height or width is 0 if it is empty."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        bottom = min(self.row + self.height, other.row + other.height)
        right = min(self.col + self.width, other.col + other.width)
        return Window(row, col, max(bottom - row, 0), max(right - col, 0))

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Return the row and column slices that cut this window out of an array of `outer`."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def of(self, pixels: Pixels) -> Pixels:
        """Return this part of an array or tensor (…, rows, cols) that starts at row 0 and column 0."""
        rows, cols = self.within(Window(0, 0, 0, 0))
        return pixels[..., rows, cols]  # type: ignore[index, no-any-return]

    @property
    def empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.height <= 0 or self.width <= 0

    @property
    def rasterio(self) -> RasterioWindow:
        """The window as a rasterio window."""
        return RasterioWindow(self.col, self.row, self.width, self.height)


def windows(grid: Grid, size_px: int) -> Iterator[Window]:
    """Yield square windows, row by row, that cover every pixel of the grid exactly once; the last are smaller.

    Args:
        grid: to cover.
        size_px: side of a window.
    """
    for row in range(0, grid.height, size_px):
        for col in range(0, grid.width, size_px):
            yield Window(row, col, min(size_px, grid.height - row), min(size_px, grid.width - col))


def windows_on_lattice(grid: Grid, limit_px: float, across: int = 4, min_px: int = 16) -> list[Window]:
    """Return the whole grid if it is small, else `across`² windows of one size spread over it, with all corners.

    Args:
        grid: to sample.
        limit_px: pixels of all windows together, about.
        across: windows along each side.
        min_px: minimum side of a window.
    """
    if grid.width * grid.height <= limit_px:
        return [full_window(grid)]
    side = max(int((limit_px / across**2) ** 0.5), min_px)
    height, width = min(side, grid.height), min(side, grid.width)
    rows = np.unique(np.linspace(0, grid.height - height, across).astype(int)).tolist()
    cols = np.unique(np.linspace(0, grid.width - width, across).astype(int)).tolist()
    return [Window(row, col, height, width) for row in rows for col in cols]


def window_px(bands: int) -> int:
    """Return the side of windows, a multiple of 256, whose values of all bands stay within some 16 million."""
    return 1024 if bands <= 16 else 512 if bands <= 64 else 256


def window_count(grid: Grid, size_px: int) -> int:
    """Return the number of windows that `windows` yields.

    Args:
        grid: to cover.
        size_px: side of a window.
    """
    return math.ceil(grid.height / size_px) * math.ceil(grid.width / size_px)


def full_window(grid: Grid) -> Window:
    """Return the window of all pixels."""
    return Window(0, 0, grid.height, grid.width)


def affine_of(grid: Grid, window: Window | None = None) -> Affine:
    """Return the transform from pixels to world coordinates.

    Args:
        grid: of the raster.
        window: whose corner is pixel (0, 0); None is the grid's.
    """
    affine = Affine(*grid.transform)
    return affine if window is None else affine * Affine.translation(window.col, window.row)


def subgrid(grid: Grid, window: Window) -> Grid:
    """Return the grid of a window's pixels.

    Args:
        grid: of the raster.
        window: may reach outside the grid.
    """
    affine = affine_of(grid, window)
    return Grid(
        grid.crs, (affine.a, affine.b, affine.c, affine.d, affine.e, affine.f), window.width, window.height
    )


def grid_bounds(grid: Grid, window: Window | None = None) -> Bounds:
    """Return the envelope of a grid, or of a window, in the grid's CRS.

    Args:
        grid: of the raster.
        window: may reach outside the grid; None is all of it.

    Returns:
        (xmin, ymin, xmax, ymax).
    """
    window = window or full_window(grid)
    affine = affine_of(grid, window)
    corners = [affine * corner for corner in ((0, 0), (window.width, 0), (0, window.height))]
    corners.append(affine * (window.width, window.height))
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def covering_window(grid: Grid, bounds: Bounds, padding_px: int = 0) -> Window:
    """Return the window of all pixels that a box touches, clipped to the grid; it may be empty.

    Args:
        grid: of the raster.
        bounds: (xmin, ymin, xmax, ymax) in the grid's CRS.
        padding_px: added on every side.
    """
    to_pixels = ~affine_of(grid)
    xmin, ymin, xmax, ymax = bounds
    corners = ((xmin, ymin), (xmin, ymax), (xmax, ymin), (xmax, ymax))
    cols, rows = zip(*(to_pixels * corner for corner in corners), strict=True)
    top, left = math.floor(min(rows)), math.floor(min(cols))
    touched = Window(top, left, math.ceil(max(rows)) - top, math.ceil(max(cols)) - left)
    return touched.padded(padding_px).clipped(grid.height, grid.width)


def pixel_size(grid: Grid) -> tuple[float, float]:
    """Return width and height of a pixel in units of the CRS, both positive."""
    affine = affine_of(grid)
    return math.hypot(affine.a, affine.d), math.hypot(affine.b, affine.e)


def same_grid(one: Grid, other: Grid, tolerance_px: float = 0.01) -> bool:
    """Return whether two grids have the same size and their pixels coincide; CRS are not compared.

    Args:
        one, other: the grids.
        tolerance_px: maximum distance of corners.
    """
    if (one.width, one.height) != (other.width, other.height):
        return False
    to_other = ~affine_of(other) * affine_of(one)
    corners = ((0, 0), (one.width, 0), (0, one.height), (one.width, one.height))
    return all(math.dist(to_other * corner, corner) < tolerance_px for corner in corners)


def rasterio_profile(grid: Grid, count: int, dtype: str, nodata: float | None) -> dict[str, Any]:
    """Return the creation options of every raster that GeoSeg writes: tiled, zstd, BigTIFF where needed.

    Args:
        grid: of the raster.
        count: number of bands.
        dtype: of all bands.
        nodata: of all bands; None is none.
    """
    block = 512 if min(grid.width, grid.height) > 256 else 256
    return {
        "driver": "GTiff",
        "crs": grid.crs,
        "transform": affine_of(grid),
        "width": grid.width,
        "height": grid.height,
        "count": count,
        "dtype": dtype,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": block,
        "blockysize": block,
        "interleave": "band",
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "IF_SAFER",
        "num_threads": "ALL_CPUS",
    }


def round_up(length: int, step: int) -> int:
    """Return the next multiple of a step that is not below a length.

    Args:
        length: at least 0.
        step: at least 1.
    """
    return -(-length // step) * step
