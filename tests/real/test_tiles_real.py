"""Splits, findings and chips of real layers: what was counted by hand or published is found."""

from __future__ import annotations

from pathlib import Path

import geopandas
import pytest
from data_scenes import channel
from real_data import BOXES, FIELDS, ORTHOSEG, burnt, layers

from geoseg_engine.contract import Area, CheckJob, ExportChipsJob, Labels, TileJob
from geoseg_engine.dataset import chips, tiles
from geoseg_engine.dataset.checks import check
from geoseg_engine.dataset.datasets import read_dataset, read_ids


@pytest.fixture(scope="module")
def fields(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of the fields, complete inside the provider's boxes."""
    folder = tmp_path_factory.mktemp("fields")
    area = Area("polygons", str(data / BOXES))
    burnt(folder, data, (ORTHOSEG,), Labels(str(data / FIELDS), class_field="label_name"), area)
    return folder


def test_findings_of_the_fields(data: Path, tmp_path: Path) -> None:
    sources, bands = layers(data, ORTHOSEG)
    source = Labels(str(data / FIELDS), "", "fields", "label_name")
    result = check.run(CheckJob(sources, source, bands, findings="f.gpkg"), tmp_path, channel(tmp_path))
    found = geopandas.read_file(tmp_path / "f.gpkg", layer="findings")
    assert result["findings"]["no_geometry"] == 1 and result["findings"]["labels_outside"] == 44
    assert len(found) == sum(result["findings"].values()) and (found.reason.str.len() > 20).all()
    assert found.geometry.notna().all() and (found.code != "labels_shifted").all()


def test_blocks_of_the_fields_follow_their_variogram(fields: Path) -> None:
    result = tiles.run(TileJob("stack.recipe.json", "labels.tif", folds=4), fields, channel(fields))
    assert "alike up to about" in result["block_reason"] and result["split_distance_m"] > 10
    tested = [
        read_ids(home / dataset.split) == 2
        for dataset, home in (read_dataset(fields / "folds" / str(number)) for number in range(1, 5))
    ]
    assert sum(tested).max() == 1, "no pixel is tested twice"
    assert all(test.any() for test in tested)


def test_the_providers_boxes_name_the_split(fields: Path, data: Path) -> None:
    frame = geopandas.read_file(data / BOXES, layer="locations")
    text = [name for name in frame.columns if frame[name].astype(str).str.contains("train").any()]
    area = Area("polygons", str(data / BOXES), split_field=text[0])
    result = tiles.run(
        TileJob("stack.recipe.json", "labels.tif", area=area, output="boxes"), fields, channel(fields)
    )
    assert result["counts"]["train"]["1"] > result["counts"]["test"]["1"] > 0


def test_chips_of_the_fields_are_png(fields: Path) -> None:
    tiles.run(TileJob("stack.recipe.json", "labels.tif", output="set"), fields, channel(fields))
    result = chips.run(ExportChipsJob("set", output="chips"), fields, channel(fields))
    assert result["format"] == "png" and result["verified"] == result["count"] > 20
