"""Fill pixels without value: with a number, or from the pixels around them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..contract import Band

REACH_PX = 8
MAX_PX = 64


def reach_px(band: Band) -> int:
    """Return the reach of `interpolate` in pixels of the grid; 0 for other fillings."""
    if band.fill != "interpolate":
        return 0
    return min(max(int(float(band.parameters.get("reach_px", REACH_PX))), 1), MAX_PX)


def fill_gaps(values: np.ndarray, band: Band) -> np.ndarray:
    """Return values with the band's gaps filled, and no others changed.

    Args:
        values: float32 (rows, cols), NaN where there is no value; with `interpolate` exact only `reach_px` inside.
        band: its `fill` is empty, a number, or `interpolate` (parameter `reach_px`, 8). `median`
            was replaced by a number when the stack was planned.

    Returns:
        Float32 of the same shape. A gap farther from any value than the reach stays.
    """
    if not band.fill or band.fill == "median":
        return values
    if band.fill == "interpolate":
        return interpolate_gaps(values, reach_px(band))
    return np.where(np.isfinite(values), values, np.float32(float(band.fill)))


def interpolate_gaps(values: np.ndarray, reach: int) -> np.ndarray:
    """Fill gaps with the inverse-distance mean (Shepard 1968, power 2) of the values within a reach.

    The sum runs over the offsets in one fixed order, so a pixel has the same value in whatever array it is.

    Args:
        values: float32 (rows, cols), NaN in gaps.
        reach: in pixels.
    """
    gaps = ~np.isfinite(values)
    if not gaps.any() or gaps.all():
        return values
    near = gaps & (ndimage.distance_transform_edt(gaps) <= reach)
    rows, cols = np.nonzero(near)
    padded = np.pad(values, reach, constant_values=np.nan)
    total, weight = np.zeros(len(rows)), np.zeros(len(rows))
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            squared = down * down + right * right
            if not 0 < squared <= reach * reach:
                continue
            near_values = padded[rows + reach + down, cols + reach + right]
            known = np.isfinite(near_values)
            total += np.where(known, near_values, 0) / squared
            weight += known / squared
    result = values.copy()
    result[rows, cols] = (total / weight).astype(np.float32)
    return result
