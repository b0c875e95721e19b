"""Ticked rasters, added bands and the user's settings -> sources, bands and intermediates of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..contract import Band, Source
from .additions import Addition, Input
from .inputs import RasterInput, as_source, band_name, sources_and_bands, unique
from .rasterfacts import reference_of

Settings = Mapping[str, Mapping[str, Any]]
"""Band name -> fields of the contract's Band that the user set, and HEIGHT_UNIT."""

SETTABLE = ("resampling", "fill", "scaling", "clip_percent")
HEIGHT_UNIT = "height_unit"
"""Set for a band that is derived from heights, it holds for the raster of these heights."""


@dataclass(frozen=True)
class Composition:
    """What a stack is made of.

    Attributes:
        sources, bands: of the stack.
        intermediates: bands that are computed for expressions and are no part of the stack.
        keys: layer id -> key of its source, of rasters that came with an id.
        reference: key of the source that gives the grid where the user chose none (`reference_of`); empty leaves it
            to the engine, which uses the first.
    """

    sources: tuple[Source, ...] = ()
    bands: tuple[Band, ...] = ()
    intermediates: tuple[Band, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict, compare=False)
    reference: str = ""

    def source_name(self, band: Band) -> str:
        """Return the name of the source of a band; empty for expressions."""
        return next((item.name for item in self.sources if item.key == band.source), "")


def composed(rasters: Iterable[RasterInput] | Composition) -> Composition:
    """Rasters alone as a composition; a composition stays as it is."""
    return rasters if isinstance(rasters, Composition) else compose(rasters)


def compose(
    rasters: Iterable[RasterInput], additions: Iterable[Addition] = (), settings: Settings | None = None
) -> Composition:
    """Ticked and derived bands first, in the order of the layers, then what was added.

    Args:
        rasters: those with ticked bands, and (with nothing ticked) those that additions use.
        additions: vector layers among them already written to files.
        settings: by the names that bands get here; names without a band are passed over.
    """
    rasters, additions = tuple(rasters), tuple(additions)
    used = {layer_id for item in additions for layer_id in item.layer_ids}
    ticked = [item for item in rasters if item.ticked or item.terrain]
    more = [item for item in rasters if not (item.ticked or item.terrain) and item.layer_id in used]
    sources, bands = sources_and_bands(ticked)
    builder = _Builder([*sources], [*bands], {}, {})
    for number, raster in enumerate([*ticked, *more], 1):
        key = f"r{number}"
        if raster in more:
            builder.sources.append(as_source(raster, key))
        if raster.layer_id:
            builder.rasters[raster.layer_id] = (key, raster)
    for addition in additions:
        builder.add(addition)
    keys = {layer_id: key for layer_id, (key, _raster) in builder.rasters.items()}
    facts = [item.facts for item in (ticked or more) if item.facts is not None]
    settings = settings or {}
    units = {
        band.source: str(settings[band.name][HEIGHT_UNIT])
        for band in builder.bands
        if band.source and settings.get(band.name, {}).get(HEIGHT_UNIT)
    }
    return Composition(
        tuple(
            dataclasses.replace(source, height_unit=units.get(source.key, source.height_unit))
            for source in builder.sources
        ),
        tuple(with_settings(band, settings) for band in builder.bands),
        tuple(builder.intermediates.values()),
        keys,
        keys.get(reference_of(facts), ""),
    )


def with_settings(band: Band, settings: Settings) -> Band:
    """Return the band with what the user set for its name. Any thread.

    Args:
        band: as its source gives it.
        settings: of bands, by their names.
    """
    chosen = {key: value for key, value in settings.get(band.name, {}).items() if key in SETTABLE}
    if "clip_percent" in chosen:
        low, high = chosen["clip_percent"]
        chosen["clip_percent"] = (float(low), float(high))
    return dataclasses.replace(band, **chosen)


@dataclass
class _Builder:
    """What has been put together so far; `rasters` is by layer id."""

    sources: list[Source]
    bands: list[Band]
    intermediates: dict[tuple[str, int], Band]
    rasters: dict[str, tuple[str, RasterInput]]

    def add(self, addition: Addition) -> None:
        key = ""
        codes = False
        if addition.kind == "raster":
            key, raster = self.rasters[addition.layer_id]
            codes = raster.categorical
        elif addition.kind != "expression":
            key = f"a{len(self.sources) + 1}"
            self.sources.append(addition.source(key))
        inputs = {item.variable: self._input(item) for item in addition.inputs}
        names = self._names()
        for band in addition.bands:
            name = unique(band.name, names)
            if codes and not band.derive:
                band = dataclasses.replace(band, resampling="nearest")
            self.bands.append(dataclasses.replace(band, name=name, source=key, inputs=inputs))

    def _input(self, item: Input) -> str:
        """Name of the band behind a variable; a band that is not ticked becomes an intermediate."""
        if not item.layer_id:
            return item.name
        key, raster = self.rasters[item.layer_id]
        for band in self.bands:
            if (band.source, band.index, band.derive) == (key, item.index, ""):
                return band.name
        place = (key, item.index)
        if place not in self.intermediates:
            name = unique(band_name(raster, item.index), self._names())
            self.intermediates[place] = Band(name, key, item.index)
        return self.intermediates[place].name

    def _names(self) -> set[str]:
        return {band.name for band in (*self.bands, *self.intermediates.values())}
