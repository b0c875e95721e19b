"""Features of a vector layer as bands: a numeric field burnt, a category as 0 and 1, the distance to the nearest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import geopandas
import numpy as np
import pandas
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine

from ..contract import VECTOR_FEATURES, Band, GeoSegError, Grid, LabelClass, Labels, Source
from ..raster.grid import Window, affine_of
from ..raster.sources import title
from ..vector.features import read_features, read_fields, refuse_field
from ..vector.legend import Lookup
from ..vector.scanfill import ScanFill
from .distance import Distance, default_limit_m

Floats = NDArray[np.float32]


class VectorBands:
    """Bands of one vector layer on a grid; the layer is held in memory, reprojected to the grid's CRS.

    `burn` (parameters `field`, `outside`): the number in a field of the feature that holds the pixel; the later
    feature wins, features without number are left out; elsewhere `outside`, or no value.

    `onehot` (parameters `field`, `value`): 1 where a feature has the value, 0 elsewhere.

    `distance` (parameter `limit_m`, default 50 pixels): metres on the ground from the pixel's centre to the nearest
    feature, 0 inside polygons, `limit_m` from there on; right to a quarter of a pixel.

    A polygon holds the pixels whose centres lie in it, a line those it crosses, a point the one it lies in.
    """

    def __init__(self, source: Source, bands: tuple[Band, ...], grid: Grid) -> None:
        """Read the layer.

        Raises:
            GeoSegError: as `refuse_bands`, `read_features`; `not_numeric` if a field to burn holds no number.
        """
        refuse_bands(source, bands)
        frame = read_features(source.path, source.layer, title(source), grid.crs, source.crs)
        self._bands = [self._made(source, band, frame, grid) for band in bands]

    def read(self, window: Window) -> Floats:
        """Float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value."""
        return np.stack([band(window) for band in self._bands])

    @staticmethod
    def _made(
        source: Source, band: Band, frame: geopandas.GeoDataFrame, grid: Grid
    ) -> Callable[[Window], Floats]:
        shapes = np.asarray(frame.geometry.array, dtype=object)
        if band.derive == "distance":
            limit_m = float(band.parameters.get("limit_m", 0)) or default_limit_m(grid)
            return Distance(shapes, grid, limit_m).read
        values = frame[str(band.parameters["field"])]
        if band.derive == "onehot":
            lookup = Lookup(Labels(""), [LabelClass(0, "", str(band.parameters["value"]))])
            chosen = np.array([lookup.place(value) == 0 for value in values], bool)
            return Burnt(shapes[chosen], np.ones(int(chosen.sum()), np.float32), grid, 0.0).read
        numbers = pandas.to_numeric(values, errors="coerce").to_numpy(np.float32, na_value=np.nan)
        known = np.isfinite(numbers)
        if len(numbers) and not known.any():
            raise GeoSegError(
                "not_numeric",
                f"Field '{values.name}' of layer '{title(source)}' holds no number.",
                "Choose a numeric field, or take its categories as bands of 0 and 1.",
            )
        outside = float(band.parameters.get("outside", math.nan))
        return Burnt(shapes[known], numbers[known], grid, outside).read


class Burnt:
    """Values of features on the pixels that they hold, lines and points over polygons."""

    def __init__(self, shapes: NDArray[Any], values: Floats, grid: Grid, outside: float) -> None:
        """Split the shapes into polygons and what is thinner; `outside` is the value of all other ground."""
        self._outside = np.float32(outside)
        polygonal = np.isin(shapely.get_type_id(shapes), (3, 6))
        self._fill, self._values = ScanFill(shapes[polygonal], grid), values[polygonal]
        to_pixels = Affine.translation(1, 1) * ~affine_of(grid)  # rasterio warns of the identity
        self._thin = shapely.transform(
            shapes[~polygonal], lambda xy: np.column_stack(to_pixels * (xy[:, 0], xy[:, 1]))
        )
        self._thin_values = values[~polygonal]
        self._tree = shapely.STRtree(self._thin)

    def read(self, window: Window) -> Floats:
        """Float32 (rows, cols) of a window."""
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


def refuse_bands(source: Source, bands: tuple[Band, ...]) -> None:
    """Raise if the layer cannot be read or a band asks for what it has not; reads no feature.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `unknown_derivation`, `no_field`.
    """
    name = title(source)
    fields = read_fields(source.path, source.layer, name)
    for band in bands:
        if band.derive not in VECTOR_FEATURES:
            raise GeoSegError(
                "unknown_derivation",
                f"Band '{band.name}' asks for '{band.derive or 'values'}' of the vector layer '{name}'.",
                f"Choose from: {', '.join(VECTOR_FEATURES)}.",
            )
        if band.derive != "distance":
            refuse_field(fields, str(band.parameters.get("field", "")), name)
        if band.derive == "onehot" and "value" not in band.parameters:
            raise GeoSegError(
                "no_value",
                f"Band '{band.name}' does not say which value of '{band.parameters['field']}' it stands for.",
                "Give the parameter 'value'.",
            )
