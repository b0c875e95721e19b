"""The real cases of `prepare_cases.py`: what is stacked, what the labels are and where they are complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study import MADE, make_layers

from geoseg_engine.contract import (
    EXPRESSION,
    TERRAIN_ATTRIBUTES,
    Area,
    Band,
    GridRequest,
    Labels,
    Series,
    Source,
    index_band,
)
from geoseg_engine.raster.sources import all_bands

RELIEF = ("tpi", "roughness", "local_relief")


@dataclass(frozen=True)
class Case:
    """One preparation from files to tiles.

    Attributes:
        reference: label raster of the provider on the same grid, and its value of every class name.
    """

    name: str
    what: str
    sources: tuple[Source, ...]
    bands: tuple[Band, ...]
    labels: Labels
    intermediates: tuple[Band, ...] = ()
    area: Area = Area()
    grid: GridRequest = GridRequest()
    tile_px: int = 64
    split_by_area: bool = False
    reference: str = ""


def source(number: int, path: Path, **more: Any) -> Source:
    return Source(f"r{number}", str(path), path.stem, **more)


def every(sources: Sequence[Source]) -> tuple[Band, ...]:
    """All bands of raster sources."""
    found = all_bands([{"key": item.key, "path": item.path, "name": item.name} for item in sources])
    return tuple(Band(**item) for item in found)


def terrain(key: str, *more: str) -> tuple[Band, ...]:
    """The usual attributes of a DEM and those asked for."""
    return tuple(Band(name, key, 1, name) for name in (*TERRAIN_ATTRIBUTES, *more))


def index(name: str, bands: Sequence[Band], **places: int) -> Band:
    """A spectral index of the bands at these places, from 0."""
    return index_band(name, {role: bands[place].name for role, place in places.items()})


def cases(data: Path) -> list[Case]:
    """Every folder with rasters and labels."""
    return [
        *optical(data),
        *multitemporal(data),
        *elevation(data),
        *glaciers(data / "oggm_glaciers"),
        *label_rasters(data),
    ]


def made_case(folder: Path) -> Case:
    """The case of `--small`: a made image of three bands, a DEM and polygons that are complete."""
    image, dem, labels = make_layers(folder)
    sources = (source(1, image), source(2, dem))
    return Case(
        MADE,
        "a made image, DEM, terrain; squares",
        sources,
        (*every(sources), *terrain("r2")),
        Labels(str(labels), "labels", "labels", "class"),
        tile_px=16,
    )


def optical(data: Path) -> list[Case]:
    fields = data / "orthoseg_fields"
    sentinel = (source(1, next(fields.glob("BEFL-TEST*.tif"))),)
    three = every(sentinel)
    everest = data / "everest_glacier"
    landsat = (
        source(1, everest / "LE71400412000304SGS00_RGB.tif"),
        source(2, everest / "LE71400412000304SGS00_B4.tif"),
    )
    four = every(landsat)
    photo = (source(1, data / "deepness_models/dummy_fotomap_small.tif"),)
    boxes = fields / "fields_BEFL-s2-fields-2023_locations.gpkg"
    return [
        Case(
            "orthoseg_fields",
            "Sentinel-2 and NDVI; labels complete in boxes that name their split",
            sentinel,
            (*three, index("NDVI", three, nir=0, red=1)),
            Labels(
                str(fields / "fields_BEFL-s2-fields-2023_polygons.gpkg"), "polygons", "fields", "label_name"
            ),
            area=Area("polygons", str(boxes), "locations", split_field="traindata_type"),
            split_by_area=True,
        ),
        Case(
            "everest_glacier",
            "Landsat-7 and NDVI; outlines in another CRS, every pixel labelled",
            landsat,
            (*four, index("NDVI", four, nir=3, red=0)),
            Labels(str(everest / "15_rgi60_glacier_outlines.gpkg"), "glacier_outlines", "glaciers"),
        ),
        *(site(data / "rstoolbox_landcover_dem", sensor) for sensor in ("lsat", "sen2")),
        Case(
            "deepness_models",
            "orthophoto of 2 cm with alpha; its area polygon stands in for labels",
            photo,
            every(photo),
            Labels(str(data / "deepness_models/dummy_fotomap_area_3857.gpkg"), "", "area"),
        ),
    ]


def site(folder: Path, sensor: str) -> Case:
    """One of the two sites with sparse polygons of four classes."""
    sources = (source(1, folder / f"{sensor}.tif"), source(2, folder / f"srtm_{sensor}.tif"))
    bands = every(sources)
    places = {"nir": 3, "red": 2} if sensor == "lsat" else {"nir": 7, "red": 3}
    more = (index("NDVI", bands, **places), *terrain("r2"))
    labels = Labels(str(folder / f"training_{sensor}.gpkg"), "training", "training", "class", (), "unknown")
    what = "Landsat-5" if sensor == "lsat" else "Sentinel-2 in degrees"
    return Case(
        f"rstoolbox_landcover_dem/{sensor}",
        f"{what}, SRTM, terrain, NDVI; sparse",
        sources,
        (*bands, *more),
        labels,
    )


def multitemporal(data: Path) -> list[Case]:
    slovenia = data / "eolearn_timeseries_lulc"
    dates = Series(variables=("NDVI",), mask="CLM")
    ndvi = Source("s1", str(slovenia / "series.nc"), "NDVI", kind="series", series=dates)
    height = source(1, slovenia / "dem.tif")
    composites: list[tuple[str, dict[str, float | str]]] = [
        ("median", {}),
        ("percentile", {"percent": 10.0}),
        ("percentile", {"percent": 90.0}),
        ("deviation", {}),
        ("amplitude", {}),
        ("trend", {}),
    ]
    series = tuple(
        Band(f"NDVI {name}{values.get('percent', '')}", "s1", 1, name, parameters=values)
        for name, values in composites
    )
    chiapas = data / "chiapas_landsat"
    dated = (
        source(1, chiapas / "LE70220491999322EDC01_stack.gtif"),
        source(2, chiapas / "LE70220492002106EDC00_stack.gtif"),
    )
    bands = every(dated[:1])[:7]
    later = tuple(Band(f"2002 {number}", "r2", number) for number in (3, 4))
    change = Band("NDVI change", derive=EXPRESSION, parameters={"expression": "(c - d) / (c + d) - before"},
                  inputs={"c": "2002 4", "d": "2002 3", "before": "NDVI"})  # fmt: skip
    return [
        Case(
            "eolearn_timeseries_lulc",
            "NDVI of 68 dates without clouds: median, percentiles, deviation, amplitude, trend; DEM, terrain",
            (ndvi, height),
            (*series, Band("height", "r1"), *terrain("r1")),
            Labels(str(slovenia / "LULC.gpkg"), "LULC", "LULC", "LULC_ID", (), "unknown", excluded=("0",)),
            grid=GridRequest(reference="r1"),
            tile_px=16,
            reference=str(slovenia / "lulc_mask.tif"),
        ),
        Case(
            "chiapas_landsat",
            "two dates: seven bands, NDVI and its change; 30 tiny polygons of five classes",
            dated,
            (*bands, index("NDVI", bands, nir=3, red=2), change),
            Labels(str(chiapas / "training_data.shp"), "", "training", "id", (), "unknown"),
            intermediates=later,
            tile_px=16,
            reference=str(chiapas / "training_data.gtif"),
        ),
    ]


def elevation(data: Path) -> list[Case]:
    city, valley = data / "opengeos_dem_buildings", data / "runopt_debrisflow_dem"
    heights = tuple(
        source(number, city / f"{name}.tif") for number, name in enumerate(("dsm", "dtm", "hag"), 1)
    )
    dem = source(1, valley / "elev_12_5m.tif")
    points = Source(
        "v1", str(valley / "dflow_source_pnt.shp"), "sources", kind="vector", layer="dflow_source_pnt"
    )
    return [
        Case(
            "opengeos_dem_buildings",
            "surface, terrain, height, roughness; footprints in the middle, area is their hull",
            heights,
            (*every(heights), Band("roughness", "r1", 1, "roughness"), Band("slope", "r1", 1, "slope")),
            Labels(str(city / "buildings.geojson"), "", "buildings"),
            area=Area("concave_hull"),
            tile_px=32,
        ),
        Case(
            "runopt_debrisflow_dem",
            "DEM of 12.5 m, terrain, relief, distance to the sources of flows",
            (dem, points),
            (
                *terrain("r1", *RELIEF),
                Band("multi-scale TPI", "r1", 1, "multiscale_tpi", parameters={"radii": "50,150,450"}),
                Band("distance to sources", "v1", 1, "distance", parameters={"limit_m": 2000.0}),
            ),
            Labels(str(valley / "all_polygons/debris_flow_runout_polygons.shp"), "", "run-out"),
        ),
    ]


def glaciers(folder: Path) -> list[Case]:
    """Six DEMs: geographic, UTM and local transverse Mercator; the outlines of one scene are incomplete."""
    found = []
    for place in sorted(item for item in folder.iterdir() if item.is_dir()):
        dem = source(1, next(place.glob("*.tif")))
        outlines = Labels(str(next(place.glob("*.shp"))), "", "glaciers")
        partial = place.name == "oetztal"
        found.append(
            Case(
                f"oggm_glaciers/{place.name}",
                "SRTM, terrain, relief; other glaciers have no outline, area is the hull" if partial else
                "DEM, terrain, relief",
                (dem,),
                (Band("height", "r1"), *terrain("r1", *RELIEF)),
                outlines,
                area=Area("concave_hull") if partial else Area(),
                tile_px=32,
            )
        )  # fmt: skip
    return found


def label_rasters(data: Path) -> list[Case]:
    """Labels that come as rasters, and a mosaic of tiles."""
    enmap, reference = data / "enmap_potsdam_specdeepmap", data / "orthoseg_vectorize_reference"
    tiles = sorted((enmap / "images").glob("*.tif"))
    mosaic = source(1, tiles[0], paths=tuple(str(path) for path in tiles[1:]))
    spectra = tuple(
        Band(f"band {number}", "r1", number) for number in range(1, 225) if not 130 <= number <= 135
    )
    prediction = next(reference.glob("*.tif"))
    return [
        Case(
            "enmap_potsdam_specdeepmap",
            "mosaic of 18 tiles, 218 of 224 bands; label raster, 0 is unlabelled",
            (mosaic,),
            spectra,
            Labels(str(enmap / "enmap_landcover_unstyled.tif"), "", "land cover", kind="raster",
                   excluded=("0",), unlabelled="unknown"),
            tile_px=32,
            reference=str(enmap / "enmap_landcover_unstyled.tif"),
        ),
        Case(
            "orthoseg_vectorize_reference",
            "a prediction of 4096 × 4096 and the polygons made from it",
            (source(1, prediction),),
            (Band("prediction", "r1", resampling="nearest"),),
            Labels(str(prediction.with_suffix(".gpkg")), "", "predicted"),
            tile_px=256,
            reference=str(prediction),
        ),
    ]  # fmt: skip
