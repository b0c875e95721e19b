"""Statistics of a pixel over its clear dates.

Exact, not approximated: percentiles interpolate linearly between neighbours in order (type 7 of Hyndman & Fan 1996,
NumPy's default), the deviation is that of the population, the trend is the least-squares slope on the real
dates. Values are used as they are, without regard to seasons or gaps between dates.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np

from ..contract import Band
from ..raster.dates import DAYS_PER_YEAR

PIXELS_AT_ONCE = 8192
"""Pixels whose dates are worked on together; small enough for the processor's cache."""

ORDERED = ("median", "percentile")


def statistics(
    values: np.ndarray, days: np.ndarray, bands: tuple[Band, ...], pool: Executor | None = None
) -> np.ndarray:
    """Compute statistics of every pixel over its dates.

    Args:
        values: float32 (dates, pixels), NaN where a pixel is not clear.
        days: float64 (dates,), days since 1970-01-01.
        bands: each with `derive` of TEMPORAL_STATISTICS but `date`; parameters `percent` (0 to 100) of
            `percentile`, and `least`: pixels with fewer clear dates are NaN, 1 unless given.
        pool: threads to share the work; None works alone.

    Returns:
        Float32 (bands, pixels): in the unit of the values; `trend` in that unit per year, `valid_count` in dates.
    """
    pixels = values.shape[1]
    result = np.empty((len(bands), pixels), np.float32)

    def work(start: int) -> None:
        stop = min(start + PIXELS_AT_ONCE, pixels)
        _some(values[:, start:stop], days, bands, result[:, start:stop])

    for _ in (pool.map if pool else map)(work, range(0, pixels, PIXELS_AT_ONCE)):
        pass
    return result


def _some(values: np.ndarray, days: np.ndarray, bands: tuple[Band, ...], result: np.ndarray) -> None:
    clear = np.isfinite(values)
    count = clear.sum(axis=0, dtype=np.int32)
    ordered = np.sort(values.T, axis=1) if any(band.derive in ORDERED for band in bands) else None
    with np.errstate(invalid="ignore", divide="ignore"):
        for place, band in enumerate(bands):
            if ordered is not None and band.derive in ORDERED:
                percent = 50.0 if band.derive == "median" else float(band.parameters.get("percent", 50))
                found = _percentile(ordered, count, percent)
            else:
                found = STATISTICS[band.derive](values, clear, count, days)
            result[place] = found
            result[place, count < float(band.parameters.get("least", 1))] = np.nan


def _percentile(ordered: np.ndarray, count: np.ndarray, percent: float) -> np.ndarray:
    """Percentile of rows (pixels, dates) that are sorted with NaN last, of which `count` are numbers."""
    position = percent / 100 * (np.maximum(count, 1) - 1)
    below = position.astype(np.int64)
    above = np.minimum(below + 1, np.maximum(count, 1) - 1)
    first = np.arange(len(ordered)) * ordered.shape[1]
    low, high = (ordered.ravel()[first + at].astype(np.float64) for at in (below, above))
    return np.asarray(low + (high - low) * (position - below))


def _sum(values: np.ndarray, clear: np.ndarray) -> np.ndarray:
    return np.asarray(np.add.reduce(values, axis=0, dtype=np.float64, where=clear))


def _mean(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    return _sum(values, clear) / count


def _deviation(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    from_mean = values - _mean(values, clear, count, days)
    return np.sqrt(_sum(from_mean * from_mean, clear) / count)


def _minimum(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    return np.asarray(np.fmin.reduce(values, axis=0))


def _maximum(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    return np.asarray(np.fmax.reduce(values, axis=0))


def _amplitude(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    return _maximum(values, clear, count, days) - _minimum(values, clear, count, days)


def _trend(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Slope per year; NaN where all clear dates are one."""
    years = ((days - days.mean()) / DAYS_PER_YEAR)[:, None]
    own_years = np.where(clear, years - _sum(np.broadcast_to(years, values.shape), clear) / count, 0.0)
    own_values = np.where(clear, values - _mean(values, clear, count, days), 0.0)
    spread = (own_years * own_years).sum(axis=0)
    slope = (own_years * own_values).sum(axis=0) / spread
    return np.where(spread > 1e-12, slope, np.nan)


def _valid_count(values: np.ndarray, clear: np.ndarray, count: np.ndarray, days: np.ndarray) -> np.ndarray:
    return count


Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]

STATISTICS: dict[str, Statistic] = {
    "mean": _mean,
    "minimum": _minimum,
    "maximum": _maximum,
    "deviation": _deviation,
    "amplitude": _amplitude,
    "trend": _trend,
    "valid_count": _valid_count,
}
"""(values (dates, pixels), which are clear, how many are clear, days) -> one number per pixel."""
