"""Where a grid has what lies elsewhere: geometries in its CRS and its turn of longitude, and whether a raster does.

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
from .reprojection import followed, in_crs, turn_of, turned
from .shapes import Shapes, valid

GRID_SAMPLES = 21
"""Points along a side of a grid by which the ground around it is found in another CRS."""


def moved_to(shapes: Shapes, own: pyproj.CRS, on: Grid | str, margin: float = 0.0) -> Shapes:
    """Geometries in the CRS of a grid, shifted by whole turns of longitude to where it has them.

    Of polygons in degrees that are very wide, or reach where the grid's CRS has no place, such as a pole in Mercator,
    only what lies around the grid is carried over; what lies elsewhere is empty then.

    Args:
        shapes, own: geometries and their CRS.
        on: a grid, or a CRS.
        margin: turns by which more than the grid is asked for, on each side.

    Raises:
        GeoSegError: `no_way`.
    """
    target = parse_crs(on if isinstance(on, str) else on.crs)
    if isinstance(on, str):
        return in_crs(shapes, own, target)
    in_degrees = own.is_geographic and not same_crs(own, target)
    if in_degrees:
        shapes, wide = followed(shapes, own)
        shapes = _clipped(shapes, wide, on, own)
    moved = in_crs(shapes, own, target)
    if in_degrees:
        endless = ~(np.isfinite(shapely.bounds(moved)).all(axis=1) | shapely.is_empty(moved))
        moved[endless] = in_crs(_clipped(shapes, endless, on, own)[endless], own, target)
    left, _, right, _ = grid_bounds(on)
    reach = margin * turn_of(target)
    return turned(moved, target, left - reach, right + reach)


def _clipped(shapes: Shapes, chosen: NDArray[np.bool_], grid: Grid, crs: pyproj.CRS) -> Shapes:
    """Geometries in degrees, of some only what lies around a grid."""
    if not chosen.any():
        return shapes
    shapes = shapes.copy()
    shapes[chosen] = shapely.intersection(valid(shapes[chosen])[0], area_around(grid, crs))
    return shapes


def area_around(grid: Grid, crs: pyproj.CRS) -> shapely.Geometry:
    """What a grid covers and a quarter of it on each side, in degrees, in every turn of longitude that files use."""
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
    """Whether a raster has ground of a grid only if longitudes are counted from somewhere else."""
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
    """Longitudes of a raster are not counted as those of others."""
    listed = ", ".join(others)
    return GeoSegError(
        "other_turn",
        f"Layer '{name}' counts its longitudes in another turn than {listed}, as from 0 to 360 and from -180 to 180.",
        "Bring it to the longitudes of the others first (Raster > Projections > Warp, with their extent).",
    )


def _spread(grid: Grid, crs: pyproj.CRS) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points all over a grid in another CRS, those that have a place there."""
    steps = (np.arange(GRID_SAMPLES) + 0.5) / GRID_SAMPLES
    cols, rows = np.meshgrid(steps * grid.width, steps * grid.height)
    xs, ys = affine_of(grid) * (cols.ravel(), rows.ravel())
    way = way_between(parse_crs(grid.crs), crs)
    xs, ys = (xs, ys) if way is None else way.transform(xs, ys)
    finite = np.isfinite(xs) & np.isfinite(ys)
    return xs[finite], ys[finite]
