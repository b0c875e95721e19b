"""What a model needs, slot by slot, and the sources that fill the slots at prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

from ..contract import Band, GeoSegError, Source, SourceKind, decode
from ..jobs.inputs import RasterInput, as_source
from ..layers import snapshot
from ..layers.bandorder import BandOrder
from ..layers.exports import LABEL_LAYER
from .inputs_from_layers import Export, raster_layer, vector_layer

MOST_NAMES = 3


@dataclass(frozen=True)
class Need:
    """A source of a model.

    Attributes:
        source: as it was at training; vectors and series that nobody replaces are taken from there again.
        bands: names of the bands that come from it, those for expressions too.
        fields: of a vector layer.
        rows: bands of a raster that are used: number and name; of a derived band what is derived from it.
    """

    source: Source
    bands: tuple[str, ...]
    fields: tuple[str, ...] = ()
    rows: tuple[tuple[int, str], ...] = ()

    @property
    def kind(self) -> SourceKind:
        """`raster`, `vector` or `series`."""
        return self.source.kind


def needs_of(result: Mapping[str, Any]) -> tuple[Need, ...]:
    """What a model needs, from the answer of the job `describe`."""
    recipe = result.get("recipe") or {}
    every = [*(recipe.get("bands") or []), *(recipe.get("intermediates") or [])]
    found = []
    for item in recipe.get("sources") or result.get("sources") or []:
        key = str(item.get("key"))
        own = [band for band in every if band.get("source") == key]
        fields = [str((band.get("parameters") or {}).get("field", "")) for band in own]
        names = tuple(str(band.get("name")) for band in own) or listed_names(item.get("bands") or [])
        source = source_of(item)
        rows = band_rows(own, source.name or source.key) if source.kind == "raster" else ()
        found.append(Need(source, names, tuple(dict.fromkeys(filter(None, fields))), rows))
    return tuple(found)


def band_rows(bands: Sequence[Mapping[str, Any]], layer: str) -> tuple[tuple[int, str], ...]:
    """The bands of one raster by number, each with the names of what is made of it, without the layer's name."""
    named: dict[int, list[str]] = {}
    for band in bands:
        names = named.setdefault(int(band.get("index") or 1), [])
        names.append(own_name(str(band.get("name")), layer))
    return tuple((index, shortened(names)) for index, names in sorted(named.items()))


def own_name(band: str, layer: str) -> str:
    """The name of a band without that of its layer before it."""
    return band.removeprefix(layer).lstrip(": ") or band


def shortened(names: Sequence[str]) -> str:
    """The first names of a list."""
    return ", ".join(names[:MOST_NAMES]) + (" …" if len(names) > MOST_NAMES else "")


def source_of(item: Mapping[str, Any]) -> Source:
    """The source of a recipe, or of a list of slots, which tells key and name only."""
    try:
        return decode(Source, dict(item))
    except GeoSegError:
        return Source(str(item.get("key")), str(item.get("path") or ""), str(item.get("name") or ""))


def listed_names(bands: Sequence[Any]) -> tuple[str, ...]:
    """Names of bands that come as texts or as mappings."""
    return tuple(str(item.get("name", item)) if isinstance(item, dict) else str(item) for item in bands)


def proposed(need: Need, layers: Sequence[QgsMapLayer]) -> str:
    """Id of the layer of the same name and kind; empty if there is none."""
    wanted = (need.source.name or need.source.key).casefold()
    kind = QgsVectorLayer if need.kind == "vector" else QgsRasterLayer
    same = [layer for layer in layers if isinstance(layer, kind) and layer.name().casefold() == wanted]
    return str(same[0].id()) if same and need.kind != "series" else ""


def slot_sources(
    needs: Sequence[Need],
    slots: Mapping[str, str],
    folder: Path,
    project: QgsProject,
    to_export: set[str],
    bindings: Mapping[str, Mapping[int, int]] | None = None,
) -> tuple[tuple[Source, ...], list[Export], list[str]]:
    """Sources for a model's slots, exports and their notes.

    Args:
        slots: key -> layer id, or of a series its files with newlines between them. Empty rasters are left out, empty
            vectors and series are those of training.
        to_export: ids of rasters that the engine could not open.
        bindings: key -> band at training -> band of the layer, where it is another.
    """
    sources: list[Source] = []
    exports: list[Export] = []
    notes: list[str] = []
    for need in needs:
        key, chosen = need.source.key, slots.get(need.source.key, "")
        if need.kind == "raster" and chosen:
            layer = raster_layer(project, chosen)
            raster, export = snapshot.raster_input(layer, folder=folder, always_export=chosen in to_export)
            if export is not None:
                exports.append(export)
                notes.append(export.note)
            if raster.path == need.source.path:
                raster = dataclasses.replace(raster, more_paths=need.source.paths)
            binding = (bindings or {}).get(key)
            if binding:
                raster, orders = reordered(raster, binding, folder / f"bands_{key}")
                exports += orders
            sources.append(as_source(raster, key))
        elif need.kind == "vector" and chosen:
            path = folder / f"features_{key}.gpkg"
            features = vector_layer(project, chosen)
            exports.append(snapshot.feature_snapshot(features, path, need.fields))
            sources.append(Source(key, str(path), features.name(), kind="vector", layer=LABEL_LAYER))
        elif need.kind == "series" and chosen:
            first, *rest = chosen.split("\n")
            sources.append(Source(key, first, need.source.name, kind="series", paths=tuple(rest)))
        elif need.kind != "raster":
            sources.append(need.source)
    return tuple(sources), exports, notes


def reordered(
    raster: RasterInput, binding: Mapping[int, int], folder: Path
) -> tuple[RasterInput, list[BandOrder]]:
    """The raster with its bands where the model expects them, and what writes its files to `folder`."""
    paths = (raster.path, *raster.more_paths)
    orders = [
        BandOrder(path, folder / f"{snapshot.file_stem(Path(path).stem)}_{number}.vrt", dict(binding))
        for number, path in enumerate(paths, 1)
    ]
    first, *rest = (str(order.path) for order in orders)
    return dataclasses.replace(raster, path=first, more_paths=tuple(rest)), orders


def channel_sources(
    channels: Sequence[tuple[str, int]],
    names: Sequence[str],
    folder: Path,
    project: QgsProject,
    to_export: set[str],
) -> tuple[tuple[Source, ...], tuple[Band, ...], list[Export]]:
    """Sources, bands and exports for the channels (layer id, band) of a model of another program."""
    keys: dict[str, str] = {}
    sources: list[Source] = []
    exports: list[Export] = []
    bands: list[Band] = []
    for (layer_id, band), name in zip(channels, names, strict=False):
        if layer_id not in keys:
            keys[layer_id] = f"r{len(keys) + 1}"
            layer = raster_layer(project, layer_id)
            raster, export = snapshot.raster_input(layer, folder=folder, always_export=layer_id in to_export)
            exports += [export] if export is not None else []
            sources.append(as_source(raster, keys[layer_id]))
        bands.append(Band(name, keys[layer_id], band))
    return tuple(sources), tuple(bands), exports
