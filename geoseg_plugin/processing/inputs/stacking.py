"""What `stackrasters` stacks: layers and parameters as they are now -> sources, bands and intermediates."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsRasterLayer

from ...contract import TERRAIN_ATTRIBUTES, Series
from ...jobs.additions import Addition, written_to
from ...jobs.composition import Composition, compose
from ...jobs.inputs import RasterInput, band_name
from ...layers.exports import LABEL_LAYER, PolygonExport
from ...layers.snapshot import feature_snapshot, file_stem, value_bands
from ...layers.spectra import layer_bands
from ..parameters import Parameters, chosen_bands, height_unit, polygon_layer, terrain_settings, tr
from .additions import (
    decibel_addition,
    months_of,
    relief_additions,
    series_addition,
    settings_of,
    vector_additions,
    words,
)
from .expressions import expression_additions, index_additions
from .gather import NOWHERE, GatheredRaster, gather_rasters
from .mosaics import merged, tiles_of_mosaics


@dataclasses.dataclass(frozen=True)
class Ingredients:
    """Everything that goes into a stack.

    Attributes:
        rasters: in the order of their bands.
        additions: bands computed from them, from vector layers and from series.
        exports: write the features of vector layers, by layer id.
        same: layer id -> id of the layer whose mosaic it is a tile of.
        fill: what gaps become where nothing else is said.
        settings: the cells of BAND_SETTINGS.
        reference: id of the layer that gives the grid; empty follows the rule of `reference_of`.
        notes: what was found out by itself, in sentences.
    """

    rasters: list[GatheredRaster]
    additions: tuple[Addition, ...]
    exports: dict[str, PolygonExport]
    same: dict[str, str]
    fill: str
    settings: tuple[Any, ...]
    reference: str = ""
    notes: tuple[str, ...] = ()

    def composition(self, inputs: Sequence[RasterInput]) -> Composition:
        """Sources, bands and intermediates; `inputs` are the rasters as the engine can read them.

        Raises:
            ValueError: for settings of bands that there are not.
        """
        rasters, additions = merged(inputs, self.additions, self.same)
        names = [band.name for band in compose(rasters, additions).bands]
        settings: dict[str, dict[str, Any]] = {name: {"fill": self.fill} for name in names if self.fill}
        for name, chosen in settings_of(self.settings, names).items():
            settings[name] = {**settings.get(name, {}), **chosen}
        parts = compose(rasters, additions, settings)
        if not self.reference:
            return parts
        if self.reference not in parts.keys:
            raise ValueError(
                tr("REFERENCE is a layer of which nothing is stacked. Choose one of the others.")
            )
        return dataclasses.replace(parts, reference=parts.keys[self.reference])

    def located(self, folder: Path) -> tuple[Ingredients, list[PolygonExport]]:
        """The same with the features of vector layers in files of this folder, and what writes them."""
        additions, exports = [], []
        for item in self.additions:
            if item.kind == "vector":
                path = folder / f"{file_stem(item.title)}_{file_stem(item.layer_id)[-8:]}.gpkg"
                exports.append(dataclasses.replace(self.exports[item.layer_id], path=path))
                item = written_to(item, str(path), LABEL_LAYER)
            additions.append(item)
        return dataclasses.replace(self, additions=tuple(additions)), exports


def ingredients(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> Ingredients:
    """Read all parameters that say what is stacked. Main thread.

    Raises:
        ValueError: with a sentence that names the parameter and the part of it that is wrong.
    """
    given = dict(parameters)
    layers = algorithm.parameterAsLayerList(given, "LAYERS", context)
    dem = algorithm.parameterAsRasterLayer(given, "DEM", context)
    radar = algorithm.parameterAsLayerList(given, "SAR", context)
    bands = chosen_bands(algorithm.parameterAsString(given, "BANDS", context), layers)
    ticked = {layer.id(): bands.get(layer.id(), value_bands(layer)) for layer in layers}
    every = distinct([*layers, *([dem] if dem is not None else []), *radar])
    attributes = algorithm.parameterAsEnumStrings(given, "TERRAIN", context) if dem is not None else []
    plain = tuple(item for item in attributes if item in TERRAIN_ATTRIBUTES)
    terrain = {one_of(dem, every).id(): plain} if plain else {}
    mask, _selected_only = polygon_layer(algorithm, parameters, "MASK", context)
    chosen = {layer.id(): ticked.get(layer.id(), ()) for layer in every}
    rasters = gather_rasters(every, chosen, terrain, labels=mask)
    additions: list[Addition] = []
    if dem is not None:
        settings = terrain_settings(algorithm, parameters, context)
        unit, dem_id = height_unit(algorithm, parameters, context), one_of(dem, every).id()
        rasters = [in_unit(item, unit) if item.input.layer_id == dem_id else item for item in rasters]
        additions += relief_additions(one_of(dem, every).id(), dem.name(), attributes, settings)
    speckle_px = algorithm.parameterAsInt(given, "SPECKLE_SIZE", context)
    for item in gathered_of(rasters, [one_of(layer, every).id() for layer in radar]):
        names = [band_name(item, index) for index in range(1, len(item.band_names) + 1)]
        additions.append(decibel_addition(item.layer_id, names, speckle_px))
    additions += _series(algorithm, given, context)
    vectors = algorithm.parameterAsLayerList(given, "VECTORS", context)
    found = vector_additions(algorithm.parameterAsString(given, "VECTOR_BANDS", context), vectors)
    additions += found
    fields = {item.layer_id: item.fields for item in found}
    inputs = [item.input for item in rasters]
    indices = algorithm.parameterAsEnumStrings(given, "INDICES", context)
    scale = algorithm.parameterAsDouble(given, "REFLECTANCE_SCALE", context)
    roles = algorithm.parameterAsString(given, "ROLES", context)
    same = tiles_of_mosaics(layers) if algorithm.parameterAsBoolean(given, "MOSAIC", context) else {}
    wholes = [layer for layer in every if same.get(layer.id(), layer.id()) == layer.id()]
    known = [layer_bands(layer) for layer in wholes] if indices else []
    found_indices, notes = index_additions(indices, roles, scale, inputs, known)
    additions += found_indices
    names = [band.name for item in additions for band in item.bands]
    additions += expression_additions(
        algorithm.parameterAsString(given, "EXPRESSIONS", context), inputs, names
    )
    return Ingredients(
        rasters,
        tuple(additions),
        {layer.id(): feature_snapshot(layer, NOWHERE, fields[layer.id()]) for layer in vectors},
        same,
        algorithm.parameterAsString(given, "FILL", context).strip(),
        tuple(algorithm.parameterAsMatrix(given, "BAND_SETTINGS", context)),
        reference_id(algorithm.parameterAsRasterLayer(given, "REFERENCE", context), every, same),
        notes,
    )


def reference_id(
    layer: QgsRasterLayer | None, every: Sequence[QgsRasterLayer], same: Mapping[str, str]
) -> str:
    """Id of the stacked layer that REFERENCE means: that of its mosaic; empty where none is given.

    Raises:
        ValueError: if it is not among the layers.
    """
    if layer is None:
        return ""
    found = next((item.id() for item in every if item.source() == layer.source()), "")
    if not found:
        names = ", ".join(item.name() for item in every)
        raise ValueError(tr("REFERENCE is '{}', but the layers are: {}.").format(layer.name(), names))
    return same.get(found, found)


def _series(
    algorithm: QgsProcessingAlgorithm, given: dict[str, Any], context: QgsProcessingContext
) -> list[Addition]:
    """The bands of SERIES, if it is given."""
    files = [item for item in algorithm.parameterAsFileList(given, "SERIES", context) if item]
    if not files:
        return []

    def text(key: str) -> str:
        return str(algorithm.parameterAsString(given, key, context))

    def date(key: str) -> str:
        return str(algorithm.parameterAsDateTime(given, key, context).date().toString("yyyy-MM-dd"))

    dates = Series(
        start=date("DATE_FROM") if given.get("DATE_FROM") else "",
        end=date("DATE_TO") if given.get("DATE_TO") else "",
        months=months_of(text("MONTHS")),
        mask=text("CLOUD_MASK"),
        clear=tuple(float(item) for item in words(text("CLEAR_VALUES"))),
    )
    return [series_addition(files, words(text("SERIES_VARIABLES")), text("STATISTICS"), dates)]


def in_unit(raster: GatheredRaster, unit: str) -> GatheredRaster:
    """The raster with heights in a unit; empty leaves it to the file."""
    return dataclasses.replace(raster, input=dataclasses.replace(raster.input, height_unit=unit))


def distinct(layers: Iterable[QgsRasterLayer]) -> list[QgsRasterLayer]:
    """Layers without those that show a file which is there already."""
    return list({layer.source(): layer for layer in reversed(list(layers))}.values())[::-1]


def one_of(layer: QgsRasterLayer, layers: Iterable[QgsRasterLayer]) -> QgsRasterLayer:
    """The layer of a list that shows the same file."""
    return next(item for item in layers if item.source() == layer.source())


def gathered_of(rasters: Iterable[GatheredRaster], ids: Sequence[str]) -> list[RasterInput]:
    """Inputs of the layers with these ids."""
    return [item.input for item in rasters if item.input.layer_id in ids]
