"""Bands on coarser, finer, turned and other pixels: means and majorities of what a pixel covers, by exact areas."""

import dataclasses
import functools
import math

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from data_scenes import UTM, write_raster
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject

from geoseg_engine.contract import Band, Grid, Recipe, Source
from geoseg_engine.dataset.labels.burning import PlacedClassRaster
from geoseg_engine.raster.footprints import _largest
from geoseg_engine.raster.grid import full_window, windows
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.vector.class_raster import read_raster_classes

X, Y = 500_000.0, 5_000_000.0
NATIVE = Affine(10, 0, X, 0, -10, Y)
SHAPE = (60, 66)


def at(pixel: float, offset: float, size: int = 12) -> Grid:
    return Grid(UTM, (pixel, 0, X + offset, 0, -pixel, Y - offset), size, size)


def elsewhere(crs: str, width: float, height: float) -> Grid:
    """A grid in another CRS, in the middle of the scene."""
    to_crs = pyproj.Transformer.from_crs(UTM, crs, always_xy=True)
    x, y = to_crs.transform(X + 120, Y - 90)
    return Grid(crs, (width, 0, x, 0, -height, y), 9, 9)


def turned(degrees: float, pixel: float) -> Grid:
    affine = Affine.translation(X + 300, Y - 60) @ Affine.rotation(degrees) @ Affine.scale(pixel, -pixel)
    return Grid(UTM, tuple(affine)[:6], 12, 12)


