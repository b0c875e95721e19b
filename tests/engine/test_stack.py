"""Grids, windows, resampling and the stack: properties that must hold for every scene."""

import math

import numpy as np
import pytest
import rasterio
from data_scenes import (
    CORNER,
    UTM,
    channel,
    hills,
    one_band_each,
    sources_of,
    utm_grid,
    write_polygons,
    write_raster,
)
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject
from shapely import box

from geoseg_engine.contract import (
    TERRAIN_ATTRIBUTES,
    Area,
    Band,
    GeoSegError,
    Grid,
    GridRequest,
    Labels,
    Recipe,
    Source,
    StackJob,
)
from geoseg_engine.raster.grid import Window, full_window, grid_bounds, windows
from geoseg_engine.stacking import extent, recipe_plan, stack
from geoseg_engine.stacking.reader import StackReader, open_stack
from geoseg_engine.stacking.recipes import read_recipe


def read_whole(recipe: Recipe) -> np.ndarray:
    with StackReader(recipe) as reader:
        return reader.read(full_window(recipe.grid))


@pytest.mark.parametrize(("width", "height", "size"), [(1, 1, 7), (100, 33, 16), (64, 64, 64), (65, 64, 64)])
def test_windows_cover_every_pixel_once(width, height, size):
    seen = np.zeros((height, width), int)
    for window in windows(utm_grid(width, height), size):
        seen[window.row : window.row + window.height, window.col : window.col + window.width] += 1
    assert (seen == 1).all()


def test_padded_window_is_cut_back_by_within():
    window = Window(3, 4, 10, 12)
    array = np.arange(20 * 22).reshape(20, 22)
    outer = window.padded(5)
    assert array[window.within(outer)].shape == (10, 12)
    assert outer.clipped(8, 9) == Window(0, 0, 8, 9) and Window(30, 0, 5, 5).clipped(8, 9).empty


def mixed_scene(tmp_path, terrain=True) -> tuple[tuple[Source, ...], tuple[Band, ...]]:
    """A DEM with a void, an image in degrees, a coarse one that is rotated, a fine one to be averaged."""
    dem = hills(120, 140)
    dem[40:44, 50:60] = -9999
    write_raster(tmp_path / "dem.tif", dem, nodata=-9999)
    degrees = write_raster(
        tmp_path / "degrees.tif", hills(200, 220, 1), (1.2e-4, 1e-4), (10.314, 46.948), "EPSG:4326"
    )
    turned = (
        Affine.translation(CORNER[0] - 200, CORNER[1] - 300) * Affine.rotation(20) * Affine.scale(35, -30)
    )
    rotated = write_raster(tmp_path / "rotated.tif", hills(90, 90, 2), transform=turned)
    fine = write_raster(tmp_path / "fine.tif", hills(500, 560, 3), 2.7)
    sources = sources_of(tmp_path / "dem.tif", degrees, rotated, fine)
    bands = list(one_band_each(sources))
    bands += [
        Band("near", "r2", 1, "", "nearest"),
        Band("cubic", "r3", 1, "", "cubic"),
        Band("mean", "r4", 1, "", "average"),
    ]
    if terrain:
        bands += [
            Band(f"{name} {key}", key, 1, name) for name in TERRAIN_ATTRIBUTES for key in ("r1", "r2", "r3")
        ]
    return sources, tuple(bands)


@pytest.mark.parametrize("size", [17, 64])
def test_window_by_window_equals_whole(tmp_path, size):
    sources, bands = mixed_scene(tmp_path)
    recipe = Recipe(sources, bands, utm_grid(131, 117))
    expected = read_whole(recipe)
    assert np.isfinite(expected).any(axis=(1, 2)).all()
    with StackReader(recipe) as reader:
        for window in windows(recipe.grid, size):
            part = expected[
                :, window.row : window.row + window.height, window.col : window.col + window.width
            ]
            np.testing.assert_array_equal(reader.read(window), part)


def test_large_coarsening_reads_in_halves_and_gives_the_same(tmp_path, monkeypatch):
    sources, bands = mixed_scene(tmp_path)
    recipe = Recipe(sources, bands, utm_grid(12, 10, 100.0))
    expected = read_whole(recipe)
    monkeypatch.setattr("geoseg_engine.bands.raster_bands.SOURCE_LIMIT_PX", 500)
    np.testing.assert_array_equal(read_whole(recipe), expected)


