"""Band statistics of training pixels, and the normalisation that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import Band, Problem, Scaling

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of deviation 1."""
DIRECTION_COMPONENTS = ("aspect_sin", "aspect_cos")
"""Derived bands that are the two components of a direction; they keep zero as offset and have one scale."""
COMPONENT_SCALE = 0.7071


@dataclass(frozen=True)
class Statistics:
    """One number per band, in the units of the band: values are clipped, then become (value - mean) / std.

    Attributes:
        mean, std: offset and scale by the band's scaling, from training pixels after clipping: mean and standard
            deviation (`zscore`), median and interquartile range / 1.349 (`robust`), the lower limit and the
            distance of the limits (`minmax`), 0 and 1 (`none`). The scale is 1 for a constant band.
        low, high: the band's percentiles `clip_percent`; values outside are clipped to them.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def z_limits(self) -> tuple[list[float], list[float]]:
        """Return `low` and `high` as scores, the values after scaling."""
        bands = list(zip(self.mean, self.std, self.low, self.high, strict=True))
        return [(low - mean) / std for mean, std, low, _ in bands], [
            (high - mean) / std for mean, std, _, high in bands
        ]


def measure(values: NDArray[Any], bands: Sequence[Band]) -> tuple[Statistics, list[Problem]]:
    """Return statistics of sampled training pixels, and the problems of bands.

    Args:
        values: (bands, pixels), NaN where invalid; NaN is left out band by band.
        bands: the recipe's bands in the same order. Components of an aspect have mean 0 and one scale, so that the
            direction can be rotated with the image.

    Returns:
        The statistics and warnings `constant_band`, `empty_band`.
    """
    rows: list[tuple[float, float, float, float]] = []
    problems: list[Problem] = []
    for band, row in zip(bands, values, strict=True):
        known = row[np.isfinite(row)].astype(np.float64)
        if not known.size:
            rows.append((0.0, 1.0, 0.0, 0.0))
            problems.append(_warning("empty_band", band, "has no valid value in any training pixel"))
            continue
        if band.derive in DIRECTION_COMPONENTS:
            rows.append((0.0, COMPONENT_SCALE, -1.0, 1.0))
            continue
        low, high = (float(item) for item in np.percentile(known, band.clip_percent))
        known = known.clip(low, high)
        mean, std = _offset_and_scale(known, band.scaling)
        if band.scaling != "none" and std <= 1e-6 * max(abs(mean), 1e-6):
            std = 1.0
            problems.append(_warning("constant_band", band, f"is {mean:g} in all training pixels"))
        rows.append((mean, std, low, high))
    mean_, std_, low_, high_ = (tuple(column) for column in zip(*rows, strict=True))
    return Statistics(mean_, std_, low_, high_), problems


def _offset_and_scale(values: NDArray[np.float64], scaling: Scaling) -> tuple[float, float]:
    if scaling == "none":
        return 0.0, 1.0
    if scaling == "minmax":
        return float(values.min()), float(values.max() - values.min())
    if scaling == "robust":
        quarter, median, three_quarters = (float(item) for item in np.percentile(values, (25, 50, 75)))
        if three_quarters > quarter:  # else most pixels are equal, and the deviation is all there is
            return median, (three_quarters - quarter) / NORMAL_IQR
        return median, float(values.std())
    return float(values.mean()), float(values.std())


def normalise(array: NDArray[Any], statistics: Statistics, missing: float = 0.0) -> NDArray[np.float32]:
    """Clip values to the band's limits and scale them: z-scores unless a band is scaled otherwise.

    0 is the mean or median, or the lower limit of a band scaled to 0..1.

    Args:
        array: (bands, rows, cols) in the units of the bands, NaN where invalid.
        statistics: of the bands.
        missing: what NaN becomes.

    Returns:
        float32 of the same shape.
    """
    mean, std, low, high = (
        np.asarray(column, dtype=np.float32).reshape(-1, *[1] * (array.ndim - 1))
        for column in (statistics.mean, statistics.std, statistics.low, statistics.high)
    )
    scores = np.clip(array, low, high).astype(np.float32, copy=False)
    scores -= mean
    scores /= std
    np.nan_to_num(scores, copy=False, nan=missing)
    return scores


def _warning(code: str, band: Band, what: str) -> Problem:
    return Problem(
        code,
        f"Band '{band.name}' {what}: it adds no information.",
        "Leave it out, or check its nodata value and extent.",
        "warning",
    )
