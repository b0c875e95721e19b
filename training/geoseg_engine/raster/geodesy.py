"""Areas and lengths on the ellipsoid, whatever the CRS: Web Mercator, polar grids and degrees included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError, ProjError

from ..contract import Grid, present
from .crs import unit_m, way_to_degrees

Floats = NDArray[np.float64]

EVEN_SHARE = 5e-4
"""Pixels of a row count as equally large while none differs from the middle one by more than this share."""

MAX_ROWS_PX, MAX_COLUMNS_PX = 256, 4096
LATTICE, PLACES = 64, 9
STEP_M = 100.0
"""Minimum length over which a projection is measured, as its inverse is only accurate to a fraction of a millimetre."""

SIDE_DEGREES, MAX_SIDES = 0.5, 64
"""Sides of a pixel are followed at points this far apart, and at no more points."""


def pixel_size_m(grid: Grid, row: float, col: float) -> tuple[float, float]:
    """Return the true width and height in metres of the pixel around a position.

    Args:
        grid: pixels in any CRS.
        row, col: position in pixels from the grid's corner.
    """
    across, down = pixel_vectors_m(grid, np.array([row]), np.array([col]))
    return float(np.hypot(*across[:, 0])), float(np.hypot(*down[:, 0]))


def pixel_vectors_m(grid: Grid, rows: NDArray[Any], cols: NDArray[Any]) -> tuple[Floats, Floats]:
    """Measure a step of one column and of one row on the ellipsoid, around the middle of pixels.

    Args:
        grid: pixels in any CRS.
        rows, cols: numbers of the pixels, arrays of one shape.

    Returns:
        East and north components in metres, each (2, *shape), of the step to the right and of the step down; NaN
        beside the earth. Without a geographic counterpart the axes of the CRS count as east and north.
    """
    geographic = _geographic(grid.crs)
    a, b, _, d, e, _ = grid.transform
    rows, cols = np.asarray(rows, float) + 0.5, np.asarray(cols, float) + 0.5
    if geographic is None:
        unit, ones = _unit_m(grid.crs), np.ones_like(rows)
        return np.stack([a * ones, d * ones]) * unit, np.stack([b * ones, e * ones]) * unit
    span = _span_px(grid)
    lon, lat = geographic.radians(grid, rows, cols)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)])
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])

    def step(down: float, across: float) -> Floats:
        path = positions_m(grid, rows + down / 2, cols + across / 2)
        path = (path - positions_m(grid, rows - down / 2, cols - across / 2)) / span
        return np.stack([(path * east).sum(axis=0), (path * north).sum(axis=0)])

    return step(0, span), step(span, 0)


def positions_m(grid: Grid, rows: Floats, cols: Floats) -> Floats:
    """Geocentric x, y and z in metres of places on the ellipsoid; NaN beside the earth.

    Args:
        grid: its CRS must have a geographic counterpart.
        rows, cols: from the grid's corner, arrays of one shape.

    Returns:
        (3, *shape).
    """
    geographic = present(_geographic(grid.crs), "the geographic counterpart of a CRS")
    lon, lat = geographic.radians(grid, rows, cols)
    es = geographic.geod.es
    normal = geographic.geod.a / np.sqrt(1 - es * np.sin(lat) ** 2)
    flat = normal * np.cos(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), normal * (1 - es) * np.sin(lat)])


def pixel_areas_m2(grid: Grid, rows: NDArray[Any], cols: NDArray[Any]) -> Floats:
    """Measure the area of pixels on the ellipsoid.

    The boundary of a pixel is transformed to authalic latitudes (Snyder 1987, equations 3-12, 3-13 and 3-18) and drawn
    in Lambert's azimuthal equal-area projection around the pixel's own middle: right for pixels of many degrees, and at
    the poles. A grid without a geographic counterpart is measured in its plane.

    Args:
        grid: pixels in any CRS.
        rows, cols: numbers of the pixels, arrays of one shape.

    Returns:
        m², of the same shape; NaN beside the earth. Of a pixel in degrees that reaches beyond a pole the part up to the
        pole counts.
    """
    geographic = _geographic(grid.crs)
    rows, cols = np.asarray(rows, float), np.asarray(cols, float)
    if geographic is None:
        return _parallelogram(*pixel_vectors_m(grid, rows, cols))
    geod, span = geographic.geod, _span_px(grid)
    middle = _authalic(geod.es, *geographic.radians(grid, rows + 0.5, cols + 0.5))
    down, across = (item.reshape(-1, *[1] * rows.ndim) * span for item in _outline(grid))
    around = _authalic(geod.es, *geographic.radians(grid, rows + 0.5 + down, cols + 0.5 + across))
    x, y = _equal_area(middle, around)
    doubled = (x * np.roll(y, -1, axis=0) - np.roll(x, -1, axis=0) * y).sum(axis=0)
    areas: Floats = np.abs(doubled) / 2 * _authalic_radius_m(geod) ** 2 / span**2
    # where a corner is beside the earth and the middle does not
    cut = ~np.isfinite(areas) & np.isfinite(middle).all(axis=0)
    if cut.any():
        areas[cut] = _parallelogram(*pixel_vectors_m(grid, rows[cut], cols[cut]))
    return areas


def row_areas_m2(grid: Grid, row: int, height: int, col: int = 0, width: int = 0) -> Floats:
    """Return pixel areas in m² of rows, or of some columns of them.

    Args:
        grid: pixels in any CRS.
        row, height: first row and number of rows.
        col, width: first column and number of columns; a width of 0 is up to the end.

    Returns:
        (height, n): of `even_columns_px` columns each, the last of them perhaps of fewer, accurate to 1.3 · EVEN_SHARE;
        0 beside the earth.
    """
    end = col + width if width else grid.width
    step = even_columns_px(grid)
    begins = np.arange(col, end, step)
    return _column_areas_m2(grid, row, height, (begins + np.minimum(begins + step, end) - 1) / 2)


def _column_areas_m2(grid: Grid, row: int, height: int, cols: Floats) -> Floats:
    """(height, cols), interpolated between rows as close as EVEN_SHARE requires; the outermost are measured."""
    if not height:
        return np.zeros((0, len(cols)))
    inner = np.arange(0, height, _even_px(grid)[0])
    lattice = np.unique(np.clip(np.concatenate([inner, [1, height - 2, height - 1]]), 0, height - 1))
    areas = _areas_m2(grid, *np.meshgrid(row + lattice, cols, indexing="ij"))
    if len(lattice) == height:
        return areas
    wanted = np.arange(height)
    place = np.clip(np.searchsorted(lattice, wanted, "right") - 1, 0, len(lattice) - 2)
    share = ((wanted - lattice[place]) / (lattice[place + 1] - lattice[place]))[:, None]
    upper, lower = areas[place], areas[place + 1]
    result: Floats = upper * (1 - share) + lower * share
    down, across = np.nonzero((upper > 0) != (lower > 0))  # the earth ends between them
    result[down, across] = _areas_m2(grid, row + down, cols[across])
    return result


def even_columns_px(grid: Grid) -> int:
    """Return a power of two of columns over which pixels of a row are equally large, up to EVEN_SHARE.

    Thousands in UTM, in degrees and in Web Mercator; few where coarse pixels meet a projection whose scale changes
    along a row, as in polar stereographic ones.
    """
    return _even_px(grid)[1]


@lru_cache(maxsize=64)
def _even_px(grid: Grid) -> tuple[int, int]:
    """Rows between which areas may be interpolated, and columns over which they count as equal."""
    apart = [max((size - 1) // LATTICE, 1) for size in (grid.height, grid.width)]
    places = (np.arange(0, size, step) for size, step in zip((grid.height, grid.width), apart, strict=True))
    areas = _areas_m2(grid, *np.meshgrid(*places, indexing="ij"))
    areas[areas == 0] = np.nan  # beside the earth
    inner = (
        areas[1:-1] if len(areas) > 4 else areas
    )  # the outermost rows, perhaps cut by a pole, are measured
    slope = np.abs(np.diff(np.log(inner), axis=1)) / apart[1]
    bend = np.abs(np.diff(inner, 2, axis=0) / inner[1:-1]) / apart[0] ** 2
    with np.errstate(divide="ignore"):
        down = np.sqrt(2 * EVEN_SHARE / np.nan_to_num(bend).max(initial=0.0))
        across = 2 * EVEN_SHARE / np.nan_to_num(slope).max(initial=0.0)
    return int(np.clip(down, 1, MAX_ROWS_PX)), 1 << int(np.log2(np.clip(across, 1, MAX_COLUMNS_PX)))


def _areas_m2(grid: Grid, rows: NDArray[Any], cols: NDArray[Any]) -> Floats:
    """As `pixel_areas_m2`; 0 beside the earth."""
    return np.nan_to_num(pixel_areas_m2(grid, rows, cols), nan=0.0, posinf=0.0)


def _parallelogram(across: Floats, down: Floats) -> Floats:
    return np.asarray(np.abs(across[0] * down[1] - across[1] * down[0]))


@lru_cache(maxsize=64)
def _outline(grid: Grid) -> Floats:
    """Rows and columns, (2, n), of a pixel's corners and of points between them, from its middle."""
    longest_m = np.nan_to_num(np.hypot(*np.stack(_lattice_vectors_m(grid), axis=1))).max()
    sides = int(np.clip(np.ceil(longest_m * _span_px(grid) / 111_000 / SIDE_DEGREES), 1, MAX_SIDES))
    share = np.arange(sides) / sides - 0.5
    half = np.full(sides, 0.5)
    return np.stack(
        [np.concatenate([-half, share, half, -share]), np.concatenate([share, half, -share, -half])]
    )


