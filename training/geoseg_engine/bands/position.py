"""Position of a pixel relative to its surroundings: above or below them, by how much, at which scale.

TPI is the height minus the mean of the neighbours (Weiss 2001), local relief the height minus the mean of a wide
surrounding, and multi-scale TPI the deviation from mean elevation, (height - mean) / standard deviation, of the
radius at which it is largest (Lindsay, Cockburn & Russell 2015, DEVmax). Surroundings are rectangles of
2 · radius + 1 pixels, measured in true metres around each pixel; voids and pixels beyond the edge do not
count.

Sums come from integral images of integers: integers add up exactly, so a value does not depend on the window it is read
in, not even in its last bit. A height is an integer of 1/2^22 m plus, if there is a rest, one of 1/2^43 m, so that
relief of tiny height has the same values as mountains of the same form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np

from ..contract import TERRAIN_DEFAULTS, Band, GeoSegError, Grid
from ..raster.grid import Window
from .pixel_steps import pixel_lengths_m, sampled_lengths_m

Parameters = Mapping[str, float | str]

RADIUS_LIMIT_PX = 512
"""Largest radius; a wider one would have to read many times the pixels that it gives."""

HIGH, LOW = float(1 << 22), float(1 << 21)
"""A height is an integer of 1 / HIGH m, and its rest one of 1 / (HIGH · LOW) m."""

MAX_HEIGHT_M = 65536.0
"""Heights beyond it, of either sign, are clipped to it, so that sums stay exact; no terrain is that high."""

BOTH_BELOW = float(1 << 28)
"""Variance in (1 / HIGH m)², a deviation of 4 mm, below which the rest of the integers counts too."""

STRIP_PX = 1 << 15
"""Pixels worked on at once, so that temporaries stay in the processor's cache."""


def radii_m(name: str, parameters: Parameters) -> list[float]:
    """Return the radii of an attribute in metres, from its parameters.

    Args:
        name: `tpi`, `local_relief` or `multiscale_tpi`.
        parameters: `radii` ("100,300,900") of `multiscale_tpi`, `radius_m` of the others.

    Raises:
        GeoSegError: `bad_parameter`.
    """
    key = "radii" if name == "multiscale_tpi" else "radius_m"
    text = str(parameters.get(key, TERRAIN_DEFAULTS[name]))
    try:
        radii = [float(part) for part in text.split(",")]
    except ValueError:
        radii = []
    if not radii or not all(0 <= radius < np.inf for radius in radii):
        raise GeoSegError(
            "bad_parameter",
            f"'{text}' is not a radius of {name}.",
            "Give metres: one number, or for multiscale_tpi several with commas, as 100,300,900.",
        )
    return radii


def position_halo_px(name: str, parameters: Parameters, grid: Grid) -> int:
    """Return the pixels around a window that the widest radius needs.

    Args:
        name: of the attribute.
        parameters: of the band.
        grid: the DEM's.

    Raises:
        GeoSegError: `bad_parameter`; `radius` beyond RADIUS_LIMIT_PX.
    """
    widest = max(radii_m(name, parameters))
    halo = max(_reach(widest, grid))
    if halo > RADIUS_LIMIT_PX:
        raise GeoSegError(
            "radius",
            f"A radius of {widest:g} m around every pixel is {halo} pixels of this elevation model for {name}.",
            f"Choose at most {widest * RADIUS_LIMIT_PX / halo:.0f} m, or an elevation model with larger pixels.",
        )
    return halo


@lru_cache(maxsize=64)
def _reach(radius_m: float, grid: Grid) -> tuple[int, int]:
    """Largest half height and half width in pixels, over the grid."""
    down, across = _halves(radius_m, *sampled_lengths_m(grid))
    return int(down.max()), int(across.max())


def _halves(radius_m: float, across_m: np.ndarray, down_m: np.ndarray) -> np.ndarray:
    """Half height and half width of the surroundings of pixels, in pixels, at least 1: int (2, *shape)."""
    steps = np.stack(np.broadcast_arrays(down_m, across_m))
    with np.errstate(invalid="ignore"):
        halves = np.maximum(np.rint(radius_m / np.where(steps > 0, steps, np.inf)), 1)
    return np.minimum(halves, RADIUS_LIMIT_PX * 1000).astype(int)


