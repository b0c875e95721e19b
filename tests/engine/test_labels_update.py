"""Labels after an edit: only windows of changed polygons are burnt again, with the result of burning all."""

import json
from dataclasses import replace

import numpy as np
import pytest
from data_scenes import channel, hills, one_band_each, pixel_box, sources_of, write_polygons, write_raster
from recorder import Recorder

from geoseg_engine.contract import Labels, RasterizeJob, StackJob
from geoseg_engine.dataset.datasets import read_ids
from geoseg_engine.dataset.labels import rasterize
from geoseg_engine.stacking import stack

SIDE = 64
BOXES = [pixel_box(row, col, 9, 11) for row in range(6, 180, 30) for col in range(6, 180, 30)]
KINDS = ["a" if number % 3 else "b" for number in range(len(BOXES))]


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """A stack with missing values, in nine windows."""
    monkeypatch.setattr(rasterize, "BURN_PX", SIDE)
    values = hills(190, 190)
    values[100:110, 20:60] = np.nan
    sources = sources_of(write_raster(tmp_path / "a.tif", values))
    stack.run(
        StackJob(sources, one_band_each(sources), output="stack.recipe.json"), tmp_path, channel(tmp_path)
    )
    return tmp_path


def burn(folder, boxes, kinds, output="labels.tif", update=True, **settings):
    path = folder / "l.gpkg"
    path.unlink(missing_ok=True)
    source = Labels(str(write_polygons(path, boxes, kind=kinds)), "", "l", "kind", (), "unknown")
    recorder = Recorder(folder)
    job = RasterizeJob("stack.recipe.json", replace(source, **settings), output=output, update=update)
    result = rasterize.run(job, folder, recorder)
    recorder._record.close()
    return result, recorder


def burnt_windows(recorder) -> int | None:
    texts = [text for text in recorder.texts if "burnt" in text]
    return int(texts[0].split()[0]) if texts else None


def same_as_all(folder, result, boxes, kinds, **settings) -> None:
    whole, _ = burn(folder, boxes, kinds, "whole.tif", update=False, **settings)
    assert np.array_equal(read_ids(folder / "labels.tif"), read_ids(folder / "whole.tif"))
    assert (folder / "labels.tif").read_bytes() == (folder / "whole.tif").read_bytes()
    assert {**result, "output": ""} == {**whole, "output": ""}
    facts = [json.loads((folder / f"{name}.classes.json").read_text("utf-8")) for name in ("labels", "whole")]
    assert {**facts[0], "name": ""} == {**facts[1], "name": ""}


SETTINGS = (
    {},
    {"border_px": 3},
    {"min_area_px": 40},
    {"all_touched": True},
    {"unlabelled": "background"},
    {"excluded": ("b",)},
)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda item: next(iter(item), "plain"))
def test_edits_give_what_burning_all_gives(scene, settings) -> None:
    burn(scene, BOXES, KINDS, **settings)
    random = np.random.default_rng(3)
    boxes, kinds = list(BOXES), list(KINDS)
    for step in range(4):
        place = int(random.integers(len(boxes)))
        if step == 0:
            boxes.append(pixel_box(70, 70, 20, 20))
            kinds.append("a")
        elif step == 1:
            boxes[place] = pixel_box(int(random.integers(170)), int(random.integers(170)), 12, 5)
        elif step == 2:
            del boxes[place], kinds[place]
        else:
            kinds[place] = "a" if kinds[place] == "b" else "b"
        result, recorder = burn(scene, boxes, kinds, **settings)
        assert burnt_windows(recorder) < (10 if "min_area_px" in settings else 9)
        same_as_all(scene, result, boxes, kinds, **settings)


def test_without_an_edit_nothing_is_burnt(scene) -> None:
    burn(scene, BOXES, KINDS)
    result, recorder = burn(scene, BOXES, KINDS)
    assert burnt_windows(recorder) == 0
    same_as_all(scene, result, BOXES, KINDS)


def test_another_setting_stack_or_raster_burns_all(scene) -> None:
    burn(scene, BOXES, KINDS)
    assert burnt_windows(burn(scene, BOXES, KINDS, border_px=2)[1]) is None
    assert burnt_windows(burn(scene, BOXES, KINDS, border_px=2)[1]) == 0
    write_raster(scene / "a.tif", hills(190, 190) + 1)
    assert burnt_windows(burn(scene, BOXES, KINDS, border_px=2)[1]) is None
    with (scene / "labels.tif").open("ab") as file:
        file.write(b"0")
    assert burnt_windows(burn(scene, BOXES, KINDS, border_px=2)[1]) is None


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"shapes": 3},
        {"shapes": {"a": [1]}},
        {"tallies": []},
        {"tallies": [{}] * 9},
        {"raster": 1},
    ],
)
def test_a_damaged_record_burns_all(scene, change) -> None:
    burn(scene, BOXES, KINDS)
    path = scene / "labels.burnt.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), encoding="utf-8")
    result, recorder = burn(scene, BOXES, KINDS)
    assert burnt_windows(recorder) is None
    same_as_all(scene, result, BOXES, KINDS)
