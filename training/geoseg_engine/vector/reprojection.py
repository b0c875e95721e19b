"""Transform geometries to another CRS, across the date line too, and shift them by whole turns of longitude.

Longitudes 350 and -10 are one place, and so are x and x plus the circumference of the earth in a map whose x is
longitude (Mercator, equidistant cylindrical). One file counts from 0 to 360, another from -180 to 180.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ..contract import present
from ..raster.crs import way_between
from .shapes import POLYGONS, Shapes, simple_parts, valid

CYLINDRICAL = ("merc", "webmerc", "eqc", "cea", "mill", "gall", "comill", "patterson")
"""Projections of PROJ whose x is a multiple of the longitude."""

STEPS = 64
"""Parts into which a geometry's longest side is cut to follow it across the date line."""

SEAMLESS = (
    "stere", "sterea", "ups", "laea", "aeqd", "gnom", "ortho", "nsper", "airy", "geos", "tmerc", "etmerc", "utm",
    "cass", "omerc", "somerc", "krovak",
)  # fmt: skip
"""Projections that end at no meridian: from all sides of a pole, and along a line of their own."""

WIDE = 20
"""Degrees of arc from which on a side that is straight in degrees is no straight line at all in another CRS."""

LEAP_M = 1e7
"""No side of a polygon is really as long; on the map a side is, if its ends are at opposite sides of the map."""

Points = NDArray[np.float64]


@lru_cache(maxsize=64)
def turn_of(crs: pyproj.CRS) -> float:
    """Return the length of x once around the earth: 360 in degrees; 0 where x is no multiple of longitude."""
    if crs.is_geographic:
        return round(2 * np.pi / crs.axis_info[0].unit_conversion_factor, 9) if crs.axis_info else 360.0
    if (
        not crs.is_projected
        or _proj_parameters(crs).get("proj") not in CYLINDRICAL
        or crs.geodetic_crs is None
    ):
        return 0.0
    middle, quarter = middle_longitude(crs), turn_of(crs.geodetic_crs) / 4
    way = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    xs, _ = way.transform([middle - quarter, middle + quarter], [0.0, 0.0])
    return float(2 * (xs[1] - xs[0])) if np.isfinite(xs).all() else 0.0


def middle_longitude(crs: pyproj.CRS) -> float:
    """Return the longitude of the middle of a projection in degrees; the map ends half a turn from it."""
    return float(str(_proj_parameters(crs).get("lon_0", 0.0)))


def _prime_meridian(crs: pyproj.CRS) -> float:
    """Degrees from Greenwich."""
    meridian = crs.prime_meridian
    return (
        0.0 if meridian is None else meridian.longitude * float(np.degrees(meridian.unit_conversion_factor))
    )


def _proj_parameters(crs: pyproj.CRS) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return dict(crs.to_dict())


def in_crs(shapes: Shapes, own: pyproj.CRS, target: pyproj.CRS) -> Shapes:
    """Return geometries in another CRS; unchanged if both are equal, even if local.

    Sides stay straight but those of polygons so wide that they cannot (see `with_dense_sides`). Polygons that cross the
    line at which the target ends are continued beyond it in degrees and in maps that go on there (see `turn_of`), and
    cut along it in others.

    Args:
        shapes: (n,) geometries.
        own: their CRS.
        target: CRS of the result.

    Returns:
        Geometries; with infinite coordinates where they cannot be transformed.

    Raises:
        GeoSegError: `no_way`.
    """
    way = way_between(own, target)
    if way is None or not len(shapes):
        return shapes
    if own.is_geographic:
        shapes = with_dense_sides(shapes, own)[0]
    if own.is_geographic and target.is_projected:
        shapes = cut_at_edge(shapes, own, target)
    moved = _transformed(shapes, way)
    turn = turn_of(target)
    leaps = _leaping(moved, turn / 2 if turn else _leap(target))
    for place in leaps:
        moved[place] = _step_by_step(shapes[place], own, target, turn)
    return moved


