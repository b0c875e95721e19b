"""Terrain of real elevation models: in degrees, with voids, in a CRS of one's own, beside gdaldem."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_scenes import channel
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geoseg_engine.contract import RELIEF_ATTRIBUTES, TERRAIN_ATTRIBUTES, Band, Recipe, Source, TerrainJob
from geoseg_engine.raster.grid import full_window, windows
from geoseg_engine.raster.sources import open_source, source_grid
from geoseg_engine.stacking import terrain
from geoseg_engine.stacking.reader import StackReader, open_stack

OETZTAL = "oggm_glaciers/oetztal/srtm_oetztal.tif"
BALTORO = "oggm_glaciers/baltoro/baltoro_srtm_clip.tif"
SOUTH = "oggm_glaciers/south_glacier/dem_SouthGlacier.tif"
OWN_CRS = (
    "oggm_glaciers/chhota_shigri_local_tm/dem_chhota_shigri.tif",
    "oggm_glaciers/columbia_local_tm/dem_Columbia.tif",
    "oggm_glaciers/greenland_local_tm/dem_RGI50-05.08389.tif",
)
EVERY = TERRAIN_ATTRIBUTES + RELIEF_ATTRIBUTES
WIDE = {"radius_m": 1000.0, "radii": "500,2000"}


def attributes(
    folder: Path, dem: Path | str, *names: str, **parameters: float | str
) -> dict[str, np.ndarray]:
    """What the job writes of a DEM, by name."""
    job = TerrainJob(Source("dem", str(dem)), names, parameters=parameters)
    terrain.run(job, folder, channel(folder))
    with open_stack(folder / "terrain.tif") as reader:
        return dict(zip(names, reader.read(full_window(reader.grid)), strict=True))


def test_slope_in_degrees_is_that_of_the_same_ground_in_metres(data, tmp_path):
    with rasterio.open(data / OETZTAL) as dataset:
        with WarpedVRT(dataset, crs="EPSG:32632", resampling=Resampling.cubic, resolution=70) as warped:
            profile = {**warped.profile, "driver": "GTiff", "dtype": "float32"}
            heights = warped.read(1, masked=True).astype("float32").filled(np.nan)
        with rasterio.open(
            tmp_path / "metres.tif", "w", **{**profile, "nodata": np.nan, "blockysize": 256}
        ) as target:
            target.write(heights, 1)
    degrees = attributes(tmp_path, data / OETZTAL, "slope", "aspect_sin", "aspect_cos")
    metres = attributes(tmp_path, tmp_path / "metres.tif", "slope", "aspect_sin", "aspect_cos")
    for percent in (25, 50, 75, 95):
        one, other = (np.nanpercentile(found["slope"], percent) for found in (degrees, metres))
        assert one == pytest.approx(other, rel=0.06), percent
    for name in ("aspect_sin", "aspect_cos"):
        assert np.nanmean(degrees[name]) == pytest.approx(np.nanmean(metres[name]), abs=0.03)


@pytest.mark.parametrize("name", [OETZTAL, BALTORO, SOUTH, *OWN_CRS])
def test_every_attribute_has_a_value_where_the_height_is_known(data, tmp_path, name):
    source = Source("dem", str(data / name))
    with open_source(source) as dataset:
        heights = dataset.read(1, masked=True)
    found = attributes(tmp_path, data / name, *EVERY, **WIDE)
    known = ~np.ma.getmaskarray(heights)
    for attribute, values in found.items():
        np.testing.assert_array_equal(np.isfinite(values), known, attribute)
    assert found["slope"][known].min() >= 0 and found["slope"][known].max() < 90
    assert found["hillshade"][known].min() >= 1 and found["hillshade"][known].max() <= 255
    assert abs(np.median(found["local_relief"][known])) < 60


@pytest.mark.parametrize("name", [BALTORO, SOUTH])
def test_windows_have_no_seams(data, name):
    source = Source("dem", str(data / name))
    with open_source(source) as dataset:
        grid = source_grid(source, dataset)
    bands = tuple(Band(one, "dem", 1, one, parameters=dict(WIDE)) for one in EVERY)
    with StackReader(Recipe((source,), bands, grid)) as reader:
        expected = reader.read(full_window(grid))
        for window in windows(grid, 97):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_array_equal(reader.read(window), expected[:, rows, cols])


@pytest.mark.skipif(not shutil.which("gdaldem"), reason="gdaldem is not on PATH")
@pytest.mark.parametrize("name", [SOUTH, OWN_CRS[0]])
def test_slope_beside_gdaldem(data, tmp_path, name):
    target = tmp_path / "gdal.tif"
    subprocess.run(["gdaldem", "slope", str(data / name), str(target), "-q"], check=True)
    with rasterio.open(target) as dataset:
        theirs = dataset.read(1, masked=True)
    ours = attributes(tmp_path, data / name, "slope")["slope"]
    known = ~np.ma.getmaskarray(theirs)
    np.testing.assert_allclose(ours[known], theirs[known].data, atol=3e-3)


def test_height_above_the_surroundings_is_alike_on_glaciers_that_lie_2000_m_apart(data, tmp_path):
    heights, reliefs = [], []
    for name in (OETZTAL, BALTORO):
        with open_source(Source("dem", str(data / name))) as dataset:
            heights.append(float(np.ma.median(dataset.read(1, masked=True))))
        reliefs.append(attributes(tmp_path, data / name, "local_relief", **WIDE)["local_relief"])
    assert abs(heights[0] - heights[1]) > 2000
    assert abs(np.nanmedian(reliefs[0]) - np.nanmedian(reliefs[1])) < 100
