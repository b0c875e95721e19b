"""The cases of `compare_cases.py`: the layers of `preparation_cases.py` with the splits that others have used."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas
import rasterio
from preparation_cases import Case, cases, made_case
from shapely.geometry import box

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Area, Band, BandSet, RasterizeJob, StackJob, TileJob
from geoseg_engine.run import work
from geoseg_engine.vector.geopackage import write_layer

Share = tuple[str, float, float, float, float]
"""Split, then west, north, east, south as shares of the raster's width and height."""


SEASONS = {
    "March, April": (3, 4),
    "May, June": (5, 6),
    "July, August": (7, 8),
    "September, October": (9, 10),
    "winter": (11, 12, 1, 2),
}


@dataclass(frozen=True)
class Comparison:
    """One dataset to compare models on.

    Attributes:
        case: its layers, of preparation_cases.
        split: how train, validation and test are told apart, in words.
        areas: area polygons with a field `split`, written into the folder; None splits by blocks.
        block_px: side of split blocks; 0 finds one.
        tile_px: side of tiles; 0 is the case's.
        buffer_px: width left unused between splits; -1 finds one, 0 is what the split's author did.
        sets: choices of bands; empty is all.
    """

    case: Case
    split: str
    areas: Callable[[Path], Path] | None = None
    block_px: int = 0
    tile_px: int = 0
    buffer_px: int = -1
    sets: tuple[BandSet, ...] = ()


def comparisons(data: Path) -> dict[str, Comparison]:
    """Every case by name."""
    known = {case.name: case for case in cases(data)}
    return {
        "orthoseg_fields": boxes_of_fields(known["orthoseg_fields"]),
        "everest_glacier": columns_of_glaciers(known["everest_glacier"]),
        "enmap_potsdam_specdeepmap": Comparison(
            known["enmap_potsdam_specdeepmap"],
            "the peer's own tiles: 14 train, 2 validation, 2 test",
            lambda folder: peers_tiles(data, folder),
            buffer_px=0,
        ),
        "opengeos_dem_buildings": Comparison(
            known["opengeos_dem_buildings"], "spatial blocks inside the hull of the footprints"
        ),
        "runopt_debrisflow_dem": blocks_of_a_valley(known["runopt_debrisflow_dem"]),
        "eolearn_timeseries_lulc": halves_of_a_series(seasons(known["eolearn_timeseries_lulc"])),
    }


def made_comparison(folder: Path) -> Comparison:
    """The comparison of `--small`: columns of the made case."""
    case = made_case(folder)
    parts = (("train", 0, 0, 0.5, 1), ("validation", 0.5, 0, 0.75, 1), ("test", 0.75, 0, 1, 1))
    return Comparison(
        case,
        "columns: half train, a quarter validation, a quarter test",
        lambda place: shares(case.sources[0].path, place, *parts),
        buffer_px=0,
        sets=(BandSet("image", tuple(band.name for band in case.bands[:3])), BandSet("all")),
    )


def boxes_of_fields(case: Case) -> Comparison:
    """Sparse boxes in which labels are complete."""
    return Comparison(
        case,
        "the provider's boxes: 7 train, 2 of its training boxes validation, its 2 validation boxes test",
        lambda folder: provider_boxes(Path(case.area.path), folder),
    )


def columns_of_glaciers(case: Case) -> Comparison:
    """West and east of a scene, with and without the near infrared and the index."""
    names = [band.name for band in case.bands]
    parts = (
        ("train", 0, 0, 0.6, 1),
        ("validation", 0.6, 0, 0.74, 1),
        ("test", 0.75, 0, 1, 1),
    )
    return Comparison(
        case,
        "columns: west 60 % train, 60 to 74 % validation, east 25 % test",
        lambda folder: shares(case.sources[0].path, folder, *parts),
        sets=(
            BandSet("three bands", tuple(names[:3])),
            BandSet("four bands", tuple(names[:4])),
            BandSet("four bands and NDVI"),
        ),
    )


def blocks_of_a_valley(case: Case) -> Comparison:
    """Terrain with and without the distance to the sources of the flows."""
    names = [band.name for band in case.bands]
    return Comparison(
        case,
        "spatial blocks of 64 px",
        block_px=64,
        sets=(BandSet("terrain", tuple(names[:-1])), BandSet("terrain and distance to sources")),
    )


