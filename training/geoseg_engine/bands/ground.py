"""How a step of one pixel measures on the ground, and derivatives in metres from those in pixels."""

from __future__ import annotations

import numpy as np
import pyproj

from ..contract import Grid
from ..raster.grid import Window, affine_of
from ..raster.sources import parse_crs

Jacobian = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def scale_varies(crs: pyproj.CRS) -> bool:
    """Whether metres per unit change with latitude: degrees, and Mercator that is not transverse."""
    operation = crs.coordinate_operation
    method = operation.method_name.lower() if operation else ""
    return bool(crs.is_geographic) or (
        "mercator" in method and not ("transverse" in method or "oblique" in method)
    )


def unit_m(crs: pyproj.CRS) -> float:
    """Metres in one unit of a projected CRS."""
    return float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0


def metre_per_pixel(grid: Grid, window: Window) -> Jacobian:
    """East and north metres for one pixel to the right and one down: (east_col, east_row, north_col, north_row).

    Each of shape (rows, 1) where the scale follows latitude, else (1, 1). Degrees by the ellipsoid's radii of
    curvature; Mercator by its scale factor at the latitude of the row's middle.
    """
    return metre_per_pixel_at(grid, np.arange(window.row, window.row + window.height))


def metre_per_pixel_at(grid: Grid, rows: np.ndarray) -> Jacobian:
    """As `metre_per_pixel`, for any rows of the grid."""
    affine, crs = affine_of(grid), parse_crs(grid.crs)
    east = north = np.full((1, 1), unit_m(crs))
    if scale_varies(crs):
        middles = rows + 0.5
        xs, ys = affine * (np.full_like(middles, grid.width / 2), middles)
        east, north = (part[:, None] for part in _metre_per_unit(crs, np.asarray(xs), np.asarray(ys)))
    return east * affine.a, east * affine.b, north * affine.d, north * affine.e


def rows_of(jacobian: Jacobian, start: int, end: int) -> Jacobian:
    """The part for some rows of its window."""
    if len(jacobian[0]) == 1:
        return jacobian
    east_col, east_row, north_col, north_row = (part[start:end] for part in jacobian)
    return east_col, east_row, north_col, north_row


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
    if not (east_row.any() or north_col.any()):
        return per_col * (1 / east_col).astype(per_col.dtype), per_row * (1 / north_row).astype(per_row.dtype)
    determinant = east_col * north_row - east_row * north_col
    inverse = [(part / determinant).astype(per_col.dtype) for part in jacobian]
    east = per_col * inverse[3] - per_row * inverse[2]
    north = per_row * inverse[0] - per_col * inverse[1]
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
