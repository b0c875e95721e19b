"""Labels on real data: agreement with the providers' masks pixel by pixel, label rasters, distances to polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_scenes import channel

from geoseg_engine.bands.sources.registry import open_bands
from geoseg_engine.contract import IGNORE, Band, LabelClass, Labels, RasterizeJob, Source
from geoseg_engine.dataset.datasets import read_ids
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.raster.grid import full_window, windows
from geoseg_engine.raster.sources import open_source, source_grid

REFERENCES = {
    "chiapas": (
        "chiapas_landsat/training_data.gtif",
        Labels("chiapas_landsat/training_data.shp", class_field="id", unlabelled="unknown"),
        (1, 2, 3, 4, 5),
    ),
    "eolearn": (
        "eolearn_timeseries_lulc/lulc_mask.tif",
        Labels("eolearn_timeseries_lulc/LULC.gpkg", class_field="LULC_ID", unlabelled="unknown"),
        (1, 2, 3, 4, 8),
    ),
}
"""The provider's mask, whose 0 is ground without label; the polygons it was made of; the classes by value."""


def rasterized(folder: Path, stack: Path, source: Labels) -> tuple[np.ndarray, dict]:
    result = labels.run(RasterizeJob(str(stack), source), folder, channel(folder))
    return read_ids(folder / "labels.tif"), result


@pytest.mark.parametrize("case", REFERENCES)
def test_every_pixel_is_the_providers(tmp_path, data, case, capsys):
    mask, source, values = REFERENCES[case]
    legend = tuple(LabelClass(0, f"class {value}", str(value)) for value in values)
    polygons = Labels(
        str(data / source.path), class_field=source.class_field, classes=legend, unlabelled="unknown"
    )
    with rasterio.open(data / mask) as dataset:
        theirs = dataset.read(1)
        profile = {**dataset.profile, "driver": "GTiff", "dtype": "uint8", "nodata": None, "count": 1}
    with rasterio.open(tmp_path / "grid.tif", "w", **profile) as dataset:
        dataset.write(np.ones(theirs.shape, np.uint8), 1)
    ids, _ = rasterized(tmp_path, tmp_path / "grid.tif", polygons)
    table = np.zeros(256, int)
    table[: len(values)] = values
    agree = float((table[ids] == theirs).mean())
    with capsys.disabled():
        print(f"\n{case}: {agree:.4%} of {theirs.size:,} pixels as the provider's mask")
    assert agree == 1.0
    again = Labels(str(data / mask), kind="raster", classes=legend, unlabelled="unknown", excluded=("0",))
    from_raster, _ = rasterized(tmp_path, tmp_path / "grid.tif", again)
    np.testing.assert_array_equal(from_raster, ids, "the mask itself taken as labels")


def test_a_label_raster_of_another_scene_keeps_its_classes(tmp_path, data):
    folder = data / "enmap_potsdam_specdeepmap"
    whole_map = folder / "enmap_landcover_unstyled.tif"
    tile = next(iter(sorted((folder / "labels").glob("*.tif"))))
    source = Labels(str(whole_map), kind="raster", unlabelled="unknown", excluded=("0",))
    ids, result = rasterized(tmp_path, tile, source)
    with rasterio.open(tile) as dataset:
        theirs = dataset.read(1)
    names = np.array([float(item["value"]) for item in result["classes"]])
    ours = np.append(names, np.zeros(256 - len(names)))[ids]
    assert ids.shape == theirs.shape and (ours == theirs).mean() == 1.0


@pytest.mark.parametrize(
    ("raster", "polygons"),
    [
        ("oggm_glaciers/oetztal/srtm_oetztal.tif", "oggm_glaciers/oetztal/rgi_oetztal.shp"),
        ("runopt_debrisflow_dem/elev_12_5m.tif", "runopt_debrisflow_dem/dflow_runout_ply.shp"),
    ],
)
def test_distance_to_real_polygons_does_not_depend_on_the_window(tmp_path, data, raster, polygons):
    source = Source("v", str(data / polygons), kind="vector")
    raster_source = Source("r", str(data / raster))
    with open_source(raster_source) as dataset:
        grid = source_grid(raster_source, dataset)
    with open_bands(source, (Band("d", "v", derive="distance"),), grid) as opened:
        expected = opened.read(full_window(grid))
        assert expected.min() == 0 and expected.max() > 100
        for window in windows(grid, 128):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_allclose(opened.read(window), expected[:, rows, cols], atol=1e-5)


def test_options_only_ignore(tmp_path, data):
    glaciers = str(data / "everest_glacier/15_rgi60_glacier_outlines.gpkg")
    stack = data / "everest_glacier/LE71400412000304SGS00_RGB.tif"
    plain, _ = rasterized(tmp_path, stack, Labels(glaciers))
    for more in ({"border_px": 4}, {"min_area_px": 200}):
        ids, result = rasterized(tmp_path, stack, Labels(glaciers, **more))
        changed = ids != plain
        assert (ids[changed] == IGNORE).all() and changed.sum() == result["border_px"] + result[
            "small_px"
        ] > 0
