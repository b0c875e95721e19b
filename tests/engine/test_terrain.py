"""Terrain attributes: known surfaces, RichDEM against ours, degrees, rotation, voids, seams."""

import math

import numpy as np
import pytest
from data_scenes import CORNER, channel, hills, utm_grid, write_raster
from rasterio.transform import Affine

from geoseg_engine.bands import relief
from geoseg_engine.contract import TERRAIN_ATTRIBUTES, Grid, Source, TerrainJob
from geoseg_engine.raster.grid import Window, whole
from geoseg_engine.stacking import terrain
from geoseg_engine.stacking.reader import open_stack


def attributes(heights: np.ndarray, grid: Grid, engine: str = "numpy") -> dict[str, np.ndarray]:
    halo = np.pad(heights.astype(float), 1, constant_values=np.nan)
    found = relief.attributes(halo, grid, whole(grid), TERRAIN_ATTRIBUTES, engine)
    return dict(zip(TERRAIN_ATTRIBUTES, found, strict=True))


def plane(rows: int, cols: int, east: float, north: float, pixel: float = 10.0) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:cols]
    return 100 + east * pixel * x - north * pixel * y


@pytest.mark.parametrize(
    ("east", "north", "aspect"), [(0, -1, 0), (-1, 0, 90), (0, 1, 180), (1, 0, 270), (-1, -1, 45)]
)
def test_planes_have_their_slope_and_face_downhill(east, north, aspect):
    found = attributes(plane(9, 11, 0.5 * east, 0.5 * north), utm_grid(11, 9))
    steep = math.degrees(math.atan(0.5 * math.hypot(east, north)))
    np.testing.assert_allclose(found["slope"], steep, atol=1e-6)
    np.testing.assert_allclose(found["aspect_sin"], math.sin(math.radians(aspect)), atol=1e-9)
    np.testing.assert_allclose(found["aspect_cos"], math.cos(math.radians(aspect)), atol=1e-9)
    np.testing.assert_allclose(found["curvature"], 0, atol=1e-9)


def test_flat_ground_faces_nowhere():
    found = attributes(np.full((5, 5), 3.0), utm_grid(5, 5))
    assert all((values == 0).all() for values in found.values())


def test_a_bowl_has_negative_curvature_of_known_size():
    y, x = np.mgrid[-10:11, -10:11] * 10.0
    found = attributes(0.01 * (x**2 + y**2), utm_grid(21, 21))
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(found["curvature"][inner], -100 * 0.04, atol=1e-9)
    assert found["profile_curvature"][5, 5] > 0 > found["planform_curvature"][5, 5]


@pytest.mark.skipif(not relief.richdem_is_there(), reason="richdem is not installed")
def test_richdem_and_ours_agree():
    heights = hills(70, 80).astype(float)
    heights[30:33, 40:44] = np.nan
    grid = utm_grid(80, 70)
    assert relief.uses_richdem(grid)
    theirs, ours = attributes(heights, grid, "richdem"), attributes(heights, grid, "numpy")
    for name in TERRAIN_ATTRIBUTES:
        np.testing.assert_array_equal(np.isnan(theirs[name]), np.isnan(ours[name]))
        np.testing.assert_allclose(theirs[name], ours[name], rtol=2e-4, atol=2e-4, err_msg=name)


def test_richdem_is_not_used_where_its_cell_size_would_be_wrong():
    degrees = Grid("EPSG:4326", (1e-4, 0, 10, 0, -1e-4, 47), 9, 9)
    mercator = Grid("EPSG:3857", (10, 0, 1e6, 0, -10, 6e6), 9, 9)
    oblong = Grid("EPSG:32632", (10, 0, *CORNER[:1], 0, -11, CORNER[1]), 9, 9)
    assert not any(relief.uses_richdem(grid) for grid in (degrees, mercator, oblong))