GRIDS = {
    "thirds, half a pixel off": at(30, 15, 19),
    "exact thirds": at(30, 0, 20),
    "3.3": at(33, 4, 18),
    "one and a half": at(15, 3.3, 18),
    "finer": at(8, 3, 20),
    "tenths": at(100, 47, 6),
    "the same size, half a pixel off": at(10, 5, 16),
    "half of it beyond the edge": at(30, -45, 12),
    "turned": turned(-30, 23),
    "turned by a right angle": turned(90, 31),
    "degrees": elsewhere("EPSG:4326", 0.0004, 0.0003),
    "mercator": elsewhere("EPSG:3857", 47, 47),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Noise, noise with gaps and codes in patches, and their files."""
    folder = tmp_path_factory.mktemp("resampling")
    random = np.random.default_rng(5)
    noise = random.normal(size=SHAPE).astype(np.float32)
    gaps = np.where(random.random(SHAPE) < 0.35, np.nan, noise).astype(np.float32)
    codes = np.kron(random.integers(1, 6, (20, 22)), np.ones((3, 3))).astype(np.float32)
    codes[random.random(SHAPE) < 0.2] = np.nan
    values = {"noise": noise, "gaps": gaps, "codes": codes}
    return {
        name: (array, write_raster(folder / f"{name}.tif", array, transform=NATIVE, nodata=math.nan))
        for name, array in values.items()
    }


def read(path, grid: Grid, method: str, size: int = 0, **source) -> np.ndarray:
    recipe = Recipe((Source("r1", str(path), "a", **source),), (Band("a", "r1", resampling=method),), grid)
    with StackReader(recipe) as reader:
        if not size:
            return reader.read(full_window(grid))[0]
        found = np.empty((grid.height, grid.width), np.float32)
        for window in windows(grid, size):
            found[window.within(full_window(grid))] = reader.read(window)[0]
        return found


@functools.cache
def covered_by(name: str) -> list[tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]]:
    """Of each pixel of a grid: its place, and rows, columns and shared areas of the source pixels under it."""
    grid = GRIDS[name]
    back = pyproj.Transformer.from_crs(grid.crs, UTM, always_xy=True)
    found = []
    for row, col in np.ndindex(grid.height, grid.width):
        points = [(col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1), (col + 0.5, row + 0.5)]
        *corners, (x, y) = (~NATIVE @ back.transform(*(Affine(*grid.transform) @ point)) for point in points)
        if not (0 <= x < SHAPE[1] and 0 <= y < SHAPE[0]):
            continue
        ground = shapely.Polygon(corners)
        left, top, right, bottom = ground.bounds
        cols = np.arange(max(math.floor(left), 0), min(math.ceil(right), SHAPE[1]))
        rows = np.arange(max(math.floor(top), 0), min(math.ceil(bottom), SHAPE[0]))
        cols, rows = (axis.ravel() for axis in np.meshgrid(cols, rows))
        areas = shapely.area(shapely.intersection(shapely.box(cols, rows, cols + 1, rows + 1), ground))
        found.append(((row, col), rows, cols, areas))
    return found


def by_polygons(values: np.ndarray, name: str, method: str) -> np.ndarray:
    """Mean or majority of every pixel of a grid from the areas that polygons share."""
    found = np.full((GRIDS[name].height, GRIDS[name].width), np.nan)
    for place, rows, cols, areas in covered_by(name):
        there = values[rows, cols]
        valid = np.isfinite(there)
        if areas[valid].sum() < (0.5 - 1e-6) * areas.sum():
            continue
        if method == "average":
            found[place] = (areas * np.where(valid, there, 0)).sum() / areas[valid].sum()
        else:
            codes = np.unique(there[valid])
            shares = np.array([areas[there == code].sum() for code in codes])
            found[place] = codes[(shares > shares.max() - 1e-6 * areas.sum()).argmax()]
    return found


@pytest.mark.parametrize("grid_name", GRIDS)
@pytest.mark.parametrize(
    ("name", "method"), [("noise", "average"), ("gaps", "average"), ("codes", "mode"), ("gaps", "mode")]
)
def test_a_pixel_takes_the_mean_or_majority_of_what_it_covers(scene, grid_name, name, method):
    values, path = scene[name]
    grid = GRIDS[grid_name]
    found, exact = read(path, grid, method), by_polygons(values, grid_name, method)
    assert np.isfinite(found).sum() > 20
    np.testing.assert_array_equal(np.isnan(found), np.isnan(exact))
    if method == "average":
        np.testing.assert_allclose(found, exact, atol=2e-6 if grid.crs == UTM else 3e-3)
    else:
        np.testing.assert_array_equal(found, exact.astype(np.float32))
    np.testing.assert_array_equal(read(path, grid, method, 5 if name == "noise" else 7), found)


@pytest.mark.parametrize("name", ["3.3", "turned", "degrees"])
def test_a_pixel_alone_is_what_it_is_among_others(scene, name):
    grid = dataclasses.replace(GRIDS[name], width=4, height=4)
    for method in ("average", "mode", "bilinear"):
        found = read(scene["gaps"][1], grid, method)
        np.testing.assert_array_equal(read(scene["gaps"][1], grid, method, 1), found)


@pytest.mark.parametrize("grid", [GRIDS["thirds, half a pixel off"], GRIDS["3.3"], GRIDS["finer"]])
def test_average_is_that_of_gdal(scene, grid):
    path = scene["noise"][1]
    theirs = np.zeros((grid.height, grid.width), np.float32)
    with rasterio.open(path) as dataset:
        reproject(
            rasterio.band(dataset, 1),
            theirs,
            dst_transform=Affine(*grid.transform),
            dst_crs=UTM,
            resampling=Resampling.average,
        )
    np.testing.assert_allclose(read(path, grid, "average"), theirs, atol=3e-7)


@pytest.mark.parametrize("name", ["thirds, half a pixel off", "3.3", "tenths", "turned", "degrees"])
def test_bilinear_and_cubic_are_the_mean_where_the_grid_is_coarser(scene, name):
    _, path = scene["gaps"]
    average = read(path, GRIDS[name], "average")
    for method in ("bilinear", "cubic"):
        np.testing.assert_array_equal(read(path, GRIDS[name], method), average)
        np.testing.assert_array_equal(read(path, GRIDS[name], method, 7), average)


def test_bilinear_interpolates_along_the_direction_that_is_finer(scene):
    values, path = scene["noise"]
    grid = Grid(UTM, (30, 0, X, 0, -5, Y - 7.5), 22, 80)
    means = values.reshape(SHAPE[0], 22, 3).mean(axis=2)
    rows = (np.arange(80) + 0.5) * 0.5 + 0.75 - 0.5
    above = np.floor(rows).astype(int)
    share = (rows - above)[:, None]
    expected = means[above] * (1 - share) + means[above + 1] * share
    np.testing.assert_allclose(read(path, grid, "bilinear"), expected, atol=1e-6)
    degrees = elsewhere("EPSG:4326", 0.0004, 0.00004)
    steps = np.abs(np.diff(read(path, degrees, "bilinear"), axis=0))
    blocks = np.abs(np.diff(read(path, degrees, "average"), axis=0))
    assert steps.max() < 0.7 * blocks.max()


@pytest.mark.parametrize("method", ["average", "bilinear"])
@pytest.mark.parametrize(
    ("crs", "transform", "size"),
    [
        ("EPSG:3832", (250_000, 0, 2e6, 0, -250_000, 2e6), (24, 16)),
        ("EPSG:3413", (250_000, 0, -3e6, 0, -250_000, 3e6), (24, 24)),
        ("EPSG:32601", (200_000, 0, -5e5, 0, -200_000, 6e6), (6, 12)),
    ],
)
def test_ground_across_a_turn_of_longitude_is_not_the_whole_globe(tmp_path, method, crs, transform, size):
    lon, lat = np.meshgrid(np.arange(-179.5, 180), np.arange(89.5, -90, -1))
    globe = lat + 10 * np.cos(np.radians(lon))
    path = write_raster(tmp_path / "globe.tif", globe.astype(np.float32), 1.0, (-180, 90), "EPSG:4326")
    grid = Grid(crs, transform, *size)
    cols, rows = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform(*(Affine(*transform) @ (cols, rows)))
    assert (np.abs(lon) > 177).any()
    found = read(path, grid, method)
    assert np.abs(found - lat - 10 * np.cos(np.radians(lon)))[lat < 88].max() < 0.4
    np.testing.assert_array_equal(read(path, grid, method, 7), found)


def test_codes_with_the_same_area_give_the_smallest(tmp_path):
    checks = np.where(np.indices((40, 40)).sum(axis=0) % 2, 7, 3).astype(np.int16)
    corner = (500_000.1, 5_000_000.7)
    path = write_raster(tmp_path / "checks.tif", checks, 0.3, corner, nodata=0)
    for factor in (2, 4):
        grid = Grid(
            UTM, (0.3 * factor, 0, corner[0], 0, -0.3 * factor, corner[1]), 40 // factor, 40 // factor
        )
        assert (read(path, grid, "mode") == 3).all()
    assert (read(path, turned_about(corner, 0.6), "mode") == 3).all()


def turned_about(corner: tuple[float, float], pixel: float) -> Grid:
    """A grid whose rows run down: its pixels hold two by two of another."""
    return Grid(UTM, (0, pixel, corner[0], -pixel, 0, corner[1]), 20, 20)


def test_codes_of_any_sign_and_size_are_kept():
    values = np.array(
        [[-5, -5, 2, np.nan], [3e9, -7, 3e9, -7], [np.nan] * 3 + [4], [-0.0, 0, 1, 1]], np.float32
    )
    parts = np.full(values.shape, 1 << 29, np.int64)
    np.testing.assert_array_equal(_largest(values, parts), np.array([-5, -7, np.nan, 0], np.float32))


def test_nearest_takes_the_same_neighbour_everywhere_where_centres_lie_on_borders(tmp_path):
    cols = np.tile(np.arange(60), (60, 1)).astype(np.int32)
    for corner, size in (
        ((500_000.1, 5_000_000.7), 0.3),
        ((723_456.789, 5_123_456.789), 7.3),
        ((X, Y), 10.0),
    ):
        path = write_raster(tmp_path / "cols.tif", cols, size, corner)
        grid = Grid(UTM, (2 * size, 0, corner[0], 0, -2 * size, corner[1]), 30, 30)
        assert (read(path, grid, "nearest") == 2 * np.arange(30) + 1).all()
        classes = read_raster_classes(Source("l", str(path), "l"), UTM)
        ids = PlacedClassRaster(classes, np.arange(60, dtype=np.int32), grid, 0).ids(full_window(grid))
        assert (ids == 2 * np.arange(30) + 1).all()


@pytest.mark.parametrize("method", ["average", "mode", "bilinear"])
def test_files_of_a_mosaic_are_covered_as_one_raster(scene, tmp_path, method):
    values, path = scene["codes"]
    left = write_raster(tmp_path / "left.tif", values[:, :31], transform=NATIVE, nodata=math.nan)
    right = write_raster(
        tmp_path / "right.tif", values[:, 31:], transform=NATIVE @ Affine.translation(31, 0), nodata=math.nan
    )
    for grid in (GRIDS["3.3"], GRIDS["degrees"]):
        expected = read(path, grid, method)
        np.testing.assert_array_equal(read(left, grid, method, paths=(str(right),)), expected)
