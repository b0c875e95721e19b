"""Where bands may come from: every type of number, codes, virtual rasters, and files on a server."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from data_scenes import hills, pixel_box, sources_of, utm_grid, write_polygons, write_raster

from geoseg_engine.contract import Band, GeoSegError, GridRequest, Recipe, Source
from geoseg_engine.raster.grid import full_window, windows
from geoseg_engine.raster.sources import open_source
from geoseg_engine.stacking.band_checks import band_problems
from geoseg_engine.stacking.reader import StackReader, open_stack
from geoseg_engine.stacking.recipe_plan import plan_recipe


def read(recipe: Recipe) -> np.ndarray:
    with StackReader(recipe) as reader:
        return reader.read(full_window(recipe.grid))


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
def test_values_of_every_type_are_kept(tmp_path, dtype):
    values = (np.arange(20 * 30).reshape(20, 30) % 100).astype(dtype)
    if np.dtype(dtype).kind != "u":
        values -= np.array(50, dtype)
    sources = sources_of(write_raster(tmp_path / "a.tif", values, nodata=7))
    found = read(Recipe(sources, (Band("a", "r1"),), utm_grid(30, 20)))[0]
    np.testing.assert_array_equal(found, np.where(values == 7, np.nan, values.astype(np.float32)))


@pytest.mark.parametrize(("dtype", "warned"), [("uint32", True), ("int64", True), ("float64", False)])
def test_whole_numbers_beyond_float32_are_warned_of(tmp_path, dtype, warned):
    values = np.arange(400).reshape(20, 20).astype(dtype) + 2**24
    sources = sources_of(write_raster(tmp_path / "a.tif", values))
    problems = band_problems(Recipe(sources, (Band("code", "r1"),), utm_grid(20, 20)))
    assert [problem.code for problem in problems] == ["rounded"] * warned
    assert all(problem.severity == "warning" and "'code'" in problem.message for problem in problems)


def test_codes_coarsen_without_inventing_any_and_without_seams(tmp_path):
    rng = np.random.default_rng(2)
    codes = np.kron(rng.integers(0, 5, (20, 25)), np.ones((6, 6), int)).astype(np.uint8) * 40
    noisy = np.where(rng.random(codes.shape) < 0.2, 200, codes).astype(np.uint8)
    sources = sources_of(write_raster(tmp_path / "codes.tif", noisy))
    bands = (Band("codes", "r1", resampling="mode"),)
    coarse = read(Recipe(sources, bands, utm_grid(25, 20, 60.0)))[0]
    assert (coarse == codes[::6, ::6]).mean() > 0.98
    grid = utm_grid(47, 41, 29.0)
    recipe = Recipe(sources, bands, grid)
    expected = read(recipe)
    assert set(np.unique(expected)) <= set(np.unique(noisy))
    with StackReader(recipe) as reader:
        for window in windows(grid, 13):
            rows, cols = window.within(full_window(grid))
            np.testing.assert_array_equal(reader.read(window), expected[:, rows, cols])
    fine = read(Recipe(sources, bands, utm_grid(300, 240, 5.0)))[0]
    np.testing.assert_array_equal(fine, np.kron(noisy, np.ones((2, 2))))


def test_a_raster_with_alpha_is_a_stack_without_it(tmp_path):
    values = np.full((4, 12, 10), 9, np.uint8)
    values[3, :4] = 0
    values[3, 4:] = 255
    path = write_raster(tmp_path / "rgba.tif", values, photometric="rgb", alpha="yes")
    with open_stack(path) as reader:
        found = reader.read(full_window(reader.grid))
    assert found.shape == (3, 12, 10) and np.isnan(found[:, :4]).all() and (found[:, 4:] == 9).all()


def test_virtual_raster(tmp_path):
    path = write_raster(tmp_path / "a.tif", hills(30, 40))
    rasterio.shutil.copy(path, tmp_path / "a.vrt", driver="VRT")
    grid = utm_grid(40, 30)
    found = read(Recipe((Source("v", str(tmp_path / "a.vrt")),), (Band("a", "v"),), grid))
    np.testing.assert_array_equal(found[0], hills(30, 40))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Address of a server for the files in `tmp_path`, and its process; one of its own, as reading holds this one."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    script = Path(__file__).with_name("range_server.py")
    process = subprocess.Popen(
        [sys.executable, script, tmp_path], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    port = int(process.stdout.readline())
    with rasterio.Env(GDAL_HTTP_MAX_RETRY=0, GDAL_HTTP_TIMEOUT=10):
        yield f"http://127.0.0.1:{port}", process
    process.terminate()
    process.wait(10)


def test_cloud_optimised_raster_on_a_server_is_read_in_parts(tmp_path, server):
    values = np.random.default_rng(0).random((1500, 1600)).astype(np.float32)
    plain = write_raster(tmp_path / "plain.tif", values)
    rasterio.shutil.copy(plain, tmp_path / "cog.tif", driver="COG", compress="deflate")
    address, process = server
    source = Source("web", f"{address}/cog.tif", "on the web")
    plan = plan_recipe((source,), (Band("a", "web"),), GridRequest())
    assert plan.recipe is not None and plan.recipe.grid == utm_grid(1600, 1500)
    with StackReader(plan.recipe) as reader:
        window = list(windows(plan.recipe.grid, 100))[5]
        rows, cols = window.within(full_window(plan.recipe.grid))
        np.testing.assert_array_equal(reader.read(window)[0], values[rows, cols])
    process.terminate()
    assert sum(map(int, process.stdout)) < (tmp_path / "cog.tif").stat().st_size / 2


def test_what_a_server_does_not_have_is_named(server):
    with (
        pytest.raises(GeoSegError) as caught,
        open_source(Source("web", f"{server[0]}/none.tif", "on the web")),
    ):
        pass
    assert caught.value.code == "cannot_open" and "network" in caught.value.hint


def test_a_layer_without_pixels_is_no_reference(tmp_path):
    path = write_polygons(tmp_path / "roads.gpkg", [pixel_box(4, 4, 9, 9)])
    sources = (
        *sources_of(write_raster(tmp_path / "a.tif", hills(20, 30))),
        Source("v", str(path), "Roads", kind="vector"),
    )
    bands = (Band("a", "r1"), Band("far", "v", derive="distance"))
    plan = plan_recipe(sources, bands, GridRequest(reference="v"))
    assert [problem.code for problem in plan.problems] == ["no_pixels"] and "Roads" in plan.problems[
        0
    ].message


@pytest.mark.parametrize("files", [1, 2])
@pytest.mark.parametrize("derive", ["median", "burn"])
def test_what_a_raster_does_not_offer_is_said(tmp_path, files, derive):
    path = str(write_raster(tmp_path / "a.tif", hills(20, 30)))
    source = Source("a", path, "Image", paths=(path,) * (files - 1))
    plan = plan_recipe((source,), (Band("b", "a", 1, derive),), GridRequest())
    assert [problem.code for problem in plan.problems] == ["unknown_derivation"]
    assert derive in plan.problems[0].message and "Image" in plan.problems[0].message
