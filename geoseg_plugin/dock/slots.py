"""What a model needs, slot by slot, and the sources that fill the slots at prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

from ..contract import GeoSegError, Source, SourceKind, decode
from ..jobs.inputs import as_source
from ..layers import snapshot
from ..layers.exports import LABEL_LAYER
from .inputs_from_layers import Export, raster_layer, vector_layer


@dataclass(frozen=True)
class Need:
    """A source of a model.

    Attributes:
        source: as it was at training; vectors and series that nobody replaces are taken from there again.
        bands: names of the bands that come from it, those for expressions too.
        fields: of a vector layer.
    """

    source: Source
    bands: tuple[str, ...]
    fields: tuple[str, ...] = ()

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
        found.append(Need(source_of(item), names, tuple(dict.fromkeys(filter(None, fields)))))
    return tuple(found)


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
    needs: Sequence[Need], slots: Mapping[str, str], folder: Path, project: QgsProject, to_export: set[str]
) -> tuple[tuple[Source, ...], list[Export], list[str]]:
    """Sources for a model's slots, exports and their notes.

    Args:
        slots: key -> layer id, or of a series its files with newlines between them. Empty rasters are left out, empty
            vectors and series are those of training.
        to_export: ids of rasters that the engine could not open.
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
