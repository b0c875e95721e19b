"""Geometries in a grid's CRS and turn of longitude, and whether a raster covers a grid in another turn.

Longitudes 350 and -10 are one place, but a raster of 0 to 360 degrees has it by one number and one of -180 to 180 by
the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ..contract import GeoSegError, Grid
from ..raster.crs import same_crs, way_between
from ..raster.grid import affine_of, grid_bounds
from ..raster.sources import parse_crs
from .reprojection import in_crs, shifted_by_turns, turn_of, with_dense_sides
from .shapes import Shapes, valid

GRID_SAMPLES = 21
"""Points along a side of a grid that are transformed to find its area in another CRS."""


def moved_to(shapes: Shapes, own: pyproj.CRS, on: Grid | str, padding: float = 0.0) -> Shapes:
    """Return geometries in the CRS of a grid, shifted by whole turns of longitude to where it has them.

    Of polygons in degrees that are very wide, or reach beyond the domain of the grid's CRS, such as a pole in Mercator,
    only the part around the grid is transformed; geometries elsewhere are empty then.

    Args:
        shapes, own: geometries and their CRS.
        on: a grid, or a CRS.
        padding: turns of longitude on each side of the grid in which geometries count too.

    Raises:
        GeoSegError: `no_way`.
    """
    target = parse_crs(on if isinstance(on, str) else on.crs)
    if isinstance(on, str):
        return in_crs(shapes, own, target)
    in_degrees = own.is_geographic and not same_crs(own, target)
    if in_degrees:
        shapes, wide = with_dense_sides(shapes, own)
        shapes = _clipped(shapes, wide, on, own)
    moved = in_crs(shapes, own, target)
    if in_degrees:
        endless = ~(np.isfinite(shapely.bounds(moved)).all(axis=1) | shapely.is_empty(moved))
        moved[endless] = in_crs(_clipped(shapes, endless, on, own)[endless], own, target)
    left, _, right, _ = grid_bounds(on)
    reach = padding * turn_of(target)
    return shifted_by_turns(moved, target, left - reach, right + reach)


def _clipped(shapes: Shapes, chosen: NDArray[np.bool_], grid: Grid, crs: pyproj.CRS) -> Shapes:
    """Geometries in degrees, some of them clipped to the surroundings of a grid."""
    if not chosen.any():
        return shapes
    shapes = shapes.copy()
    shapes[chosen] = shapely.intersection(valid(shapes[chosen])[0], area_around(grid, crs))
    return shapes


def area_around(grid: Grid, crs: pyproj.CRS) -> shapely.Geometry:
    """Return the area of a grid, and a quarter of it on each side, in degrees, in all turns of longitude in use.

    Args:
        grid: of the stack.
        crs: geographic, of the result.
    """
    turn = turn_of(crs)
    lon, lat = _spread(grid, crs)
    if not len(lon):
        return shapely.box(-2 * turn, -turn / 4, 2 * turn, turn / 4)
    lon = lon - turn * np.round((lon - lon[len(lon) // 2]) / turn)
    low, high = (np.array([f(lon), f(lat)]) for f in (np.min, np.max))
    room = (high - low) / 4 + 1e-6
    (west, south), (east, north) = low - room, high + room
    if east - west >= turn / 2:
        west, east = -2 * turn, 2 * turn
    boxes = [shapely.box(west + step * turn, south, east + step * turn, north) for step in (-2, -1, 0, 1, 2)]
    return shapely.union_all(boxes)


def in_another_turn(own: Grid, grid: Grid) -> bool:
    """Return whether a raster covers part of a grid only if longitudes are counted differently.

    Args:
        own: grid of the raster.
        grid: of the stack.
    """
    crs = parse_crs(own.crs)
    turn = turn_of(crs)
    if not turn:
        return False
    xs, ys = _spread(grid, crs)
    left, bottom, right, top = grid_bounds(own)
    level = (ys > bottom) & (ys < top)
    shown = [(xs + step * turn > left) & (xs + step * turn < right) for step in (-1, 0, 1)]
    return bool((level & ~shown[1] & (shown[0] | shown[2])).any())


def other_turn(name: str, others: Sequence[str]) -> GeoSegError:
    """Return the error that a raster counts longitudes differently from others.

    Args:
        name: of the raster.
        others: names of the others, quoted.
    """
    listed = ", ".join(others)
    return GeoSegError(
        "other_turn",
        f"Layer '{name}' counts longitudes differently from {listed}, e.g. 0 to 360 instead of -180 to 180.",
        "Warp it to the longitudes of the others first (Raster > Projections > Warp, with their extent).",
    )


def _spread(grid: Grid, crs: pyproj.CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points all over a grid in another CRS, those that can be transformed."""
    steps = (np.arange(GRID_SAMPLES) + 0.5) / GRID_SAMPLES
    cols, rows = np.meshgrid(steps * grid.width, steps * grid.height)
    xs, ys = affine_of(grid) * (cols.ravel(), rows.ravel())
    way = way_between(parse_crs(grid.crs), crs)
    xs, ys = (xs, ys) if way is None else way.transform(xs, ys)
    finite = np.isfinite(xs) & np.isfinite(ys)
    return xs[finite], ys[finite]
