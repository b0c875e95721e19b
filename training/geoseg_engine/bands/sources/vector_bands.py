"""Bands of a vector layer: a numeric field burnt, a category as 0 and 1, the distance to the nearest feature."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from ...contract import VECTOR_FEATURES, Band, GeoSegError, Grid, LabelClass, Problem, Source
from ...raster.grid import Window, affine_of
from ...raster.sources import crs_text, parse_crs, title
from ...vector.features import Features, check_field, read_features, read_fields
from ...vector.files import VectorLayer, all_layers, layer_crs
from ...vector.legend import Lookup, Valued, number_of
from ...vector.reading import features_named, read_values
from ...vector.scan_fill import ScanFill
from ...vector.shapes import COLLECTION, POLYGONS, simple_parts
from ..distance import Distance, default_limit_m

Floats = NDArray[np.float32]
BESIDE = 0.5
"""Turns of longitude beside a grid in which features count too: the nearest may be across the date line."""

VALUES_LIMIT, FEATURES_LIMIT = 20, 50_000
"""Different values of a field up to which they are listed; features that are read for that."""


class VectorBands:
    """Bands of one vector layer on a grid; the layer is held in memory, reprojected to the grid's CRS.

    `burn` (parameters `field`, `outside`): the number in a field of the feature that holds the pixel; the later
    feature wins, features without number are left out; elsewhere `outside`, or no value.

    `onehot` (parameters `field`, `value`): 1 where a feature has the value, 0 elsewhere.

    `distance` (parameter `limit_m`, default 50 pixels): true metres from the pixel's centre to the nearest
    feature, 0 inside polygons, `limit_m` from there on; right to a quarter of a pixel.

    A polygon holds the pixels whose centres it contains, a line those it crosses, a point the one that holds it.
    """

    def __init__(self, source: Source, bands: tuple[Band, ...], grid: Grid) -> None:
        """Read the layer.

        Args:
            source: of kind `vector`.
            bands: derived by names of VECTOR_FEATURES.
            grid: of the stack.

        Raises:
            GeoSegError: as `check_vector_bands`, `read_features`; `not_numeric` if a field to burn holds no number.
        """
        check_vector_bands(source, bands)
        fields = [str(band.parameters["field"]) for band in bands if band.derive != "distance"]
        found = read_features(source.path, source.layer, title(source), grid, fields, source.crs, BESIDE)
        self.problems = list(found.problems)
        self._bands = [self._made(source, band, found, grid) for band in bands]

    def read(self, window: Window) -> Floats:
        """Return float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value."""
        return np.stack([band(window) for band in self._bands])

    def _made(self, source: Source, band: Band, found: Features, grid: Grid) -> Callable[[Window], Floats]:
        if band.derive == "distance":
            limit_m = float(band.parameters.get("limit_m", 0)) or default_limit_m(grid)
            return Distance(found.shapes, grid, limit_m).read
        field = str(band.parameters["field"])
        column = found.columns[field]
        if band.derive == "onehot":
            lookup = Lookup([LabelClass(0, "", str(band.parameters["value"]))], numeric=column.numeric)
            chosen = np.array([lookup.place(value) == 0 for value in column.values], bool)
            return Burnt(found.shapes[chosen], np.ones(int(chosen.sum()), np.float32), grid, 0.0).read
        numbers = np.array([number_of(value) for value in column.values], np.float32)
        known = np.isfinite(numbers)
        if len(numbers) and not known.any():
            raise GeoSegError(
                "not_numeric",
                f"Field '{field}' of layer '{title(source)}' holds no number.",
                "Choose a numeric field, or use its categories as bands of 0 and 1.",
            )
        if not known.all():
            self.problems.append(_without_number(field, title(source), found.numbers[~known]))
        outside = float(band.parameters.get("outside", math.nan))
        return Burnt(found.shapes[known], numbers[known], grid, outside).read


def _without_number(field: str, name: str, numbers: NDArray[np.int64]) -> Problem:
    return Problem(
        "no_number",
        f"Features of '{name}' without a number in field '{field}' are left out: {len(numbers)} "
        f"({features_named(numbers)}).",
        "Fill in the field; decimals are written with a point.",
        "warning",
    )


class Burnt:
    """Values of features on the pixels that they hold, lines and points over polygons."""

    def __init__(self, shapes: NDArray[Any], values: Floats, grid: Grid, outside: float) -> None:
        """Index the shapes.

        Args:
            shapes: of any type, in the grid's CRS.
            values: one per shape.
            grid: of the stack.
            outside: value of pixels without feature.
        """
        self._outside = np.float32(outside)
        mixed = np.flatnonzero(shapely.get_type_id(shapes) == COLLECTION)
        if len(mixed):
            shapes, owner = _apart(shapes, mixed)
            values = values[owner]
        polygonal = np.isin(shapely.get_type_id(shapes), POLYGONS)
        self._fill, self._values = ScanFill(shapes[polygonal], grid), values[polygonal]
        to_pixels = Affine.translation(1, 1) * ~affine_of(grid)  # rasterio warns of the identity
        self._thin = shapely.transform(
            shapes[~polygonal], lambda xy: np.column_stack(to_pixels * (xy[:, 0], xy[:, 1]))
        )
        self._thin_values = values[~polygonal]
        self._tree = shapely.STRtree(self._thin)

    def read(self, window: Window) -> Floats:
        """Return float32 (rows, cols) of a window."""
        result = np.full((window.height, window.width), self._outside, np.float32)
        self._fill.runs(window, np.arange(len(self._values))).paint(result, self._values)
        left, top = window.col + 1, window.row + 1
        box = shapely.box(left, top, left + window.width, top + window.height)
        near = np.sort(self._tree.query(box))
        if len(near):
            rasterize(
                [(self._thin[place], float(self._thin_values[place])) for place in near],
                out=result,
                transform=Affine.translation(left, top),
                all_touched=True,
            )
        return result


def _apart(shapes: NDArray[Any], mixed: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Shapes with the parts of collections in their place, and the place of each one's shape."""
    parts, of = simple_parts(shapes[mixed])
    others = np.setdiff1d(np.arange(len(shapes)), mixed)
    owner = np.concatenate([others, mixed[of]])
    order = np.argsort(owner, kind="stable")
    return np.concatenate([shapes[others], parts])[order], owner[order]