def position_bands(heights_m: np.ndarray, grid: Grid, window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Compute attributes of a window of a DEM.

    Args:
        heights_m: (rows, cols) of the window with the halo of `position_halo_px`, NaN for voids and beyond the edge.
        grid: the DEM's grid.
        window: a window inside it.
        bands: `tpi`, `local_relief` and `multiscale_tpi` with their parameters.

    Returns:
        Float64 (bands, rows, cols), NaN where the height is unknown; TPI and local relief in metres, positive above
        the surroundings; multi-scale TPI in standard deviations, 0 on flat land.
    """
    sums = Sums(heights_m, grid, window)
    result = np.empty((len(bands), window.height, window.width))
    step = max(STRIP_PX // max(window.width, 1), 1)
    for row in range(0, window.height, step):
        rows = slice(row, min(row + step, window.height))
        for place, band in enumerate(bands):
            result[place, rows] = _position(sums, band, rows)
    result[:, sums.void] = np.nan
    return result


def _position(sums: Sums, band: Band, rows: slice) -> np.ndarray:
    radii = radii_m(band.derive, band.parameters)
    if band.derive == "tpi":
        return sums.above_mean(radii[0], rows, without_itself=True)
    if band.derive == "local_relief":
        return sums.above_mean(radii[0], rows)
    result = sums.deviation(radii[0], rows)
    for radius_m in radii[1:]:
        deviation = sums.deviation(radius_m, rows)
        result = np.where(np.abs(deviation) > np.abs(result), deviation, result)
    return result


class Sums:
    """Integral images of a window of a DEM, kept for all its radii and bands; `rows` are those of the window."""

    def __init__(self, heights_m: np.ndarray, grid: Grid, window: Window) -> None:
        self._halo = halo = (heights_m.shape[0] - window.height) // 2
        self._width = window.width
        known = np.isfinite(heights_m)
        heights = (
            np.clip(np.where(known, heights_m, 0.0).astype(np.float64), -MAX_HEIGHT_M, MAX_HEIGHT_M) * HIGH
        )
        whole = np.rint(heights)
        rest = (heights - whole) * LOW
        inner = slice(halo, -halo)
        self.void = ~known[inner, inner]
        self._high = whole.astype(np.int64)
        self._both = bool(rest.any())
        self._low = np.rint(rest).astype(np.int64) if self._both else self._high
        self._inner = inner, inner
        self._centre = int(whole.sum() / max(known.sum(), 1))
        self._known = known
        self._tables = {"count": integral(known.astype(np.int64)), "high": integral(self._high)}
        self._lengths = pixel_lengths_m(grid, window)
        self._halves: dict[float, np.ndarray] = {}

    def above_mean(self, radius_m: float, rows: slice, without_itself: bool = False) -> np.ndarray:
        """Return height minus the mean of the surroundings in metres; 0 for a pixel alone among voids.

        Args:
            radius_m: of the surroundings.
            rows: of the window.
            without_itself: leave the pixel out of the mean.
        """
        count = self._around("count", radius_m, rows)
        others = count - 1 if without_itself else count
        result: np.ndarray = self._above(radius_m, rows, count) / (np.maximum(others, 1) * HIGH)
        return result

    def _above(self, radius_m: float, rows: slice, count: np.ndarray) -> np.ndarray:
        """Sum of the differences to all heights around, of which that to itself is 0, in 1 / HIGH m."""
        high, low = (part[self._inner][rows] for part in (self._high, self._low))
        result: np.ndarray = (high * count - self._around("high", radius_m, rows)).astype(np.float64)
        if self._both:
            result += (low * count - self._around("low", radius_m, rows)) / LOW
        return result

    def deviation(self, radius_m: float, rows: slice) -> np.ndarray:
        """Return height minus the mean, in standard deviations of the surroundings; 0 where all heights are equal.

        Args:
            radius_m: of the surroundings.
            rows: of the window.
        """
        count = np.maximum(self._around("count", radius_m, rows), 1)
        variance = self._variance(radius_m, rows, count)
        with np.errstate(divide="ignore", invalid="ignore"):
            result = self._above(radius_m, rows, count) / count / np.sqrt(variance)
        return np.where(variance > 0, result, 0.0)

    def _variance(self, radius_m: float, rows: slice, count: np.ndarray) -> np.ndarray:
        """Of the heights around, in (1 / HIGH m)².

        Sums of squares do not fit into 64 bits. Their last 64 bits are exact; the multiple of 2^64 above them
        follows from sums of floats, which need not be exact for that.
        """
        total = self._around("high", radius_m, rows)
        middle = np.rint(total / count).astype(np.int64)
        rest = total - middle * count
        last_bits = self._around("high²", radius_m, rows) - 2 * middle * total + middle * middle * count
        off = float(self._centre) - middle
        about = self._around("float²", radius_m, rows) + off * (
            2.0 * (total - self._centre * count) + off * count
        )
        spread = np.rint((about - last_bits) / 2.0**64) * 2.0**64 + last_bits
        variance = (spread - rest * (rest / count)) / count
        if not self._both or not (variance < BOTH_BELOW).any():
            return np.maximum(variance, 0.0)
        low = self._around("low", radius_m, rows)
        low_middle = np.rint(low / count).astype(np.int64)
        low_rest = low - low_middle * count
        squares = (
            self._around("low²", radius_m, rows) - 2 * low_middle * low + low_middle * low_middle * count
        )
        product = self._around("high·low", radius_m, rows) - middle * low - low_middle * rest
        spread, both = spread + (2.0 * product + squares / LOW) / LOW, rest + low_rest / LOW
        return np.maximum(
            np.where(variance < BOTH_BELOW, (spread - both * (both / count)) / count, variance), 0.0
        )

    def _table(self, name: str) -> np.ndarray:
        if name not in self._tables:
            high, low = self._high, self._low
            made = {
                "high²": lambda: high * high,
                "float²": lambda: np.where(self._known, high - self._centre, 0).astype(np.float64) ** 2,
                "low": lambda: low,
                "low²": lambda: low * low,
                "high·low": lambda: high * low,
            }
            self._tables[name] = integral(made[name]())
        return self._tables[name]

    def _around(self, name: str, radius_m: float, rows: slice) -> np.ndarray:
        """Sum over the surroundings of every pixel of some rows, (rows, cols)."""
        table, halo, width = self._table(name), self._halo, self._width
        if radius_m not in self._halves:
            self._halves[radius_m] = np.minimum(_halves(radius_m, *self._lengths), halo)
        halves = self._halves[radius_m]
        halves = halves[:, rows] if halves.shape[1] > 1 else halves
        result = np.empty((rows.stop - rows.start, width), table.dtype)
        for down, across, place, chosen in _regions(halves, *result.shape):
            first = rows.start + place[0].start + halo
            last = rows.start + place[0].stop + halo
            strip = table[first + down + 1 : last + down + 1] - table[first - down : last - down]
            left = slice(place[1].start + halo - across, place[1].stop + halo - across)
            right = slice(place[1].start + halo + across + 1, place[1].stop + halo + across + 1)
            np.subtract(strip[:, right], strip[:, left], out=result[place], where=chosen)
        return result


Region = tuple[int, int, tuple[slice, slice], np.ndarray | bool]


def _regions(halves: np.ndarray, height: int, width: int) -> Iterator[Region]:
    """Half height, half width, and where pixels have them: rows and columns, and which pixels of these.

    Args:
        halves: (2, rows, cols), where rows and columns may be 1 for all.
        height, width: of all pixels.
    """
    down, across = halves
    if (down == down[0, 0]).all() and (across == across[0, 0]).all():
        yield int(down[0, 0]), int(across[0, 0]), (slice(0, height), slice(0, width)), True
        return
    if halves.shape[2] == 1:
        starts = np.flatnonzero(np.any(np.diff(halves[..., 0], axis=1, prepend=-1) != 0, axis=0))
        for start, end in zip(starts, [*starts[1:], height], strict=True):
            yield int(down[start, 0]), int(across[start, 0]), (slice(start, end), slice(0, width)), True
        return
    for pair in np.unique(halves.reshape(2, -1), axis=1).T:
        chosen = (down == pair[0]) & (across == pair[1])
        rows, cols = (np.flatnonzero(chosen.any(axis=axis)) for axis in (1, 0))
        place = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        yield int(pair[0]), int(pair[1]), place, chosen[place]


def integral(values: np.ndarray) -> np.ndarray:
    """Return sums of values above and left, (rows + 1, cols + 1); of integers modulo 2^64, undone by differences."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1), values.dtype)
    np.cumsum(values, axis=0, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table
