"""The bands of a model are found in other files by name, and other pixels become those of the model."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from prediction_scenes import BANDS, grid_of, recipe_of, scene, write_model, write_raster
from rasterio.warp import Resampling, calculate_default_transform, reproject

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Band, Grid, PredictJob, Recipe, Source, index_band
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.matching import match, matched_rows
from geoseg_engine.raster.grid import Window
from geoseg_engine.stacking.reader import StackReader

ROWS, COLS = 90, 120


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with image.tif and model.onnx."""
    folder = tmp_path_factory.mktemp("matching")
    grid = grid_of(ROWS, COLS)
    image = write_raster(folder / "image.tif", scene(ROWS, COLS), grid)
    write_model(folder / "model.onnx", recipe_of(image, grid))
    return folder


def classes(place, folder, *sources):
    folder.mkdir()
    result = predict.run(PredictJob(str(place / "model.onnx"), sources), folder, Channel(folder))
    with rasterio.open(folder / "classes.tif") as dataset:
        return dataset.read(1), result


def described(path, array, grid, names):
    write_raster(path, array, grid)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = names
    return str(path)


def test_bands_of_other_order_and_more_are_found_by_name(place, tmp_path):
    own, _ = classes(place, tmp_path / "own")
    red, height = scene(ROWS, COLS)
    array = np.stack([height * 0 + 7, height, red])
    path = described(tmp_path / "other.tif", array, grid_of(ROWS, COLS), ("nir", "height", "red"))
    given, result = classes(place, tmp_path / "other", Source("x", path, "another name"))
    assert (given == own).all()
    assert result["matched"] == [
        {
            "slot": "image",
            "key": "r1",
            "file": path,
            "bands": [
                {"band": "red", "index": 3, "derive": ""},
                {"band": "height", "index": 2, "derive": ""},
            ],
        }
    ]


def test_without_names_the_number_counts(place, tmp_path):
    own, _ = classes(place, tmp_path / "own")
    swapped = write_raster(tmp_path / "swapped.tif", scene(ROWS, COLS)[::-1], grid_of(ROWS, COLS))
    given, result = classes(place, tmp_path / "other", Source("x", str(swapped), "image"))
    assert [row["index"] for row in result["matched"][0]["bands"]] == [1, 2]
    assert (given != own).mean() > 0.05


def test_a_layer_in_another_crs_and_pixel_size_is_resampled_to_the_models(place, tmp_path):
    with rasterio.open(place / "image.tif") as dataset:
        transform, width, height = calculate_default_transform(
            dataset.crs, "EPSG:32632", dataset.width, dataset.height, *dataset.bounds, resolution=5
        )
        array = np.full((2, height, width), np.nan, np.float32)
        reproject(
            dataset.read(),
            array,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            dst_transform=transform,
            dst_crs="EPSG:32632",
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    there = write_raster(
        tmp_path / "there.tif", array, Grid("EPSG:32632", tuple(transform)[:6], width, height)
    )
    recipe = match(read_model(place / "model.onnx"), (Source("x", str(there), "there"),)).recipe
    grid = recipe.grid
    assert "32631" in grid.crs or "31N" in grid.crs
    assert (grid.transform[0], grid.transform[4]) == (10, -10)
    left, top = round((grid.transform[2] - 500_000) / 10), round((5_000_000 - grid.transform[5]) / 10)
    with StackReader(recipe) as stack:
        inner = stack.read(Window(10 - top, 10 - left, ROWS - 20, COLS - 20))
    for given, own in zip(inner, scene(ROWS, COLS)[:, 10:-10, 10:-10], strict=True):
        assert np.isfinite(given).all() and np.corrcoef(given.ravel(), own.ravel())[0, 1] > 0.95


def two_slots(folder):
    """A model of two layers of one band each."""
    grid = grid_of(ROWS, COLS)
    red, height = scene(ROWS, COLS)
    sources = (
        Source("sat", str(write_raster(folder / "red.tif", red, grid)), "Satellite"),
        Source("dem", str(write_raster(folder / "height.tif", height, grid)), "Heights"),
    )
    bands = (replace(BANDS[0], source="sat"), Band("height", "dem", 1))
    return read_model(write_model(folder / "two.onnx", Recipe(sources, bands, grid))), sources


def test_a_key_corrects_what_a_name_would_say(tmp_path):
    model, (sat, dem) = two_slots(tmp_path)
    assert [row["file"] for row in match(model, (dem, sat)).matched] == [sat.path, dem.path]
    by_name = match(model, (replace(dem, key="a"), replace(sat, key="b")))
    assert [row["file"] for row in by_name.matched] == [sat.path, dem.path]
    corrected = match(model, (replace(dem, key="sat"), replace(sat, key="dem")))
    assert [(row["key"], row["file"]) for row in corrected.matched] == [("sat", dem.path), ("dem", sat.path)]
    assert corrected.recipe is not None and not corrected.problems


def test_rows_tell_bands_that_are_derived_and_leave_out_expressions():
    sources = (Source("sat", "a.tif", "Satellite"),)
    grid = grid_of(4, 4)
    recipe = Recipe(
        sources,
        (index_band("NDVI", {"nir": "nir", "red": "red"}), Band("slope", "sat", 3, "slope")),
        grid,
        intermediates=(Band("nir", "sat", 4), Band("red", "sat", 3)),
    )
    (row,) = matched_rows(recipe, recipe)
    assert [(band["band"], band["index"], band["derive"]) for band in row["bands"]] == [
        ("slope", 3, "slope"),
        ("nir", 4, ""),
        ("red", 3, ""),
    ]
