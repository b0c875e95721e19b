"""Terrain attributes from the nine heights around a pixel, on the DEM's own grid and by window.

Slope and aspect follow Horn (1981), the curvatures Zevenbergen & Thorne (1987) with the sign and the factor
100 that ESRI and RichDEM use: curvature and planform curvature are positive where terrain is convex, profile
curvature is positive where it is concave along the fall line. Total curvature follows Wilson & Gallant (2000),
ruggedness (TRI) Riley, DeGloria & Elliot (1999), roughness Wilson et al. (2007), hillshade Horn (1981).

Heights are in metres. A neighbour without value takes the value of the centre, so a void does not
spread; the raster's edge is extrapolated. The same pixel has the same value whatever window it is read in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from ..contract import Band, GeoSegError, Grid
from ..raster.grid import Window
from .by_richdem import fits_richdem, richdem_attributes, richdem_is_installed
from .pixel_steps import PixelSteps, Steps, world_gradient, world_hessian

Parameters = Mapping[str, float | str]

HALO_PX = 1
STRIP_PX = 1 << 16
"""Pixels worked on at once, so that temporaries stay in the processor's cache."""

BY_RICHDEM = ("curvature", "profile_curvature", "planform_curvature")
"""Attributes that RichDEM computes where it fits and no engine is set; slope and aspect are equal from both."""

AZIMUTH, ALTITUDE = 315.0, 45.0


def engine_of(band: Band, grid: Grid) -> str:
    """Return `richdem` or `numpy`: the band's parameter `engine`, else the one that is right and fastest.

    Args:
        band: derived from heights.
        grid: the DEM's.

    Raises:
        GeoSegError: `no_richdem`, `bad_parameter`.
    """
    chosen = str(band.parameters.get("engine", "")).lower()
    if chosen not in ("", "numpy", "richdem"):
        raise GeoSegError(
            "bad_parameter",
            f"'{chosen}' is not an engine for terrain.",
            "Choose richdem or numpy, or leave it out.",
        )
    if chosen == "richdem" and not fits_richdem(grid):
        why = (
            "its single cell size is wrong on this grid" if richdem_is_installed() else "it is not installed"
        )
        raise GeoSegError(
            "no_richdem", f"RichDEM cannot compute '{band.derive}': {why}.", "Leave the engine out."
        )
    by_richdem = band.derive in BY_RICHDEM and fits_richdem(grid)
    return chosen or ("richdem" if by_richdem else "numpy")


def light_direction(parameters: Parameters) -> tuple[float, float]:
    """Return azimuth and altitude of a hillshade's light in radians.

    Args:
        parameters: `azimuth` (315) and `altitude` (45) in degrees.

    Raises:
        GeoSegError: `bad_parameter`.
    """
    given = parameters.get("azimuth", AZIMUTH), parameters.get("altitude", ALTITUDE)
    try:
        azimuth, altitude = (math.radians(float(value)) for value in given)
    except ValueError:
        altitude = math.nan
    if not 0 <= altitude <= math.pi / 2 or not math.isfinite(azimuth):
        raise GeoSegError(
            "bad_parameter",
            f"Light from azimuth '{given[0]}' and altitude '{given[1]}' is impossible.",
            "Give degrees: azimuth clockwise from north, altitude 0 to 90 above the horizon.",
        )
    return azimuth, altitude


