"""Areas and lengths on the ellipsoid, whatever the CRS: Web Mercator and degrees included."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from ..contract import Grid
from .crs import unit_m, way_to_degrees

Floats = NDArray[np.float64]

EVEN_SHARE = 1e-3
"""Pixels of a row are taken to be equally large while none differs from the middle one by more."""

LEAST_COLUMNS_PX, MOST_COLUMNS_PX = 16, 4096


def pixel_size_m(grid: Grid, row: float, col: float) -> tuple[float, float]:
    """Width and height in metres on the ground of the pixel around a (row, col) position."""
    across, down = pixel_vectors_m(grid, np.array([row]), np.array([col]))
    return float(np.hypot(*across[:, 0])), float(np.hypot(*down[:, 0]))


def pixel_areas_m2(grid: Grid, rows: NDArray[Any], cols: NDArray[Any]) -> Floats:
    """Area in m² on the ellipsoid of the pixels at rows and cols (arrays of one shape).

    The pixel's two sides are carried to longitude and latitude and measured with the radii of curvature
    of the meridian and of the parallel; the error is of second order in the pixel's angular size
    (below 1e-4 for pixels of one degree). A grid without a geographic counterpart is measured in its plane.
    """
    across, down = pixel_vectors_m(grid, np.asarray(rows, float), np.asarray(cols, float))
    return np.abs(across[0] * down[1] - across[1] * down[0])


def window_areas_m2(grid: Grid, row: int, col: int, height: int, width: int) -> Floats:
    """Pixel areas of a window as (height, 1) float64, taken along its middle column; 0 beside the earth.

    Right to EVEN_SHARE for windows that are no wider than `even_columns_px`.
    """
    lattice = np.unique(np.linspace(0, height - 1, min(height, 65)).round()) if height else np.zeros(1)
    middle = np.full(lattice.shape, col + (width - 1) / 2)
    areas = _areas_m2(grid, row + lattice, middle)
    return np.interp(np.arange(height), lattice, areas)[:, None]


@lru_cache(maxsize=64)
def even_columns_px(grid: Grid) -> int:
    """A power of two of columns over which pixels of a row are equally large, up to EVEN_SHARE.

    Thousands in UTM, in degrees and in Web Mercator; few where coarse pixels meet a projection whose scale changes
    along a row, as in polar stereographic ones.
    """
    rows = np.unique(np.linspace(0, grid.height - 1, min(grid.height, 33)).round())
    cols = np.unique(np.linspace(0, grid.width - 1, min(grid.width, 65)).round())
    lattice = np.meshgrid(rows, cols, indexing="ij")
    areas = _areas_m2(grid, *(item.ravel() for item in lattice)).reshape(len(rows), len(cols))
    left, right = areas[:, :-1], areas[:, 1:]
    known = (left > 0) & (right > 0)
    change = np.abs(right / np.where(known, left, 1) - 1) / np.diff(cols)
    steepest = float(change[known].max(initial=0.0))
    if steepest * MOST_COLUMNS_PX <= 2 * EVEN_SHARE:
        return MOST_COLUMNS_PX
    return max(1 << int(np.log2(max(2 * EVEN_SHARE / steepest, 1))), LEAST_COLUMNS_PX)


def row_areas_m2(grid: Grid, row: int, height: int) -> Floats:
    """Pixel areas of whole rows, (height, n): of `even_columns_px` columns each, the last of them perhaps of fewer."""
    step = even_columns_px(grid)
    parts = [
        window_areas_m2(grid, row, col, height, min(step, grid.width - col))
        for col in range(0, grid.width, step)
    ]
    return np.concatenate(parts, axis=1)


def _areas_m2(grid: Grid, rows: Floats, cols: Floats) -> Floats:
    """As `pixel_areas_m2`; 0 where the projection has no ground."""
    with np.errstate(invalid="ignore"):
        areas = pixel_areas_m2(grid, rows, cols)
    return np.where(np.isfinite(areas), areas, 0.0)


def perimeters_m(geometries: NDArray[Any], crs: str) -> Floats:
    """Length in metres of all rings of each polygon, along geodesics where the CRS has an ellipsoid."""
    if not len(geometries):
        return np.zeros(0)
    to_degrees = _to_degrees(crs)
    if to_degrees is None:
        return shapely.length(geometries) * _unit_m(crs)
    rings, owner = shapely.get_rings(geometries, return_index=True)
    points, ring_of = shapely.get_coordinates(rings, return_index=True)
    lon, lat = to_degrees.transform(points[:, 0], points[:, 1])
    same = ring_of[1:] == ring_of[:-1]
    length = _geod(crs).inv(lon[:-1][same], lat[:-1][same], lon[1:][same], lat[1:][same])[2]
    total = np.bincount(owner[ring_of[1:][same]], weights=length, minlength=len(geometries))
    return total.astype(np.float64)


def pixel_vectors_m(grid: Grid, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
    """East and north components in metres, (2, n), of a step of one column and of one row."""
    to_degrees = _to_degrees(grid.crs)
    a, b, c, d, e, f = grid.transform
    col, row = cols + 0.5, rows + 0.5
    if to_degrees is None:
        unit = _unit_m(grid.crs)
        ones = np.ones_like(rows)
        return np.stack([a * ones, d * ones]) * unit, np.stack([b * ones, e * ones]) * unit

    steps = np.array([[0, 0], [-0.5, 0], [0.5, 0], [0, -0.5], [0, 0.5]])
    col, row = (col + steps[:, :1]).ravel(), (row + steps[:, 1:]).ravel()
    lon, lat = to_degrees.transform(a * col + b * row + c, d * col + e * row + f)
    lon, lat = lon.reshape(5, -1), lat.reshape(5, -1)
    east_m, north_m = _metres_per_degree(_geod(grid.crs), lat[0])

    def metres(begin: int, end: int) -> Floats:
        longitude = (lon[end] - lon[begin] + 180) % 360 - 180
        return np.stack([longitude * east_m, (lat[end] - lat[begin]) * north_m])

    return metres(1, 2), metres(3, 4)


def _metres_per_degree(geod: Geod, latitude: Floats) -> tuple[Floats, Floats]:
    phi = np.radians(latitude)
    bend = 1 - geod.es * np.sin(phi) ** 2
    meridian = geod.a * (1 - geod.es) / bend**1.5
    parallel = geod.a / np.sqrt(bend) * np.cos(phi)
    return np.radians(parallel), np.radians(meridian)


@lru_cache(maxsize=16)
def _to_degrees(crs: str) -> Transformer | None:
    """From the CRS to longitude and latitude on its own datum; None if it has none."""
    try:
        return way_to_degrees(CRS.from_user_input(crs))
    except (CRSError, ProjError):
        return None


@lru_cache(maxsize=16)
def _geod(crs: str) -> Geod:
    return CRS.from_user_input(crs).get_geod() or Geod(ellps="WGS84")


@lru_cache(maxsize=16)
def _unit_m(crs: str) -> float:
    """Metres in one unit of the CRS; 1 where it does not say."""
    try:
        return unit_m(CRS.from_user_input(crs)) or 1.0
    except CRSError:
        return 1.0