def test_outside_the_grid_is_nan(tmp_path):
    sources = sources_of(write_raster(tmp_path / "a.tif", hills(30, 40)))
    with StackReader(Recipe(sources, one_band_each(sources), utm_grid(40, 30))) as reader:
        values = reader.read(Window(-5, -6, 20, 20))
        assert np.isnan(values[:, :5]).all() and np.isnan(values[:, :, :6]).all()
        assert np.isfinite(values[:, 5:, 6:]).all()
        assert np.isnan(reader.read(Window(100, 100, 4, 4))).all()


def test_aligned_source_is_read_exactly_on_a_shifted_grid(tmp_path):
    values = hills(50, 60)
    sources = sources_of(write_raster(tmp_path / "a.tif", values))
    grid = utm_grid(20, 15, corner=(CORNER[0] + 130, CORNER[1] - 70))
    np.testing.assert_array_equal(
        read_whole(Recipe(sources, one_band_each(sources), grid))[0], values[7:22, 13:33]
    )


def test_stack_of_a_stack_is_the_stack(tmp_path):
    sources, bands = mixed_scene(tmp_path, terrain=False)
    job = StackJob(sources, bands, output="one.tif")
    first = stack.run(job, tmp_path, channel(tmp_path))
    with open_stack(tmp_path / "one.tif") as reader:
        expected = reader.read(full_window(reader.grid))
        assert reader.band_names == first["bands"] == [band.name for band in bands]
    again = Source("s", str(tmp_path / "one.tif"), "one")
    copies = tuple(Band(name, "s", index) for index, name in enumerate(first["bands"], 1))
    stack.run(StackJob((again,), copies, output="two.tif"), tmp_path, channel(tmp_path))
    with open_stack(tmp_path / "two.tif") as reader:
        np.testing.assert_array_equal(reader.read(full_window(reader.grid)), expected)


def test_written_stack_equals_reading_from_the_recipe(tmp_path):
    sources, bands = mixed_scene(tmp_path)
    stack.run(StackJob(sources, bands), tmp_path, channel(tmp_path))
    recipe = read_recipe(tmp_path / "stack.recipe.json")
    with StackReader(recipe, tmp_path / "stack.tif") as written:
        np.testing.assert_array_equal(written.read(full_window(recipe.grid)), read_whole(recipe))
    with rasterio.open(tmp_path / "stack.tif") as dataset:
        assert dataset.descriptions == tuple(band.name for band in bands)
        assert dataset.profile["tiled"] and dataset.compression.name == "zstd" and math.isnan(dataset.nodata)
    assert not list(tmp_path.glob("*.part*"))


def test_recipe_alone_can_be_asked_for(tmp_path):
    sources, bands = mixed_scene(tmp_path)
    stack.run(StackJob(sources, bands, output="s.recipe.json"), tmp_path, channel(tmp_path))
    assert not (tmp_path / "s.tif").exists()
    with open_stack(tmp_path / "s.recipe.json") as reader:
        assert reader.read(Window(0, 0, 8, 8)).shape == (len(bands), 8, 8)


def test_resampling_agrees_with_gdal_where_all_is_valid(tmp_path):
    values = hills(200, 220, 1)
    path = write_raster(tmp_path / "a.tif", values, (1.2e-4, 1e-4), (10.314, 46.948), "EPSG:4326")
    grid = utm_grid(100, 90)
    sources = sources_of(path)
    for method in ("bilinear", "cubic"):
        ours = read_whole(Recipe(sources, one_band_each(sources, method), grid))[0]
        theirs = np.zeros((90, 100), np.float32)
        with rasterio.open(path) as dataset:
            reproject(
                rasterio.band(dataset, 1),
                theirs,
                dst_transform=Affine(*grid.transform),
                dst_crs=UTM,
                resampling=Resampling[method],
                tolerance=0,
            )
        inner = np.s_[20:-20, 20:-20]
        assert np.abs(ours - theirs)[inner].max() < 0.02 * np.ptp(values), method


def test_nodata_never_reaches_values(tmp_path):
    values = np.full((60, 60), 100, np.float32)
    values[20:30, 20:30] = -9999
    sources = sources_of(write_raster(tmp_path / "a.tif", values, nodata=-9999))
    for method in ("nearest", "bilinear", "cubic", "average"):
        for pixel, shift in ((7.0, 3.0), (10.0, 5.0), (23.0, 1.0)):
            grid = utm_grid(int(500 / pixel), int(500 / pixel), pixel, (CORNER[0] + shift, CORNER[1] - shift))
            found = read_whole(Recipe(sources, one_band_each(sources, method), grid))
            assert np.nanmax(np.abs(found - 100)) < 1e-3
            lost_m2 = np.isnan(found).sum() * pixel**2
            assert 0.6 < lost_m2 / 100**2 < 1.45, (method, pixel)


