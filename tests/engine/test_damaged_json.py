"""Everything that is kept as JSON, damaged: a value comes out, or an error of one sentence."""

import json
import sys
import tracemalloc

import numpy as np
import pytest
from damage import damaged_bytes, damaged_json, survives
from job_examples import EXAMPLES
from prediction_scenes import grid_of, scene, write_raster

from geoseg_engine.cli_flags import json_of
from geoseg_engine.contract import (
    Band,
    Dataset,
    GeoSegError,
    LabelClass,
    PredictJob,
    Recipe,
    Source,
    decode,
    encode,
    job_to_json,
    kept_json,
    known_fields,
    load_json,
    parse_event,
    parse_json,
    read_job,
    write_json,
)
from geoseg_engine.contract.strictjson import MAX_BYTES
from geoseg_engine.dataset.datasets import read_dataset
from geoseg_engine.dataset.labels.rasterize import LabelFacts, facts_path, read_facts
from geoseg_engine.evaluation.map_confidence import confidence_file
from geoseg_engine.experiments.runs import busy_seconds, finished_result
from geoseg_engine.prediction.run_plan import PLAN_FILE, RunPlan, read_plan
from geoseg_engine.prediction.shards import DONE_FILE, kept_result
from geoseg_engine.raster.writer import CLASSES_TAG, read_classes
from geoseg_engine.scores.intervals import intervals
from geoseg_engine.stacking.recipes import read_recipe