def relief_bands(heights_m: np.ndarray, grid: Grid, window: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Compute attributes of a window of a DEM.

    Args:
        heights_m: float32 or float64 (rows, cols) of `window.padded(HALO_PX)`, NaN for voids and beyond the edge.
        grid: the DEM's grid.
        window: a window inside it.
        bands: derived by names of ATTRIBUTES; of parameters `engine` (see `engine_of`), and of a hillshade
            `azimuth` (315) and `altitude` (45) of the light in degrees.

    Returns:
        (bands, rows, cols) of the heights' type, NaN where the height is unknown. Slope in degrees, 0 to 90;
        aspect as sine and cosine of the downhill direction clockwise from north, both 0 on flat land; curvatures
        in 1/100 per metre, total curvature in the square of that; TRI and roughness in metres; TPI in
        metres; hillshade 1 (dark) to 255.

    Raises:
        GeoSegError: as `engine_of` and `light_direction`.
    """
    heights_m = with_edges(heights_m, grid, window)
    result = np.empty((len(bands), window.height, window.width), heights_m.dtype)
    engines = [engine_of(band, grid) for band in bands]
    ours = [place for place, engine in enumerate(engines) if engine == "numpy"]
    theirs = [place for place, engine in enumerate(engines) if engine == "richdem"]
    if theirs:
        names = tuple(bands[place].derive for place in theirs)
        result[theirs] = richdem_attributes(heights_m, grid, names)
        result[theirs] += 0 * heights_m[1:-1, 1:-1]  # voids stay void
    steps = PixelSteps(grid, window)
    step = max(STRIP_PX // max(window.width, 1), 1)
    for row in range(0, window.height if ours else 0, step):
        end = min(row + step, window.height)
        kernel = Kernel(heights_m[row : end + 2], steps.of(row, end, heights_m.dtype))
        for place in ours:
            band = bands[place]
            result[place, row:end] = ATTRIBUTES[band.derive](kernel, band.parameters)
            if kernel.has_voids:
                result[place, row:end][kernel.void] = np.nan
    return result


def with_edges(heights_m: np.ndarray, grid: Grid, window: Window) -> np.ndarray:
    """Return heights with the ring beyond the raster's edge extrapolated linearly.

    Args:
        heights_m: (rows, cols) of `window.padded(HALO_PX)`, NaN for voids.
        grid: the DEM's.
        window: inside the grid.
    """
    halo = window.padded(HALO_PX)
    beyond = (
        (halo.row < 0, np.s_[0, :], np.s_[1, :], np.s_[2, :]),
        (halo.row + halo.height > grid.height, np.s_[-1, :], np.s_[-2, :], np.s_[-3, :]),
        (halo.col < 0, np.s_[:, 0], np.s_[:, 1], np.s_[:, 2]),
        (halo.col + halo.width > grid.width, np.s_[:, -1], np.s_[:, -2], np.s_[:, -3]),
    )
    if any(is_beyond for is_beyond, *_ in beyond):
        heights_m = heights_m.copy()
    for is_beyond, outside, edge, inner in beyond:
        if is_beyond:
            extrapolated = 2 * heights_m[edge] - heights_m[inner]
            heights_m[outside] = np.where(np.isnan(extrapolated), heights_m[edge], extrapolated)
    return heights_m


class Kernel:
    """The nine heights of every pixel, and intermediate results of attributes; each is computed when first used.

    Args:
        heights_m: (rows + 2, cols + 2).
        steps: of `PixelSteps`, for the rows and columns within.
    """

    def __init__(self, heights_m: np.ndarray, steps: Steps) -> None:
        self._steps = steps
        rows, cols = heights_m.shape[0] - 2, heights_m.shape[1] - 2
        cells = [heights_m[row : row + rows, col : col + cols] for row in range(3) for col in range(3)]
        self.centre = cells[4]
        self.has_voids = bool(np.isnan(heights_m.sum()))
        if self.has_voids:
            self.void = np.isnan(self.centre)
            cells = [np.where(np.isnan(cell), self.centre, cell) for cell in cells]
        self.cells = cells
        """a b c / d e f / g h i; voids take the centre's value."""

    @cached_property
    def gradient(self) -> tuple[np.ndarray, np.ndarray]:
        """Rise per metre to the east and to the north, by Horn's weights; differences come before sums."""
        a, b, c, d, _, f, g, h, i = self.cells
        per_col = _weighted(c - a, f - d, i - g)
        per_row = _weighted(g - a, h - b, i - c)
        return world_gradient(self._steps, per_col, per_row)

    @cached_property
    def steepness(self) -> np.ndarray:
        """Length of the gradient: the tangent of the slope."""
        east, north = self.gradient
        squared = east * east
        squared += north * north
        return np.sqrt(squared, out=squared)

    @cached_property
    def around(self) -> list[np.ndarray]:
        """The eight neighbours minus the centre, in metres."""
        return [cell - self.centre for place, cell in enumerate(self.cells) if place != 4]

    @cached_property
    def second(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Second derivatives east-east, east-north and north-north, in 1/m."""
        a, b, c, d, f, g, h, i = self.around
        return world_hessian(self._steps, d + f, (a + i - c - g) / 4, b + h)

    @cached_property
    def bending(self) -> tuple[np.ndarray, np.ndarray]:
        """Second derivative along the fall line and across it, in 1/m; 0 on flat land."""
        _, b, _, d, f, _, h, _ = self.around
        p, q = world_gradient(self._steps, (f - d) / 2, (h - b) / 2)
        r, s, t = self.second
        squared = p * p + q * q
        flat = squared == 0
        squared[flat] = 1
        along = (r * p * p + 2 * s * p * q + t * q * q) / squared
        across = (r * q * q - 2 * s * p * q + t * p * p) / squared
        along[flat] = across[flat] = 0
        return along, across


def _weighted(one: np.ndarray, two: np.ndarray, three: np.ndarray) -> np.ndarray:
    """(one + 2 · two + three) / 8, in the place of `one`."""
    one += three
    one += two
    one += two
    one *= 0.125
    return one


def _slope(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    angle = np.arctan(kernel.steepness)
    angle *= 180 / math.pi
    return angle


def _aspect(axis: int) -> Callable[[Kernel, Parameters], np.ndarray]:
    def downhill(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
        steepness = kernel.steepness
        safe = np.where(steepness == 0, 1, steepness)
        result: np.ndarray = 0 - kernel.gradient[axis] / safe
        return result

    return downhill


def _curvature(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    r, _, t = kernel.second
    return 0 - 100 * (r + t)


def _total_curvature(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    r, s, t = kernel.second
    return 10_000 * (r * r + 2 * s * s + t * t)


def _profile_curvature(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    return 100 * kernel.bending[0]


def _planform_curvature(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    return 0 - 100 * kernel.bending[1]


def _ruggedness(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    total = np.zeros_like(kernel.centre)
    for difference in kernel.around:
        total += difference * difference
    return np.sqrt(total, out=total)


def _roughness(kernel: Kernel, _parameters: Parameters) -> np.ndarray:
    highest = lowest = np.zeros_like(kernel.centre)
    for difference in kernel.around:
        highest, lowest = np.maximum(highest, difference), np.minimum(lowest, difference)
    return highest - lowest


def _hillshade(kernel: Kernel, parameters: Parameters) -> np.ndarray:
    azimuth, altitude = light_direction(parameters)
    east, north = kernel.gradient
    towards = east * -math.sin(azimuth)
    towards -= north * math.cos(azimuth)
    towards *= math.cos(altitude)
    towards += math.sin(altitude)
    towards /= np.sqrt(1 + east * east + north * north)
    result: np.ndarray = 1 + 254 * np.maximum(towards, 0)
    return result


ATTRIBUTES: dict[str, Callable[[Kernel, Parameters], np.ndarray]] = {
    "slope": _slope,
    "aspect_sin": _aspect(0),
    "aspect_cos": _aspect(1),
    "curvature": _curvature,
    "profile_curvature": _profile_curvature,
    "planform_curvature": _planform_curvature,
    "total_curvature": _total_curvature,
    "tri": _ruggedness,
    "roughness": _roughness,
    "hillshade": _hillshade,
}