def test_averaging_keeps_the_mean(tmp_path):
    values = np.random.default_rng(0).normal(size=(160, 160)).astype(np.float32)
    sources = sources_of(write_raster(tmp_path / "a.tif", values))
    found = read_whole(Recipe(sources, one_band_each(sources), utm_grid(20, 20, 80.0)))[0]
    np.testing.assert_allclose(found, values.reshape(20, 8, 20, 8).mean(axis=(1, 3)), atol=1e-5)


def test_scale_and_offset_are_applied_and_nodata_is_not_scaled(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.array([[0, 100], [200, 300]], np.int16), nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.1,), (5.0,)
    sources = sources_of(path)
    found = read_whole(Recipe(sources, one_band_each(sources), utm_grid(2, 2)))[0]
    np.testing.assert_allclose(found, [[np.nan, 15], [25, 35]])


def test_alpha_and_masks_are_nodata(tmp_path):
    values = np.full((2, 8, 8), 7, np.uint8)
    values[1] = 255
    values[1, :4] = 0
    alpha = write_raster(tmp_path / "alpha.tif", values, photometric="minisblack", alpha="yes")
    masked = write_raster(tmp_path / "mask.tif", values[0])
    with rasterio.open(masked, "r+") as dataset:
        dataset.write_mask(values[1] > 0)
    for path in (alpha, masked):
        sources = sources_of(path)
        found = read_whole(Recipe(sources, one_band_each(sources), utm_grid(8, 8)))[0]
        assert np.isnan(found[:4]).all() and (found[4:] == 7).all()


def test_source_nodata_replaces_the_files(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.array([[0, 1], [2, 3]], np.uint8), nodata=0)
    source = Source("r1", str(path), "a", nodata=3)
    found = read_whole(Recipe((source,), (Band("a", "r1"),), utm_grid(2, 2)))[0]
    np.testing.assert_array_equal(found, [[0, 1], [2, np.nan]])


def plan(sources, request=None, area=None) -> recipe_plan.Plan:
    return recipe_plan.plan_recipe(sources, one_band_each(sources), request or GridRequest(), area)


def test_grid_is_the_references_cut_to_shared_ground(tmp_path):
    a = write_raster(tmp_path / "a.tif", hills(50, 60))
    b = write_raster(tmp_path / "b.tif", hills(40, 40), 7.0, (CORNER[0] + 103, CORNER[1] - 104))
    grid = plan(sources_of(a, b)).recipe.grid
    assert (grid.transform[0], grid.transform[4]) == (10.0, -10.0)
    assert (grid.transform[2] - CORNER[0]) % 10 == 0 and (grid.transform[5] - CORNER[1]) % 10 == 0
    bounds = grid_bounds(grid)
    assert bounds[0] >= CORNER[0] + 103 - 5 and bounds[2] <= CORNER[0] + 103 + 280 + 5
    fine = plan(sources_of(a, b), GridRequest(reference="r2")).recipe.grid
    assert fine.transform[0] == 7.0


def test_oblong_pixels_and_degrees_are_kept(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(50, 60), (0.01, 0.02), (10.0, 50.0), "EPSG:4326")
    grid = plan(sources_of(path)).recipe.grid
    assert (grid.transform[0], grid.transform[4], grid.width, grid.height) == (0.01, -0.02, 60, 50)


def test_rotated_reference_gives_a_north_up_grid_and_says_so(tmp_path):
    turned = Affine.translation(*CORNER) * Affine.rotation(30) * Affine.scale(10, -10)
    path = write_raster(tmp_path / "a.tif", hills(50, 60), transform=turned)
    found = plan(sources_of(path))
    assert [problem.code for problem in found.problems] == ["rotated"]
    assert found.recipe.grid.transform[1] == 0 and found.recipe.grid.transform[0] == pytest.approx(10)
    values = read_whole(found.recipe)
    assert 0.3 < np.isfinite(values).mean() < 0.7


def test_other_crs_gets_square_pixels_of_the_same_ground(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(50, 60))
    grid = plan(sources_of(path), GridRequest(crs="EPSG:3035")).recipe.grid
    assert grid.crs == "EPSG:3035" and grid.transform[0] == -grid.transform[4] == pytest.approx(10, rel=1e-2)


def test_layers_without_shared_ground_are_named(tmp_path):
    a = write_raster(tmp_path / "west.tif", hills(20, 20))
    b = write_raster(tmp_path / "east.tif", hills(20, 20), corner=(CORNER[0] + 9000, CORNER[1]))
    problems = plan(sources_of(a, b)).problems
    assert (
        problems[0].code == "no_overlap" and "west" in problems[0].message and "east" in problems[0].message
    )


