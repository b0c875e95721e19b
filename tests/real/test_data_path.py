"""The data path on real rasters and polygons: burns that providers published, awkward files, splits."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from data_scenes import channel
from real_data import BOXES, FIELDS, ORTHOSEG, burnt, layers
from scipy.ndimage import label

from geoseg_engine.contract import (
    IGNORE,
    Area,
    Band,
    CheckJob,
    GeoSegError,
    GridRequest,
    LabelClass,
    Labels,
    Source,
    StackJob,
    TileJob,
)
from geoseg_engine.dataset import tiles
from geoseg_engine.dataset.checks import check
from geoseg_engine.dataset.datasets import read_dataset, read_ids
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking import stack
from geoseg_engine.stacking.reader import open_stack


def dry(folder: Path, data: Path, *names: str, dem: int = 0, **more) -> dict:
    """Dry run of a stack."""
    sources, bands = layers(data, *names, dem=dem)
    return stack.run(StackJob(sources, bands, dry_run=True, **more), folder, channel(folder))


def test_chiapas_is_burnt_as_its_author_did(tmp_path, data):
    with rasterio.open(data / "chiapas_landsat" / "training_data.gtif") as dataset:
        theirs = dataset.read(1)
    classes = tuple(LabelClass(0, f"class {value}", str(value)) for value in range(1, 6))
    source = Labels(str(data / "chiapas_landsat/training_data.shp"), "", "", "id", classes, "unknown")
    result = burnt(tmp_path, data, ("chiapas_landsat/LE70220491999322EDC01_stack.gtif",), source)
    ids = read_ids(tmp_path / "labels.tif")
    np.testing.assert_array_equal(np.where(ids == IGNORE, 0, ids + 1), theirs)
    assert sum(result["counts"].values()) == 718


@pytest.mark.parametrize(("radius", "unit"), [(0.0, "px"), (2.0, "px"), (60.0, "m")])
def test_points_in_the_polygons_of_chiapas_are_objects(tmp_path, data, radius, unit):
    drawn = geopandas.read_file(data / "chiapas_landsat/training_data.shp")
    drawn["geometry"] = drawn.representative_point()
    drawn.to_file(tmp_path / "points.gpkg")
    source = Labels(str(tmp_path / "points.gpkg"), class_field="class", point_radius=radius, size_unit=unit)
    result = burnt(tmp_path, data, ("chiapas_landsat/LE70220491999322EDC01_stack.gtif",), source)
    ids = read_ids(tmp_path / "labels.tif")
    pieces = sum(int(label(ids == item["id"])[1]) for item in result["classes"])
    assert (pieces, result["overlap_px"]) == (30, 0)
    labelled = sum(result["counts"].values())
    assert labelled == 30 if not radius else labelled == pytest.approx(30 * np.pi * 4, rel=0.03)
    assert result["ignored_px"] == ids.size - labelled


def test_eolearn_is_burnt_as_its_provider_did(tmp_path, data):
    with rasterio.open(data / "eolearn_timeseries_lulc" / "lulc_mask.tif") as dataset:
        theirs = dataset.read(1)
    classes = tuple(LabelClass(0, str(value), str(value)) for value in (1, 2, 3, 4, 8))
    source = Labels(str(data / "eolearn_timeseries_lulc/LULC.gpkg"), "", "", "LULC_ID", classes, "unknown")
    burnt(tmp_path, data, ("eolearn_timeseries_lulc/dem.tif",), source)
    ids = read_ids(tmp_path / "labels.tif")
    values = np.zeros(256, int)
    values[:5] = (1, 2, 3, 4, 8)
    ours = values[ids]
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("raster", "polygons", "px"),
    [
        (
            "everest_glacier/LE71400412000304SGS00_RGB.tif",
            "everest_glacier/15_rgi60_glacier_outlines.gpkg",
            282_802,
        ),
        ("opengeos_dem_buildings/dsm.tif", "opengeos_dem_buildings/buildings.geojson", 6_402),
        ("runopt_debrisflow_dem/elev_12_5m.tif", "runopt_debrisflow_dem/dflow_runout_ply.shp", 12_113),
        ("oggm_glaciers/oetztal/srtm_oetztal.tif", "oggm_glaciers/oetztal/rgi_oetztal.shp", 14_911),
    ],
)
def test_known_pixel_counts(tmp_path, data, raster, polygons, px):
    result = burnt(tmp_path, data, (raster,), Labels(str(data / polygons)))
    assert result["counts"]["1"] == px


def test_partial_labels_warn_without_an_area_only(tmp_path, data):
    rasters = ("opengeos_dem_buildings/dsm.tif", "opengeos_dem_buildings/dtm.tif")
    source = Labels(str(data / "opengeos_dem_buildings/buildings.geojson"))
    assert "labels_incomplete" in [
        item["code"] for item in burnt(tmp_path, data, rasters, source)["warnings"]
    ]
    tiles.run(TileJob("stack.recipe.json", "labels.tif"), tmp_path, channel(tmp_path))
    assert "labels_incomplete" in [item.code for item in read_dataset(tmp_path)[0].warnings]
    hull = burnt(tmp_path, data, rasters, source, Area("concave_hull"))
    assert "labels_incomplete" not in [item["code"] for item in hull["warnings"]]
    glaciers = Labels(str(data / "everest_glacier/15_rgi60_glacier_outlines.gpkg"))
    full = burnt(tmp_path, data, ("everest_glacier/LE71400412000304SGS00_RGB.tif",), glaciers)
    assert full["warnings"] == []


def test_providers_boxes_and_split(tmp_path, data):
    area = Area("polygons", str(data / BOXES), split_field="traindata_type")
    source = Labels(str(data / FIELDS), "", "fields", "label_name")
    result = burnt(tmp_path, data, (ORTHOSEG,), source, area)
    assert result["skipped"] == 1 and abs(sum(result["counts"].values()) - 11 * 4096) < 100
    tiled = tiles.run(TileJob("stack.recipe.json", "labels.tif", area=area), tmp_path, channel(tmp_path))
    counts = {name: sum(per_class.values()) for name, per_class in tiled["counts"].items()}
    assert (
        counts["test"] == 2 * 4096 and counts["validation"] in (4096, 2 * 4096) and counts["train"] > 6 * 4096
    )
    assert all(px for per_class in tiled["counts"].values() for px in per_class.values())
    assert {"validation_is_test", "split_carved"} <= {item["code"] for item in tiled["warnings"]}


@pytest.mark.parametrize("sensor", ["lsat", "sen2"])
def test_sparse_classes_reach_every_split(tmp_path, data, sensor):
    base = "rstoolbox_landcover_dem/"
    source = Labels(str(data / f"{base}training_{sensor}.gpkg"), "", "", "class", (), "unknown")
    burnt(tmp_path, data, (f"{base}{sensor}.tif", f"{base}srtm_{sensor}.tif"), source)
    tiled = tiles.run(TileJob("stack.recipe.json", "labels.tif"), tmp_path, channel(tmp_path))
    assert all(px > 0 for per_class in tiled["counts"].values() for px in per_class.values())


def test_check_of_the_fields_without_boxes(tmp_path, data):
    sources, bands = layers(data, ORTHOSEG)
    job = CheckJob(sources, Labels(str(data / FIELDS), class_field="label_name"), bands)
    codes = {item["code"] for item in check.run(job, tmp_path, channel(tmp_path))["problems"]}
    assert codes == {"no_geometry", "labels_outside", "labels_incomplete"}


@pytest.mark.parametrize(
    ("names", "dem", "more"),
    [
        (("rstoolbox_landcover_dem/lsat.tif", "rstoolbox_landcover_dem/srtm_lsat.tif"), 2, {}),
        (("eolearn_timeseries_lulc/ndvi_68dates.tif", "eolearn_timeseries_lulc/dem.tif"), 2, {}),
        (("oggm_glaciers/oetztal/srtm_oetztal.tif",), 1, {}),
        (("oggm_glaciers/columbia_local_tm/dem_Columbia.tif",), 1, {"grid": GridRequest(crs="EPSG:4326")}),
        (("awkward_rasters/rio-tiler/cog_cmap.tif",), 0, {}),
        (("awkward_rasters/rio-tiler/cog_dateline.tif",), 0, {"grid": GridRequest(crs="EPSG:4326")}),
        (("awkward_rasters/rasterio/goes.tif",), 0, {"grid": GridRequest(crs="EPSG:4326")}),
        (("awkward_rasters/odc-geo/au-gcp.tif",), 0, {}),
        (("awkward_rasters/rasterio/RGBA.byte.tif",), 0, {}),
        (("awkward_rasters/rioxarray/MODIS_ARRAY.nc",), 0, {}),
        (("awkward_rasters/sits_modis_12dates/TERRA_MODIS_012010_NDVI_2014-08-29.jp2",), 0, {}),
    ],
)
def test_dry_runs_find_a_grid_and_write_nothing(tmp_path, data, names, dem, more):
    result = dry(tmp_path, data, *names, dem=dem, **more)
    assert result["grid"] and not [item for item in result["problems"] if item["severity"] == "error"]
    assert {path.name for path in tmp_path.iterdir()} <= {"events.jsonl"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rasterio/float.tif", "no_crs"),
        ("rasterio/rotated.tif", "no_crs"),
        ("rasterio/RGB.byte.rpc.vrt", "not_georeferenced"),
        ("rasterio/RGB.nc", "no_bands"),
        ("rasterio/no_band.h5", "no_bands"),
        ("rioxarray/cint16.tif", "complex_values"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_awkward_files_are_refused_with_a_reason(data, name, code):
    with pytest.raises(GeoSegError) as caught:
        layers(data, f"awkward_rasters/{name}")
    assert caught.value.code == code and caught.value.hint


@pytest.mark.parametrize(
    ("name", "code", "severity"),
    [
        ("awkward_rasters/rasterio/all-nodata.tif", "empty_band", "error"),
        ("awkward_rasters/rasterio/corrupt.tif", "cannot_read", "error"),
        ("awkward_rasters/odc-geo/au-3577-rotated.tif", "rotated", "warning"),
        ("awkward_rasters/rioxarray/2d_test.tif", "rotated", "warning"),
        ("chiapas_landsat/LE70220491999322EDC01_stack.gtif", "constant_band", "warning"),
        ("enmap_potsdam_specdeepmap/images/enmap_potsdam_tile_160_160.tif", "empty_band", "error"),
    ],
)
def test_awkward_values_are_listed(tmp_path, data, name, code, severity):
    problems = dry(tmp_path, data, name)["problems"]
    found = [(item["code"], item["severity"]) for item in problems if item["code"] != "bad_bands"]
    assert found == [(code, severity)]
    assert any(item["code"] == "bad_bands" for item in problems) == ("enmap" in name)


def test_four_rasters_of_one_place_in_four_crs(tmp_path, data):
    base = "awkward_rasters/eis_toolkit/"
    names = (
        "small_raster.tif",
        "raster_to_unify_2.tif",
        "small_raster_EPSG4326.tif",
        "small_raster_qgis_kkj.tif",
    )
    sources, bands = layers(data, *(base + name for name in names))
    stack.run(StackJob(sources, bands), tmp_path, channel(tmp_path))
    with open_stack(tmp_path / "stack.tif") as reader:
        assert reader.grid.width in (45, 46) and reader.grid.crs == "EPSG:3067"
        values = reader.read(full_window(reader.grid))
    same = values[[0, 2, 3]][:, 3:-3, 3:-3]
    assert np.corrcoef(same.reshape(3, -1)).min() > 0.9, "the same raster by three ways"


def test_layers_far_apart_are_named(tmp_path, data):
    result = dry(
        tmp_path, data, "opengeos_dem_buildings/dsm.tif", "everest_glacier/LE71400412000304SGS00_B4.tif"
    )
    assert result["problems"][0]["code"] == "no_overlap" and "dsm" in result["problems"][0]["message"]


def test_slopes_in_degrees_and_metres_agree(tmp_path, data):
    sources = (Source("r1", str(data / "oggm_glaciers/oetztal/srtm_oetztal.tif"), "dem"),)
    slope = (Band("slope", "r1", 1, "slope"),)
    medians = []
    for request in (GridRequest(), GridRequest(crs="EPSG:32632")):
        stack.run(StackJob(sources, slope, request), tmp_path, channel(tmp_path))
        with open_stack(tmp_path / "stack.tif") as reader:
            medians.append(float(np.nanmedian(reader.read(full_window(reader.grid)))))
    assert 15 < medians[0] < 35 and medians[0] == pytest.approx(medians[1], rel=0.02)
