"""Radar intensity: the speckle filter of Lee and decibels, in the raster's own pixels and by window.

Lee, J.-S. (1980): Digital image enhancement and noise filtering by use of local statistics. IEEE Transactions on
Pattern Analysis and Machine Intelligence PAMI-2(2), 165-168; for multiplicative noise as in Lee (1981): Refined
filtering of image noise using local statistics. Computer Graphics and Image Processing 15, 380-389.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..contract import Band, Grid
from ..raster.grid import Window

Parameters = Mapping[str, float | str]
SIZE_PX, LOOKS = 7, 1.0


def lee_halo_px(parameters: Parameters, _grid: Grid) -> int:
    """Return half the side of the filter.

    Args:
        parameters: `size_px` (7), the side of the filter in pixels.
    """
    return _half(parameters.get("size_px", SIZE_PX))


def decibel_halo_px(parameters: Parameters, _grid: Grid) -> int:
    """Return half the side of the filter that is applied first; 0 without one.

    Args:
        parameters: `lee_px` (0), the side of the filter in pixels.
    """
    return _half(parameters.get("lee_px", 0))


def _half(size_px: float | str) -> int:
    return max(int(float(size_px)), 1) // 2


def lee_bands(values: np.ndarray, _grid: Grid, _window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Filter intensities.

    Args:
        values: float64 (rows, cols), linear intensity with the halo of the bands.
        bands: with the parameters `size_px` (7) and `looks` (1).

    Returns:
        Float64 (bands, rows, cols) without the halo.
    """
    return np.stack([_filtered(values, band.parameters, "size_px", SIZE_PX) for band in bands])


def decibel_bands(values: np.ndarray, _grid: Grid, _window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Convert intensities to decibels.

    Args:
        values: float64 (rows, cols), linear intensity with the halo of the bands.
        bands: with the parameters `lee_px` (0; filtered first if above 1) and `looks` (1).

    Returns:
        Float64 (bands, rows, cols) without the halo.
    """
    return np.stack([decibels(_filtered(values, band.parameters, "lee_px", 0)) for band in bands])


def _filtered(values: np.ndarray, parameters: Parameters, size: str, default: int) -> np.ndarray:
    return lee(values, _half(parameters.get(size, default)), float(parameters.get("looks", LOOKS)))


def decibels(intensity: np.ndarray) -> np.ndarray:
    """Return 10 · log10 of an intensity; NaN where it is not positive."""
    positive = np.where(intensity > 0, intensity, np.nan)
    result: np.ndarray = 10 * np.log10(positive)
    return result


def lee(intensity: np.ndarray, half_px: int, looks: float) -> np.ndarray:
    """Filter multiplicative speckle by local statistics.

    The estimate is mean + k · (value - mean) with k = 1 - Cu² / Ci², Cu² = 1 / looks the speckle's and
    Ci² = variance / mean² the window's squared coefficient of variation, k within 0..1. Statistics are over
    the valid pixels of the window; sums are taken in one fixed order, so that they do not depend on the window.

    Args:
        intensity: float64 (rows, cols) with `half_px` more pixels on every side than the result; linear, not decibels.
        half_px: the filter covers 2 · half_px + 1 pixels.
        looks: equivalent number of looks of the image.

    Returns:
        Float64 without the padding; NaN where the intensity is.
    """
    if half_px == 0:
        return intensity
    rows, cols = (length - 2 * half_px for length in intensity.shape)
    centre = intensity[half_px : half_px + rows, half_px : half_px + cols]
    valid = np.isfinite(intensity)
    known = np.where(valid, intensity, 0.0)
    count = _box_sum(valid.astype(np.float64), half_px)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _box_sum(known, half_px) / count
        variance = np.maximum(_box_sum(known * known, half_px) / count - mean * mean, 0.0)
        weight = np.clip(1 - mean * mean / (looks * variance), 0.0, 1.0)
    weight = np.where(variance > 0, weight, 0.0)
    result: np.ndarray = mean + weight * (centre - mean)
    result[np.isnan(centre)] = np.nan
    return result


def _box_sum(values: np.ndarray, half_px: int) -> np.ndarray:
    """Sum over the square around every pixel that has one; shifted copies in fixed order, no running sums."""
    size = 2 * half_px + 1
    rows = values.shape[0] - size + 1
    cols = values.shape[1] - size + 1
    down = np.zeros((rows, values.shape[1]))
    for step in range(size):
        down += values[step : step + rows]
    total = np.zeros((rows, cols))
    for step in range(size):
        total += down[:, step : step + cols]
    return total
