"""Areas of a crude map of glaciers, corrected by a sample, beside the areas of their outlines."""

import geopandas
import numpy as np
import pytest
import rasterio

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Area, AreasJob, EvaluateJob, LabelClass, Labels, SampleJob
from geoseg_engine.evaluation import areas, evaluate, sampling
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.sources import Source, open_source, source_grid
from geoseg_engine.raster.writer import RasterWriter

CLASSES = (LabelClass(0, "background", "", "#d9d9d9"), LabelClass(1, "glaciers", "", "#3377cc"))
BRIGHT = 90
GLACIER_PX = 282_802
"""Pixels whose centre an outline holds, as the data's README counts them."""


@pytest.fixture
def scene(data, tmp_path):
    """A map that takes whatever is bright for a glacier, and the outlines."""
    folder = data / "everest_glacier"
    source = Source("b4", str(folder / "LE71400412000304SGS00_B4.tif"))
    with open_source(source) as raster:
        grid, red = source_grid(source, raster), raster.read(1)
    with RasterWriter(tmp_path / "map.tif", grid, "uint8", 255, ("class",), CLASSES) as writer:
        writer.write((red > BRIGHT).astype(np.uint8), Window(0, 0, *red.shape))
    return tmp_path, folder / "15_rgi60_glacier_outlines.gpkg"


def test_a_map_against_outlines_in_another_crs(scene):
    folder, outlines = scene
    job = EvaluateJob(prediction="map.tif", truth=Labels(str(outlines)), area=Area())
    result = evaluate.run(job, folder, Channel(folder))
    assert result["pixels"] == 800 * 655
    assert result["per_class"][1]["support_px"] == GLACIER_PX
    assert result["areas"][1]["true_m2"] == pytest.approx(GLACIER_PX * 900, rel=0.002)


def test_corrected_areas_hold_the_true_ones_where_counted_ones_are_far_off(scene):
    folder, outlines = scene
    job = EvaluateJob(prediction="map.tif", truth=Labels(str(outlines)), output="judged")
    judged = evaluate.run(job, folder, Channel(folder))
    true_m2 = judged["areas"][1]["true_m2"]
    drawn = sampling.run(SampleJob("map.tif", standard_error=0.02), folder, Channel(folder))
    frame = geopandas.read_file(drawn["output"])
    with rasterio.open(folder / "map.tif") as raster:
        crs = raster.crs
    inside = geopandas.read_file(outlines).to_crs(crs).union_all().contains(frame.geometry.array)
    frame["reference"] = np.where(inside, "glaciers", "background")
    frame.to_file(folder / "looked_at.gpkg", layer="sample")
    found = areas.run(AreasJob("map.tif", "looked_at.gpkg"), folder, Channel(folder))
    glaciers = found["rows"][1]
    assert glaciers["low_m2"] < true_m2 < glaciers["high_m2"]
    assert abs(glaciers["area_m2"] / true_m2 - 1) > 0.05
    overall = found["overall"]
    assert overall["low"] < judged["accuracy"] < overall["high"]
