"""Resample arrays of a source onto pixels of another grid, with NaN for what is not there.

Done here rather than by GDAL's warper because every result must depend on the pixel alone, not on the window
it is computed in: coordinates are interpolated on one lattice of the whole grid, and coarsening uses blocks
counted from the source's corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyproj

from ..contract import Grid
from .coarsening import coarsened, commonest
from .crs import way_between
from .grid import Window, affine_of
from .interpolation import interpolated, separable
from .sources import parse_crs

ALIGNED_PX = 0.01
LATTICE_PX = (64, 16, 4)
LATTICE_ERROR_PX = 0.02


@dataclass(frozen=True)
class Mapping:
    """From pixels of a grid to pixels of a source.

    Attributes:
        shift: (rows, cols) to add when the pixels of both coincide, else None.
        factors: source pixels averaged to one (rows, cols) before interpolation; 1 unless coarsening.
        step_px: lattice on which the projection is exact; 0 where it is affine, 1 exact at every pixel.
    """

    grid: Grid
    source: Grid
    shift: tuple[int, int] | None
    factors: tuple[int, int]
    step_px: int
    transformer: pyproj.Transformer | None


def mapping(grid: Grid, source: Grid) -> Mapping:
    """Find how pixels of `grid` lie on pixels of `source`."""
    transformer = way_between(parse_crs(grid.crs), parse_crs(source.crs))
    if transformer is not None:
        step = _lattice_step(grid, source, transformer)
        first = Mapping(grid, source, None, (1, 1), step, transformer)
        return Mapping(grid, source, None, _factors(first), step, transformer)
    first = Mapping(grid, source, None, (1, 1), 0, None)
    return Mapping(grid, source, _whole_shift(grid, source), _factors(first), 0, None)


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
    # one point more than asked: pyproj takes an array of one for a point, which numpy will not convert much longer
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


def _factors(mapping: Mapping) -> tuple[int, int]:
    """How many source pixels, whole and at least 1, a pixel in the middle of the grid spans."""
    row, col = mapping.grid.height // 2, mapping.grid.width // 2
    rows, cols = source_pixels(mapping, Window(row, col, 2, 2))
    down = max(abs(rows[1, 0] - rows[0, 0]), abs(rows[0, 1] - rows[0, 0]))
    right = max(abs(cols[1, 0] - cols[0, 0]), abs(cols[0, 1] - cols[0, 0]))
    spans = [int(span + 0.25) if math.isfinite(span) else 1 for span in (down, right)]
    return max(spans[0], 1), max(spans[1], 1)


def source_pixels(mapping: Mapping, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Source row and column of every pixel centre of a window, in pixels from the source's corner.

    Returns:
        Two float64 arrays of shape (rows, cols); not finite where the projection has no answer.
    """
    rows, cols = np.arange(window.height) + window.row + 0.5, np.arange(window.width) + window.col + 0.5
    if mapping.transformer is None:
        to_source = ~affine_of(mapping.source) * affine_of(mapping.grid)
        source_cols, source_rows = to_source * (cols[None, :], rows[:, None])
        shape = (window.height, window.width)
        return np.broadcast_to(source_rows, shape), np.broadcast_to(source_cols, shape)
    if mapping.step_px == 1:
        grid_rows, grid_cols = np.meshgrid(rows, cols, indexing="ij")
        found = _exact(
            mapping.grid, mapping.source, mapping.transformer, grid_rows.ravel(), grid_cols.ravel()
        )
        return found[0].reshape(grid_rows.shape), found[1].reshape(grid_rows.shape)
    return _interpolated(mapping, rows, cols)


