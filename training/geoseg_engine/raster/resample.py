"""Resample arrays of a source onto pixels of another grid, with NaN for what is not there.

Done here rather than by GDAL's warper because every result must depend on the pixel alone, not on the window
it is computed in: coordinates are interpolated on one lattice of the whole grid.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import pyproj

from ..contract import Grid, present
from .crs import way_between
from .footprints import Footprints, covered
from .grid import Window, affine_of
from .interpolation import BORDER_PX, interpolate, separable
from .sources import parse_crs

ALIGNED_PX = 0.01
LATTICE_PX = (64, 16, 4)
LATTICE_ERROR_PX = 0.0005

COARSER_PX = 1.05
"""Source pixels along a pixel from which on `bilinear` and `cubic` are the mean of what the pixel covers."""


Range = tuple[float, float]


@dataclass(frozen=True)
class Mapping:
    """From pixels of a grid to pixels of a source.

    Attributes:
        shift: (rows, cols) to add when the pixels of both coincide, else None.
        coarser: whether pixels of the grid span more than COARSER_PX source pixels in either direction.
        step_px: lattice on which the projection is exact; 0 where it is affine, 1 exact at every pixel.
    """

    grid: Grid
    source: Grid
    shift: tuple[int, int] | None
    coarser: bool
    step_px: int
    transformer: pyproj.Transformer | None


def mapping(grid: Grid, source: Grid) -> Mapping:
    """Return the mapping from pixels of a grid to pixels of a source.

    Args:
        grid: of the stack.
        source: grid of the source.

    Raises:
        GeoSegError: as `way_between`.
    """
    transformer = way_between(parse_crs(grid.crs), parse_crs(source.crs))
    step = 0 if transformer is None else _lattice_step(grid, source, transformer)
    shift = _whole_shift(grid, source) if transformer is None else None
    found = Mapping(grid, source, shift, False, step, transformer)
    return replace(found, coarser=_widest_px(found) > COARSER_PX)


def _whole_shift(grid: Grid, source: Grid) -> tuple[int, int] | None:
    to_source = ~affine_of(source) * affine_of(grid)
    shift = round(to_source.c), round(to_source.f)
    corners = ((0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height))
    for col, row in corners:
        if math.dist(to_source * (col, row), (col + shift[0], row + shift[1])) > ALIGNED_PX:
            return None
    return shift[1], shift[0]


def _exact(
    grid: Grid, source: Grid, transformer: pyproj.Transformer, rows: np.ndarray, cols: np.ndarray
) -> tuple:
    xs, ys = affine_of(grid) * (cols, rows)
    # one point more than needed: pyproj treats an array of one as a point, which numpy will not convert much longer
    xs, ys = (part[:-1] for part in transformer.transform(np.append(xs, xs[0]), np.append(ys, ys[0])))
    with np.errstate(invalid="ignore"):
        source_cols, source_rows = ~affine_of(source) * (np.asarray(xs), np.asarray(ys))
    return source_rows, source_cols


def _lattice_step(grid: Grid, source: Grid, transformer: pyproj.Transformer) -> int:
    """The coarsest lattice whose interpolation is off by less than LATTICE_ERROR_PX source pixels."""
    for step in LATTICE_PX:
        rows = np.unique(np.linspace(0, max(grid.height // step, 0), 12).astype(int)) * step
        cols = np.unique(np.linspace(0, max(grid.width // step, 0), 12).astype(int)) * step
        rows, cols = (axis.ravel().astype(float) for axis in np.meshgrid(rows, cols))
        corners = [
            _exact(grid, source, transformer, rows + down, cols + right)
            for down in (0, step)
            for right in (0, step)
        ]
        middle = _exact(grid, source, transformer, rows + step / 2, cols + step / 2)
        error = max(
            float(np.abs(np.mean([corner[axis] for corner in corners], axis=0) - middle[axis]).max())
            for axis in (0, 1)
        )
        if error < LATTICE_ERROR_PX:
            return step
    return 1


def _widest_px(mapping: Mapping) -> float:
    """Source pixels along an axis that a pixel in the middle of the grid spans; 1 if it cannot be transformed."""
    row, col = mapping.grid.height // 2, mapping.grid.width // 2
    spans = []
    for places in source_pixels(mapping, Window(row, col, 2, 2)):
        spans += [abs(places[1, 0] - places[0, 0]), abs(places[0, 1] - places[0, 0])]
    return max((float(span) for span in spans if math.isfinite(span)), default=1.0)


def source_pixels(mapping: Mapping, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return source row and column of every pixel centre of a window, in pixels from the source's corner.

    Args:
        mapping: from the grid to the source.
        window: of the grid.

    Returns:
        Two float64 arrays of shape (rows, cols); not finite where a centre cannot be transformed.
    """
    rows, cols = np.arange(window.height) + window.row + 0.5, np.arange(window.width) + window.col + 0.5
    return _positions(mapping, rows, cols)