def test_area_off_the_rasters_and_metres_as_degrees_are_refused(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(50, 60), (0.01, 0.02), (10.0, 50.0), "EPSG:4326")
    area = ((0.0, 0.0, 1.0, 1.0), "EPSG:4326", "the map extent")
    assert plan(sources_of(path), area=area).problems[0].code == "outside_rasters"
    assert plan(sources_of(path), GridRequest(pixel_size=(10, 10))).problems[0].code == "grid_too_small"
    assert plan(sources_of(path), GridRequest(pixel_size=(1e-7, 1e-7))).problems[0].code == "grid_too_large"


def test_dry_run_lists_everything_and_writes_nothing(tmp_path):
    values = np.stack([hills(30, 30), np.full((30, 30), 4.0), np.full((30, 30), -1.0)]).astype(np.float32)
    path = write_raster(tmp_path / "a.tif", values, nodata=-1)
    source = Source("r1", str(path), "a")
    gone = Source("r2", str(tmp_path / "gone.tif"), "gone")
    bands = tuple(Band(f"b{index}", "r1", index) for index in (1, 2, 3))
    result = stack.run(StackJob((source,), bands, dry_run=True), tmp_path, channel(tmp_path))
    assert {item["code"]: item["severity"] for item in result["problems"]} == {
        "empty_band": "error",
        "constant_band": "warning",
    }
    assert "b3" in result["problems"][0]["message"] and not (tmp_path / "stack.tif").exists()
    assert result["sentence"].startswith("Stack 3 bands from 1 layer onto 30 × 30 pixels of 10 m, EPSG:32632")
    job = StackJob((source, gone), (*bands, Band("x", "r2")), dry_run=True)
    missing = stack.run(job, tmp_path, channel(tmp_path))
    assert missing["problems"][0]["code"] == "file_missing" and missing["grid"] is None
    with pytest.raises(GeoSegError, match="b3"):
        stack.run(StackJob((source,), bands), tmp_path, channel(tmp_path))


def test_area_of_polygons_cuts_the_grid(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(50, 60))
    x, y = CORNER
    labels = write_polygons(tmp_path / "l.gpkg", [box(x + 101, y - 199, x + 299, y - 101)])
    sources = sources_of(path)
    job = StackJob(
        sources, one_band_each(sources), area=Area("bounds"), labels=Labels(str(labels)), dry_run=True
    )
    grid = stack.run(job, tmp_path, channel(tmp_path))["grid"]
    assert (grid["width"], grid["height"]) == (20, 10) and grid["transform"][2] == x + 100


def test_output_that_cannot_be_written_is_a_clear_error(tmp_path):
    sources = sources_of(write_raster(tmp_path / "a.tif", hills(20, 20)))
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(GeoSegError) as caught:
        stack.run(StackJob(sources, one_band_each(sources), output="file/s.tif"), tmp_path, channel(tmp_path))
    assert caught.value.code == "not_writable" and caught.value.hint


def test_cancelled_stack_leaves_nothing(tmp_path):
    sources = sources_of(write_raster(tmp_path / "a.tif", hills(20, 20)))
    (tmp_path / "cancel").touch()
    with pytest.raises(GeoSegError) as caught:
        stack.run(StackJob(sources, one_band_each(sources)), tmp_path, channel(tmp_path))
    assert caught.value.code == "cancelled" and not list(tmp_path.glob("stack*"))


def test_changed_stack_is_refused(tmp_path):
    sources = sources_of(write_raster(tmp_path / "a.tif", hills(20, 20)))
    stack.run(StackJob(sources, one_band_each(sources)), tmp_path, channel(tmp_path))
    write_raster(tmp_path / "stack.tif", hills(10, 10))
    with pytest.raises(GeoSegError) as caught:
        open_stack(tmp_path / "stack.tif")
    assert caught.value.code == "stack_changed"


def test_dateline_and_strange_projections_give_a_finite_grid():
    request = GridRequest(crs="EPSG:4326")
    reference = Grid("EPSG:32660", (1000.0, 0.0, 570_000.0, 0.0, -1000.0, 5_850_000.0), 232, 235)
    bounds = extent.reprojected_bounds(grid_bounds(reference), "EPSG:32660", "EPSG:4326")
    assert 177 < bounds[0] < 180 < bounds[2] < 184
    assert extent.plan_lattice(reference, request).width == pytest.approx(0.011, rel=0.2)
