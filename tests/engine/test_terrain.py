"""Terrain attributes: known surfaces, RichDEM against ours, degrees, rotation, voids, seams."""

import math

import numpy as np
import pyproj
import pytest
from data_scenes import CORNER, channel, hills, utm_grid, write_raster
from rasterio.transform import Affine

from geoseg_engine.bands import relief
from geoseg_engine.bands.by_richdem import fits_richdem, richdem_is_installed
from geoseg_engine.contract import TERRAIN_ATTRIBUTES, Band, GeoSegError, Grid, Source, StackJob, TerrainJob
from geoseg_engine.raster.grid import Window, full_window
from geoseg_engine.stacking import stack, terrain
from geoseg_engine.stacking.reader import open_stack

NINE_CELLS = tuple(relief.ATTRIBUTES)


def bands(names: tuple[str, ...], engine: str = "numpy") -> tuple[Band, ...]:
    return tuple(Band(name, "dem", 1, name, parameters={"engine": engine}) for name in names)


def attributes(
    heights: np.ndarray, grid: Grid, engine: str = "numpy", names: tuple[str, ...] = TERRAIN_ATTRIBUTES
) -> dict[str, np.ndarray]:
    halo = np.pad(heights.astype(float), 1, constant_values=np.nan)
    found = relief.relief_bands(halo, grid, full_window(grid), bands(names, engine))
    return dict(zip(names, found, strict=True))


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


@pytest.mark.skipif(not richdem_is_installed(), reason="richdem is not installed")
def test_richdem_and_ours_agree():
    heights = hills(70, 80).astype(float)
    heights[30:33, 40:44] = np.nan
    grid = utm_grid(80, 70)
    assert fits_richdem(grid)
    theirs, ours = attributes(heights, grid, "richdem"), attributes(heights, grid, "numpy")
    for name in TERRAIN_ATTRIBUTES:
        np.testing.assert_array_equal(np.isnan(theirs[name]), np.isnan(ours[name]))
        np.testing.assert_allclose(theirs[name], ours[name], rtol=2e-4, atol=2e-4, err_msg=name)


def test_richdem_is_not_used_where_its_cell_size_would_be_wrong():
    degrees = Grid("EPSG:4326", (1e-4, 0, 10, 0, -1e-4, 47), 9, 9)
    mercator = Grid("EPSG:3857", (10, 0, 1e6, 0, -10, 6e6), 9, 9)
    oblong = Grid("EPSG:32632", (10, 0, *CORNER[:1], 0, -11, CORNER[1]), 9, 9)
    west = Grid("EPSG:2048", (10, 0, 36e3, 0, -10, 3753e3), 9, 9)
    polar = Grid("EPSG:3413", (10, 0, 8e5, 0, -10, 12e5), 9, 9)
    assert not any(fits_richdem(grid) for grid in (degrees, mercator, oblong, west, polar))


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


ROTATED = (
    'GEOGCRS["rotated",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]]],DERIVINGCONVERSION["Pole rotation",'
    'METHOD["PROJ ob_tran o_proj=longlat"],PARAMETER["o_lon_p",0],'
    'PARAMETER["o_lat_p",39.25],PARAMETER["lon_0",18]],CS[ellipsoidal,2],AXIS["longitude",east],AXIS["latitude",north],'
    'ANGLEUNIT["degree",0.0174532925199433]]'
)
PLACES = {
    "UTM": ("EPSG:32632", 5e5, 52e5, 10.0),
    "south up": ("EPSG:32632", 5e5, 52e5, -10.0),
    "axes west and south": ("EPSG:2048", 36e3, 3753e3, 10.0),
    "axes south and west": ("EPSG:5513", 1043e3, 745e3, 10.0),
    "Krovak": ("EPSG:5514", -745e3, -1043e3, 10.0),
    "polar, Greenland": ("EPSG:3413", 1e5, -2e6, 10.0),
    "polar, Siberia": ("EPSG:3413", 8e5, 12e5, 10.0),
    "polar, Antarctica": ("EPSG:3031", 14e5, -3e5, 10.0),
    "polar and coarse": ("EPSG:3411", 5e5, 12e5, 25e3),
    "at the pole": ("EPSG:3413", 4e4, 2e4, 2000.0),
    "equal areas, polar": ("EPSG:6931", 19e5, -1e6, 10.0),
    "equal areas, continental": ("EPSG:3035", 28e5, 19e5, 10.0),
    "conic": ("EPSG:3978", -18e5, 14e5, 10.0),
    "degrees": ("EPSG:4326", 10.0, 47.0, 1e-4),
    "degrees, rotated pole": (ROTATED, 3.0, 5.0, 1e-4),
    "Mercator": ("EPSG:3857", 1e6, 84e5, 10.0),
    "equal areas, cylindrical": ("EPSG:6933", 1e6, 56e5, 10.0),
    "sinusoidal": ("+proj=sinu +R=6371007.181", 43e5, 55e5, 10.0),
    "feet": ("EPSG:2263", 1e6, 2e5, 30.0),
    "grads": ("EPSG:4807", 0.1, 50.0, 1e-4),
}


