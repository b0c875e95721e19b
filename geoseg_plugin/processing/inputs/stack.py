"""What `stackrasters` stacks: layers and parameters as they are now -> a snapshot of sources, bands and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterRasterLayer,
    QgsRasterLayer,
)

from ...contract import TERRAIN_ATTRIBUTES
from ...jobs.additions import Addition, Input
from ...jobs.choices import RasterChoice
from ...jobs.composition import Settings
from ...jobs.inputs import RasterInput, band_name
from ...jobs.rasterfacts import tile_groups
from ...layers.bandsources import BAND_SOURCES
from ...layers.facts import raster_facts
from ...layers.inputs.bands import StackSnapshot, stack_snapshot
from ...layers.inputs.rasters import raster_snapshot
from ...layers.snapshot import value_bands
from ...layers.spectra import layer_bands
from ..parameters import (
    Parameters,
    chosen_bands,
    height_unit,
    polygon_layer,
    terrain,
    terrain_settings,
    text,
    tr,
)
from .additions import decibel_addition, relief_additions, settings_of
from .computed import add_computed_bands
from .expressions import expression_additions, index_additions


def add_bands(algorithm: QgsProcessingAlgorithm) -> None:
    """Add BANDS, DEM, TERRAIN and the parameters of computed bands."""
    dem = tr("Elevation model whose terrain attributes are added")
    algorithm.addParameter(text("BANDS", tr("Bands (layer:1,3-4; other:1), empty for all")))
    algorithm.addParameter(QgsProcessingParameterRasterLayer("DEM", dem, None, True))
    algorithm.addParameter(terrain("TERRAIN"))
    add_computed_bands(algorithm)


@dataclasses.dataclass(frozen=True)
class StackParameters:
    """The parameters that say what is stacked, read once. Main thread.

    Attributes:
        algorithm, values, context: of the run.
        every: the distinct rasters of LAYERS, DEM and SAR.
        mosaics: id of a layer -> id of the first layer of its mosaic, for layers that are not that first one.
    """

    algorithm: QgsProcessingAlgorithm
    values: dict[str, Any]
    context: QgsProcessingContext
    every: tuple[QgsRasterLayer, ...]
    mosaics: Mapping[str, str]

    def text(self, key: str) -> str:
        """Return a parameter as text."""
        return str(self.algorithm.parameterAsString(self.values, key, self.context))

    def raster(self, key: str) -> QgsRasterLayer | None:
        """Return the raster of a parameter, by the layer that represents its file; None without one."""
        layer = self.algorithm.parameterAsRasterLayer(self.values, key, self.context)
        return None if layer is None else same_file(layer, self.every)


def stack_of(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> tuple[StackSnapshot, tuple[str, ...]]:
    """Read all parameters that say what is stacked. Main thread.

    Args:
        algorithm: that has the parameters of `stackrasters`.
        parameters: their values.
        context: of the run.

    Returns:
        What is stacked, and sentences about what was found automatically.

    Raises:
        ValueError: with a sentence that names the parameter and the part of it that is wrong.
    """
    read = read_parameters(algorithm, parameters, context)
    additions, notes = added_bands(read)
    additions = [_on_first_tile(item, read.mosaics) for item in additions]
    mask, _selected_only = polygon_layer(algorithm, parameters, "MASK", context)
    layers = {layer.id(): layer for layer in read.every}
    layers |= {
        layer.id(): layer
        for source in BAND_SOURCES.values()
        for layer in source.layers(algorithm, read.values, context)
    }
    found = stack_snapshot(
        ticked_rasters(read), additions, layers.get, labels_crs=mask.crs() if mask is not None else None
    )
    found = dataclasses.replace(found, reference=reference_id(read))
    check_reference(found)
    return dataclasses.replace(found, settings=band_settings(read, found)), notes


def read_parameters(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> StackParameters:
    """Return the parameters with the rasters that they name.

    Args:
        algorithm: that has the parameters of `stackrasters`.
        parameters: their values.
        context: of the run.
    """
    given = dict(parameters)
    layers = algorithm.parameterAsLayerList(given, "LAYERS", context)
    dem = algorithm.parameterAsRasterLayer(given, "DEM", context)
    radar = algorithm.parameterAsLayerList(given, "SAR", context)
    every = distinct([*layers, *([dem] if dem is not None else []), *radar])
    mosaics = tiles_of_mosaics(layers) if algorithm.parameterAsBoolean(given, "MOSAIC", context) else {}
    return StackParameters(algorithm, given, context, tuple(every), mosaics)


def ticked_rasters(read: StackParameters) -> list[RasterChoice]:
    """Return the rasters of which bands or terrain attributes are stacked, each mosaic as one.

    Raises:
        ValueError: for bands that there are not.
    """
    layers = read.algorithm.parameterAsLayerList(read.values, "LAYERS", read.context)
    bands = chosen_bands(read.text("BANDS"), layers)
    bands = {layer.id(): bands.get(layer.id(), value_bands(layer)) for layer in layers}
    dem = read.raster("DEM")
    dem_id = dem.id() if dem is not None else ""
    terrain, unit = terrain_attributes(read)[0], height_unit(read.algorithm, read.values, read.context)
    found = []
    for layer in read.every:
        if layer.id() in read.mosaics:
            continue
        also = tuple(other for other, first in read.mosaics.items() if first == layer.id())
        choice = RasterChoice(layer.id(), bands.get(layer.id(), ()), also=also)
        if dem_id in choice.layer_ids:
            choice = dataclasses.replace(choice, terrain=terrain, height_unit=unit)
        found.append(choice)
    return found


def terrain_attributes(read: StackParameters) -> tuple[tuple[str, ...], list[str]]:
    """Return the attributes of TERRAIN that need no parameters, and all of them."""
    chosen = read.algorithm.parameterAsEnumStrings(read.values, "TERRAIN", read.context)
    return tuple(item for item in chosen if item in TERRAIN_ATTRIBUTES), chosen


def added_bands(read: StackParameters) -> tuple[list[Addition], tuple[str, ...]]:
    """Return the bands that are computed, in their order, and sentences about what was found automatically.

    Raises:
        ValueError: with a sentence that names the parameter and the part of it that is wrong.
    """
    algorithm, given, context = read.algorithm, read.values, read.context
    inputs = [raster_snapshot(layer).raster for layer in read.every]
    additions = [*_relief(read), *_radar(read, inputs)]
    for source in BAND_SOURCES.values():
        additions += source.additions(algorithm, given, context)
    indices = algorithm.parameterAsEnumStrings(given, "INDICES", context)
    scale = algorithm.parameterAsDouble(given, "REFLECTANCE_SCALE", context)
    known = [layer_bands(layer) for layer in read.every if layer.id() not in read.mosaics] if indices else []
    found, notes = index_additions(indices, read.text("ROLES"), scale, inputs, known)
    additions += found
    names = [band.name for item in additions for band in item.bands]
    additions += expression_additions(read.text("EXPRESSIONS"), inputs, names)
    return additions, notes


def _relief(read: StackParameters) -> tuple[Addition, ...]:
    """Terrain attributes with parameters of their own."""
    dem = read.algorithm.parameterAsRasterLayer(read.values, "DEM", read.context)
    if dem is None:
        return ()
    settings = terrain_settings(read.algorithm, read.values, read.context)
    layer_id = same_file(dem, read.every).id()
    return relief_additions(layer_id, dem.name(), terrain_attributes(read)[1], settings)


def _radar(read: StackParameters, inputs: Sequence[RasterInput]) -> list[Addition]:
    """Decibels of the rasters of SAR."""
    radar = read.algorithm.parameterAsLayerList(read.values, "SAR", read.context)
    ids = [same_file(layer, read.every).id() for layer in radar]
    speckle_px = read.algorithm.parameterAsInt(read.values, "SPECKLE_SIZE", read.context)
    found = []
    for item in inputs:
        if item.layer_id in ids:
            names = [band_name(item, index) for index in range(1, len(item.band_names) + 1)]
            found.append(decibel_addition(item.layer_id, names, speckle_px))
    return found


def band_settings(read: StackParameters, stack: StackSnapshot) -> Settings:
    """Return what happens to the values of each band: FILL for all, and the rows of BAND_SETTINGS.

    Args:
        read: the parameters.
        stack: whose bands the settings name.

    Raises:
        ValueError: for settings of bands that there are not.
    """
    names = [band.name for band in stack.composition().bands]
    fill = read.text("FILL").strip()
    rows = read.algorithm.parameterAsMatrix(read.values, "BAND_SETTINGS", read.context)
    settings: dict[str, dict[str, Any]] = {name: {"fill": fill} for name in names if fill}
    for name, chosen in settings_of(rows, names).items():
        settings[name] = {**settings.get(name, {}), **chosen}
    return settings


def reference_id(read: StackParameters) -> str:
    """Return the id of the stacked layer that REFERENCE means: that of its mosaic; empty where none is given.

    Raises:
        ValueError: if it is not among the layers.
    """
    layer = read.algorithm.parameterAsRasterLayer(read.values, "REFERENCE", read.context)
    if layer is None:
        return ""
    found = next((item.id() for item in read.every if item.source() == layer.source()), "")
    if not found:
        names = ", ".join(item.name() for item in read.every)
        raise ValueError(tr("REFERENCE is '{}', but the layers are: {}.").format(layer.name(), names))
    return read.mosaics.get(found, found)


def check_reference(stack: StackSnapshot) -> None:
    """Check that something is stacked of the layer that REFERENCE means.

    Raises:
        ValueError: if nothing is.
    """
    if stack.reference and stack.reference not in stack.composition().keys:
        raise ValueError(tr("REFERENCE is a layer of which nothing is stacked. Choose another one."))


def tiles_of_mosaics(layers: Sequence[QgsRasterLayer]) -> dict[str, str]:
    """Return id of a layer -> id of the first layer of its mosaic, for layers that are not that first one."""
    groups = tile_groups([raster_facts([layer]) for layer in layers])
    return {item.layer_id: group[0].layer_id for group in groups for item in group[1:]}


def _on_first_tile(addition: Addition, first_of: Mapping[str, str]) -> Addition:
    """The addition with the first layer of each mosaic in place of its other layers."""

    def moved(item: Input) -> Input:
        return dataclasses.replace(item, layer_id=first_of.get(item.layer_id, item.layer_id))

    return dataclasses.replace(
        addition,
        layer_id=first_of.get(addition.layer_id, addition.layer_id),
        inputs=tuple(moved(item) for item in addition.inputs),
    )


def distinct(layers: Iterable[QgsRasterLayer]) -> list[QgsRasterLayer]:
    """Return layers without those that show a file which is there already."""
    return list({layer.source(): layer for layer in reversed(list(layers))}.values())[::-1]


def same_file(layer: QgsRasterLayer, layers: Iterable[QgsRasterLayer]) -> QgsRasterLayer:
    """Return the layer of a list that shows the same file.

    Args:
        layer: any layer.
        layers: one of which shows its file.
    """
    return next(item for item in layers if item.source() == layer.source())
