"""Windows read on several cores: the same values, in order, and errors that arrive."""

from dataclasses import replace

import numpy as np
import pytest
from data_scenes import hills, sources_of, utm_grid, write_raster

from geoseg_engine.contract import Band, GeoSegError, Recipe
from geoseg_engine.raster.grid import windows
from geoseg_engine.stacking.reader import ParallelReader, StackReader


def recipe_of(path) -> Recipe:
    return Recipe(
        sources_of(path), (Band("a", "r1"), Band("slope", "r1", 1, "slope")), utm_grid(150, 130, 7.7)
    )


def test_same_values_in_order(tmp_path):
    recipe = recipe_of(write_raster(tmp_path / "a.tif", hills(100, 120)))
    parts = list(windows(recipe.grid, 20))
    with StackReader(recipe) as one, ParallelReader(recipe, 3) as many:
        found = list(many.read_all(parts))
        assert [window for window, _ in found] == parts
        for window, values in found:
            np.testing.assert_array_equal(values, one.read(window))


def test_a_damaged_file_ends_it(tmp_path):
    path = write_raster(
        tmp_path / "a.tif", hills(300, 300), compress="deflate", tiled=True, blockxsize=64, blockysize=64
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recipe = replace(recipe_of(path), grid=utm_grid(300, 300))
    with pytest.raises(GeoSegError) as caught, ParallelReader(recipe, 2) as reader:
        list(reader.read_all(windows(recipe.grid, 64)))
    assert caught.value.code == "cannot_read"


def test_stopping_early_leaves_nothing_running(tmp_path):
    recipe = recipe_of(write_raster(tmp_path / "a.tif", hills(100, 120)))
    with ParallelReader(recipe, 2) as reader:
        next(reader.read_all(windows(recipe.grid, 10)))