@pytest.mark.parametrize("place", PLACES)
def test_ground_that_falls_to_the_true_east_does_so_on_every_grid(place):
    crs, x, y, pixel = PLACES[place]
    grid = Grid(crs, (abs(pixel), 0, x, 0, -pixel, y), 24, 24)
    cols, rows = np.meshgrid(np.arange(24) + 0.5, np.arange(24) + 0.5)
    own = pyproj.CRS(crs)
    base = own.source_crs if own.is_geographic and own.is_derived else own.geodetic_crs
    to_degrees = pyproj.Transformer.from_crs(own, base, always_xy=True)
    unit = math.degrees(base.axis_info[0].unit_conversion_factor)
    lon, lat = (
        np.asarray(part) * unit for part in to_degrees.transform(x + abs(pixel) * cols, y - pixel * rows)
    )
    middle = np.full_like(lon, lon[12, 12]), np.full_like(lat, lat[12, 12])
    azimuth, _, distance = own.get_geod().inv(*middle, lon, lat)
    heights = -distance * np.sin(np.radians(azimuth))
    names = ("slope", "aspect_sin", "aspect_cos", "hillshade", "curvature")
    found = attributes(heights, grid, names=names)
    slope, sine, cosine, shade, curvature = (found[name][12, 12] for name in names)
    assert slope == pytest.approx(45, abs=0.2)
    assert sine == pytest.approx(1, abs=0.01) and cosine == pytest.approx(0, abs=0.06)
    assert shade == pytest.approx(38, abs=5) and curvature == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    "place", ["polar, Siberia", "polar and coarse", "at the pole", "conic", "degrees, rotated pole"]
)
def test_windows_have_no_seams_where_every_pixel_has_its_own_size(place):
    crs, x, y, pixel = PLACES[place]
    grid = Grid(crs, (pixel, 0, x - 60 * pixel, 0, -pixel, y + 50 * pixel), 150, 130)
    heights = np.tile(hills(65, 75), (2, 2))
    halo = np.pad(heights, 1, constant_values=np.nan)
    chosen = bands(NINE_CELLS)
    expected = relief.relief_bands(halo, grid, full_window(grid), chosen)
    assert np.isfinite(expected).all()
    for window in (Window(0, 0, 64, 64), Window(63, 65, 67, 85), Window(17, 130, 1, 1)):
        part = halo[window.row : window.row + window.height + 2, window.col : window.col + window.width + 2]
        rows, cols = window.within(full_window(grid))
        np.testing.assert_array_equal(
            relief.relief_bands(part, grid, window, chosen), expected[:, rows, cols]
        )


def test_voids_do_not_spread():
    heights = hills(20, 20).astype(float)
    heights[8:10, 8:10] = np.nan
    for engine in ("numpy", "richdem") if richdem_is_installed() else ("numpy",):
        found = attributes(heights, utm_grid(20, 20), engine)
        for values in found.values():
            np.testing.assert_array_equal(np.isnan(values), np.isnan(heights))
    for values in attributes(heights, utm_grid(20, 20), names=NINE_CELLS).values():
        np.testing.assert_array_equal(np.isnan(values), np.isnan(heights))