def _authalic(es: float, lon: Floats, lat: Floats) -> Floats:
    """Unit vectors, (3, *shape), to places on the sphere of equal areas."""
    lat = np.clip(lat, -np.pi / 2, np.pi / 2)
    beta = (
        lat
        - (es / 3 + 31 * es**2 / 180 + 59 * es**3 / 560) * np.sin(2 * lat)
        + (17 * es**2 / 360 + 61 * es**3 / 1260) * np.sin(4 * lat)
        - 383 * es**3 / 45360 * np.sin(6 * lat)
    )
    return np.stack([np.cos(beta) * np.cos(lon), np.cos(beta) * np.sin(lon), np.sin(beta)])


def _authalic_radius_m(geod: Geod) -> float:
    """Radius of the sphere with the area of the ellipsoid."""
    e = np.sqrt(geod.es)
    return float(geod.a * np.sqrt((1 + (1 - geod.es) * (np.arctanh(e) / e if e else 1)) / 2))


def _equal_area(middle: Floats, around: Floats) -> tuple[Floats, Floats]:
    """Lambert's azimuthal projection, around `middle` (3, *shape), of unit vectors (3, points, *shape)."""
    flat = np.hypot(middle[0], middle[1])
    sine, cosine = (np.where(flat > 0, item, other) / np.where(flat > 0, flat, 1)
                    for item, other in ((middle[1], 0.0), (middle[0], 1.0)))  # fmt: skip
    east = np.stack([-sine, cosine, np.zeros_like(sine)])
    north = np.stack([-middle[2] * cosine, -middle[2] * sine, flat])
    away = around - middle[:, None]
    stretch = 1 / np.sqrt(1 - np.minimum((away**2).sum(axis=0) / 4, 1 - 1e-12))
    return (away * east[:, None]).sum(axis=0) * stretch, (away * north[:, None]).sum(axis=0) * stretch