def with_dense_sides(shapes: Shapes, crs: pyproj.CRS) -> tuple[Shapes, NDArray[np.bool_]]:
    """Return geometries in degrees, those with a very long side with a vertex every degree, and which these are.

    A side is long if its ends are far from each other, or if it goes once around the earth. One from 179 to -179 is
    not: in other CRS it is the short way, as around a pole.

    Args:
        shapes: (n,) geometries in degrees.
        crs: geographic.
    """
    turn = turn_of(crs)
    wide = np.zeros(len(shapes), bool)
    broad = _broad(shapes, WIDE * turn / 360)
    sides = _sides(shapes[broad])
    wide[broad[sides.owner[(sides.angles(turn) > WIDE) | (sides.along > turn * 0.999)]]] = True
    if wide.any():
        shapes = shapes.copy()
        shapes[wide] = shapely.segmentize(shapes[wide], turn / 360)
    return shapes, wide


def _broad(shapes: Shapes, length: float) -> NDArray[np.int64]:
    """Places of geometries that are longer or higher than that."""
    bounds = shapely.bounds(shapes)
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(
            (bounds[:, 2:] - bounds[:, :2] > length).any(axis=1) & np.isfinite(bounds).all(axis=1)
        )


def _step_by_step(
    shape: shapely.Geometry, own: pyproj.CRS, target: pyproj.CRS, turn: float
) -> shapely.Geometry:
    """A geometry whose corners came to opposite ends of the target, transformed in small steps."""
    sides = shapely.bounds(shape)
    dense = shapely.segmentize(shape, max(float((sides[2:] - sides[:2]).max()) / STEPS, 1e-12))
    way = present(way_between(own, target), "the way between two CRS")
    if turn:
        return unwrapped(_transformed(np.array([dense], object), way)[0], turn, _pole(target))
    base = target.geodetic_crs
    to_base = None if base is None else way_between(own, base)
    if base is None or own.is_geographic or to_base is None:
        return _transformed(np.array([shape], object), way)[0]
    degrees = unwrapped(_transformed(np.array([dense], object), to_base)[0], turn_of(base), _pole(base))
    to_target = present(way_between(base, target), "the way between two CRS")
    return _transformed(cut_at_edge(np.array([degrees], object), base, target), to_target)[0]


def _transformed(shapes: Shapes, way: pyproj.Transformer) -> Shapes:
    def transform(points: Points) -> Points:
        if len(points) == 1:  # pyproj warns of arrays of one
            return np.array([way.transform(*points[0].tolist())])
        return np.column_stack(way.transform(points[:, 0], points[:, 1]))

    moved: Shapes = shapely.transform(shapes, transform)
    return moved


def _leap(crs: pyproj.CRS) -> float:
    axes = crs.axis_info
    return LEAP_M / axes[0].unit_conversion_factor if axes and axes[0].unit_conversion_factor else np.inf


def _pole(crs: pyproj.CRS) -> float:
    """The latitude of the pole in a geographic CRS; 0 in a map, where it is infinitely far or no point."""
    return turn_of(crs) / 4 if crs.is_geographic else 0.0


