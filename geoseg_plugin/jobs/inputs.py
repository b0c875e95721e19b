"""From the rasters a user ticked to the sources and bands of a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..contract import Band, Resampling, Source
from .rasterfacts import RasterFacts


@dataclass(frozen=True)
class RasterInput:
    """One raster layer as plain data.

    Attributes:
        path: file or GDAL dataset name.
        name: the layer's name.
        band_names: names of all bands of the file, in order; empty names are numbered.
        ticked: bands to use, counting from 1.
        terrain: terrain attributes to derive from the first ticked band (or band 1 if none is ticked).
        crs: replaces the file's own CRS; empty keeps it.
        nodata: replaces the file's own nodata; None keeps it.
        categorical: values are codes: resampled by nearest neighbour.
        layer_id: by which added bands name this raster; empty outside the panel.
        more_paths: further files with the same bands, mosaicked with `path`.
        facts: what the choice of the grid's reference needs to know; None leaves it out of that choice.
        height_unit: replaces the unit of heights that the file states; empty keeps it.
    """

    path: str
    name: str
    band_names: tuple[str, ...]
    ticked: tuple[int, ...]
    terrain: tuple[str, ...] = ()
    crs: str = ""
    nodata: float | None = None
    categorical: bool = False
    layer_id: str = ""
    more_paths: tuple[str, ...] = ()
    facts: RasterFacts | None = None
    height_unit: str = ""


def sources_and_bands(rasters: Iterable[RasterInput]) -> tuple[tuple[Source, ...], tuple[Band, ...]]:
    """Sources r1, r2, … and the ticked and derived bands, in order, with unique names.

    A raster of which nothing is ticked is left out.
    """
    sources: list[Source] = []
    bands: list[Band] = []
    names: set[str] = set()
    for raster in rasters:
        if not raster.ticked and not raster.terrain:
            continue
        source = as_source(raster, f"r{len(sources) + 1}")
        sources.append(source)
        resampling: Resampling = "nearest" if raster.categorical else "bilinear"
        for index in raster.ticked:
            name = unique(band_name(raster, index), names)
            bands.append(Band(name, source.key, index, resampling=resampling))
        for attribute in raster.terrain:
            name = unique(f"{raster.name}: {attribute.replace('_', ' ')}", names)
            bands.append(Band(name, source.key, (raster.ticked or (1,))[0], derive=attribute))
    return tuple(sources), tuple(bands)


def unbound_sources(rasters: Iterable[RasterInput]) -> tuple[Source, ...]:
    """Sources whose keys are no model's: the engine matches them by layer name and band count."""
    return tuple(as_source(raster, f"given{number}") for number, raster in enumerate(rasters, 1))


def as_source(raster: RasterInput, key: str) -> Source:
    """Return a raster as a source of a job. Any thread.

    Args:
        raster: as the engine reads it.
        key: of the source.
    """
    name = raster.name or Path(raster.path).stem
    return Source(
        key,
        raster.path,
        name,
        raster.crs,
        raster.nodata,
        paths=raster.more_paths,
        height_unit=raster.height_unit,
    )


def band_name(raster: RasterInput, index: int) -> str:
    """Return the name of a band as a user reads it: that of the layer alone if it has one band. Any thread.

    Args:
        raster: with the band.
        index: number of the band, from 1.
    """
    if len(raster.band_names) == 1:
        return raster.name
    named = raster.band_names[index - 1] if index <= len(raster.band_names) else ""
    return f"{raster.name}: {named or f'band {index}'}"


def unique(name: str, taken: set[str]) -> str:
    """Return a name, with a number added if it is there already.

    Args:
        name: wanted.
        taken: names that are there already; gets the returned one.
    """
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name} ({number})"
    taken.add(candidate)
    return candidate