def perimeters_m(geometries: NDArray[Any], crs: str) -> Floats:
    """Return the length in metres of all rings of each polygon, along geodesics where the CRS has an ellipsoid.

    Args:
        geometries: (n,) polygons.
        crs: of their coordinates.
    """
    if not len(geometries):
        return np.zeros(0)
    geographic = _geographic(crs)
    if geographic is None:
        return shapely.length(geometries) * _unit_m(crs)
    rings, owner = shapely.get_rings(geometries, return_index=True)
    points, ring_of = shapely.get_coordinates(rings, return_index=True)
    lon, lat = np.degrees(geographic.radians_of(points[:, 0], points[:, 1]))
    same = ring_of[1:] == ring_of[:-1]
    length = geographic.geod.inv(lon[:-1][same], lat[:-1][same], lon[1:][same], lat[1:][same])[2]
    total = np.bincount(owner[ring_of[1:][same]], weights=length, minlength=len(geometries))
    return total.astype(np.float64)


@dataclass(frozen=True)
class Plane:
    """Distortion of the plane of a CRS on a grid.

    Attributes:
        scale_error: largest difference, in any direction, between map distance and true distance, as a share.
        axes: east and north in x and y of the CRS, to the nearest quarter turn: ((1, 0), (0, 1)) in most,
            ((-1, 0), (0, -1)) where axes run west and south.
        turn_degrees: largest angle between these and true east and north.
        by_row: whether all pixels of a row have the same size and orientation, as in degrees and in Mercator.
    """

    scale_error: float = 0.0
    axes: tuple[tuple[int, int], tuple[int, int]] = ((1, 0), (0, 1))
    turn_degrees: float = 0.0
    by_row: bool = False


