"""Values between pixels, with NaN where there is none; a value depends on its neighbours alone."""

from __future__ import annotations

import numpy as np

CHUNK_PX, STRIP_ROWS = 1 << 15, 32
"""Pixels, and rows, that are interpolated at once: temporary arrays then stay in the processor's cache."""

BORDER_PX = 1e-6
"""Positions this close to the border between pixels count as on it: the rest is rounding of coordinates."""


def pixels_at(positions: np.ndarray) -> np.ndarray:
    """Return the rows or columns of the pixels that hold positions; a border belongs to the pixel that starts there."""
    return np.floor(positions + BORDER_PX).astype(np.int64)


def interpolate(
    values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray, method: str
) -> np.ndarray:
    """Interpolate values at positions.

    Neighbours without value are left out and the weights of the others scaled up; where they weigh less
    than half the result is NaN, so valid areas neither grow nor shrink. Beyond the edge the edge repeats.

    Args:
        values: float32 (bands, rows, cols), NaN where invalid.
        corner: row and column of the first value in the coordinates of `rows` and `cols`.
        rows, cols: positions, 0 at the outer edge of the first row and column.
        method: `nearest`, `bilinear` or `cubic` (Keys 1981, a = -0.5; bilinear next to invalid values).

    Returns:
        Float32 of shape (bands, *rows.shape).
    """
    if method == "nearest":
        return _nearest_values(values, corner, pixels_at(rows), pixels_at(cols))
    if method == "cubic":
        sharp = _weighted(values, corner, rows, cols, "cubic")
        return np.where(np.isfinite(sharp), sharp, _weighted(values, corner, rows, cols, "bilinear"))
    return _bilinear(values, corner, rows, cols)


def _nearest_values(
    values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray
) -> np.ndarray:
    height, width = values.shape[1:]
    flat = np.clip(rows - corner[0], 0, height - 1) * width + np.clip(cols - corner[1], 0, width - 1)
    return np.take(values.reshape(len(values), -1), flat, axis=1)


def _bilinear(values: np.ndarray, corner: tuple[int, int], rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Bilinear values: along the row, then between rows; pixels with an invalid neighbour as in `_weighted`."""
    result = np.empty((len(values), *rows.shape), np.float32)
    if separable(rows, cols):
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


def separable(rows: np.ndarray, cols: np.ndarray) -> bool:
    """Return whether rows are the same in every column and columns in every row: arrays broadcast from one axis.

    Args:
        rows, cols: positions of one shape.
    """
    return rows.ndim == 2 and rows.strides[1] == 0 and cols.strides[0] == 0


def _neighbours(at: np.ndarray, corner: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places of the pixels before and after positions along an axis, and the weight of the latter.

    The weight is found before the corner is subtracted, so that it does not depend on the window.
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
    weights, first, min_weight = (
        (_cubic_weights, -1, 1 - 1e-6) if method == "cubic" else (_linear_weights, 0, 0.5)
    )
    top, left = np.floor(rows - 0.5).astype(np.int64), np.floor(cols - 0.5).astype(np.int64)
    down = weights((rows - 0.5 - top).astype(np.float32))
    right = weights((cols - 0.5 - left).astype(np.float32))
    complete = bool(np.isfinite(values).all())
    total = np.zeros((len(values), *rows.shape), np.float32)
    weight = np.zeros_like(total)
    missing = np.zeros(total.shape, bool)
    for row_offset, row_weight in enumerate(down, first):
        for col_offset, col_weight in enumerate(right, first):
            near_values = _nearest_values(values, corner, top + row_offset, left + col_offset)
            share = row_weight * col_weight
            if not complete:
                invalid = ~np.isfinite(near_values) & (share != 0)
                missing |= invalid
                weight += np.where(invalid, 0, share)
                near_values = np.where(np.isfinite(near_values), near_values, 0)
            total += share * near_values
    if complete:
        return total
    with np.errstate(invalid="ignore", divide="ignore"):
        # where nothing is missing the sum stays as it is, so that a void elsewhere in the window changes nothing
        scaled = np.where(missing, total / weight, total)
    return np.where(missing & (weight < min_weight), np.float32(np.nan), scaled)


def _linear_weights(t: np.ndarray) -> tuple[np.ndarray, ...]:
    return 1 - t, t


def _cubic_weights(t: np.ndarray) -> tuple[np.ndarray, ...]:
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