@pytest.mark.parametrize("engine", ["numpy", "richdem"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_windows_have_no_seams(engine, dtype):
    if engine == "richdem" and not richdem_is_installed():
        pytest.skip("richdem is not installed")
    names = NINE_CELLS if engine == "numpy" else TERRAIN_ATTRIBUTES
    heights, grid = hills(40, 50).astype(dtype), utm_grid(50, 40)
    heights[20:22, 5:30] = np.nan
    halo = np.pad(heights, 1, constant_values=np.nan)
    chosen = bands(names, engine)
    expected = relief.relief_bands(halo, grid, full_window(grid), chosen)
    for window in (Window(0, 0, 13, 17), Window(13, 17, 20, 20), Window(33, 37, 7, 13), Window(5, 5, 1, 1)):
        part = halo[window.row : window.row + window.height + 2, window.col : window.col + window.width + 2]
        found = relief.relief_bands(part, grid, window, chosen)
        rows, cols = window.within(full_window(grid))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected[:, rows, cols])


def test_float32_heights_lose_nothing_that_matters():
    heights, grid = hills(60, 60) + np.float32(3000), utm_grid(60, 60)
    halo = np.pad(heights, 1, constant_values=np.nan)
    single = relief.relief_bands(halo, grid, full_window(grid), bands(("slope", "aspect_sin")))
    double = relief.relief_bands(halo.astype(float), grid, full_window(grid), bands(("slope", "aspect_sin")))
    np.testing.assert_allclose(single, double, atol=1e-4)


def test_total_curvature_of_a_bowl_and_of_a_saddle_is_the_same():
    y, x = np.mgrid[-10:11, -10:11] * 10.0
    inner = np.s_[1:-1, 1:-1]
    for surface in (0.01 * (x**2 + y**2), 0.01 * (x**2 - y**2), 0.02 * x * y):
        found = attributes(surface, utm_grid(21, 21), names=("total_curvature",))["total_curvature"]
        np.testing.assert_allclose(found[inner], 10_000 * 2 * 0.02**2, atol=1e-9)


def test_ruggedness_and_roughness_of_a_plane_are_known():
    found = attributes(plane(9, 9, 0.5, 0), utm_grid(9, 9), names=("tri", "roughness"))
    np.testing.assert_allclose(found["tri"], math.sqrt(6) * 5, atol=1e-9)
    np.testing.assert_allclose(found["roughness"], 10, atol=1e-9)


def test_the_side_towards_the_light_is_bright():
    grid, name = utm_grid(9, 9), "hillshade"
    steep = math.tan(math.radians(45))
    facing = attributes(plane(9, 9, steep, 0), grid, names=(name,))[name]  # falls to the west
    lit = Band(name, "dem", 1, name, parameters={"azimuth": 270.0, "altitude": 45.0})
    halo = np.pad(plane(9, 9, steep, 0), 1, constant_values=np.nan)
    np.testing.assert_allclose(relief.relief_bands(halo, grid, full_window(grid), (lit,)), 255)
    assert attributes(np.full((9, 9), 5.0), grid, names=(name,))[name] == pytest.approx(
        1 + 254 * math.sqrt(0.5)
    )
    assert 180 < facing[4, 4] < 255


def test_job_writes_bands_and_names_the_engine(tmp_path):
    write_raster(tmp_path / "dem.tif", hills(30, 40))
    job = TerrainJob(Source("dem", str(tmp_path / "dem.tif"), "dem"), ("slope", "curvature", "tpi"))
    result = terrain.run(job, tmp_path, channel(tmp_path))
    assert result["engine"] == ("richdem" if richdem_is_installed() else "numpy")
    assert result["engines"] == {"slope": "numpy", "curvature": result["engine"], "tpi": "numpy"}
    with open_stack(tmp_path / "terrain.tif") as reader:
        assert reader.band_names == ["slope", "curvature", "tpi"]
        slope = reader.read(full_window(reader.grid))[0]
        assert slope.shape == (30, 40) and 0 < np.nanmax(slope) < 90


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"radius_m": "wide"}, "bad_parameter"),
        ({"radius_m": -5.0}, "bad_parameter"),
        ({"radius_m": 1e6}, "radius"),
        ({"engine": "abacus"}, "bad_parameter"),
        ({"azimuth": "north"}, "bad_parameter"),
        ({"altitude": 100.0}, "bad_parameter"),
    ],
)
def test_a_parameter_that_will_not_do_is_said_before_anything_is_written(tmp_path, parameters, code):
    write_raster(tmp_path / "dem.tif", hills(30, 40))
    job = TerrainJob(Source("dem", str(tmp_path / "dem.tif"), "dem"), ("tpi", "slope"), parameters=parameters)
    with pytest.raises(GeoSegError) as caught:
        terrain.run(job, tmp_path, channel(tmp_path))
    assert caught.value.code == code
    assert not (tmp_path / "terrain.tif").exists()


def test_a_stack_is_told_of_a_radius_that_is_too_wide_when_it_is_planned(tmp_path):
    dem = Source("dem", str(write_raster(tmp_path / "dem.tif", hills(30, 40))), "Heights")
    band = Band("high", "dem", 1, "local_relief", parameters={"radius_m": 20_000.0})
    job = StackJob((dem,), (band,), dry_run=True)
    problems = stack.run(job, tmp_path, channel(tmp_path))["problems"]
    assert [problem["code"] for problem in problems] == ["radius"] and "5120 m" in problems[0]["hint"]


def test_a_dem_in_several_files_is_one_dem(tmp_path):
    heights = hills(60, 80)
    write_raster(tmp_path / "dem.tif", heights)
    write_raster(tmp_path / "west.tif", heights[:, :45])
    east = (CORNER[0] + 450, CORNER[1])
    write_raster(tmp_path / "east.tif", heights[:, 45:], corner=east)
    names, parameters = ("slope", "curvature", "tpi", "multiscale_tpi"), {"radius_m": 100.0}
    found = []
    for dem in (
        Source("dem", str(tmp_path / "dem.tif")),
        Source("dem", str(tmp_path / "west.tif"), paths=(str(tmp_path / "east.tif"),)),
    ):
        terrain.run(TerrainJob(dem, names, parameters=parameters), tmp_path, channel(tmp_path))
        with open_stack(tmp_path / "terrain.tif") as reader:
            found.append(reader.read(full_window(reader.grid)))
    np.testing.assert_array_equal(*found)


def test_a_source_without_pixels_is_no_dem(tmp_path):
    with pytest.raises(GeoSegError):
        terrain.run(
            TerrainJob(Source("dem", str(tmp_path / "roads.gpkg"), kind="vector"), ("slope",)),
            tmp_path,
            channel(tmp_path),
        )