@lru_cache(maxsize=64)
def plane_of(grid: Grid) -> Plane:
    """Compare the map with the ellipsoid at 9 × 9 places of a grid."""
    a, b, _, d, e, _ = grid.transform
    steps = np.stack(_lattice_vectors_m(grid), axis=-1)  # east and north (2, rows, cols) of two steps
    known = np.isfinite(steps).all(axis=(0, 3))
    if _geographic(grid.crs) is None or not known.any():
        return Plane()
    on_map = np.array([[a, b], [d, e]]) * _unit_m(grid.crs)
    left, stretch, right = np.linalg.svd(np.moveaxis(steps, 0, 2)[known] @ np.linalg.inv(on_map))
    turns = left @ right
    axes = np.rint(turns[len(turns) // 2] * 1.4)  # nearest to an eighth of a turn
    if np.abs(axes).sum() != 2:
        axes = np.eye(2)
    rests = turns @ axes.T
    angles = np.arctan2(rests[:, 1, 0] - rests[:, 0, 1], rests[:, 0, 0] + rests[:, 1, 1])
    turned = np.where(np.linalg.det(rests) > 0, np.abs(angles), np.pi)
    even = np.ptp(steps, axis=2).max() < 1e-6 * np.abs(steps).max() if known.all() else False
    (east_x, east_y), (north_x, north_y) = axes.astype(int).tolist()
    return Plane(
        float(np.abs(stretch - 1).max()),
        ((east_x, east_y), (north_x, north_y)),
        float(np.degrees(turned.max())),
        bool(even and b == 0 == d),
    )


def _lattice_vectors_m(grid: Grid) -> tuple[Floats, Floats]:
    """`pixel_vectors_m` at 9 × 9 places of a grid."""
    places = (np.linspace(0, size - 1, min(size, PLACES)).round() for size in (grid.height, grid.width))
    return pixel_vectors_m(grid, *np.meshgrid(*places, indexing="ij"))


@dataclass(frozen=True)
class _Geographic:
    """Longitude and latitude of a CRS on its own datum; without `transformer` its coordinates are that already."""

    transformer: Transformer | None
    unit: float
    geod: Geod

    def radians(self, grid: Grid, rows: Floats, cols: Floats) -> Floats:
        """(2, *shape) of places in rows and columns from a grid's corner; NaN beside the earth."""
        a, b, c, d, e, f = grid.transform
        found = self.radians_of(a * cols + b * rows + c, d * cols + e * rows + f)
        found[:, ~np.isfinite(found).all(axis=0)] = np.nan
        return found

    def radians_of(self, xs: Floats, ys: Floats) -> Floats:
        """(2, *shape) of coordinates of the CRS; infinite beside the earth."""
        if self.transformer is not None:
            alone = np.size(xs) == 1  # which pyproj would give back as a number
            found = self.transformer.transform(*((xs.item(), ys.item()) if alone else (xs, ys)))
            xs, ys = (np.reshape(part, np.shape(xs)) for part in found)
        return np.stack([xs, ys]) * self.unit


@lru_cache(maxsize=64)
def _geographic(crs: str) -> _Geographic | None:
    """None for a CRS that has no longitude and latitude, such as a local one."""
    try:
        own = CRS.from_user_input(crs)
        to_base = way_to_degrees(own)
        base = None if to_base is None else to_base.target_crs
        if base is None or not (own.is_projected or own.is_geographic):
            return None
        plain = own.is_geographic and not own.is_derived
        unit = unit_m(base) or 1.0  # grads from Paris are no degrees
        return _Geographic(None if plain else to_base, unit, own.get_geod() or Geod(ellps="WGS84"))
    except (CRSError, ProjError, IndexError):
        return None


@lru_cache(maxsize=64)
def _span_px(grid: Grid) -> float:
    """Pixels over which a step is measured: one, or more where a projection has pixels smaller than STEP_M."""
    geographic = _geographic(grid.crs)
    if geographic is None or geographic.transformer is None:
        return 1.0
    a, b, _, d, e, _ = grid.transform
    unit = _unit_m(grid.crs)
    metres = unit if CRS.from_user_input(grid.crs).is_projected else unit * geographic.geod.a
    return max(1.0, STEP_M / float(metres * max(np.hypot(a, d), np.hypot(b, e))))


@lru_cache(maxsize=64)
def _unit_m(crs: str) -> float:
    """Metres in a unit of a projected CRS, radians in one of a geographic CRS; 1 if undefined."""
    try:
        return unit_m(CRS.from_user_input(crs)) or 1.0
    except CRSError:
        return 1.0
