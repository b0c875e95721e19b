"""The labelled area: where the polygons are believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from rasterio.features import rasterize

from ..contract import Area, GeoSegError, Grid, Labels, Problem, present
from ..raster.grid import Bounds, Window, affine_of, grid_bounds, pixel_size
from ..raster.sources import parse_crs
from .features import Features, read_polygons
from .placement import moved_to
from .polygons import label_title
from .shapes import valid

MAX_POINTS, HULL_CELLS = 50_000, 150
"""Boundary points up to which a concave hull uses all; cells along the longer side, one point each, for more."""

HULLS = {"concave_hull": "the concave hull", "convex_hull": "the convex hull", "bounds": "the bounding box"}


def area_title(area: Area, labels: Labels | None = None) -> str:
    """Return the name of an area for messages.

    Args:
        area: settings of the job.
        labels: name the layer of a hull.
    """
    if area.kind in HULLS:
        return f"{HULLS[area.kind]} of '{label_title(labels)}'" if labels else HULLS[area.kind]
    names = {"rasters": "the area that the rasters share", "extent": "the map extent"}
    return names.get(area.kind, f"the area layer '{area.layer or Path(area.path).stem}'")


def sentence_start(text: str) -> str:
    """Return the text with a capital first letter; the rest as it is."""
    return text[:1].upper() + text[1:]


def area_geometry(
    area: Area, polygons: np.ndarray, grid: Grid
) -> tuple[shapely.Geometry | None, tuple[Problem, ...]]:
    """Return the area in the grid's CRS, None for all of the grid, and warnings about its layer.

    Args:
        area: settings of the job.
        polygons: label geometries in the grid's CRS, for the hulls; only their parts on the grid count.
        grid: the stack's grid.

    Raises:
        GeoSegError: `labels_outside`, `area_outside`; as `read_polygons`.
    """
    problems: tuple[Problem, ...] = ()
    if area.kind == "rasters":
        return None, problems
    frame = shapely.box(*grid_bounds(grid))
    if area.kind == "extent":
        geometry = extent_geometry(area, grid)
    elif area.kind == "polygons":
        found = read_area(area, grid)
        geometry, problems = shapely.union_all(valid(found.shapes)[0]), found.problems
    else:
        geometry = hull_geometry(polygons, grid, area.kind, area.ratio)
    geometry = shapely.intersection(shapely.make_valid(geometry), frame)
    if shapely.area(geometry) == 0:
        raise GeoSegError(
            "area_outside",
            f"{sentence_start(area_title(area))} is outside the rasters.",
            "Choose another area, or check its CRS.",
        )
    return geometry, problems


def read_area(area: Area, on: Grid | str, fields: Sequence[str] = ()) -> Features:
    """Read the polygons of an area layer with the values of fields.

    Args:
        area: of kind `polygons`.
        on: grid, or CRS, in whose coordinates they are returned.
        fields: to read.

    Raises:
        GeoSegError: as `read_polygons`; `no_polygons`.
    """
    name = area.layer or Path(area.path).stem
    found = read_polygons(area.path, area.layer, name, on, fields)
    if not len(found):
        raise GeoSegError(
            "no_polygons",
            f"{sentence_start(area_title(area))} is empty: it has no polygon.",
            "Draw the area in it, or choose another layer.",
        )
    return found


def extent_geometry(area: Area, on: Grid | str) -> shapely.Geometry:
    """Return the extent of an area as a polygon; its sides are followed at 20 points.

    Args:
        area: of kind `extent`.
        on: grid, or CRS, in whose coordinates it is returned.
    """
    west, south, east, north = present(area.extent, "the extent of an area")
    box = shapely.box(west, south, east, north)
    longest = max(east - west, north - south)
    crs = parse_crs(area.extent_crs or (on if isinstance(on, str) else on.crs))
    return moved_to(np.array([shapely.segmentize(box, longest / 20)], object), crs, on)[0]


def hull_geometry(polygons: np.ndarray, grid: Grid, kind: str, ratio: float) -> shapely.Geometry:
    """Return the hull of the polygons on the grid; the concave hull never cuts into a polygon.

    Args:
        polygons: (n,) in the grid's CRS.
        grid: of the stack.
        kind: of HULLS.
        ratio: of the concave hull, 0 (tight) to 1 (convex).

    Raises:
        GeoSegError: `labels_outside`.
    """
    return hull_of(parts_on_grid(polygons, grid), grid, kind, ratio)


def parts_on_grid(polygons: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the valid parts of polygons on the grid.

    Args:
        polygons: (n,) in the grid's CRS.
        grid: of the stack.

    Raises:
        GeoSegError: `labels_outside` if there is none.
    """
    clipped = _clipped(valid(polygons)[0], shapely.box(*grid_bounds(grid)))
    if not len(clipped):
        raise GeoSegError(
            "labels_outside",
            "None of the label polygons is on the rasters.",
            "Check the CRS of the label layer, or choose other rasters.",
        )
    return clipped


