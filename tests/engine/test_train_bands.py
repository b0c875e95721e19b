"""Training on some of a dataset's bands."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from training_scenes import small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import Dataset, GeoSegError, read_json, write_json
from geoseg_engine.dataset.datasets import read_dataset
from geoseg_engine.dataset.subset import with_bands
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.training import fit, scene

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


def with_written_stack(dataset, folder):
    """The same dataset, its three bands read from a composite."""
    shutil.copytree(dataset.parent, folder)
    (folder / "image.tif").rename(folder / "stack.tif")
    write_json(folder / "dataset.json", dataclasses.replace(read_json(Dataset, dataset), stack="stack.tif"))
    return folder / "dataset.json"


@pytest.mark.parametrize("names", [("b3",), ("b3", "b1"), ("b1", "b2", "b3")])
def test_the_bands_of_a_part_are_those_of_the_whole(dataset, tmp_path, names):
    known, folder = read_dataset(dataset)
    written, written_folder = read_dataset(with_written_stack(dataset, tmp_path / "written"))
    every, _ = scene.load_scene(known, folder, 64, Channel(tmp_path))
    expected = every.image.scores[[index for index in range(3) if f"b{index + 1}" in names]]
    for whole, place in ((known, folder), (written, written_folder)):
        part, _ = scene.load_scene(with_bands(whole, names), place, 64, Channel(tmp_path), None, whole)
        assert [band.name for band in part.bands] == sorted(names)
        assert torch.equal(part.image.scores, expected)
        assert np.array_equal(part.train, every.train)


def test_the_model_carries_the_recipe_of_its_bands_only(dataset, tmp_path):
    result = fit.run(small_job(dataset, bands=("b1", "b3"), epochs=1), tmp_path, Channel(tmp_path))
    model = read_model(result["model"])
    assert [band.name for band in model.recipe.bands] == ["b1", "b3"]
    assert len(model.statistics.mean) == model.architecture["bands"] == 2


def test_a_band_that_is_not_there_is_named_with_those_that_are(dataset, tmp_path):
    with pytest.raises(GeoSegError, match=r"b9.*b1, b2, b3") as caught:
        fit.run(small_job(dataset, bands=("b1", "b9")), tmp_path, Channel(tmp_path))
    assert caught.value.code == "unknown_band"
