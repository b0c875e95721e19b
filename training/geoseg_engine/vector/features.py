"""Features of a layer, made usable on a grid: repaired, without Z, in the grid's CRS and turn of longitude."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from ..contract import GeoSegError, Grid, Problem
from ..raster.sources import (
    LATITUDE_LIMIT,
    LONGITUDE_LIMIT,
    crs_text,
    crs_title,
    misfit_of_coordinates,
    parse_crs,
)
from .files import field_names, find_layer
from .placement import moved_to
from .reading import Column, Table, features_named, read_table
from .reprojection import turn_of, wide_sides
from .shapes import Shapes, drawn_of, polygons_of, valid


@dataclass(frozen=True)
class Features:
    """Usable features of a layer.

    Attributes:
        shapes: in the CRS of the grid.
        numbers: of the features in their layer, as QGIS shows them.
        columns: of the requested fields.
        repaired, skipped: number of geometries that were made valid, and of features without a usable one.
        problems: warnings about the layer.
    """

    shapes: Shapes
    numbers: NDArray[np.int64]
    columns: dict[str, Column]
    repaired: int
    skipped: int
    problems: tuple[Problem, ...]

    def __len__(self) -> int:
        return len(self.shapes)


def read_polygons(
    path: str, layer: str, name: str, on: Grid | str, fields: Sequence[str] = (), own_crs: str = ""
) -> Features:
    """Read valid two-dimensional polygons of a layer, reprojected; arcs become chords, collections one polygon.

    Args:
        path, layer: file, or a source as QGIS writes it; an empty layer is the only one of polygons.
        name: of the layer, for messages.
        on: the grid to use them on, or its CRS where there is none yet.
        fields: to read.
        own_crs: replaces the file's own; empty keeps it.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `no_layer`, `several_layers`, `not_polygons`, `no_field`,
            `not_values`, `no_crs`, `crs_lies`, `no_way`.
    """
    table = _read(path, layer, name, fields, polygons=True)
    whole, wrong = valid(table.shapes)
    shapes = polygons_of(whole)
    drawn = whole[~(shapely.is_missing(whole) | shapely.is_empty(whole))]
    if len(drawn) and shapely.is_missing(shapes).all() and (shapely.get_dimensions(drawn) < 2).all():
        raise GeoSegError(
            "not_polygons",
            f"Layer '{name}' holds {drawn[0].geom_type} features, not polygons.",
            "Choose a polygon layer.",
        )
    return _fit(table, shapes, wrong, "polygon", name, own_crs, on)


def read_drawn(path: str, layer: str, name: str, on: Grid | str, fields: Sequence[str] = ()) -> Features:
    """Read what a label layer holds, as `read_polygons`: polygons, lines and points, one kind a feature (`drawn_of`).

    Args:
        path, layer, name, on, fields: as in `read_polygons`; an empty layer is the only one of polygons, or the only
            one with geometry where none has polygons.

    Raises:
        GeoSegError: as `read_polygons`, but for `not_polygons` only where there is no geometry at all.
    """
    table = _read(path, layer, name, fields, polygons=True, others=True)
    shapes, wrong = valid(table.shapes)
    return _fit(table, drawn_of(shapes), wrong, "geometry", name, "", on)


def read_features(
    path: str,
    layer: str,
    name: str,
    on: Grid | str,
    fields: Sequence[str] = (),
    own_crs: str = "",
    padding: float = 0.0,
) -> Features:
    """Read points, lines and polygons of a layer, as `read_polygons`; collections stay collections.

    Args:
        path, layer, name, on, fields, own_crs: as in `read_polygons`; an empty layer is the only one with geometry.
        padding: turns of longitude on each side of the grid in which features count too.

    Raises:
        GeoSegError: as `read_polygons`.
    """
    table = _read(path, layer, name, fields)
    shapes, wrong = valid(table.shapes)
    return _fit(table, shapes, wrong, "geometry", name, own_crs, on, padding)


def read_fields(path: str, layer: str, name: str, polygons: bool = False) -> tuple[str, ...]:
    """Return the names of a layer's fields, without reading its features.

    Args:
        path, layer, name, polygons: as in `find_layer`.

    Raises:
        GeoSegError: as `find_layer`.
    """
    return field_names(find_layer(path, layer, name, polygons), name)


def check_field(fields: Collection[str], field: str, name: str) -> None:
    """Raise if a layer lacks a field.

    Args:
        fields: of the layer.
        field: that is needed.
        name: of the layer, for messages.

    Raises:
        GeoSegError: `no_field`.
    """
    if field not in fields:
        raise GeoSegError(
            "no_field",
            f"Layer '{name}' has no field '{field}'." if field else f"No field of layer '{name}' is chosen.",
            f"Choose one of: {', '.join(map(str, fields))}."
            if fields
            else "It has no fields at all: get the file again with its table (of a shapefile, the .dbf).",
        )


def _read(
    path: str, layer: str, name: str, fields: Sequence[str], polygons: bool = False, others: bool = False
) -> Table:
    found = find_layer(path, layer, name, polygons, others)
    if fields:
        known = field_names(found, name)
        for wanted in fields:
            check_field(known, wanted, name)
    return read_table(found, fields, name)


def _fit(
    table: Table,
    shapes: Shapes,
    wrong: NDArray[np.bool_],
    what: str,
    name: str,
    own_crs: str,
    on: Grid | str,
    padding: float = 0.0,
) -> Features:
    """Features that can be used, in the CRS of the grid; what is left out or changed is a warning."""
    own = _crs_of(table, name, own_crs)
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    lost = _out_of_range(shapes, present, own)
    check_coordinates(shapes[present & ~lost], own, name)
    kept = np.flatnonzero(present & ~lost)
    problems = [*table.problems, *_wide_sides(shapes[kept], table.numbers[kept], own, on, name)]
    try:
        moved = moved_to(shapes[kept], own, on, padding)
    except GeoSegError as error:
        raise GeoSegError(
            error.code, f"Layer '{name}': {error.message}", error.hint, error.details
        ) from error
    finite = np.isfinite(shapely.bounds(moved)).all(axis=1) | shapely.is_empty(moved)
    lost[kept[~finite]] = True
    kept, moved = kept[finite], moved[finite]
    repaired = (wrong | table.mended)[kept]
    problems += _left_out(
        name, what, table.numbers[~present], table.numbers[lost], table.numbers[kept][repaired]
    )
    columns = {
        title: Column([column.values[place] for place in kept.tolist()], column.kind)
        for title, column in table.columns.items()
    }
    skipped = len(shapes) - len(kept)
    return Features(moved, table.numbers[kept], columns, int(repaired.sum()), skipped, tuple(problems))


def _crs_of(table: Table, name: str, own_crs: str) -> pyproj.CRS:
    if not own_crs and not table.crs:
        raise GeoSegError(
            "no_crs",
            f"Layer '{name}' has no coordinate reference system.",
            "Set its CRS in QGIS (layer properties, Source).",
        )
    return parse_crs(own_crs or table.crs)


def _out_of_range(shapes: Shapes, present: NDArray[np.bool_], own: pyproj.CRS) -> NDArray[np.bool_]:
    """Features whose coordinates are no degrees although most of the layer's are."""
    if not own.is_geographic:
        return np.zeros(len(shapes), bool)
    bounds = np.abs(shapely.bounds(shapes)) * 360 / turn_of(own)
    with np.errstate(invalid="ignore"):
        out = (bounds[:, ::2].max(axis=1) > LONGITUDE_LIMIT) | (bounds[:, 1::2].max(axis=1) > LATITUDE_LIMIT)
    out &= present
    return out if out.sum() < present.sum() / 2 else np.zeros(len(shapes), bool)