def hull_of(parts: np.ndarray, grid: Grid, kind: str, ratio: float) -> shapely.Geometry:
    """Return the hull of polygons.

    Args:
        parts: (n,) valid polygons in the grid's CRS.
        grid: whose pixel size sets the detail of a concave hull.
        kind: of HULLS.
        ratio: of the concave hull, 0 (tight) to 1 (convex).
    """
    if kind == "bounds":
        return shapely.box(*shapely.total_bounds(parts))
    if kind == "convex_hull" or ratio >= 1:
        return shapely.convex_hull(shapely.linestrings(shapely.get_coordinates(parts)))
    hull = shapely.concave_hull(shapely.linestrings(_corners(parts, grid)), ratio=ratio, allow_holes=False)
    shapely.prepare(hull)
    return shapely.union_all([hull, *parts[~shapely.covers(hull, parts)]])


def _clipped(polygons: np.ndarray, frame: shapely.Geometry) -> np.ndarray:
    """The parts of polygons inside a box."""
    xmin, ymin, xmax, ymax = frame.bounds
    bounds = shapely.bounds(polygons)
    cut = (bounds[:, :2] < (xmin, ymin)).any(axis=1) | (bounds[:, 2:] > (xmax, ymax)).any(axis=1)
    polygons = polygons.copy()
    polygons[cut] = shapely.intersection(polygons[cut], frame)
    return polygons[shapely.area(polygons) > 0]


def _corners(polygons: np.ndarray, grid: Grid) -> np.ndarray:
    """(points, 2) along boundaries for a concave hull, four pixels apart; one per cell where they are many."""
    step = max(pixel_size(grid)) * 4
    if shapely.length(polygons).sum() / step <= MAX_POINTS:
        corners: np.ndarray = shapely.get_coordinates(
            shapely.segmentize(shapely.simplify(polygons, step / 8), step)
        )
        return corners
    low, high = np.array_split(shapely.total_bounds(polygons), 2)
    step = max(step, float((high - low).max()) / HULL_CELLS)
    corners = shapely.get_coordinates(shapely.segmentize(polygons, step))
    cells = ((corners - low) / step).astype(np.int64)
    _, first = np.unique(cells[:, 0] * (HULL_CELLS * 2) + cells[:, 1], return_index=True)
    found: np.ndarray = corners[first]
    return found


def area_bounds(area: Area, labels: Labels | None, polygons: np.ndarray, on: Grid | str) -> Bounds | None:
    """Return the bounds to which the grid can be cut; None for kind `rasters`.

    Args:
        area: settings of the job.
        labels: name the layer of a hull.
        polygons: (n,) label geometries, for the hulls.
        on: grid, or CRS, in whose coordinates they are returned.

    Raises:
        GeoSegError: as `read_area`.
    """
    if area.kind == "rasters":
        return None
    if area.kind == "extent":
        found = extent_geometry(area, on).bounds
    elif area.kind == "polygons":
        found = shapely.total_bounds(read_area(area, on).shapes)
    else:
        found = shapely.total_bounds(polygons)
    xmin, ymin, xmax, ymax = (float(value) for value in found)
    return xmin, ymin, xmax, ymax


def burn_shapes(
    shapes: list[tuple[shapely.Geometry, int]],
    grid: Grid,
    window: Window,
    fill: int,
    all_touched: bool = False,
) -> np.ndarray:
    """Burn shapes into a window.

    Args:
        shapes: geometries in the grid's CRS with their values, 0..255; later ones win.
        grid: of the stack.
        window: of the grid.
        fill: value where there is no shape.
        all_touched: every pixel that a shape touches counts, instead of those whose centre it holds.

    Returns:
        uint8 (rows, cols).
    """
    if not shapes:
        return np.full((window.height, window.width), fill, np.uint8)
    found: np.ndarray = rasterize(
        shapes,
        out_shape=(window.height, window.width),
        transform=affine_of(grid, window),
        fill=fill,
        dtype="uint8",
        all_touched=all_touched,
    )
    return found


def window_box(grid: Grid, window: Window) -> shapely.Geometry:
    """Return a window as a box in the grid's CRS.

    Args:
        grid: of the stack.
        window: of the grid.
    """
    return shapely.box(*grid_bounds(grid, window))