TIMES = 120
RECIPE = Recipe(
    (Source("r1", "a.tif", "photo"), Source("t", "t.nc", kind="series")),
    (Band("red", "r1", 1), Band("mean", "t", derive="percentile", parameters={"percent": 50.0})),
    grid_of(20, 30),
)
CLASSES = (LabelClass(0, "background"), LabelClass(1, "rock", "r", "#804000"))
DATASET = Dataset("d", RECIPE, "labels.tif", "split.tif", "tiles.gpkg", CLASSES, counts={"train": {"0": 5}})
EVENT = {
    "v": "1.0",
    "type": "epoch",
    "t": 1.5,
    "epoch": 1,
    "epochs": 2,
    "iou": [0.5, None],
    "train_loss": 1.0,
}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "NaN is no number"),
        ('{"a": [1, -Infinity]}', "Infinity is no number"),
        ("1e999", "too large"),
        ("9" * 400, "more than 64 bits"),
        ("-" + "9" * 6000, "more than 64 bits"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' comes twice"),
        ("[" * 100_000 + "]" * 100_000, "nests deeper"),
        ("[" * 100 + "]" * 100, "nests deeper"),
        ('{"a": "x\\u0000y"}', "the character NUL"),
        ('{"x\\u0000": 1}', "the character NUL"),
        (b'"\xff"', "can't decode byte"),
        ('{"a": 1', "delimiter"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_json_for_everybody_is_refused(text, why):
    with pytest.raises(GeoSegError) as caught:
        parse_json(text, "mine.json")
    assert caught.value.code == "bad_json"
    assert caught.value.message.startswith("mine.json is not valid JSON: ") and why in caught.value.message


def test_what_is_json_is_read_as_ever():
    values = {"a": [1, -2.5, True, None, "é\U0001f600", 2**63, -(2**63)], "b": {"c": {}}}
    assert parse_json(json.dumps(values), "x") == values
    assert parse_json(b"\xef\xbb\xbf[1]", "x") == [1]  # as Notepad writes it


def test_a_file_of_any_size_is_looked_at_no_further_than_the_limit(tmp_path):
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(40 * MAX_BYTES)
    tracemalloc.start()
    with pytest.raises(GeoSegError, match="more than 67"):
        load_json(tmp_path / "large.json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * MAX_BYTES


def write_recipe_file(folder):
    write_json(folder / "a.recipe.json", RECIPE)
    return folder / "a.recipe.json", lambda: read_recipe(folder / "a.recipe.json")


def write_dataset_file(folder):
    write_json(folder / "dataset.json", DATASET)
    for name in ("labels.tif", "split.tif"):
        (folder / name).touch()
    return folder / "dataset.json", lambda: read_dataset(folder)


def write_facts_file(folder):
    (folder / "labels.tif").touch()
    path = facts_path(folder / "labels.tif")
    write_json(path, LabelFacts("labels", CLASSES, counts={"rock": 5}))
    return path, lambda: read_facts(folder / "labels.tif")


def write_plan_file(folder):
    write_json(folder / PLAN_FILE, RunPlan("key", "torch", "float32", 512, 512))
    return folder / PLAN_FILE, lambda: read_plan(folder)


def write_result_file(folder):
    wanted = encode(PredictJob("model.onnx"))
    write_json(folder / DONE_FILE, {"wanted": wanted, "result": {"output": "", "confidence": "a.tif"}})
    return folder / DONE_FILE, lambda: kept_result(folder, wanted, ("output", "confidence"))


def write_run_file(folder):
    write_json(folder / "result.json", {"dataset": "x", "result": {"model": "model.onnx"}})
    return folder / "result.json", lambda: finished_result(folder, "x")


def write_map_job(folder):
    job = {"protocol": "1.0", "kind": "predict", "job": {"model": "m.onnx", "confidence": "c.tif"}}
    write_json(folder / "job.json", job)
    return folder / "job.json", lambda: confidence_file(folder / "classes.tif")


def write_flag_file(folder):
    write_json(folder / "bands.json", RECIPE.bands)
    return folder / "bands.json", lambda: json_of("bands", f"@{folder / 'bands.json'}")


def test_a_plan_of_parts_with_an_impossible_window_is_none(tmp_path):
    for core_px, unit_px in ((0, 512), (10**12, 512), (512, 10**12)):
        write_json(tmp_path / PLAN_FILE, RunPlan("key", "torch", "float32", core_px, unit_px))
        assert read_plan(tmp_path) is None


FILES = [
    write_recipe_file, write_dataset_file, write_facts_file, write_plan_file, write_result_file, write_run_file,
    write_map_job, write_flag_file,
]  # fmt: skip


@pytest.mark.parametrize("write", FILES)
def test_a_damaged_file_gives_a_value_or_one_sentence(write, tmp_path):
    path, read = write(tmp_path)
    assert survives(read) is None
    whole = path.read_bytes()
    refused = 0
    for content in (*damaged_json(json.loads(whole), TIMES, 1), *damaged_bytes(whole, TIMES, 2)):
        path.write_bytes(content)
        refused += survives(read) is not None
    assert refused > TIMES / 2 or write in (write_plan_file, write_result_file, write_run_file, write_map_job)


@pytest.mark.parametrize("job", EXAMPLES, ids=lambda job: job.kind)
def test_a_damaged_job_gives_its_problems_or_one_sentence(job, tmp_path):
    path = tmp_path / "job.json"

    def read():
        problems = read_job(path).problems()
        assert all(problem.message for problem in problems)

    for content in damaged_json(encode(job_to_json(job)), TIMES // 2, 3):
        path.write_bytes(content)
        survives(read)


def test_a_damaged_line_of_the_record_is_no_event(tmp_path):
    record = tmp_path / "events.jsonl"
    lines = [*damaged_json(EVENT, TIMES, 4), *damaged_bytes(json.dumps(EVENT).encode(), TIMES, 5)]
    for line in lines:
        survives(lambda line=line: parse_event(line))
    record.write_bytes(b"\n".join(lines))
    assert busy_seconds(record) is not None


def test_a_damaged_list_of_classes_in_a_raster_is_one_sentence(tmp_path):
    import rasterio

    path = write_raster(tmp_path / "a.tif", scene(8, 8), grid_of(8, 8))
    for content in damaged_json(encode(CLASSES), TIMES // 4, 6):
        text = content.decode("utf-8", "replace").replace("\0", "")
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(**{CLASSES_TAG: text})
        with rasterio.open(path) as dataset:
            survives(lambda dataset=dataset: read_classes(dataset))


def test_a_missing_or_damaged_file_that_may_be_missing_is_none(tmp_path):
    (tmp_path / "a.json").write_text('{"a": NaN}', encoding="utf-8")
    assert kept_json(tmp_path / "a.json") is None and kept_json(tmp_path / "b.json") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"grid": {"width": 0}}, "'width' is 0"),
        ({"grid": {"height": 10**12}}, "'height' is 1e+12"),
        ({"grid": {"transform": [0, 0, 0, 0, 0, 0]}}, "cover no area"),
        ({"bands": []}, "has 0 bands"),
        ({"sources": []}, "unknown source"),
    ],
)
def test_a_recipe_that_cannot_be_read_by_is_refused_when_it_is_read(change, said, tmp_path):
    recipe = encode(RECIPE)
    for key, value in change.items():
        recipe[key] = {**recipe[key], **value} if isinstance(value, dict) else value
    write_json(tmp_path / "a.recipe.json", recipe)
    with pytest.raises(GeoSegError) as caught:
        read_recipe(tmp_path / "a.recipe.json")
    assert said in caught.value.message


def test_what_evaluations_and_comparisons_write_is_known_whole():
    interval = [0.5, 0.7]
    evaluation = {
        "miou": 0.6,
        "intervals": {"miou": interval, "foreground_iou": None, "per_class": [interval, None], "blocks": 9}
        | {"block_px": 64},
        "warnings": [{"code": "small_map", "message": "Few pixels."}],
    }
    comparison = {"rows": [{"rank": 1, "model": "forest", "warnings": ["Trained on the same ground."]}]}
    assert known_fields(evaluation) == evaluation
    assert known_fields(comparison) == comparison
    assert known_fields({"intervals": {"miou": 5}, "warnings": ["text"], "rows": [{"warnings": [1]}]}) == {
        "rows": [{}]
    }


def test_intervals_of_any_number_of_blocks_are_known():
    for blocks in (1, 2, 9):
        found = intervals(np.full((blocks, 2, 2), 3), CLASSES, 64)
        assert known_fields({"intervals": found}) == {"intervals": found}


def test_classes_of_foreign_rasters_have_any_whole_number():
    for number in (-5, 1000, 2**40):
        assert decode(LabelClass, encode(LabelClass(number, "n"))).id == number


def test_a_raster_of_ours_names_bytes_only(tmp_path):
    import rasterio

    path = write_raster(tmp_path / "a.tif", scene(8, 8), grid_of(8, 8))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**{CLASSES_TAG: json.dumps([encode(LabelClass(1 << 40, "n"))])})
    with (
        rasterio.open(path) as dataset,
        pytest.raises(GeoSegError, match="names a class 1099511627776"),
    ):
        read_classes(dataset)


def test_the_greatest_number_of_a_float_is_one():
    for value in (-sys.float_info.max, sys.float_info.max, int(sys.float_info.max)):
        assert decode(Source, {"key": "a", "path": "p", "nodata": value}).nodata == value
    with pytest.raises(GeoSegError):
        decode(Source, {"key": "a", "path": "p", "nodata": 10**309})
