"""Features of a file: read, repaired, without Z, reprojected on a copy."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import geopandas
import numpy as np
import pyogrio
import pyproj
import shapely

from ..contract import GeoSegError
from ..raster.crs import way_between
from ..raster.sources import crs_text, crs_title, is_plain_file, lie_of_coordinates, parse_crs

Shapes = TypeVar("Shapes", geopandas.GeoSeries, geopandas.GeoDataFrame)


def read_polygons(path: str, layer: str, name: str, crs: str) -> tuple[geopandas.GeoDataFrame, int, int]:
    """Polygons of a file, valid, without Z, reprojected; curves become lines.

    Args:
        path, layer: file; an empty layer takes the first with polygons.
        name: how to call the layer in a sentence.
        crs: target CRS.

    Returns:
        The features that have polygons, how many were repaired, how many skipped.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `no_layer`, `not_polygons`, `no_crs`, `crs_lies`.
    """
    frame = _read(path, layer, name)
    geometry = shapely.force_2d(np.asarray(frame.geometry.array, dtype=object))
    present = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    invalid = present & ~shapely.is_valid(geometry)
    geometry[invalid] = shapely.make_valid(geometry[invalid], method="structure", keep_collapsed=False)
    kinds = set(np.unique(shapely.get_type_id(geometry[present])).tolist())
    if present.any() and not kinds & {3, 6, 7}:
        raise GeoSegError(
            "not_polygons",
            f"Layer '{name}' holds {shapely.geometry.mapping(geometry[present][0])['type']} features, not polygons.",
            "Choose a polygon layer.",
        )
    for index in np.flatnonzero(present & (shapely.get_type_id(geometry) == 7)):
        geometry[index] = polygonal(geometry[index])
    usable = present & ~shapely.is_empty(geometry) & np.isin(shapely.get_type_id(geometry), (3, 6))
    found = frame[usable].set_geometry(
        geopandas.GeoSeries(list(geometry[usable]), crs=frame.crs, index=frame.index[usable])
    )
    return _reprojected(found, name, crs), int((invalid & usable).sum()), int((~usable).sum())


@contextmanager
def _refusals(path: str, name: str, layer: str = "") -> Iterator[None]:
    """What stands in the way of reading a layer, as sentences; `layer` is what it is called in the file."""
    if is_plain_file(path) and not Path(path).exists():
        raise GeoSegError(
            "file_missing",
            f"The file of layer '{name}' does not exist: {path}",
            "Was it moved or deleted? Choose the layer again.",
        )
    try:
        yield
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.GeometryError,
    ) as error:
        refuse_layer(path, layer, error)
        raise GeoSegError(
            "cannot_open",
            f"The engine cannot read layer '{name}': {path}",
            "Export it as GeoPackage in QGIS and use that.",
            str(error),
        ) from error


def refuse_layer(path: str, layer: str, error: Exception) -> None:
    """Raise if what could not be read is a layer that the file does not have.

    Raises:
        GeoSegError: `no_layer`.
    """
    if not layer or not isinstance(error, pyogrio.errors.DataLayerError):
        return
    names = [str(name) for name, _ in pyogrio.list_layers(path)]
    if layer not in names:
        raise GeoSegError(
            "no_layer",
            f"There is no layer '{layer}' in {Path(path).name}; it has: {', '.join(names) or 'none'}.",
            "Write the name of one of its layers, or none for the first.",
        ) from error


def _read(path: str, layer: str, name: str, own_crs: str = "") -> geopandas.GeoDataFrame:
    with _refusals(path, name, layer):
        frame = pyogrio.read_dataframe(path, layer=layer or first_with_geometry(path))
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise GeoSegError("not_polygons", f"Layer '{name}' has no geometry.", "Choose a polygon layer.")
    if own_crs:
        frame = frame.set_crs(parse_crs(own_crs), allow_override=True)
    if frame.crs is None:
        raise GeoSegError(
            "no_crs",
            f"Layer '{name}' has no coordinate reference system.",
            "Set its CRS in QGIS (layer properties, Source).",
        )
    return frame


def first_with_geometry(path: str) -> str | int:
    layers = [(name, kind) for name, kind in pyogrio.list_layers(path) if kind is not None]
    polygons = [name for name, kind in layers if "Polygon" in kind or "Surface" in kind]
    return str((polygons or [name for name, _ in layers] or [0])[0]) if layers else 0


def polygonal(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons in a collection as one multipolygon."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.MultiPolygon(list(parts[shapely.get_type_id(parts) == 3]))


def _reprojected(frame: geopandas.GeoDataFrame, name: str, crs: str) -> geopandas.GeoDataFrame:
    target, own = parse_crs(crs), parse_crs(frame.crs.to_wkt())
    if len(frame):
        xmin, ymin, xmax, ymax = frame.total_bounds
        reason = lie_of_coordinates(own, np.array([xmin, xmax]), np.array([ymin, ymax]))
        if reason:
            raise GeoSegError(
                "crs_lies",
                f"The coordinates of layer '{name}' do not fit its CRS {crs_title(crs_text(own))}: {reason}.",
                "Assign the CRS in which the coordinates really are (layer properties, Source).",
            )
    try:
        moved = in_crs(frame.set_crs(own, allow_override=True), target)
    except GeoSegError as error:
        raise GeoSegError(
            error.code, f"Layer '{name}': {error.message}", error.hint, error.details
        ) from error
    finite = np.isfinite(moved.geometry.bounds.to_numpy()).all(axis=1) if len(moved) else np.ones(0, bool)
    return moved[finite]


def in_crs(shapes: Shapes, target: pyproj.CRS) -> Shapes:
    """Geometries in another CRS; as they are where both are the same, be it a local one without a way to any other.

    Raises:
        GeoSegError: `no_way`.
    """
    if way_between(parse_crs(shapes.crs.to_wkt()), target) is None:
        return shapes.set_crs(target, allow_override=True)
    return shapes.to_crs(target)


def refuse_field(fields: Collection[str], field: str, name: str) -> None:
    """Raise if a layer lacks a field.

    Raises:
        GeoSegError: `no_field`.
    """
    if field not in fields:
        raise GeoSegError(
            "no_field",
            f"Layer '{name}' has no field '{field}'." if field else f"No field of layer '{name}' is chosen.",
            f"Choose one of: {', '.join(map(str, fields)) or 'it has no fields'}.",
        )


def layer_names(path: str, name: str) -> tuple[str, ...]:
    """Names of the layers in a file.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`.
    """
    with _refusals(path, name):
        return tuple(str(layer) for layer, _ in pyogrio.list_layers(path))


def read_fields(path: str, layer: str, name: str) -> tuple[str, ...]:
    """Names of a layer's fields, without reading its features.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`.
    """
    with _refusals(path, name, layer):
        return tuple(pyogrio.read_info(path, layer=layer or first_with_geometry(path))["fields"])


def read_features(path: str, layer: str, name: str, crs: str, own_crs: str = "") -> geopandas.GeoDataFrame:
    """Points, lines and polygons of a file, valid, without Z, reprojected; features without geometry are left out.

    Args:
        path, layer: file; an empty layer takes the first with polygons, else with any geometry.
        name: how to call the layer in a sentence.
        crs: target CRS.
        own_crs: replaces the file's own; empty keeps it.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `no_layer`, `not_polygons` (no geometry at all), `no_crs`,
            `crs_lies`.
    """
    frame = _read(path, layer, name, own_crs)
    geometry = shapely.force_2d(np.asarray(frame.geometry.array, dtype=object))
    present = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    invalid = present & ~shapely.is_valid(geometry)
    geometry[invalid] = shapely.make_valid(geometry[invalid], method="structure", keep_collapsed=False)
    present &= ~shapely.is_empty(geometry)
    kept = geopandas.GeoSeries(list(geometry[present]), crs=frame.crs, index=frame.index[present])
    return _reprojected(frame[present].set_geometry(kept), name, crs)