def source_corners(mapping: Mapping, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Return source row and column of every pixel corner of a window.

    Args:
        mapping: from the grid to the source.
        window: of the grid.

    Returns:
        As `source_pixels`, with one more row and column.
    """
    rows, cols = np.arange(window.height + 1) + window.row, np.arange(window.width + 1) + window.col
    return _positions(mapping, rows.astype(float), cols.astype(float))


def _positions(mapping: Mapping, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Source rows and columns of grid rows and columns; broadcast from one axis where the grid is not rotated."""
    if mapping.transformer is None:
        to_source = ~affine_of(mapping.source) * affine_of(mapping.grid)
        shape = (len(rows), len(cols))
        if to_source.b == 0 and to_source.d == 0:
            at_rows, at_cols = to_source.e * rows + to_source.f, to_source.a * cols + to_source.c
            return np.broadcast_to(at_rows[:, None], shape), np.broadcast_to(at_cols[None, :], shape)
        source_cols, source_rows = to_source * (cols[None, :], rows[:, None])
        return np.broadcast_to(source_rows, shape), np.broadcast_to(source_cols, shape)
    if mapping.step_px == 1:
        grid_rows, grid_cols = np.meshgrid(rows, cols, indexing="ij")
        found = _exact(
            mapping.grid, mapping.source, mapping.transformer, grid_rows.ravel(), grid_cols.ravel()
        )
        return found[0].reshape(grid_rows.shape), found[1].reshape(grid_rows.shape)
    return _interpolated(mapping, rows, cols)


def _interpolated(mapping: Mapping, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    transformer = present(mapping.transformer, "the way between two CRS")
    step = mapping.step_px
    cells = [np.floor(axis / step).astype(int) for axis in (rows, cols)]
    knots = [np.arange(cell[0], cell[-1] + 2) * float(step) for cell in cells]
    knot_rows, knot_cols = np.meshgrid(*knots, indexing="ij")
    found = _exact(mapping.grid, mapping.source, transformer, knot_rows.ravel(), knot_cols.ravel())
    down = (rows - cells[0] * step) / step
    right = (cols - cells[1] * step) / step
    top, left = cells[0] - cells[0][0], cells[1] - cells[1][0]
    results = []
    for values in found:
        lattice = values.reshape(knot_rows.shape)
        across = lattice[:, left] * (1 - right) + lattice[:, left + 1] * right
        results.append(across[top] * (1 - down)[:, None] + across[top + 1] * down[:, None])
    return results[0], results[1]


def source_window(mapping: Mapping, rows: np.ndarray, cols: np.ndarray, padding_px: int) -> Window:
    """Return the window of the source to read for some positions, clipped to the source.

    Args:
        mapping: from the grid to the source.
        rows, cols: source positions of one shape.
        padding_px: added on every side.
    """
    ranges = _ranges(rows, cols)
    if not _within(mapping.source, ranges):
        inside = inside_source(mapping.source, rows, cols)
        if not inside.any():
            return Window(0, 0, 0, 0)
        ranges = _ranges(rows[inside], cols[inside])
    return _around(mapping.source, ranges, padding_px)


def _around(source: Grid, ranges: tuple[Range, Range], padding_px: int) -> Window:
    (top, bottom), (left, right) = ((math.floor(low), math.floor(high) + 1) for low, high in ranges)
    part = Window(top, left, bottom - top, right - left).padded(padding_px)
    return part.clipped(source.height, source.width)


def _ranges(rows: np.ndarray, cols: np.ndarray) -> tuple[Range, Range]:
    """Lowest and highest row and column; NaN if one is."""
    if separable(rows, cols):
        rows, cols = rows[:, 0], cols[0]
    return (float(rows.min()), float(rows.max())), (float(cols.min()), float(cols.max()))


def _within(source: Grid, ranges: tuple[Range, Range]) -> bool:
    """Whether all rows and columns between these are inside the source."""
    (top, bottom), (left, right) = ranges
    first, height, width = -BORDER_PX, source.height - BORDER_PX, source.width - BORDER_PX
    return top >= first and bottom < height and left >= first and right < width


def inside_source(source: Grid, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Return where pixel coordinates are inside the source.

    Args:
        source: its grid.
        rows, cols: source positions of one shape.

    Returns:
        Boolean of that shape.
    """
    with np.errstate(invalid="ignore"):
        rows_inside = (rows >= -BORDER_PX) & (rows < source.height - BORDER_PX)
        return rows_inside & (cols >= -BORDER_PX) & (cols < source.width - BORDER_PX)


@dataclass(frozen=True)
class Placed:
    """Pixels of a window of a grid on a source.

    Attributes:
        rows, cols: source positions of the pixels' centres, as of `source_pixels`.
        footprints: the areas that they cover; None where no method needs them.
        part: window of the source to read for them; empty where the source has no part of it.
    """

    rows: np.ndarray
    cols: np.ndarray
    footprints: Footprints | None
    part: Window


def place_window(mapping: Mapping, window: Window, methods: Collection[str]) -> Placed:
    """Return which part of a source to read for a window of a grid.

    Args:
        mapping: from the grid to the source.
        window: of the grid.
        methods: of resampling that will be used.
    """
    rows, cols = source_pixels(mapping, window)
    part = source_window(mapping, rows, cols, 2)
    if part.empty or not any(_covers(mapping, method) for method in methods):
        return Placed(rows, cols, None, part)
    shape = mapping.source.height, mapping.source.width
    inside = inside_source(mapping.source, rows, cols)
    footprints = Footprints(rows, cols, *source_corners(mapping, window), inside, shape)
    ranges = footprints.ranges()
    if np.isfinite(ranges).all():
        part = _around(mapping.source, ranges, 2)
    return Placed(rows, cols, footprints, part)


def _covers(mapping: Mapping, method: str) -> bool:
    """Whether a method uses the whole area that a pixel covers rather than the values around its centre."""
    return method in ("average", "mode") or (mapping.coarser and method in ("bilinear", "cubic"))


def resample(mapping: Mapping, values: np.ndarray, at: Placed, method: str) -> np.ndarray:
    """Resample the part of a source that was placed to the pixels of the window.

    Args:
        mapping: from the grid to the source.
        values: float32 (bands, rows, cols) of `at.part`, NaN where invalid.
        at: positions of the pixels, placed for this method.
        method: `nearest`, the source pixel that holds the centre. `bilinear` and `cubic`, between source pixels; where
            `mapping.coarser`, both are the mean of the area that the pixel covers, and along a direction in which it is
            finer bilinear. `average`, the mean of the area that the pixel covers; `mode`, the value that covers
            most of it.

    Returns:
        Float32 (bands, rows, cols), NaN where there is no value.
    """
    rows, cols, part = at.rows, at.cols, at.part
    if part.empty:
        return np.full((len(values), *rows.shape), np.nan, np.float32)
    corner = part.row, part.col
    if _covers(mapping, method):
        placed = present(at.footprints, "the areas that pixels cover")
        footprints = replace(placed, widened=method in ("bilinear", "cubic"))
        return covered(values, corner, footprints, "majority" if method == "mode" else "mean")
    if _within(mapping.source, _ranges(rows, cols)):
        return interpolate(values, corner, rows, cols, method)
    inside = inside_source(mapping.source, rows, cols)
    result = np.full((len(values), *rows.shape), np.nan, np.float32)
    if inside.any():
        result[:, inside] = interpolate(values, corner, rows[inside], cols[inside], method)
    return result