def check_vector_bands(source: Source, bands: tuple[Band, ...]) -> None:
    """Raise if the layer cannot be read or lacks what a band needs; reads no feature.

    Args:
        source: of kind `vector`.
        bands: to read.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `unknown_derivation`, `no_field`, `no_value`.
    """
    name = title(source)
    fields = read_fields(source.path, source.layer, name)
    for band in bands:
        if band.derive not in VECTOR_FEATURES:
            raise GeoSegError(
                "unknown_derivation",
                f"Band '{band.name}' derives '{band.derive or 'values'}' from the vector layer '{name}'.",
                f"Choose from: {', '.join(VECTOR_FEATURES)}.",
            )
        if band.derive != "distance":
            check_field(fields, str(band.parameters.get("field", "")), name)
        if band.derive == "onehot" and "value" not in band.parameters:
            raise GeoSegError(
                "no_value",
                f"Band '{band.name}' does not name a value of the field '{band.parameters['field']}'.",
                "Give the parameter 'value'.",
            )


def inspect_layers(path: str, found: dict[str, Any]) -> str:
    """Add the layers of a vector file with their fields, and the values of fields that have few.

    Args:
        path: file or GDAL dataset name.
        found: the result, changed in place.

    Returns:
        Why the file is not a vector file; empty if it is.
    """
    name = Path(path).name
    try:
        layers = all_layers(path, name)
        found["layers"] = [_layer(layer) for layer in layers]
        crs = next((layer_crs(layer, name) for layer in layers), "")
    except GeoSegError as error:
        return error.details or error.message
    if crs:
        try:
            found["crs"] = crs_text(parse_crs(crs))
        except GeoSegError:
            found["crs"] = crs
    found["kind"] = "vector"
    return "" if found["layers"] else "it has no layers"


def _layer(layer: VectorLayer) -> dict[str, Any]:
    fields = []
    for name, column in read_values(layer, FEATURES_LIMIT, layer.title).items():
        values = Valued(layer.title, column.values, name, numeric=column.numeric).different
        fields.append(
            {"name": name, "type": column.kind, "values": values if len(values) <= VALUES_LIMIT else []}
        )
    return {"name": layer.title, "geometry": layer.kind or "", "fields": fields}
