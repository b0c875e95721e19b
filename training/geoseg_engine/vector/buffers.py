"""Points and lines as areas on a grid: a point is a disc with a radius, a line a strip with a width.

Radius and width are in pixels of the grid, or in true metres: then the disc of a grid in degrees, or of any
other plane that is not true to scale, is an ellipse. A disc holds every pixel whose centre is within its radius: it is
drawn as a polygon around the circle that is at most a thousandth of the radius larger.
Each point labels at least the pixel that holds it, and each line is at least one pixel wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract import Grid, SizeUnit
from ..raster.geodesy import pixel_vectors_m
from ..raster.grid import affine_of
from .shapes import Shapes

POINT, LINE, AREA = 0, 1, 2
"""Dimensions of geometries."""

INSIDE_PX = 5e-4
"""By how much the square that stands for a pixel is smaller on each side, so that it touches no other pixel."""

TIE = 1e-6
"""Share by which sizes are larger, so that centres exactly on the edge are inside, whatever the rounding."""

EVEN_SCALE = 0.005
"""Share by which the metres per pixel may differ along a line that is drawn as one strip."""

MAX_HALVINGS = 10
CORNER_SEGMENTS = 8
"""Corners of a quarter of a circle at the ends and bends of lines, right to 0.5 % of half the width."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BufferSize:
    """How large points and lines are.

    Attributes:
        radius: of a point; 0 is the pixel that holds it.
        width: of a line; 0 is one pixel.
        unit: `px` (pixels of the grid) or `m` (true metres).
    """

    radius: float = 0.0
    width: float = 0.0
    unit: SizeUnit = "px"


@dataclass(frozen=True)
class Buffered:
    """Areas of features.

    Attributes:
        shapes: (n,) polygons and multipolygons; those that were areas already as they were.
        points, lines: number of features that were points, and lines.
        small: how many of the points have a disc without a pixel's centre, and so stand for the pixel that holds them.
        thin: how many of the lines are narrower than a pixel, and so are one pixel wide.
    """

    shapes: Shapes
    points: int = 0
    lines: int = 0
    small: int = 0
    thin: int = 0


def buffered(shapes: Shapes, size: BufferSize, grid: Grid) -> Buffered:
    """Return features as areas.

    Args:
        shapes: (n,) points, lines, polygons and multiples of them, in the CRS of the grid.
        size: of points and lines.
        grid: whose pixels they are to label.
    """
    dimensions = shapely.get_dimensions(shapes)
    points, lines = np.flatnonzero(dimensions == POINT), np.flatnonzero(dimensions == LINE)
    if not len(points) and not len(lines):
        return Buffered(shapes)
    found = shapes.copy()
    found[points], small = _discs(shapes[points], size, grid)
    found[lines], thin = _strips(shapes[lines], size, grid)
    return Buffered(found, len(points), len(lines), small, thin)


def _discs(shapes: Shapes, size: BufferSize, grid: Grid) -> tuple[Shapes, int]:
    """Discs of points, united where a feature has several, and how many features are too small."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    if not len(parts):
        return shapes, 0
    places = _to_pixels(shapely.get_coordinates(parts), grid)
    held = np.floor(places)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (1 - 2 * INSIDE_PX) + INSIDE_PX
    areas = shapely.polygons(_to_map(held[:, None] + corners, grid))
    if size.radius <= 0:
        return _united(areas, owner, len(shapes)), 0
    radius = size.radius * (1 + TIE)
    to_size = _scale(places, size, grid)
    away = np.einsum("nij,nj->ni", to_size, held + 0.5 - places)
    fits = np.hypot(*away.T) <= radius
    if fits.any():
        to_pixels = np.linalg.inv(to_size[fits])
        radius_px = radius * float(np.linalg.norm(to_pixels, 2, (1, 2)).max())
        sides = 4 * int(np.clip(np.ceil(6 * radius_px), 16, 64))
        angles = np.arange(sides) * (2 * np.pi / sides)
        circle = radius / np.cos(np.pi / sides) * np.stack([np.cos(angles), np.sin(angles)])
        rings = places[fits][:, None] + np.moveaxis(to_pixels @ circle, 1, 2)
        areas[fits] = shapely.polygons(_to_map(rings, grid))
    return _united(areas, owner, len(shapes)), len(np.unique(owner[~fits]))


def _strips(shapes: Shapes, size: BufferSize, grid: Grid) -> tuple[Shapes, int]:
    """Strips of lines, with round ends, and how many features are too thin."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    if not len(parts):
        return shapes, 0
    drawn = shapely.transform(parts, lambda points: _to_pixels(points, grid))
    half = (size.width or 1.0) / 2 * (1 + TIE)
    pixel_wide = BufferSize()
    if size.width <= 0 or size.unit == "px":
        half = max(half, 0.5 * (1 + TIE))
        strips = _strip(drawn, half, pixel_wide, grid)
        thin = np.full(len(parts), 0 < size.width < 1)
    else:
        strips = _strip(drawn, half, size, grid)
        pixels = np.linalg.norm(_scale(_middles(drawn), size, grid), 2, (1, 2))
        thin = 2 * half < pixels
        strips[thin] = shapely.union(strips[thin], _strip(drawn[thin], 0.5 * (1 + TIE), pixel_wide, grid))
    areas = shapely.transform(strips, lambda points: _to_map(points, grid))
    return _united(areas, owner, len(shapes)), len(np.unique(owner[thin]))


