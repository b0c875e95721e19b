"""A raster of classes has one band: of several none is taken in silence, whoever reads it."""

import numpy as np
import pytest
import rasterio
from data_scenes import channel, hills, write_raster

from geoseg_engine.contract import (
    AreasJob,
    Band,
    Cleaning,
    CleanJob,
    EvaluateJob,
    GeoSegError,
    GridRequest,
    Labels,
    PolygonizeJob,
    RasterizeJob,
    SampleJob,
    Series,
    Source,
)
from geoseg_engine.dataset.labels import rasterize as labels
from geoseg_engine.evaluation import areas, evaluate, sampling
from geoseg_engine.postprocess.cleaning import clean
from geoseg_engine.postprocess.polygons import polygonize
from geoseg_engine.raster.grid import full_window
from geoseg_engine.raster.series import open_series
from geoseg_engine.stacking.reader import StackReader
from geoseg_engine.stacking.recipe_plan import plan_recipe

IDS = (np.arange(400).reshape(20, 20) // 100).astype(np.uint8)


def picture(folder, kind: str):
    """Class ids as the bands of a picture, beside other bands, beside alpha, or as one of two images."""
    path = folder / "classes.tif"
    if kind == "picture":
        return write_raster(path, np.stack([IDS, 255 - IDS, IDS * 0]), photometric="rgb")
    if kind == "images":
        write_raster(path, IDS)
        return write_raster(path, IDS, append_subdataset=True)
    if kind == "alpha":
        return write_raster(path, np.stack([IDS, IDS * 0 + 255]), photometric="minisblack", alpha="yes")
    return write_raster(path, np.stack([IDS, IDS + 1]))


def jobs(path):
    """Everything that reads a raster of classes, as a call."""
    classes = Labels(str(path), kind="raster", unlabelled="unknown")
    return {
        "labels": (labels, RasterizeJob("image.tif", classes, output="l.tif")),
        "areas": (areas, AreasJob(str(path), output="areas")),
        "sample": (sampling, SampleJob(str(path), output="s.gpkg", count=20)),
        "polygons": (polygonize, PolygonizeJob(str(path), output="p.gpkg")),
        "clean": (clean, CleanJob(str(path), cleaning=Cleaning(majority_px=3), output="c.tif")),
        "map": (
            evaluate,
            EvaluateJob(prediction=str(path), truth=Labels("one.tif", kind="raster"), output="e"),
        ),
        "truth": (evaluate, EvaluateJob(prediction="one.tif", truth=classes, output="e")),
    }


JOBS = tuple(jobs(""))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / "image.tif", hills(20, 20))
    write_raster(tmp_path / "one.tif", IDS)
    return tmp_path


@pytest.mark.parametrize("kind", ["picture", "two bands", "images"])
@pytest.mark.parametrize("name", JOBS)
def test_several_bands_are_refused_with_the_next_step(folder, name, kind):
    worker, job = jobs(picture(folder, kind))[name]
    with pytest.raises(GeoSegError) as caught:
        worker.run(job, folder, channel(folder))
    error = caught.value
    assert error.code == "several_bands" and "'classes'" in error.message
    assert ("RGB to PCT" in error.hint) == (kind == "picture") and ("2 images" in error.message) == (
        kind == "images"
    )


@pytest.mark.parametrize("name", ["labels", "areas", "polygons"])
def test_alpha_is_no_second_band(folder, name):
    worker, job = jobs(picture(folder, "alpha"))[name]
    worker.run(job, folder, channel(folder))


def test_probabilities_are_no_confidence(folder):
    write_raster(folder / "probability.tif", np.stack([hills(20, 20)] * 3))
    job = PolygonizeJob("one.tif", output="p.gpkg", confidence="probability.tif")
    with pytest.raises(GeoSegError) as caught:
        polygonize.run(job, folder, channel(folder))
    assert caught.value.code == "several_bands" and "'probability'" in caught.value.message


def banded(path, order, corner=None, how="names"):
    """Bands red, green, blue with the values 1, 2, 3 in some order, told apart by their names or colours."""
    of = {"red": 1, "green": 2, "blue": 3}
    values = np.stack([np.full((6, 8), of[name], np.uint8) for name in order])
    write_raster(path, values, **({"corner": corner} if corner else {}))
    with rasterio.open(path, "r+") as dataset:
        if how == "names":
            dataset.descriptions = order
        else:
            dataset.colorinterp = [rasterio.enums.ColorInterp[name] for name in order]
    return str(path)


@pytest.mark.parametrize("how", ["names", "colours"])
def test_bands_of_a_tile_in_another_order_are_put_in_order(tmp_path, how):
    first = banded(tmp_path / "a.tif", ("red", "green", "blue"), how=how)
    other = banded(tmp_path / "b.tif", ("blue", "red", "green"), (600_080.0, 5_200_000.0), how)
    source = Source("m", first, paths=(other,))
    bands = tuple(
        Band(name, "m", index, "", "nearest") for index, name in enumerate(("red", "green", "blue"), 1)
    )
    recipe = plan_recipe((source,), bands, GridRequest()).recipe
    with StackReader(recipe) as reader:
        values = reader.read(full_window(recipe.grid))
    assert values.shape == (3, 6, 16) and (values == np.array([1, 2, 3])[:, None, None]).all()


def test_dates_of_a_series_are_put_in_order_too(tmp_path):
    first = banded(tmp_path / "a_2020-01-01.tif", ("red", "green", "blue"))
    other = banded(tmp_path / "b_2020-02-01.tif", ("green", "blue", "red"))
    with open_series(Source("s", first, paths=(other,), kind="series", series=Series())) as series:
        for index in (1, 2, 3):
            assert (series.values(index, [0, 1], full_window(series.grid)) == index).all()


@pytest.mark.parametrize("kind", ["mosaic", "series"])
def test_tiles_of_other_bands_are_refused_by_their_names(tmp_path, kind):
    first = banded(tmp_path / "a_2020-01-01.tif", ("red", "green", "blue"))
    other = write_raster(tmp_path / "b_2020-02-01.tif", np.ones((3, 6, 8), np.uint8))
    with rasterio.open(other, "r+") as dataset:
        dataset.descriptions = ("nir", "red", "green")
    source = Source("m", first, paths=(str(other),), kind="series" if kind == "series" else "raster")
    band = Band("v", "m", 1, "mean" if kind == "series" else "")
    (problem,) = plan_recipe((source,), (band,), GridRequest()).problems
    assert problem.code == ("other_bands" if kind == "series" else "mosaic_bands")
    assert "nir, red, green" in problem.message and "red, green, blue" in problem.message


def test_tiles_with_and_without_alpha_or_names_are_one_mosaic(tmp_path):
    first = banded(tmp_path / "a.tif", ("red", "green", "blue"))
    other = write_raster(tmp_path / "b.tif", np.full((4, 6, 8), 2, np.uint8), corner=(600_080.0, 5_200_000.0),
                         photometric="rgb", alpha="yes")  # fmt: skip
    plan = plan_recipe((Source("m", first, paths=(str(other),)),), (Band("v", "m"),), GridRequest())
    assert plan.recipe is not None and plan.recipe.grid.width == 16
