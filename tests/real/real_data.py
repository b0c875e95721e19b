"""The fields of the real data, and labels burnt on the grid of rasters."""

from __future__ import annotations

from pathlib import Path

from data_scenes import channel

from geoseg_engine.contract import (
    TERRAIN_ATTRIBUTES,
    Area,
    Band,
    Labels,
    RasterizeJob,
    Source,
    StackJob,
)
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.raster.sources import all_bands
from geoseg_engine.stacking import stack

ORTHOSEG = "orthoseg_fields/BEFL-TEST-s2_2023-05-01_2023-07-01_B08-B04-B03_min_byte.tif"
FIELDS = "orthoseg_fields/fields_BEFL-s2-fields-2023_polygons.gpkg"
BOXES = "orthoseg_fields/fields_BEFL-s2-fields-2023_locations.gpkg"


def layers(data: Path, *names: str, dem: int = 0) -> tuple[tuple[Source, ...], tuple[Band, ...]]:
    """Sources and all their bands; `dem` counts from 1 the source whose terrain is added."""
    sources = tuple(
        Source(f"r{number}", str(data / name), Path(name).stem) for number, name in enumerate(names, 1)
    )
    bands = [
        Band(**band) for band in all_bands([{"key": s.key, "path": s.path, "name": s.name} for s in sources])
    ]
    bands += [Band(name, f"r{dem}", 1, name) for name in TERRAIN_ATTRIBUTES if dem]
    return sources, tuple(bands)


def burnt(folder: Path, data: Path, rasters: tuple[str, ...], source: Labels, area: Area = Area()) -> dict:  # noqa: B008
    """Rasterize on the grid of rasters; leaves stack.recipe.json and labels.tif."""
    sources, bands = layers(data, *rasters)
    job = StackJob(sources, bands, area=area, labels=source, output="stack.recipe.json")
    stack.run(job, folder, channel(folder))
    return labels.run(RasterizeJob("stack.recipe.json", source, area), folder, channel(folder))