def halves_of_a_series(case: Case) -> Comparison:
    """North and south of a time series, with and without the DEM."""
    ndvi = tuple(band.name for band in case.bands if band.name.startswith("NDVI"))
    parts = (
        ("train", 0, 0, 0.3, 0.5),
        ("train", 0.5, 0, 1, 0.5),
        ("validation", 0.3, 0, 0.5, 0.5),
        ("test", 0, 0.5, 1, 1),
    )
    return Comparison(
        case,
        "rows: north half train and (a fifth of its columns) validation, south half test",
        lambda folder: shares(case.sources[-1].path, folder, *parts),
        buffer_px=0,
        sets=(BandSet("NDVI and DEM"), BandSet("NDVI", ndvi)),
    )


def seasons(case: Case) -> Case:
    """The case of the time series with the median of every season beside the statistics of all dates."""
    series = case.sources[0]
    assert series.series is not None
    dated = [
        replace(
            series, key=f"season{number}", name=f"NDVI {name}", series=replace(series.series, months=months)
        )
        for number, (name, months) in enumerate(SEASONS.items(), 1)
    ]
    bands = [Band(item.name, item.key, 1, "median", fill="median") for item in dated]
    return replace(case, sources=(*dated, *case.sources), bands=(*bands, *case.bands))


def prepare(comparison: Comparison, folder: Path) -> Path:
    """Stack, labels and tiles of a case. Returns the dataset's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    case = comparison.case
    split = (
        Area("polygons", str(comparison.areas(folder)), split_field="split") if comparison.areas else Area()
    )
    area = replace(case.area, split_field="")
    channel = Channel(folder)
    for job in (
        StackJob(
            case.sources,
            case.bands,
            case.grid,
            area,
            case.labels,
            intermediates=case.intermediates,
            output=str(folder / "stack.tif"),
        ),
        RasterizeJob(str(folder / "stack.tif"), case.labels, area, str(folder / "labels.tif")),
        TileJob(
            str(folder / "stack.tif"),
            str(folder / "labels.tif"),
            comparison.tile_px or case.tile_px,
            block_px=comparison.block_px,
            buffer_px=comparison.buffer_px,
            area=split,
            output=str(folder / "dataset"),
        ),
    ):
        work(job, folder, channel)
    return folder / "dataset"


def provider_boxes(path: Path, folder: Path) -> Path:
    """The provider's boxes: its validation boxes test, the last two of its training boxes in the raster validate."""
    found = geopandas.read_file(path, layer="locations")
    found["split"] = found["traindata_type"].map({"train": "train", "validation": "test"})
    return _write(found[["split", "geometry"]], folder)


def peers_tiles(data: Path, folder: Path) -> Path:
    """One box for every tile that the peer's lists name."""
    root = data / "enmap_potsdam_specdeepmap"
    rows = []
    crs = None
    for split in ("train", "validation", "test"):
        with (root / f"{split}_files.csv").open(encoding="utf-8") as stream:
            for item in csv.DictReader(stream):
                with rasterio.open(root / item["image"]) as raster:
                    rows.append((split, box(*raster.bounds)))
                    crs = raster.crs
    names, shapes = zip(*rows, strict=True)
    return _write(geopandas.GeoDataFrame({"split": names, "geometry": shapes}, crs=crs), folder)


def shares(raster_path: str, folder: Path, *parts: Share) -> Path:
    """Boxes over a raster, given as shares of it."""
    with rasterio.open(raster_path) as raster:
        left, bottom, right, top = raster.bounds
        crs = raster.crs
    width, height = right - left, top - bottom
    shapes = [
        box(left + west * width, top - south * height, left + east * width, top - north * height)
        for _, west, north, east, south in parts
    ]
    return _write(
        geopandas.GeoDataFrame({"split": [part[0] for part in parts], "geometry": shapes}, crs=crs), folder
    )


def _write(areas: geopandas.GeoDataFrame, folder: Path) -> Path:
    path = folder / "areas.gpkg"
    write_layer(areas, path, "areas")
    return path
