"""Terrain attributes beside those of gdaldem, away from the raster's edge."""

import shutil
import subprocess

import numpy as np
import pytest
import rasterio
from data_scenes import channel, hills, write_raster

from geoseg_engine.contract import Source, TerrainJob
from geoseg_engine.raster.grid import full_window
from geoseg_engine.stacking import terrain
from geoseg_engine.stacking.reader import open_stack

GDALDEM = shutil.which("gdaldem") or ""
pytestmark = pytest.mark.skipif(not GDALDEM, reason="gdaldem is not on PATH")
INNER = np.s_[1:-1, 1:-1]


def by_gdal(folder, *arguments: str) -> np.ndarray:
    target = folder / "gdal.tif"
    subprocess.run(
        [GDALDEM, arguments[0], str(folder / "dem.tif"), str(target), *arguments[1:], "-q"], check=True
    )
    with rasterio.open(target) as dataset:
        return dataset.read(1, masked=True).astype(float).filled(np.nan)[INNER]


def by_us(folder, *names: str, **parameters: float | str) -> list[np.ndarray]:
    job = TerrainJob(Source("dem", str(folder / "dem.tif")), names, parameters=parameters)
    terrain.run(job, folder, channel(folder))
    with open_stack(folder / "terrain.tif") as reader:
        return [values[INNER] for values in reader.read(full_window(reader.grid)).astype(float)]


@pytest.fixture()
def folder(tmp_path):
    write_raster(tmp_path / "dem.tif", hills(300, 400))
    return tmp_path


def test_slope(folder):
    np.testing.assert_allclose(by_us(folder, "slope")[0], by_gdal(folder, "slope"), atol=1e-3)


def test_aspect(folder):
    sine, cosine = by_us(folder, "aspect_sin", "aspect_cos")
    angle = np.radians(by_gdal(folder, "aspect"))
    known = np.isfinite(angle)
    steep = by_us(folder, "slope")[0] > 0.5
    assert (known & steep).mean() > 0.9
    np.testing.assert_allclose(sine[known & steep], np.sin(angle)[known & steep], atol=1e-3)
    np.testing.assert_allclose(cosine[known & steep], np.cos(angle)[known & steep], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("tri", ("TRI", "-alg", "Riley")), ("tpi", ("TPI",)), ("roughness", ("roughness",))],
)
def test_tri_tpi_and_roughness(folder, name, arguments):
    np.testing.assert_allclose(by_us(folder, name)[0], by_gdal(folder, *arguments), atol=2e-3)


@pytest.mark.parametrize(("azimuth", "altitude"), [(315, 45), (90, 20)])
def test_hillshade_but_for_its_rounding(folder, azimuth, altitude):
    theirs = by_gdal(folder, "hillshade", "-az", str(azimuth), "-alt", str(altitude))
    ours = by_us(folder, "hillshade", azimuth=azimuth, altitude=altitude)[0]
    assert np.abs(ours - theirs).max() < 0.51