def _strip(lines: Shapes, half: float, size: BufferSize, grid: Grid, halvings: int = 0) -> Shapes:
    """Strips in pixels; a line along which the metres per pixel change is drawn in pieces, and these are united."""
    if not len(lines):
        return lines
    middles = _middles(lines)
    to_size = _scale(middles, size, grid)
    uneven = np.zeros(len(lines), bool)
    if size.unit == "m" and halvings < MAX_HALVINGS:
        bounds = shapely.bounds(lines)
        ends = [_scale(bounds[:, corner], size, grid) for corner in ([0, 1], [0, 3], [2, 1], [2, 3])]
        change = np.max([np.abs(end - to_size).max(axis=(1, 2)) for end in ends], axis=0)
        uneven = change > EVEN_SCALE * np.abs(to_size).max(axis=(1, 2))
    points, line = shapely.get_coordinates(lines, return_index=True)
    in_size = np.einsum("nij,nj->ni", to_size[line], points - middles[line])
    to_pixels = np.linalg.inv(to_size)
    strips = shapely.buffer(shapely.set_coordinates(lines.copy(), in_size), half, quad_segs=CORNER_SEGMENTS)
    points, line = shapely.get_coordinates(strips, return_index=True)
    pixels = np.einsum("nij,nj->ni", to_pixels[line], points) + middles[line]
    strips = shapely.set_coordinates(strips, pixels)
    for place in np.flatnonzero(uneven):
        pieces = _strip(_halves(lines[place]), half, size, grid, halvings + 1)
        strips[place] = shapely.union_all(pieces)
    return strips


def _halves(line: shapely.Geometry) -> Shapes:
    """The two halves of a line, with a common point."""
    points = shapely.get_coordinates(line)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    half = along[-1] / 2
    middle = np.array([[np.interp(half, along, points[:, axis]) for axis in (0, 1)]])
    pieces = (points[along < half], middle), (middle, points[along > half])
    return np.array([shapely.LineString(np.concatenate(piece)) for piece in pieces], object)


def _middles(lines: Shapes) -> Floats:
    """(n, 2) middles of the envelopes of lines."""
    bounds = shapely.bounds(lines)
    return np.asarray((bounds[:, :2] + bounds[:, 2:]) / 2)


def _scale(places: Floats, size: BufferSize, grid: Grid) -> Floats:
    """(n, 2, 2) from steps of a column and of a row to the unit of the size, at places in columns and rows.

    A place outside the grid has the scale of the nearest one inside; one beside the earth that of pixels.
    """
    plain = np.broadcast_to(np.eye(2), (len(places), 2, 2)).copy()
    if size.unit == "px" or not len(places):
        return plain
    cols = np.clip(places[:, 0], 0, grid.width) - 0.5
    rows = np.clip(places[:, 1], 0, grid.height) - 0.5
    across, down = pixel_vectors_m(grid, rows, cols)
    found = np.stack([across.T, down.T], axis=2)
    known = np.isfinite(found).all(axis=(1, 2))
    plain[known] = found[known]
    return plain


def _united(areas: Shapes, owner: NDArray[np.int64], features: int) -> Shapes:
    """One area for each feature, those of several parts united."""
    if len(areas) == features:
        return areas
    begin = np.searchsorted(owner, np.arange(features + 1))
    found = areas[begin[:-1]]
    for place in np.flatnonzero(np.diff(begin) > 1):
        found[place] = shapely.union_all(areas[begin[place] : begin[place + 1]])
    return found


def _to_pixels(points: Floats, grid: Grid) -> Floats:
    """Columns and rows (..., 2) of map coordinates."""
    return np.stack(~affine_of(grid) * (points[..., 0], points[..., 1]), axis=-1)


def _to_map(points: Floats, grid: Grid) -> Floats:
    """Map coordinates (..., 2) of columns and rows."""
    return np.stack(affine_of(grid) * (points[..., 0], points[..., 1]), axis=-1)