def _leaping(shapes: Shapes, leap: float) -> NDArray[np.int64]:
    """Places of geometries with a side longer in x than `leap`."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    with np.errstate(invalid="ignore"):
        far = (np.abs(np.diff(points[:, 0])) > leap) & (owner[1:] == owner[:-1])
    perhaps = np.unique(owner[1:][far])
    sides = _sides(shapes[perhaps])
    return perhaps[np.unique(sides.owner[sides.along > leap])]


@dataclass(frozen=True)
class Sides:
    """Sides of polygons and lines: (sides, 2) where each begins and ends, and the place of its geometry."""

    begin: Points
    end: Points
    owner: NDArray[np.int64]

    @property
    def along(self) -> NDArray[np.float64]:
        """Length of each in x."""
        found: NDArray[np.float64] = np.abs(self.end[:, 0] - self.begin[:, 0])
        return found

    def angles(self, turn: float) -> NDArray[np.float64]:
        """Return degrees between the ends, of sides whose corners are longitude and latitude in parts of a turn."""
        (lon, lat), (lon_2, lat_2) = (points.T * (2 * np.pi / turn) for points in (self.begin, self.end))
        apart = np.sin((lat_2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat_2) * np.sin((lon_2 - lon) / 2) ** 2
        found: NDArray[np.float64] = np.degrees(2 * np.arcsin(np.sqrt(np.clip(apart, 0, 1))))
        return found


def _sides(shapes: Shapes) -> Sides:
    parts, owner = simple_parts(shapes)
    solid = shapely.get_type_id(parts) == 3
    rings, of = shapely.get_rings(parts[solid], return_index=True)
    lines = np.concatenate([rings, parts[~solid]])
    owner = np.concatenate([owner[solid][of], owner[~solid]])
    points, line = shapely.get_coordinates(lines, return_index=True)
    same = line[1:] == line[:-1]
    return Sides(points[:-1][same], points[1:][same], owner[line[1:][same]])


def unwrapped(shape: shapely.Geometry, turn: float, pole: float = 0.0) -> shapely.Geometry:
    """Return a geometry whose x continues beyond the end of the map where it jumped to the other end.

    Args:
        shape: its true sides are shorter than half a turn.
        turn: x once around the earth.
        pole: y of the pole, positive; a ring around a pole is closed along it. 0 is none.
    """
    parts, _ = simple_parts(np.array([shape], object))
    found: list[shapely.Geometry] = []
    for part in parts:
        if shapely.get_type_id(part) == 3:
            found += _continued_polygon(part, turn, pole)
        else:
            found.append(shapely.transform(part, lambda points: _unrolled(points, turn)))
    return found[0] if len(found) == 1 else shapely.union_all(found)


def _continued_polygon(polygon: shapely.Polygon, turn: float, pole: float) -> list[shapely.Polygon]:
    shell, *holes = (
        _closed(_unrolled(shapely.get_coordinates(ring), turn), turn, pole)
        for ring in (polygon.exterior, *polygon.interiors)
    )
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
    every = []
    for hole in holes:  # beside the shell, and on both sides: around a pole their ends need not meet
        away = round((hole[:, 0].mean() - middle) / turn)
        every += [hole - np.array([turn * step, 0.0]) for step in (away - 1, away, away + 1)]
    solid, *empty = valid(np.array([shapely.Polygon(ring) for ring in (shell, *every)], object))[0]
    found = shapely.difference(solid, shapely.union_all(empty))
    return [part for part in simple_parts(np.array([found], object))[0] if shapely.get_type_id(part) == 3]


def _unrolled(points: Points, turn: float) -> Points:
    """Points whose x never goes further than half a turn from one to the next."""
    if not np.isfinite(points).all():
        return points
    leaps = np.round(np.diff(points[:, 0]) / turn)
    shift = np.concatenate([[0.0], -np.cumsum(leaps)]) * turn
    return np.column_stack([points[:, 0] + shift, points[:, 1]])


def _closed(ring: Points, turn: float, pole: float) -> Points:
    """A ring that goes once around the earth, closed along the pole that it encloses; any other as it is."""
    if not pole or abs(ring[-1, 0] - ring[0, 0]) < turn / 2:
        return ring
    y = float(np.copysign(pole, ring[:, 1].mean()))
    return np.concatenate([ring, [[ring[-1, 0], y], [ring[0, 0], y]], ring[:1]])


def cut_at_edge(shapes: Shapes, own: pyproj.CRS, target: pyproj.CRS) -> Shapes:
    """Return geometries in degrees, cut along the meridian at which a projection ends; others stay as they are.

    Args:
        shapes: (n,) geometries in degrees.
        own: geographic CRS of them.
        target: the projection.
    """
    if target.geodetic_crs is None or _proj_parameters(target).get("proj") in SEAMLESS:
        return shapes
    turn = turn_of(own)
    left = (middle_longitude(target) + _prime_meridian(target) - _prime_meridian(own) - 180) * turn / 360
    bounds = shapely.bounds(shapes)
    with np.errstate(invalid="ignore"):
        across = np.floor((bounds[:, 0] - left) / turn) < np.ceil((bounds[:, 2] - left) / turn) - 1
    across &= np.isfinite(bounds).all(axis=1)
    if not across.any():
        return shapes
    found = shapes.copy()
    strip = shapely.box(left, -turn / 2, left + turn, turn / 2)
    for place in np.flatnonzero(across):
        found[place] = _copies(
            shapes[place], left, left + turn, turn, lambda part: shapely.intersection(part, strip)
        )
    return found


def shifted_by_turns(shapes: Shapes, crs: pyproj.CRS, left: float, right: float) -> Shapes:
    """Return geometries shifted by whole turns to where x between two limits has them, repeatedly where they fit.

    Args:
        shapes: (n,) geometries.
        crs: of them.
        left, right: the limits of x.
    """
    turn = turn_of(crs)
    if not turn or not len(shapes) or right - left <= 0:
        return shapes
    bounds = shapely.bounds(shapes)
    with np.errstate(invalid="ignore"):
        first = np.floor((left - bounds[:, 2]) / turn) + 1
        last = np.ceil((right - bounds[:, 0]) / turn) - 1
    moves = (first <= last) & ((first != 0) | (last != 0))
    if not moves.any():
        return shapes
    found = shapes.copy()
    single = moves & (first == last)
    for steps in np.unique(first[single]):
        chosen = single & (first == steps)
        found[chosen] = _shifted(shapes[chosen], steps * turn)
    for place in np.flatnonzero(moves & ~single):
        found[place] = _copies(shapes[place], left, right, turn)
    return found


def _copies(
    shape: shapely.Geometry,
    left: float,
    right: float,
    turn: float,
    change: Callable[[shapely.Geometry], shapely.Geometry] | None = None,
) -> shapely.Geometry:
    """Every part of a geometry wherever it shows between two limits, changed if requested."""
    parts, _ = simple_parts(np.array([shape], object))
    parts = parts if change is None else valid(parts)[0]
    found = []
    for part in parts:
        low, _, high, _ = shapely.bounds(part)
        first, last = np.floor((left - high) / turn) + 1, np.ceil((right - low) / turn) - 1
        for step in np.arange(first, last + 1):
            copy = _shifted(np.array([part], object), step * turn)[0]
            found.append(copy if change is None else change(copy))
    if not found:
        return shape
    kinds = shapely.get_type_id(parts)
    return shapely.union_all(found) if np.isin(kinds, POLYGONS).all() else shapely.GeometryCollection(found)


def _shifted(shapes: Shapes, by: float) -> Shapes:
    moved: Shapes = shapely.transform(shapes, lambda points: points + np.array([by, 0.0]))
    return moved


def wide_sides(shapes: Shapes, own: pyproj.CRS, target: pyproj.CRS) -> NDArray[np.int64]:
    """Return the positions of geometries in degrees with a side of more than half a turn that is not a whole one.

    They may be meant to cross the date line, from 179 to -179. Sides that become the short ones in the target are not
    listed.

    Args:
        shapes: (n,) geometries.
        own: their CRS.
        target: CRS of the result.
    """
    turn = turn_of(own) if own.is_geographic else 0.0
    if not turn:
        return np.empty(0, np.int64)
    broad = _broad(shapes, turn / 2)
    sides = _sides(shapes[broad])
    wide = (sides.along > turn / 2) & (sides.along < turn * 0.999)
    if not turn_of(target):
        wide &= sides.angles(turn) > WIDE
    return np.unique(broad[sides.owner[wide]])
