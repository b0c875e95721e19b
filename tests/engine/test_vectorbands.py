"""Vector layers as bands: burnt fields, categories, distances; by window, in metres, from the recipe alone."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from data_scenes import CORNER, UTM, channel, hills, pixel_box, utm_grid, write_polygons, write_raster
from pyproj import Geod
from rasterio.features import rasterize
from shapely import affinity

from geoseg_engine.bands.sources.registry import open_bands, own_grid
from geoseg_engine.contract import Band, GeoSegError, Grid, Source, StackJob
from geoseg_engine.raster.grid import Window, affine_of, full_window, windows
from geoseg_engine.stacking import stack
from geoseg_engine.stacking.reader import open_stack

GRID = utm_grid(80, 60)


def layer(path, shapes, crs=UTM, **fields) -> Source:
    return Source("v", str(write_polygons(path, shapes, crs, **fields)), path.stem, kind="vector")


def read(source: Source, *bands: Band, grid: Grid = GRID, size: int = 0) -> np.ndarray:
    """All pixels, at once or by windows of a size."""
    with open_bands(source, bands, grid) as opened:
        if not size:
            return opened.read(full_window(grid))
        result = np.empty((len(bands), grid.height, grid.width), np.float32)
        for window in windows(grid, size):
            result[:, *window.within(full_window(grid))] = opened.read(window)
    return result


def burn(**parameters) -> Band:
    return Band("b", "v", derive="burn", parameters=parameters)


def test_numbers_are_burnt_and_the_later_feature_wins(tmp_path):
    shapes = [
        pixel_box(0, 0, 10, 10),
        pixel_box(5, 5, 10, 10),
        pixel_box(30, 30, 5, 5),
        pixel_box(0, 0, 3, 3),
    ]
    source = layer(tmp_path / "soil.gpkg", shapes, depth=[1.5, 2.5, 7.0, None])
    values, filled = read(source, burn(field="depth"), burn(field="depth", outside=-1.0))
    assert values[2, 2] == 1.5 and values[7, 7] == 2.5 and values[32, 32] == 7 and np.isnan(values[50, 50])
    np.testing.assert_array_equal(filled, np.where(np.isnan(values), -1, values))
    text = layer(tmp_path / "text.gpkg", shapes, depth=["1.5", "x", "7", ""])
    assert read(text, burn(field="depth"))[0, 7, 7] == 1.5


def test_categories_become_bands_of_0_and_1(tmp_path):
    shapes = [pixel_box(0, 0, 10, 10), pixel_box(5, 5, 10, 10), pixel_box(30, 30, 5, 5)]
    source = layer(tmp_path / "rock.gpkg", shapes, kind=["Granite", "slate ", "granite"], code=[1, 2, 1])
    bands = [
        Band(f"{field} {value}", "v", derive="onehot", parameters={"field": field, "value": value})
        for field, value in (("kind", "granite"), ("kind", "slate"), ("code", 1), ("code", "2.0"))
    ]
    granite, slate, one, two = read(source, *bands)
    expected = rasterize([(shapes[0], 1), (shapes[2], 1)], (60, 80), transform=affine_of(GRID))
    np.testing.assert_array_equal(granite, expected)
    np.testing.assert_array_equal(granite, one)
    np.testing.assert_array_equal(slate, two)
    assert granite[7, 7] == slate[7, 7] == 1, "where categories overlap both are there"


def test_lines_and_points_are_burnt_too(tmp_path):
    x, y = CORNER
    shapes = [shapely.LineString([(x + 5, y - 55), (x + 400, y - 55)]), shapely.Point(x + 205, y - 305)]
    values = read(layer(tmp_path / "l.gpkg", shapes, n=[3, 4]), burn(field="n", outside=0.0))[0]
    assert (values[5, :40] == 3).all() and values[30, 20] == 4 and (values > 0).sum() == 41


def scene() -> list[shapely.Geometry]:
    """A turned box, a box with a hole, a long line that leaves the grid, points inside and outside."""
    x, y = CORNER
    ring = shapely.difference(pixel_box(5, 40, 25, 25), pixel_box(12, 47, 10, 10))
    line = shapely.LineString([(x - 5000, y - 900), (x + 100, y - 520), (x + 240, y - 480)])
    points = shapely.MultiPoint([(x + 777, y - 555), (x - 60, y - 100)])
    return [affinity.rotate(pixel_box(10, 8, 9, 14), 33), ring, line, points]


def test_distance_is_right_to_a_quarter_pixel(tmp_path):
    shapes = scene()
    source = layer(tmp_path / "d.gpkg", shapes)
    found = read(source, Band("d", "v", derive="distance", parameters={"limit_m": 150.0}))[0]
    cols, rows = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    centres = shapely.points(CORNER[0] + cols * 10, CORNER[1] - rows * 10)
    exact = np.minimum(np.min([shapely.distance(shape, centres) for shape in shapes], axis=0), 150)
    assert np.abs(found - exact).max() <= 2.5 and found.max() == 150
    assert (found[exact == 0] == 0).all()
    far = layer(tmp_path / "far.gpkg", [pixel_box(900, 900, 5, 5)])
    assert read(far, Band("d", "v", derive="distance"))[0].max() == pytest.approx(500, rel=1e-3), "50 pixels"


def test_distance_is_metres_on_the_ground_in_degrees(tmp_path):
    x, y = 25.0, 69.0
    grid = Grid("EPSG:4326", (0.001, 0.0, x, 0.0, -0.0005, y), 60, 40)
    point = shapely.Point(x + 0.03, y - 0.01)
    source = layer(tmp_path / "p.gpkg", [point], "EPSG:4326")
    found = read(source, Band("d", "v", derive="distance", parameters={"limit_m": 5000.0}), grid=grid)[0]
    cols, rows = np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5)
    lon, lat = x + cols * 0.001, y - rows * 0.0005
    exact = Geod(ellps="WGS84").inv(lon, lat, np.full_like(lon, point.x), np.full_like(lat, point.y))[2]
    np.testing.assert_allclose(found, exact, atol=0.02)
    mercator = geopandas.GeoSeries([point], crs="EPSG:4326").to_crs("EPSG:3857").iloc[0]
    grid = Grid("EPSG:3857", (50.0, 0.0, mercator.x - 1025, 0.0, -50.0, mercator.y + 1025), 41, 41)
    found = read(source, Band("d", "v", derive="distance", parameters={"limit_m": 5000.0}), grid=grid)[0]
    assert found[20, 30] == pytest.approx(500 * np.cos(np.radians(point.y)), rel=0.005)


@pytest.mark.parametrize(
    ("crs", "corner", "pixel"),
    [
        ("EPSG:3413", (-5e5, 5e5), 25e3),  # the pole is in the middle
        ("EPSG:3411", (5e5, 12e5), 25e3),
        ("EPSG:6931", (19e5, -1e6), 1000.0),
        ("EPSG:3035", (28e5, 19e5), 1000.0),
        ("EPSG:27572", (6e5, 22e5), 100.0),  # its base counts in grads from Paris
    ],
)
def test_distance_is_metres_on_the_ground_in_every_projection(tmp_path, crs, corner, pixel):
    grid = Grid(crs, (pixel, 0.0, corner[0], 0.0, -pixel, corner[1]), 40, 40)
    cols, rows = np.meshgrid(np.arange(40) + 0.5, np.arange(40) + 0.5)
    xs, ys = corner[0] + pixel * cols, corner[1] - pixel * rows
    point = shapely.Point(xs[25, 8], ys[25, 8])
    source = layer(tmp_path / "p.gpkg", [point], crs)
    limit_m = 40 * pixel
    found = read(source, Band("d", "v", derive="distance", parameters={"limit_m": limit_m}), grid=grid)[0]
    own = pyproj.CRS(crs)
    unit = np.degrees(own.geodetic_crs.axis_info[0].unit_conversion_factor)
    to_degrees = pyproj.Transformer.from_crs(own, own.geodetic_crs, always_xy=True)
    lon, lat = (np.asarray(part) * unit for part in to_degrees.transform(xs, ys))
    exact = own.get_geod().inv(lon, lat, np.full_like(lon, lon[25, 8]), np.full_like(lat, lat[25, 8]))[2]
    np.testing.assert_allclose(found, np.minimum(exact, limit_m), rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("size", [7, 16, 33])
def test_windows_equal_the_whole(tmp_path, size):
    shapes = scene()
    source = layer(tmp_path / "d.gpkg", shapes, n=[1.0, 2.0, 3.0, 4.0])
    bands = (
        burn(field="n"),
        Band("o", "v", derive="onehot", parameters={"field": "n", "value": 2}),
        Band("d", "v", derive="distance", parameters={"limit_m": 120.0}),
    )
    np.testing.assert_array_equal(read(source, *bands, size=size), read(source, *bands))
    degrees = Grid("EPSG:4326", (1e-4, 0.0, 10.31, 0.0, -1e-4, 46.948), 90, 70)
    found = read(source, bands[2], grid=degrees)
    assert found.min() == 0 and found.max() > 100, "the grid lies on the features"
    np.testing.assert_allclose(read(source, bands[2], grid=degrees, size=size), found, atol=1e-6)


def test_a_layer_of_another_crs_and_no_feature_near(tmp_path):
    moved = geopandas.GeoSeries(scene(), crs=UTM).to_crs("EPSG:4326")
    bands = (Band("d", "v", derive="distance"), burn(field="n"))
    here = read(layer(tmp_path / "a.gpkg", scene(), n=[1.0] * 4), *bands)
    there = read(layer(tmp_path / "b.gpkg", list(moved), "EPSG:4326", n=[1.0] * 4), *bands)
    np.testing.assert_allclose(here[0], there[0], atol=1.0)
    far = layer(tmp_path / "far.gpkg", [pixel_box(900, 900, 5, 5)], n=[1.0])
    found = read(far, *bands)
    np.testing.assert_allclose(found[0], 500, rtol=1e-3)
    assert np.isnan(found[1]).all()


def test_a_stack_with_vector_bands_comes_from_its_recipe(tmp_path):
    dem = Source("r1", str(write_raster(tmp_path / "dem.tif", hills(60, 80))), "dem")
    vector = layer(tmp_path / "d.gpkg", scene(), n=[1.0, 2.0, 3.0, 4.0])
    bands = (
        Band("height", "r1"),
        Band("stream", "v", derive="distance", parameters={"limit_m": 200.0}),
        Band("n", "v", derive="burn", parameters={"field": "n", "outside": 0.0}),
    )
    stack.run(StackJob((dem, vector), bands), tmp_path, channel(tmp_path))
    with open_stack(tmp_path / "stack.tif") as written:
        expected = written.read(full_window(written.grid))
    (tmp_path / "stack.tif").unlink()
    with open_stack(tmp_path / "stack.recipe.json") as computed:
        np.testing.assert_array_equal(computed.read(full_window(computed.grid)), expected)
        part = Window(13, 21, 17, 19)
        np.testing.assert_array_equal(
            computed.read(part), expected[:, *part.within(full_window(computed.grid))]
        )
    assert own_grid(vector, bands[1:]) is None


@pytest.mark.parametrize(
    ("band", "code"),
    [
        (Band("b", "v"), "unknown_derivation"),
        (burn(), "no_field"),
        (burn(field="gone"), "no_field"),
        (Band("b", "v", derive="onehot", parameters={"field": "kind"}), "no_value"),
        (burn(field="kind"), "not_numeric"),
    ],
)
def test_what_cannot_be_burnt_says_why(tmp_path, band, code):
    source = layer(tmp_path / "x.gpkg", [pixel_box(0, 0, 5, 5)], kind=["a"])
    with pytest.raises(GeoSegError) as caught:
        read(source, band)
    assert caught.value.code == code and caught.value.hint
