"""Bands of a stack that are computed from others: expressions, intermediates, filled gaps, and all of it elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from data_scenes import UTM, channel, hills, utm_grid, write_raster

from geoseg_engine.contract import Area, Band, Grid, GridRequest, Recipe, Source, StackJob, index_band
from geoseg_engine.raster.grid import Window, full_window, windows
from geoseg_engine.stacking import stack
from geoseg_engine.stacking.metric_crs import metric_crs, suggested_crs
from geoseg_engine.stacking.reader import StackReader, open_stack
from geoseg_engine.stacking.rebind import rebind
from geoseg_engine.stacking.stack_plan import plan_stack


def read(recipe: Recipe) -> np.ndarray:
    with StackReader(recipe) as reader:
        return reader.read(full_window(recipe.grid))


def optical(folder, name: str = "optical", seed: int = 0) -> Source:
    """Red and near infrared of 60 × 80 pixels with gaps."""
    values = np.stack([hills(60, 80, seed), hills(60, 80, seed + 1)])
    values[:, 20:24, 30:33] = -1
    values[1, 50:, 70:] = -1
    path = write_raster(folder / f"{name}.tif", values, nodata=-1)
    return Source("sat", str(path), name)


NDVI = index_band("NDVI", {"red": "red", "nir": "nir"})
RED, NIR = Band("red", "sat", 1), Band("nir", "sat", 2)


def test_expression_of_a_band_and_an_intermediate(tmp_path):
    source = optical(tmp_path)
    grid = utm_grid(80, 60)
    found = read(Recipe((source,), (NDVI, RED), grid, intermediates=(NIR,)))
    red, nir = read(Recipe((source,), (RED, NIR), grid))
    assert found.shape == (2, 60, 80)
    np.testing.assert_allclose(found[0], (nir - red) / (nir + red), rtol=1e-5)
    np.testing.assert_array_equal(found[1], red)
    assert np.isnan(found[0, 55, 75]) and np.isfinite(found[1, 55, 75])


def test_computed_bands_do_not_depend_on_the_window(tmp_path):
    source = optical(tmp_path)
    bands = (
        replace(NDVI, fill="interpolate", parameters={**NDVI.parameters, "reach_px": 5}),
        replace(RED, fill="interpolate"),
        Band("slope", "sat", 1, "slope"),
        Band("smooth", "sat", 2, "lee", parameters={"size_px": 5}, fill="-1"),
    )
    recipe = Recipe((source,), bands, utm_grid(95, 55, 7.0), intermediates=(NIR,))
    expected = read(recipe)
    with StackReader(recipe) as reader:
        for window in windows(recipe.grid, 17):
            rows, cols = window.within(full_window(recipe.grid))
            np.testing.assert_array_equal(reader.read(window), expected[:, rows, cols])
        outside = reader.read(Window(-5, -5, 20, 20))
        np.testing.assert_array_equal(outside[:, 5:, 5:], expected[:, :15, :15])
        assert np.isnan(outside[:, :5]).all()


def test_recipe_alone_and_written_stack_agree(tmp_path):
    source = optical(tmp_path)
    bands = (NDVI, replace(RED, fill="median"), replace(NDVI, name="full", fill="interpolate"))
    job = StackJob((source,), bands, output="s.tif", intermediates=(NIR,))
    assert job.problems() == []
    stack.run(job, tmp_path, channel(tmp_path))
    with open_stack(tmp_path / "s.tif") as written:
        recipe = written.recipe
        np.testing.assert_array_equal(written.read(full_window(recipe.grid)), read(recipe))
    assert recipe.intermediates == (NIR,)
    values = read(recipe)
    red = read(Recipe((source,), (RED,), recipe.grid))[0]
    assert float(recipe.bands[1].fill) == pytest.approx(np.nanmedian(red), rel=1e-5)
    assert np.isfinite(values[1:, :, :60]).all() and np.isnan(values[0]).any()


def test_recipe_goes_to_other_files_with_all_that_is_computed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    here, there = optical(tmp_path), optical(tmp_path / "elsewhere", seed=5)
    recipe = Recipe((here,), (NDVI, RED), utm_grid(80, 60), intermediates=(NIR,))
    for given in (there, replace(there, key="other"), replace(there, key="x", name="y")):
        moved = rebind(recipe, (given,))
        assert moved.sources[0].path == there.path and moved.sources[0].key == "sat"
        red, nir = read(Recipe((there,), (RED, NIR), recipe.grid))
        np.testing.assert_allclose(read(moved)[0], (nir - red) / (nir + red), rtol=1e-5)


def test_a_written_stack_replaces_bands_that_were_computed(tmp_path):
    source = optical(tmp_path)
    recipe = Recipe((source,), (NDVI, RED), utm_grid(80, 60), intermediates=(NIR,))
    job = StackJob((source,), recipe.bands, output="s.tif", intermediates=(NIR,))
    stack.run(job, tmp_path, channel(tmp_path))
    moved = rebind(recipe, (Source("s", str(tmp_path / "s.tif"), "s"),))
    assert not moved.intermediates and all(not band.derive for band in moved.bands)
    np.testing.assert_array_equal(read(moved), read(recipe))


def test_bad_expressions_are_problems_of_the_plan(tmp_path):
    bad = Band("x", derive="expression", parameters={"expression": "nir +* 2"}, inputs={"nir": "nir"})
    plan = plan_stack((optical(tmp_path),), (bad,), GridRequest(), Area(), None, intermediates=(NIR,))
    assert plan.recipe is None and [problem.code for problem in plan.errors] == ["expression"]


def test_dry_run_draws_the_area_and_suggests_metres(tmp_path):
    path = write_raster(tmp_path / "d.tif", hills(40, 50), 0.001, (11.2, 47.3), "EPSG:4326")
    job = StackJob((Source("d", str(path)),), (Band("d", "d"),), dry_run=True)
    result = stack.run(job, tmp_path, channel(tmp_path))
    assert result["area_wkt"].startswith("POLYGON") and result["suggestion"]["crs"] == UTM
    assert "UTM zone 32N" in result["suggestion"]["reason"]
    path = write_raster(tmp_path / "m.tif", hills(40, 50))
    job = StackJob((Source("m", str(path)),), (Band("m", "m"),), dry_run=True)
    assert stack.run(job, tmp_path, channel(tmp_path))["suggestion"] is None


@pytest.mark.parametrize(
    ("longitude", "latitude", "code"),
    [
        (11, 47, "EPSG:32632"),
        (-70, -33, "EPSG:32719"),
        (5, 60, "EPSG:32632"),
        (20, 78, "EPSG:32633"),
        (180, 10, "EPSG:32660"),
        (0, 88, "EPSG:32661"),
        (0, -85, "EPSG:32761"),
    ],
)
def test_zones(longitude, latitude, code):
    assert metric_crs(longitude, latitude)[0] == code


def test_degrees_in_the_southern_hemisphere():
    grid = Grid("EPSG:4326", (0.001, 0, -70, 0, -0.001, -33), 10, 10)
    assert suggested_crs(grid)["crs"] == "EPSG:32719"
