"""Several files as one source: the same values as one file, no seams, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_scenes import CORNER, UTM, hills, utm_grid, write_raster
from rasterio.warp import Resampling, calculate_default_transform, reproject

from geoseg_engine.bands.sources.mosaic import OPEN_FILES, mosaic_grid
from geoseg_engine.contract import Band, GeoSegError, Grid, GridRequest, Recipe, Source, StackJob
from geoseg_engine.output_checks import check_outputs
from geoseg_engine.raster.grid import full_window, grid_bounds, windows
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.stacking.rebind import rebind
from geoseg_engine.stacking.recipe_plan import plan_recipe

VALUES = np.stack([hills(90, 120), hills(90, 120, 1)])
BANDS = (
    Band("a", "m", 1),
    Band("b", "m", 2, resampling="nearest"),
    Band("slope", "m", 1, "slope"),
    Band("lee", "m", 2, "lee"),
)


def read(source: Source, grid: Grid, bands=BANDS) -> np.ndarray:
    with StackReader(Recipe((source,), bands, grid)) as reader:
        return reader.read(full_window(grid))


def piece(folder: Path, row: int, col: int, height: int, width: int, **options) -> str:
    corner = CORNER[0] + 10 * col, CORNER[1] - 10 * row
    part = VALUES[:, row : row + height, col : col + width]
    return str(write_raster(folder / f"piece_{row}_{col}.tif", part, corner=corner, **options))


@pytest.fixture
def one(tmp_path) -> Source:
    return Source("m", str(write_raster(tmp_path / "one.tif", VALUES)), "one")


@pytest.fixture
def mosaic(tmp_path) -> Source:
    boxes = [(40, 50, 50, 70), (0, 0, 45, 60), (0, 55, 42, 65), (38, 0, 52, 55)]
    paths = [piece(tmp_path, *box) for box in boxes]
    return Source("m", paths[0], "mosaic", paths=tuple(paths[1:]))


@pytest.mark.parametrize("grid", [utm_grid(120, 90), utm_grid(150, 110, 7.7), utm_grid(38, 29, 31.0)])
def test_files_on_one_lattice_are_one_raster(one, mosaic, grid):
    np.testing.assert_array_equal(read(mosaic, grid), read(one, grid))


def test_grid_is_the_union_on_the_first_files_pixels(one, mosaic):
    assert mosaic_grid(mosaic) == utm_grid(120, 90)
    plan = plan_recipe((mosaic,), BANDS, GridRequest())
    assert plan.recipe is not None and plan.recipe.grid == utm_grid(120, 90)


def test_window_by_window_equals_whole(mosaic):
    grid = utm_grid(150, 110, 7.7)
    expected = read(mosaic, grid)
    with StackReader(Recipe((mosaic,), BANDS, grid)) as reader:
        for window in windows(grid, 23):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_array_equal(reader.read(window), expected[:, rows, cols])


def test_first_file_with_a_value_counts(tmp_path):
    first = np.full((10, 10), 1.0, np.float32)
    first[:, 5:] = -1
    paths = [
        write_raster(tmp_path / "1.tif", first, nodata=-1),
        write_raster(tmp_path / "2.tif", np.full((10, 8), 2, np.float32)),
        write_raster(tmp_path / "3.tif", np.full((10, 10), 3, np.float32)),
    ]
    source = Source("m", str(paths[0]), paths=tuple(map(str, paths[1:])))
    found = read(source, utm_grid(10, 10), (Band("a", "m"),))[0]
    np.testing.assert_array_equal(found[0], [1] * 5 + [2] * 3 + [3] * 2)


def test_files_of_another_crs_and_pixel_size(tmp_path, one):
    left = piece(tmp_path, 0, 0, 90, 70)
    right = piece(tmp_path, 0, 60, 90, 60)
    with rasterio.open(right) as dataset:
        values, crs = dataset.read(), "EPSG:32631"
        transform, width, height = calculate_default_transform(
            UTM, crs, dataset.width, dataset.height, *dataset.bounds, resolution=8
        )
        moved = np.full((2, height, width), -9999, np.float32)
        reproject(
            values,
            moved,
            src_transform=dataset.transform,
            src_crs=UTM,
            dst_transform=transform,
            dst_crs=crs,
            dst_nodata=-9999,
            resampling=Resampling.cubic,
        )
    other = write_raster(tmp_path / "other.tif", moved, crs=crs, transform=transform, nodata=-9999)
    source = Source("m", left, paths=(str(other),))
    grid = utm_grid(120, 90)
    union = grid_bounds(mosaic_grid(source))
    assert union[2] >= CORNER[0] + 1200 and union[0] == CORNER[0]
    bands = (Band("a", "m", 1),)
    found, expected = read(source, grid, bands)[0], VALUES[0]
    np.testing.assert_array_equal(found[:, :70], expected[:, :70])
    inside = found[5:-5, 70:-5]
    assert np.isfinite(inside).all()
    assert np.abs(inside - expected[5:-5, 70:-5]).mean() < 0.05 * expected.std()
    with StackReader(Recipe((source,), bands, grid)) as reader:
        for window in windows(grid, 37):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_array_equal(reader.read(window)[0], found[rows, cols])


def test_other_band_counts_are_refused(tmp_path, one):
    single = write_raster(tmp_path / "single.tif", hills(90, 120))
    with pytest.raises(GeoSegError, match="single") as caught:
        mosaic_grid(Source("m", one.path, paths=(str(single),)))
    assert caught.value.code == "mosaic_bands"
    plan = plan_recipe((Source("m", one.path, paths=("/no/such.tif",)),), BANDS, GridRequest())
    assert [problem.code for problem in plan.errors] == ["file_missing"]


def test_many_files(tmp_path):
    columns = [piece(tmp_path, 0, col, 90, 1) for col in range(OPEN_FILES + 20)]
    source = Source("m", columns[0], paths=tuple(columns[1:]))
    found = read(source, utm_grid(len(columns), 90), (Band("a", "m"),))[0]
    np.testing.assert_array_equal(found, VALUES[0, :, : len(columns)])


def test_a_mosaic_takes_the_place_of_a_file(one, mosaic):
    recipe = Recipe((one,), BANDS, utm_grid(120, 90))
    moved = rebind(recipe, (mosaic,))
    assert moved.sources[0].paths == mosaic.paths
    np.testing.assert_array_equal(read(moved.sources[0], recipe.grid), read(one, recipe.grid))


def test_a_result_never_replaces_a_file_of_a_mosaic(mosaic, tmp_path):
    job = StackJob((mosaic,), BANDS, output=mosaic.paths[-1])
    with pytest.raises(GeoSegError):
        check_outputs(job, tmp_path)
