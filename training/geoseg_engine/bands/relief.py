"""Slope, aspect and curvatures of a DEM, on the DEM's own grid and by window.

Slope and aspect follow Horn (1981), the curvatures Zevenbergen & Thorne (1987) with the sign and the factor
100 that ESRI and RichDEM use: curvature and planform curvature are positive where ground is convex, profile
curvature is positive where it is concave along the fall line. Heights are taken as metres. A neighbour
without value takes the value of the centre, so a void does not spread; the raster's edge is extrapolated.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pyproj

from ..contract import Grid
from ..raster.grid import Window, affine_of
from ..raster.sources import parse_crs

HALO_PX = 1
RICHDEM_NAMES = {
    "slope": "slope_degrees",
    "aspect": "aspect",
    "curvature": "curvature",
    "profile_curvature": "profile_curvature",
    "planform_curvature": "planform_curvature",
}
VOID = -9999.0
_SILENCE = threading.Lock()


@cache
def richdem_is_there() -> bool:
    """Whether RichDEM can be imported."""
    if importlib.util.find_spec("richdem") is None:
        return False
    try:
        importlib.import_module("richdem")
    except ImportError:
        return False
    return True


def uses_richdem(grid: Grid) -> bool:
    """RichDEM is used where it is installed and right: north-up, square pixels, one scale all over.

    Elsewhere (degrees, Mercator, oblong or rotated pixels) it would take a wrong cell size, and the same
    formulae are computed here.
    """
    affine = affine_of(grid)
    square = affine.b == 0 == affine.d and math.isclose(affine.a, -affine.e, rel_tol=1e-6)
    return square and not scale_varies(parse_crs(grid.crs)) and richdem_is_there()


def scale_varies(crs: pyproj.CRS) -> bool:
    """Whether metres per unit change with latitude: degrees, and Mercator that is not transverse."""
    operation = crs.coordinate_operation
    method = operation.method_name.lower() if operation else ""
    return bool(crs.is_geographic) or (
        "mercator" in method and not ("transverse" in method or "oblique" in method)
    )


def attributes(
    heights_m: np.ndarray, grid: Grid, window: Window, names: tuple[str, ...], engine: str = ""
) -> np.ndarray:
    """Attributes of a window of a DEM.

    Args:
        heights_m: float64 (rows, cols) of `window.padded(HALO_PX)`, NaN for voids and beyond the edge.
        grid: the DEM's grid.
        window: a window inside it.
        names: of TERRAIN_ATTRIBUTES.
        engine: `richdem` or `numpy`; empty takes RichDEM where it is right.

    Returns:
        Float64 (len(names), rows, cols), NaN where the height is unknown. Slope in degrees, 0 to 90; aspect as
        sine and cosine of the downhill direction clockwise from north, both 0 on flat ground; curvatures
        in 1/100 per metre.
    """
    heights_m = with_edges(heights_m, grid, window)
    engine = engine or ("richdem" if uses_richdem(grid) else "numpy")
    if engine == "richdem":
        found = _by_richdem(heights_m, affine_of(grid).a * unit_m(parse_crs(grid.crs)), names)
    else:
        found = _by_numpy(heights_m, grid, window, names)
    found[:, np.isnan(heights_m[1:-1, 1:-1])] = np.nan
    return found


def with_edges(heights_m: np.ndarray, grid: Grid, window: Window) -> np.ndarray:
    """Heights with the ring beyond the raster's edge extrapolated in a straight line."""
    heights_m = np.array(heights_m, np.float64)
    halo = window.padded(HALO_PX)
    beyond = (
        (halo.row < 0, np.s_[0, :], np.s_[1, :], np.s_[2, :]),
        (halo.row + halo.height > grid.height, np.s_[-1, :], np.s_[-2, :], np.s_[-3, :]),
        (halo.col < 0, np.s_[:, 0], np.s_[:, 1], np.s_[:, 2]),
        (halo.col + halo.width > grid.width, np.s_[:, -1], np.s_[:, -2], np.s_[:, -3]),
    )
    for is_beyond, outside, edge, inner in beyond:
        if is_beyond:
            extrapolated = 2 * heights_m[edge] - heights_m[inner]
            heights_m[outside] = np.where(np.isnan(extrapolated), heights_m[edge], extrapolated)
    return heights_m


def unit_m(crs: pyproj.CRS) -> float:
    """Metres in one unit of a projected CRS."""
    return float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0


@contextmanager
def _silent() -> Iterator[None]:
    """Send what native code prints nowhere: RichDEM draws 10 kB of progress bars a call."""
    with _SILENCE, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _by_richdem(heights_m: np.ndarray, cell_m: float, names: tuple[str, ...]) -> np.ndarray:
    richdem = importlib.import_module("richdem")
    raster = richdem.rdarray(np.where(np.isnan(heights_m), VOID, heights_m), no_data=VOID)
    raster.geotransform = (0.0, cell_m, 0.0, 0.0, 0.0, -cell_m)

    @cache
    def attribute(name: str) -> np.ndarray:
        with _silent():
            found = richdem.TerrainAttribute(raster, attrib=RICHDEM_NAMES[name])
        return np.asarray(found, np.float64)[1:-1, 1:-1]

    def one(name: str) -> np.ndarray:
        if not name.startswith("aspect"):
            return attribute(name)
        angle = np.radians(attribute("aspect"))
        turned = np.sin(angle) if name == "aspect_sin" else np.cos(angle)
        return np.where(attribute("slope") > 0, turned, 0.0)

    return np.stack([one(name) for name in names])


