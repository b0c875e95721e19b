"""What a model needs at prediction: its sources, as the job `describe` lists them. Plain data without QGIS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract import GeoSegError, Source, SourceKind, decode

MAX_NAMES = 3


@dataclass(frozen=True)
class ModelInput:
    """A source that a model reads.

    Attributes:
        source: as it was at training; vectors and series without a replacement are read from there again.
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
        """Return the kind of the source: `raster`, `vector` or `series`."""
        return self.source.kind


def model_inputs(result: Mapping[str, Any]) -> tuple[ModelInput, ...]:
    """Return what a model needs, from the result of the job `describe`."""
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
        found.append(ModelInput(source, names, tuple(dict.fromkeys(filter(None, fields))), rows))
    return tuple(found)


def band_rows(bands: Sequence[Mapping[str, Any]], layer: str) -> tuple[tuple[int, str], ...]:
    """Return the bands of one raster by number, each with the names of what is made of it.

    Args:
        bands: of a recipe, as JSON.
        layer: name of the raster, which is left out of the names.
    """
    named: dict[int, list[str]] = {}
    for band in bands:
        names = named.setdefault(int(band.get("index") or 1), [])
        names.append(own_name(str(band.get("name")), layer))
    return tuple((index, shortened(names)) for index, names in sorted(named.items()))


def own_name(band: str, layer: str) -> str:
    """Return the name of a band without that of its layer.

    Args:
        band: such as `optical: red`.
        layer: such as `optical`.
    """
    return band.removeprefix(layer).lstrip(": ") or band


def shortened(names: Sequence[str]) -> str:
    """Return the first names of a list."""
    return ", ".join(names[:MAX_NAMES]) + (" …" if len(names) > MAX_NAMES else "")


def source_of(item: Mapping[str, Any]) -> Source:
    """Return the source of a recipe, or of a list of slots, which holds key and name only."""
    try:
        return decode(Source, dict(item))
    except GeoSegError:
        return Source(str(item.get("key")), str(item.get("path") or ""), str(item.get("name") or ""))


def listed_names(bands: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of bands that come as texts or as mappings."""
    return tuple(str(item.get("name", item)) if isinstance(item, dict) else str(item) for item in bands)