def check_coordinates(shapes: Shapes, own: pyproj.CRS, name: str) -> None:
    """Raise if the coordinates of a layer cannot belong to its CRS.

    Args:
        shapes: (n,) as in the file.
        own: CRS of the layer.
        name: of the layer, for messages.

    Raises:
        GeoSegError: `crs_lies`.
    """
    if not len(shapes):
        return
    xmin, ymin, xmax, ymax = shapely.total_bounds(shapes)
    reason = misfit_of_coordinates(own, np.array([xmin, xmax]), np.array([ymin, ymax]))
    if reason:
        raise GeoSegError(
            "crs_lies",
            f"The coordinates of layer '{name}' do not fit its CRS {crs_title(crs_text(own))}: {reason}.",
            "Assign the CRS of the coordinates (layer properties, Source).",
        )


def _wide_sides(
    shapes: Shapes, numbers: NDArray[np.int64], own: pyproj.CRS, on: Grid | str, name: str
) -> list[Problem]:
    wide = wide_sides(shapes, own, parse_crs(on if isinstance(on, str) else on.crs))
    if not len(wide):
        return []
    return [
        Problem(
            "across_date_line",
            f"Features of '{name}' with a side of more than half the earth's circumference are used as "
            f"drawn: {len(wide)} ({features_named(numbers[wide])}).",
            "Were they meant to cross the date line? Then split them there (Processing > Geodesic line split), or "
            "count their longitudes beyond 180.",
            "warning",
        )
    ]


def _left_out(
    name: str, what: str, nothing: NDArray[np.int64], lost: NDArray[np.int64], repaired: NDArray[np.int64]
) -> list[Problem]:
    kinds = (
        (
            "no_geometry",
            nothing,
            f"Features of '{{}}' without a usable {what} are left out",
            "Delete or redraw them.",
        ),
        (
            "no_place",
            lost,
            "Features of '{}' whose coordinates cannot be transformed to the CRS of the rasters are left out",
            "Check their coordinates.",
        ),
        (
            "invalid_geometry",
            repaired,
            "Features of '{}' whose geometry is invalid are repaired on a copy",
            "Check them with Vector > Geometry Tools > Check Validity.",
        ),
    )
    return [
        Problem(code, f"{text.format(name)}: {len(numbers)} ({features_named(numbers)}).", hint, "warning")
        for code, numbers, text, hint in kinds
        if len(numbers)
    ]