def _by_numpy(heights_m: np.ndarray, grid: Grid, window: Window, names: tuple[str, ...]) -> np.ndarray:
    cells = _neighbours(heights_m)
    jacobian = metre_per_pixel(grid, window)
    a, b, c, d, e, f, g, h, i = cells
    slope_part = world_gradient(
        jacobian, (c + 2 * f + i - a - 2 * d - g) / 8, (g + 2 * h + i - a - 2 * b - c) / 8
    )
    steepness = np.hypot(*slope_part)
    flat = steepness == 0
    safe = np.where(flat, 1, steepness)
    results = {
        "slope": np.degrees(np.arctan(steepness)),
        "aspect_sin": np.where(flat, 0, -slope_part[0] / safe),
        "aspect_cos": np.where(flat, 0, -slope_part[1] / safe),
    }
    if any("curvature" in name for name in names):
        p, q = world_gradient(jacobian, (f - d) / 2, (h - b) / 2)
        r, s, t = world_hessian(jacobian, d + f - 2 * e, (a + i - c - g) / 4, b + h - 2 * e)
        squared = p * p + q * q
        safe = np.where(squared == 0, 1, squared)
        along = np.where(squared == 0, 0, (r * p * p + 2 * s * p * q + t * q * q) / safe)
        across = np.where(squared == 0, 0, (r * q * q - 2 * s * p * q + t * p * p) / safe)
        results["curvature"] = -100 * (r + t)
        results["profile_curvature"] = 100 * along
        results["planform_curvature"] = -100 * across
    return np.stack([results[name] for name in names])


def _neighbours(heights_m: np.ndarray) -> list[np.ndarray]:
    """The nine cells a b c / d e f / g h i of every kernel; voids take the centre's value."""
    rows, cols = heights_m.shape[0] - 2, heights_m.shape[1] - 2
    centre = heights_m[1:-1, 1:-1]
    cells = [heights_m[row : row + rows, col : col + cols] for row in range(3) for col in range(3)]
    return [np.where(np.isnan(cell), centre, cell) for cell in cells]


Jacobian = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def metre_per_pixel(grid: Grid, window: Window) -> Jacobian:
    """East and north metres for one pixel to the right and one down: (east_col, east_row, north_col, north_row).

    Each of shape (rows, 1) where the scale follows latitude, else (1, 1). Degrees by the ellipsoid's radii of
    curvature; Mercator by its scale factor at the latitude of the row's middle.
    """
    affine, crs = affine_of(grid), parse_crs(grid.crs)
    east = north = np.full((1, 1), unit_m(crs))
    if scale_varies(crs):
        rows = np.arange(window.row, window.row + window.height) + 0.5
        xs, ys = affine * (np.full_like(rows, grid.width / 2), rows)
        east, north = (part[:, None] for part in _metre_per_unit(crs, np.asarray(xs), np.asarray(ys)))
    return east * affine.a, east * affine.b, north * affine.d, north * affine.e


def _metre_per_unit(crs: pyproj.CRS, xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ellipsoid = crs.get_geod()
    assert ellipsoid is not None
    if not crs.is_geographic:
        _, ys = pyproj.Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True).transform(xs, ys)
        scale = np.cos(np.radians(ys)) / np.sqrt(1 - ellipsoid.es * np.sin(np.radians(ys)) ** 2)
        return scale * unit_m(crs), scale * unit_m(crs)
    unit = crs.axis_info[0].unit_conversion_factor
    latitude = ys * unit
    root = np.sqrt(1 - ellipsoid.es * np.sin(latitude) ** 2)
    meridian = ellipsoid.a * (1 - ellipsoid.es) / root**3
    parallel = ellipsoid.a / root * np.maximum(np.cos(latitude), 1e-6)
    return parallel * unit, meridian * unit


def world_gradient(
    jacobian: Jacobian, per_col: np.ndarray, per_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Height per metre to the east and to the north, from height per pixel to the right and down."""
    east_col, east_row, north_col, north_row = jacobian
    determinant = east_col * north_row - east_row * north_col
    east = (per_col * north_row - per_row * north_col) / determinant
    north = (per_row * east_col - per_col * east_row) / determinant
    return east, north


def world_hessian(
    jacobian: Jacobian, col_col: np.ndarray, col_row: np.ndarray, row_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second derivatives (east-east, east-north, north-north) from those per pixel."""
    first = world_gradient(jacobian, col_col, col_row)
    second = world_gradient(jacobian, col_row, row_row)
    east_east, east_north = world_gradient(jacobian, first[0], second[0])
    _, north_north = world_gradient(jacobian, first[1], second[1])
    return east_east, east_north, north_north
