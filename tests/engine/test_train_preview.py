"""The preview: its picture, its facts, what it says, and that it is quick."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from data_scenes import channel
from training_scenes import small_job, write_dataset

from geoseg_engine.contract import Band, Dataset, PreviewJob, decode, write_json
from geoseg_engine.training import preview


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("preview"))


def read(path):
    with rasterio.open(path) as raster:
        assert raster.driver == "PNG" and raster.dtypes[0] == "uint8"
        return raster.read()


def test_crops_stand_side_by_side_as_they_are_and_as_augmented(dataset, tmp_path):
    job = PreviewJob(small_job(dataset, augment=("flip", "turn", "noise"), by_class=0.5), 3)
    result = preview.run(job, tmp_path, channel(tmp_path))
    assert result["augment"] == ["flip", "turn", "noise"]
    assert result["sentences"][0] == "3 crops of 32 px; 50% of the crops are class-balanced"
    assert sorted(item.name for item in tmp_path.iterdir() if item.name.startswith("preview")) == [
        "preview.json",
        "preview.png",
    ]
    image = read(result["image"])
    assert image.shape == (3, 4 * 132, 3 * 132)
    plain, tinted, augmented = (image[:, row : row + 128, :128].astype(int) for row in (0, 132, 264))
    assert (plain != tinted).any() and (plain != augmented).any()
    facts = json.loads((tmp_path / "preview.json").read_text(encoding="utf-8"))
    assert [row["kind"] for row in facts["rows"]] == ["as it is"] * 3 + ["augmented"] * 3
    assert facts["rows"][0]["row"] == facts["rows"][3]["row"] >= 0
    assert facts["augment"] == result["augment"] and facts["why"] == result["sentences"]


def test_the_colours_are_those_of_the_classes(dataset, tmp_path):
    image = read(
        preview.run(PreviewJob(small_job(dataset, augment=()), 2), tmp_path, channel(tmp_path))["image"]
    )
    assert image.shape == (3, 2 * 132, 2 * 132)
    plain, tinted = (image[:, row : row + 128, :128].astype(int) for row in (0, 132))
    scar, ground = (
        (np.abs(tinted - (plain + np.array(colour)[:, None, None]) // 2) <= 1).all(0)
        for colour in (
            (0xCC, 0x22, 0x00),
            (0xDD, 0xDD, 0xDD),
        )
    )
    assert scar.any() and ground.any()
    assert (scar | ground | (plain == tinted).all(0)).all()


def test_what_cannot_be_turned_is_not_and_said(dataset, tmp_path):
    found = decode(Dataset, json.loads(dataset.read_text(encoding="utf-8")))
    labels, split = (str(dataset.parent / f"{name}.tif") for name in ("labels", "split"))
    bands = (Band("hillshade of 2019", "r1", 1), *found.recipe.bands[1:])
    recipe = replace(found.recipe, bands=bands)
    write_json(tmp_path / "dataset.json", replace(found, labels=labels, split=split, recipe=recipe))
    result = preview.run(
        PreviewJob(small_job(tmp_path / "dataset.json", augment=("flip", "noise")), 2),
        tmp_path,
        channel(tmp_path),
    )
    assert result["augment"] == ["noise"]
    assert result["sentences"][-1].startswith("no rotation or mirroring: band 'hillshade of 2019'")


def test_many_crops_go_into_rows_and_one_band_is_grey(dataset, tmp_path):
    job = PreviewJob(small_job(dataset, augment=("none",), bands=("b2",)), 8)
    result = preview.run(job, tmp_path, channel(tmp_path))
    image = read(result["image"])
    assert image.shape == (3, 2 * 2 * 132, 6 * 132)
    assert (image[0, :128] == image[1, :128]).all()
    assert result["sentences"][1] == "no augmentation"
