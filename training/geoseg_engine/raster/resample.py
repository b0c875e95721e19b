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
from .grid import Window, affine_of
from .sources import parse_crs

ALIGNED_PX = 0.01
LATTICE_PX = (64, 16, 4)
LATTICE_ERROR_PX = 0.02
CHUNK_PX, STRIP_ROWS = 1 << 15, 32
"""Pixels, and rows, that are interpolated at once: temporary arrays then stay in the processor's cache."""


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
    crs, source_crs = parse_crs(grid.crs), parse_crs(source.crs)
    same = crs == source_crs or crs.equals(source_crs, ignore_axis_order=True)
    transformer = None if same else pyproj.Transformer.from_crs(crs, source_crs, always_xy=True)
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
    if _separable(rows, cols):
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


def coarsened(values: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """Mean of the valid values in blocks; NaN where fewer than half are valid.

    Args:
        values: (bands, rows, cols), NaN where invalid, starting at a block's corner; the last may be cut.
        factors: block size (rows, cols).
    """
    if factors == (1, 1):
        return values
    bands, height, width = values.shape
    rows, cols = math.ceil(height / factors[0]), math.ceil(width / factors[1])
    padded = np.full((bands, rows * factors[0], cols * factors[1]), np.nan, np.float64)
    padded[:, :height, :width] = values
    blocks = padded.reshape(bands, rows, factors[0], cols, factors[1])
    valid = np.isfinite(blocks)
    count = valid.sum(axis=(2, 4))
    total = np.where(valid, blocks, 0).sum(axis=(2, 4))
    exists = np.zeros((rows * factors[0], cols * factors[1]), bool)
    exists[:height, :width] = True
    size = exists.reshape(rows, factors[0], cols, factors[1]).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(2 * count >= size, total / count, np.nan)


def commonest(values: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """The most frequent valid value in blocks, the smallest of several; NaN where fewer than half are valid.

    Args and result as of `coarsened`.
    """
    if factors == (1, 1):
        return values
    bands, height, width = values.shape
    rows, cols = math.ceil(height / factors[0]), math.ceil(width / factors[1])
    padded = np.full((bands, rows * factors[0], cols * factors[1]), np.nan, np.float32)
    padded[:, :height, :width] = values
    blocks = padded.reshape(bands, rows, factors[0], cols, factors[1]).transpose(2, 4, 0, 1, 3)
    ordered = np.sort(blocks.reshape(-1, bands, rows, cols), axis=0)
    best, best_run = ordered[0].copy(), np.zeros(ordered.shape[1:], np.int32)
    run = np.zeros_like(best_run)
    for place, layer in enumerate(ordered):
        run = np.where(layer == ordered[place - 1], run + 1, 1) if place else np.ones_like(run)
        longer = (run > best_run) & np.isfinite(layer)
        best[longer] = layer[longer]
        best_run[longer] = run[longer]
    sizes = _block_sizes(height, factors[0])[:, None] * _block_sizes(width, factors[1])
    enough = 2 * np.isfinite(ordered).sum(axis=0) >= sizes
    return np.where(enough, best, np.float32(np.nan))


def _block_sizes(length: int, factor: int) -> np.ndarray:
    """Pixels in each block of an axis; the last may be cut."""
    starts = np.arange(0, length, factor)
    return np.minimum(starts + factor, length) - starts


def interpolated(
    values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray, method: str
) -> np.ndarray:
    """Values at positions.

    Neighbours without value are left out and the weights of the others scaled up; where they weigh less
    than half the result is NaN, so valid ground neither grows nor shrinks. Beyond the edge the edge repeats.

    Args:
        values: float32 (bands, rows, cols), NaN where invalid.
        corner: row and column of the first value in the coordinates of `rows` and `cols`.
        rows, cols: positions, 0 at the outer edge of the first row and column.
        method: `nearest`, `bilinear` or `cubic` (Keys 1981, a = -0.5; bilinear next to invalid values).

    Returns:
        Float32 of shape (bands, *rows.shape).
    """
    if method == "nearest":
        return _taken(values, corner, np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64))
    if method == "cubic":
        sharp = _weighted(values, corner, rows, cols, "cubic")
        return np.where(np.isfinite(sharp), sharp, _weighted(values, corner, rows, cols, "bilinear"))
    return _bilinear(values, corner, rows, cols)


def _taken(values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    height, width = values.shape[1:]
    flat = np.clip(rows - corner[0], 0, height - 1) * width + np.clip(cols - corner[1], 0, width - 1)
    return np.take(values.reshape(len(values), -1), flat, axis=1)


def _bilinear(values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bilinear values: along the row, then between rows; pixels with an invalid neighbour as in `_weighted`."""
    result = np.empty((len(values), *rows.shape), np.float32)
    if _separable(rows, cols):
        _by_axes(values, corner, rows[:, 0], cols[0], result)
    else:
        flat = result.reshape(len(values), -1)
        at_rows, at_cols = rows.reshape(-1), cols.reshape(-1)
        for start in range(0, at_rows.size, CHUNK_PX):
            part = slice(start, start + CHUNK_PX)
            _by_pixels(values, corner, at_rows[part], at_cols[part], flat[:, part])
    for layer, found in zip(values, result, strict=True):
        missing = np.isnan(found)
        if missing.any():
            found[missing] = _weighted(layer[None], corner, rows[missing], cols[missing], "bilinear")[0]
    return result


def _separable(rows: np.ndarray, cols: np.ndarray) -> bool:
    """Whether rows are the same in every column and columns in every row: arrays broadcast from one axis."""
    return rows.ndim == 2 and rows.strides[1] == 0 and cols.strides[0] == 0


def _neighbours(at: np.ndarray, corner: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the pixels before and after positions along an axis, and the weight of the latter.

    The weight is found before the corner is taken off, so that it does not depend on the window.
    """
    shifted = at - 0.5
    before = np.floor(shifted)
    weight = (shifted - before).astype(np.float32)
    first = before.astype(np.int64) - corner
    return np.clip(first, 0, length - 1), np.clip(first + 1, 0, length - 1), weight


def _by_axes(
    values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray, result: np.ndarray
) -> None:
    above, below, down = _neighbours(rows, corner[0], values.shape[1])
    left, right, across = _neighbours(cols, corner[1], values.shape[2])
    for layer, out in zip(values, result, strict=True):
        before = layer.take(left, axis=1)
        along = layer.take(right, axis=1)
        along -= before
        along *= across
        along += before
        for start in range(0, len(rows), STRIP_ROWS):
            part = slice(start, start + STRIP_ROWS)
            upper, strip = along.take(above[part], axis=0), out[part]
            along.take(below[part], axis=0, out=strip, mode="clip")
            strip -= upper
            strip *= down[part, None]
            strip += upper


def _by_pixels(
    values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray, result: np.ndarray
) -> None:
    above, below, down = _neighbours(rows, corner[0], values.shape[1])
    left, right, across = _neighbours(cols, corner[1], values.shape[2])
    above *= values.shape[2]
    below *= values.shape[2]
    places = (above + left, above + right, below + left, below + right)
    for layer, out in zip(values.reshape(len(values), -1), result, strict=True):
        upper_left, upper, lower_left, lower = (layer.take(place, mode="clip") for place in places)
        for one, other in ((upper, upper_left), (lower, lower_left)):
            one -= other
            one *= across
            one += other
        lower -= upper
        lower *= down
        np.add(lower, upper, out=out)


def _weighted(
    values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray, method: str
) -> np.ndarray:
    weights, first, least = (_cubic_weights, -1, 1 - 1e-6) if method == "cubic" else (_linear_weights, 0, 0.5)
    top, left = np.floor(rows - 0.5).astype(np.int64), np.floor(cols - 0.5).astype(np.int64)
    down = weights((rows - 0.5 - top).astype(np.float32))
    right = weights((cols - 0.5 - left).astype(np.float32))
    complete = bool(np.isfinite(values).all())
    total = np.zeros((len(values), *rows.shape), np.float32)
    weight = np.zeros_like(total)
    missing = np.zeros(total.shape, bool)
    for row_offset, row_weight in enumerate(down, first):
        for col_offset, col_weight in enumerate(right, first):
            taken = _taken(values, corner, top + row_offset, left + col_offset)
            share = row_weight * col_weight
            if not complete:
                invalid = ~np.isfinite(taken) & (share != 0)
                missing |= invalid
                weight += np.where(invalid, 0, share)
                taken = np.where(np.isfinite(taken), taken, 0)
            total += share * taken
    if complete:
        return total
    with np.errstate(invalid="ignore", divide="ignore"):
        # where nothing is missing the sum stands as it is, so that a void elsewhere in the window changes nothing
        scaled = np.where(missing, total / weight, total)
    return np.where(missing & (weight < least), np.float32(np.nan), scaled)


def _linear_weights(t: np.ndarray) -> tuple[np.ndarray, ...]:
    return 1 - t, t


def _cubic_weights(t: np.ndarray) -> tuple[np.ndarray, ...]:
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )


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
