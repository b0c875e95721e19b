"""Geometries made usable: valid, collections split, polygons of one feature united."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

POLYGONS, COLLECTION = (3, 6), 7
LINES_AND_POINTS = (0, 1, 2, 4, 5)
Shapes = NDArray[np.object_]


def valid(shapes: Shapes) -> tuple[Shapes, NDArray[np.bool_]]:
    """Return geometries made valid on copies, and which were not; what cannot be made valid is None."""
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    wrong = present & ~shapely.is_valid(shapes)
    if not wrong.any():
        return shapes, wrong
    shapes = shapes.copy()
    try:
        shapes[wrong] = shapely.make_valid(shapes[wrong], method="structure", keep_collapsed=False)
    except shapely.errors.GEOSException:
        shapes[wrong] = [_made_valid(shape) for shape in shapes[wrong]]
    return shapes, wrong


def _made_valid(shape: shapely.Geometry) -> shapely.Geometry | None:
    try:
        return shapely.make_valid(shape, method="structure", keep_collapsed=False)
    except shapely.errors.GEOSException:
        return None


def polygons_of(shapes: Shapes) -> Shapes:
    """Return the polygons of each geometry, those of a collection united; None where there is none."""
    found = shapes.copy()
    kinds = shapely.get_type_id(shapes)
    for place in np.flatnonzero(kinds == COLLECTION):
        parts, _ = simple_parts(shapes[place : place + 1])
        found[place] = shapely.union_all(valid(parts[shapely.get_type_id(parts) == 3])[0])
    nothing = shapely.is_missing(found) | shapely.is_empty(found)
    found[nothing | ~np.isin(shapely.get_type_id(found), POLYGONS)] = None
    return found


def drawn_of(shapes: Shapes) -> Shapes:
    """Return geometries of one kind each: polygons as `polygons_of`, else lines, else points; None without any.

    Of a collection the parts of the highest dimension count: lines and points beside polygons are what repairs and
    overlays leave behind.
    """
    found = polygons_of(shapes)
    kinds = shapely.get_type_id(shapes)
    other = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes)) & np.isin(kinds, LINES_AND_POINTS)
    found[other] = shapes[other]
    for place in np.flatnonzero((kinds == COLLECTION) & shapely.is_missing(found)):
        parts, _ = simple_parts(shapes[place : place + 1])
        parts = parts[~shapely.is_empty(parts)]
        dimensions = shapely.get_dimensions(parts)
        if len(parts) and dimensions.max() < 2:
            many = shapely.multilinestrings if dimensions.max() == 1 else shapely.multipoints
            found[place] = many(parts[dimensions == dimensions.max()])
    return found


def simple_parts(shapes: Shapes) -> tuple[Shapes, NDArray[np.int64]]:
    """Return points, lines and polygons of geometries, collections split at any depth, and the owner of each."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    while (shapely.get_type_id(parts) > 3).any():
        parts, of = shapely.get_parts(parts, return_index=True)
        owner = owner[of]
    return parts, owner