def _interpolated(mapping: Mapping, rows: np.ndarray, cols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert mapping.transformer is not None
    step = mapping.step_px
    cells = [np.floor(axis / step).astype(int) for axis in (rows, cols)]
    knots = [np.arange(cell[0], cell[-1] + 2) * float(step) for cell in cells]
    knot_rows, knot_cols = np.meshgrid(*knots, indexing="ij")
    found = _exact(mapping.grid, mapping.source, mapping.transformer, knot_rows.ravel(), knot_cols.ravel())
    down = (rows - cells[0] * step) / step
    right = (cols - cells[1] * step) / step
    top, left = cells[0] - cells[0][0], cells[1] - cells[1][0]
    results = []
    for values in found:
        lattice = values.reshape(knot_rows.shape)
        across = lattice[:, left] * (1 - right) + lattice[:, left + 1] * right
        results.append(across[top] * (1 - down)[:, None] + across[top + 1] * down[:, None])
    return results[0], results[1]


def needed(mapping: Mapping, rows: np.ndarray, cols: np.ndarray, taps_px: int) -> Window:
    """The part of the source to read for those pixels: whole averaging blocks, clipped to the source."""
    ranges = _ranges(rows, cols)
    if not _within(mapping.source, ranges):
        inside = inside_source(mapping.source, rows, cols)
        if not inside.any():
            return Window(0, 0, 0, 0)
        ranges = _ranges(rows[inside], cols[inside])
    starts, sizes = [], []
    for (lowest, highest), factor, length in zip(
        ranges, mapping.factors, (mapping.source.height, mapping.source.width), strict=True
    ):
        low = math.floor(lowest / factor) - taps_px
        high = math.floor(highest / factor) + taps_px + 1
        start, end = max(low * factor, 0), min(high * factor, length)
        starts.append(start)
        sizes.append(end - start)
    return Window(starts[0], starts[1], sizes[0], sizes[1])


Range = tuple[float, float]


def _ranges(rows: np.ndarray, cols: np.ndarray) -> tuple[Range, Range]:
    """Lowest and highest row and column; NaN if one is."""
    if separable(rows, cols):
        rows, cols = rows[:, 0], cols[0]
    return (float(rows.min()), float(rows.max())), (float(cols.min()), float(cols.max()))


def _within(source: Grid, ranges: tuple[Range, Range]) -> bool:
    """Whether all rows and columns between these lie on the source."""
    (top, bottom), (left, right) = ranges
    return top >= 0 and bottom < source.height and left >= 0 and right < source.width


def inside_source(source: Grid, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Where pixel coordinates lie on the source."""
    with np.errstate(invalid="ignore"):
        return (rows >= 0) & (rows < source.height) & (cols >= 0) & (cols < source.width)


def _divided(axis: np.ndarray, factor: int) -> np.ndarray:
    """Positions in blocks; arrays that are broadcast from one axis stay so."""
    if factor == 1:
        return axis
    if axis.ndim == 2 and 0 in axis.strides:
        one = axis[:, :1] if axis.strides[1] == 0 else axis[:1]
        return np.broadcast_to(one / factor, axis.shape)
    return axis / factor


def resampled(
    mapping: Mapping, values: np.ndarray, part: Window, rows: np.ndarray, cols: np.ndarray, method: str
) -> np.ndarray:
    """Values of a part of the source (bands, rows, cols) on the pixels at source positions rows, cols."""
    if part.empty:
        return np.full((len(values), *rows.shape), np.nan, np.float32)
    factors = mapping.factors if method != "nearest" else (1, 1)
    corner = part.row // factors[0], part.col // factors[1]
    coarse = (commonest if method == "mode" else coarsened)(values, factors).astype(np.float32)
    method = {"average": "bilinear", "mode": "nearest"}.get(method, method)
    if _within(mapping.source, _ranges(rows, cols)):
        return interpolated(coarse, corner, _divided(rows, factors[0]), _divided(cols, factors[1]), method)
    inside = inside_source(mapping.source, rows, cols)
    result = np.full((len(values), *rows.shape), np.nan, np.float32)
    if inside.any():
        at_rows, at_cols = rows[inside] / factors[0], cols[inside] / factors[1]
        result[:, inside] = interpolated(coarse, corner, at_rows, at_cols, method)
    return result