@pytest.mark.parametrize("latitude", [0.0, 47.0, -70.0])
def test_degrees_are_taken_for_what_they_measure(latitude):
    grid = Grid("EPSG:4326", (1e-4, 0.0, 10.0, 0.0, -1e-4, latitude), 30, 30)
    meridian = 111_132.95 - 559.85 * math.cos(2 * math.radians(latitude))
    parallel = 111_412.88 * math.cos(math.radians(latitude)) - 93.5 * math.cos(3 * math.radians(latitude))
    y, x = np.mgrid[0:30, 0:30] * 1e-4
    for heights in (0.3 * parallel * x, 0.3 * meridian * y):
        slope = attributes(heights, grid)["slope"][15, 15]
        assert slope == pytest.approx(math.degrees(math.atan(0.3)), abs=0.05)


def test_mercator_is_corrected_by_latitude():
    grid = Grid("EPSG:3857", (10.0, 0.0, 1e6, 0.0, -10.0, 6_446_275.84), 20, 20)  # 50° north
    x = np.mgrid[0:20, 0:20][1] * 10.0
    slope = attributes(0.3 * x * math.cos(math.radians(50)), grid)["slope"][10, 10]
    assert slope == pytest.approx(math.degrees(math.atan(0.3)), abs=0.1)


def test_a_rotated_dem_faces_the_same_way():
    turned = Affine.translation(*CORNER) * Affine.rotation(35) * Affine.scale(10, -8)
    grid = Grid("EPSG:32632", (turned.a, turned.b, turned.c, turned.d, turned.e, turned.f), 20, 20)
    cols, rows = np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5)
    x, _ = turned * (cols, rows)
    found = attributes(0.4 * (x - CORNER[0]), grid)
    np.testing.assert_allclose(found["slope"], math.degrees(math.atan(0.4)), atol=1e-6)
    np.testing.assert_allclose(found["aspect_sin"], -1, atol=1e-9)


def test_voids_do_not_spread():
    heights = hills(20, 20).astype(float)
    heights[8:10, 8:10] = np.nan
    for engine in ("numpy", "richdem") if relief.richdem_is_there() else ("numpy",):
        found = attributes(heights, utm_grid(20, 20), engine)
        for values in found.values():
            np.testing.assert_array_equal(np.isnan(values), np.isnan(heights))


@pytest.mark.parametrize("engine", ["numpy", "richdem"])
def test_windows_have_no_seams(engine):
    if engine == "richdem" and not relief.richdem_is_there():
        pytest.skip("richdem is not installed")
    heights, grid = hills(40, 50).astype(float), utm_grid(50, 40)
    halo = np.pad(heights, 1, constant_values=np.nan)
    expected = attributes(heights, grid, engine)
    for window in (Window(0, 0, 13, 17), Window(13, 17, 20, 20), Window(33, 37, 7, 13)):
        part = halo[window.row : window.row + window.height + 2, window.col : window.col + window.width + 2]
        found = relief.attributes(part, grid, window, TERRAIN_ATTRIBUTES, engine)
        for values, name in zip(found, TERRAIN_ATTRIBUTES, strict=True):
            rows, cols = (
                slice(window.row, window.row + window.height),
                slice(window.col, window.col + window.width),
            )
            np.testing.assert_array_equal(values, expected[name][rows, cols])


def test_job_writes_bands_and_names_the_engine(tmp_path):
    write_raster(tmp_path / "dem.tif", hills(30, 40))
    job = TerrainJob(Source("dem", str(tmp_path / "dem.tif"), "dem"), ("slope", "aspect_sin"))
    result = terrain.run(job, tmp_path, channel(tmp_path))
    assert result["engine"] == ("richdem" if relief.richdem_is_there() else "numpy")
    with open_stack(tmp_path / "terrain.tif") as reader:
        assert reader.band_names == ["slope", "aspect_sin"]
        slope = reader.read(whole(reader.grid))[0]
        assert slope.shape == (30, 40) and 0 < np.nanmax(slope) < 90
