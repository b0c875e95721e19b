"""The layers that fill the inputs of a model at prediction. Main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from qgis.core import QgsMapLayer, QgsRasterLayer

from ...contract import Band, Source
from ...jobs.inputs import RasterInput, as_source
from ...jobs.modelinputs import ModelInput
from ..bandorder import BandOrder
from ..bandsources import BAND_SOURCES
from ..snapshot import file_stem
from .folder import InputFolder, RasterSnapshot
from .lookup import LayerOf, raster_layer
from .rasters import raster_snapshot


def proposed_layer(wanted: ModelInput, layers: Sequence[QgsMapLayer]) -> str:
    """Return the id of the layer of the same name and kind; empty if there is none. Main thread.

    Args:
        wanted: the source of a model.
        layers: those to choose from.
    """
    if wanted.kind in BAND_SOURCES:
        return BAND_SOURCES[wanted.kind].proposed(wanted, layers)
    name = (wanted.source.name or wanted.source.key).casefold()
    same = (
        layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer.name().casefold() == name
    )
    return next((str(layer.id()) for layer in same), "")


def input_sources(
    wanted: Sequence[ModelInput],
    chosen: Mapping[str, str],
    layer_of: LayerOf,
    folder: InputFolder,
    bindings: Mapping[str, Mapping[int, int]] | None = None,
) -> tuple[Source, ...]:
    """Return the sources that a model reads at prediction. Main thread.

    Args:
        wanted: the sources of the model.
        chosen: key -> id of a layer, or of a series its files with newlines between them. Empty rasters are left out,
            empty vectors and series are those of training.
        layer_of: where layers are looked up.
        folder: gets what is written.
        bindings: key -> band at training -> band of the layer, where it is another.

    Raises:
        GeoSegError: `layer_gone`.
    """
    sources: list[Source] = []
    for item in wanted:
        key = item.source.key
        choice = chosen.get(key, "")
        if item.kind in BAND_SOURCES:
            kind = BAND_SOURCES[item.kind]
            sources.append(kind.replacement(item, choice, layer_of, folder) if choice else item.source)
        elif choice:
            raster = raster_snapshot(raster_layer(layer_of, choice)).located(folder)
            if raster.path == item.source.path:
                raster = dataclasses.replace(raster, more_paths=item.source.paths)
            binding = (bindings or {}).get(key)
            sources.append(as_source(reordered(raster, binding, folder, key) if binding else raster, key))
    return tuple(sources)


def reordered(raster: RasterInput, binding: Mapping[int, int], folder: InputFolder, key: str) -> RasterInput:
    """Return the raster with its bands where the model expects them. Any thread.

    Args:
        raster: as it was located.
        binding: band at training -> band of the raster.
        folder: gets a VRT per file, in `bands_<key>`.
        key: of the source.
    """
    paths = (raster.path, *raster.more_paths)
    orders = [
        BandOrder(
            path, folder.path / f"bands_{key}" / f"{file_stem(Path(path).stem)}_{number}.vrt", dict(binding)
        )
        for number, path in enumerate(paths, 1)
    ]
    folder.exports += orders
    first, *rest = (str(order.path) for order in orders)
    return dataclasses.replace(raster, path=first, more_paths=tuple(rest))


def channel_sources(
    channels: Sequence[tuple[RasterSnapshot, int]], names: Sequence[str], folder: InputFolder
) -> tuple[tuple[Source, ...], tuple[Band, ...]]:
    """Return sources and bands for the channels of a third-party model. Any thread.

    Args:
        channels: raster and number of its band, in the order of the channels.
        names: of the channels.
        folder: gets copies of rasters.
    """
    sources: dict[str, Source] = {}
    bands: list[Band] = []
    for (snapshot, band), name in zip(channels, names, strict=False):
        layer_id = snapshot.raster.layer_id
        if layer_id not in sources:
            sources[layer_id] = as_source(snapshot.located(folder), f"r{len(sources) + 1}")
        bands.append(Band(name, sources[layer_id].key, band))
    return tuple(sources.values()), tuple(bands)
