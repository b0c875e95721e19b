"""The job `map`: only what is out of date is made again, and the test areas stay."""

import json
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from map_scenes import FAST, between, make, map_job, redone, write_labels, write_scene
from recorder import Recorder

from geoseg_engine import cli
from geoseg_engine.contract import (
    FAST_MODEL,
    Area,
    Cancelled,
    GeoSegError,
    MapJob,
    Outlines,
    PredictJob,
    TileJob,
    TrainJob,
    read_job,
    read_json,
    write_json,
)
from geoseg_engine.contract.map_stages import map_states, outdated_jobs
from geoseg_engine.contract.stages import STAGES, changes, read_record
from geoseg_engine.dataset.datasets import read_dataset, read_ids
from geoseg_engine.dataset.split.kept import KeptBlocks, kept_plan
from geoseg_engine.mapmaking import update
from geoseg_engine.mapmaking.all_labels import final_job
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.raster.grid import full_window

FIRST = ["stack", "labels", "split", "model", "accuracy", "map"]
TEST = 2


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A map as it was made first; tests copy it."""
    folder = tmp_path_factory.mktemp("map")
    _, corners = write_scene(folder)
    write_labels(folder / "labels.gpkg", corners[::2], between(corners[::2]))
    result, channel = make(folder)
    return folder, corners, result, channel


@pytest.fixture
def scene(made, tmp_path):
    """A copy of the map, in which a test may change what it likes."""
    folder = tmp_path / "map"
    shutil.copytree(made[0], folder)
    for path in (folder / "image.tif", folder / "labels.gpkg"):
        shutil.copy2(made[0] / path.name, path)
    first, _ = make(folder)  # the paths of the rasters are others now
    return folder, made[1], first


def test_a_first_run_makes_everything(made) -> None:
    folder, _, result, channel = made
    assert redone(result) == FIRST
    for name in ("classes.tif", "confidence.tif", "polygons.gpkg", "map.json"):
        assert (folder / "out" / name).exists()
    assert result["miou"] > 0.8
    assert result["previous_miou"] is None
    assert set(result["stage_seconds"]) == set(FIRST)
    shares = [fields["done"] for fields in channel.of("progress") if fields["total"] == 1]
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_a_second_run_does_nothing(scene) -> None:
    folder, _, first = scene
    before = (folder / "out" / "classes.tif").stat().st_mtime_ns
    result, _ = make(folder)
    assert redone(result) == []
    assert {item["stage"] for item in result["kept"]} == set(FIRST)
    assert result["sentence"] == "Nothing was out of date."
    assert (folder / "out" / "classes.tif").stat().st_mtime_ns == before
    assert result["miou"] == first["miou"]


def test_a_correction_keeps_the_stack_and_says_why(scene) -> None:
    folder, corners, first = scene
    write_labels(folder / "labels.gpkg", [*corners[::2], *corners[1:7:2]], between(corners[::2]))
    result, _ = make(folder)
    assert redone(result) == ["labels", "split", "model", "accuracy", "map"]
    assert [item["stage"] for item in result["kept"]] == ["stack"]
    assert "3 features new or edited, 0 features gone or edited" in result["redone"][0]["reasons"][0]
    assert result["redone"][1]["reasons"] == ["Labels: made again."]
    assert result["comparable"]
    assert result["previous_miou"] == first["miou"]
    assert "on the same test areas" in result["score_sentence"]


def test_ten_corrections_leave_the_test_areas_where_they_are(scene) -> None:
    folder, corners, _ = scene
    random = np.random.default_rng(7)
    areas = (folder / "out" / "dataset" / "blocks.json").read_bytes()
    dataset, home = read_dataset(folder / "out" / "dataset")
    grid = dataset.recipe.grid
    drawn = kept_plan(home / "blocks.json", grid).splitter.window(full_window(grid))
    squares = list(corners[::2])
    for step in range(10):
        if step % 3 == 0:  # added
            squares.append(corners[1 + 2 * step])
        elif step % 3 == 1:  # moved
            row, col = squares.pop(int(random.integers(len(squares))))
            squares.append((row + 1, col + 1))
        else:  # deleted
            squares.pop(int(random.integers(len(squares))))
        write_labels(folder / "labels.gpkg", squares, between(corners[::2]))
        result, _ = make(folder)
        assert result["comparable"]
        assert (folder / "out" / "dataset" / "blocks.json").read_bytes() == areas
        split, ids = (read_ids(folder / "out" / "dataset" / name) for name in ("split.tif", "labels.tif"))
        labelled = ids != 255
        assert np.array_equal(split[labelled], drawn[labelled])
        assert (split[~labelled] == 255).all()


def test_every_block_has_a_split_before_it_has_labels(scene) -> None:
    folder, _, _ = scene
    blocks = read_json(KeptBlocks, folder / "out" / "dataset" / "blocks.json")
    assert not any("-" in row for row in blocks.codes)


def test_a_new_split_is_drawn_on_request_and_does_not_compare(scene) -> None:
    folder, corners, _ = scene
    write_labels(folder / "labels.gpkg", corners[1::2], between(corners[1::2]))
    before = (folder / "out" / "dataset" / "blocks.json").read_bytes()
    result, channel = make(folder, new_split=True)
    assert "split" in redone(result)
    assert (folder / "out" / "dataset" / "blocks.json").read_bytes() != before
    assert not result["comparable"]
    assert result["difference"] is None
    assert "drawn anew" in result["split_note"]
    assert any("do not compare" in text for text in channel.texts)
    assert redone(make(folder)[0]) == []


def test_other_classes_or_settings_draw_the_split_anew(scene) -> None:
    folder, corners, _ = scene
    write_labels(folder / "labels.gpkg", corners[::2])
    with sqlite3.connect(folder / "labels.gpkg") as database:
        database.execute("PRAGMA trusted_schema = 0")
    write_labels(folder / "labels.gpkg", corners[::2], between(corners[::2]))
    job = map_job(folder)
    labels = replace(job.labels, excluded=("dark",), unlabelled="background")
    result, _ = make(folder, labels=labels)
    assert not result["comparable"]
    assert "the classes have changed" in result["split_note"]
    result, _ = make(folder, labels=labels, split=replace(job.split, block_px=32))
    assert "Block size: 32 instead of 16" in result["split_note"]


def test_a_layer_written_anew_is_no_change(scene) -> None:
    folder, corners, _ = scene
    write_labels(folder / "labels.gpkg", corners[::2], between(corners[::2]))
    assert redone(make(folder)[0]) == []


def test_an_edit_that_changes_no_pixel_stops_at_the_labels(scene) -> None:
    folder, corners, _ = scene
    twice = [*corners[::2], corners[0]]
    write_labels(folder / "labels.gpkg", [(row + 0.01, col) for row, col in twice], between(corners[::2]))
    assert redone(make(folder)[0]) == ["labels"]


def test_only_the_map_follows_from_its_own_settings(scene) -> None:
    folder, _, _ = scene
    files = map_job(folder).prediction
    result, _ = make(folder, prediction=replace(files, outlines=Outlines(smooth=1)))
    assert redone(result) == ["map"]
    assert "Polygon boundaries: changed." in result["redone"][0]["reasons"]
    result, _ = make(folder, prediction=PredictJob("", entropy="entropy.tif"))
    assert redone(result) == ["map"]
    assert (folder / "out" / "entropy.tif").exists()


def test_another_model_keeps_the_data(scene) -> None:
    folder, _, _ = scene
    result, _ = make(folder, model="maximum_likelihood")
    assert redone(result) == ["model", "accuracy", "map"]
    assert "Kind of model: Maximum likelihood instead of Random forest." in result["redone"][0]["reasons"]


def test_a_file_that_is_gone_or_changed_is_made_again(scene) -> None:
    folder, _, _ = scene
    (folder / "out" / "classes.tif").unlink()
    result, _ = make(folder)
    assert redone(result) == ["map"]
    assert result["redone"][0]["reasons"] == ["classes.tif is not there."]
    with (folder / "out" / "model" / "model.onnx").open("ab") as file:
        file.write(b" ")
    result, _ = make(folder)
    assert redone(result)[0] == "model"
    assert result["redone"][0]["reasons"] == ["model/model.onnx was changed since."]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2, "stages": {}}',
        b'{"version": 1, "stages": {"stack": 3, "map": {}}}',
        b"\xff",
    ],
)
def test_a_damaged_or_foreign_record_was_never_made(tmp_path, content) -> None:
    path = tmp_path / "map.json"
    path.write_bytes(content)
    assert read_record(path) == {}


@pytest.mark.parametrize("name", ["../a", "/a"])
def test_a_record_names_no_file_outside_its_folder(tmp_path, name) -> None:
    made = {"parts": {}, "output": "a", "seconds": 1, "result": {}, "files": {name: [[1, 2], "a"]}}
    (tmp_path / "map.json").write_text(
        json.dumps({"version": 1, "stages": {"stack": made}}), encoding="utf-8"
    )
    assert read_record(tmp_path / "map.json") == {}


def test_a_run_that_was_stopped_goes_on(made, tmp_path) -> None:
    folder = tmp_path / "map"
    _, corners = write_scene(folder)
    write_labels(folder / "labels.gpkg", corners[::2], between(corners[::2]))
    channel = Recorder(folder, stop_at="Model: ")
    with pytest.raises(Cancelled):
        update.run(map_job(folder), folder, channel)
    channel._record.close()
    assert not (folder / "out" / "classes.tif").exists()
    result, _ = make(folder)
    assert redone(result) == ["model", "accuracy", "map"]


def test_the_final_model_learns_from_all_labels_and_says_so(scene) -> None:
    folder, _, first = scene
    result, channel = make(folder, final_model="all")
    assert redone(result) == ["final", "map"]
    assert result["miou"] == first["miou"]
    assert "left them out" in result["final_sentence"]
    validated, final = (read_model(folder / "out" / name / "model.onnx") for name in ("model", "final"))
    assert final.calibration == validated.calibration
    assert final.metrics == validated.metrics
    assert "trained_on_all_labels" in [item.code for item in final.warnings]
    assert final.trained["settings"] == validated.trained["settings"]
    assert final.trained["train_pixels"] > validated.trained["train_pixels"]
    assert not any("No labelled pixel belongs to the validation" in text for text in channel.texts)
    assert redone(make(folder, final_model="auto")[0]) == []
    result, _ = make(folder, final_model="training")
    assert redone(result) == ["map"]
    assert "has not seen the test areas" in result["final_sentence"]


def test_an_existing_model_makes_the_map_and_is_scored(scene) -> None:
    folder, _, first = scene
    model = folder / "own.onnx"
    shutil.copy(folder / "out" / "model" / "model.onnx", model)
    result, _ = make(folder, model_file=str(model))
    assert "model" not in redone(result)
    assert result["model"] == str(model)
    assert result["miou"] == pytest.approx(first["miou"])


def test_the_graph_says_what_is_out_of_date_before_anything_runs(scene) -> None:
    folder, corners, _ = scene
    job, out = map_job(folder), folder / "out"
    engine = update.__version__
    found = map_states(job, out, engine)
    assert [state.key for state in found] == FIRST
    assert all(state.current and state.seconds is not None for state in found)
    assert outdated_jobs(job, out, engine) == {}
    write_labels(folder / "labels.gpkg", corners[::3], between(corners[::2]))
    states = {state.key: state for state in map_states(job, out, engine)}
    assert [key for key, state in states.items() if state.current] == ["stack"]
    assert states["map"].reasons == ("Model: out of date.",)
    assert list(outdated_jobs(job, out, engine)) == FIRST[1:]
    assert all(state.state == "missing" for state in map_states(job, folder / "nowhere", engine))
    assert {"Engine: 9.9 instead of " + engine + "."} <= {
        reason for state in map_states(job, out, "9.9") for reason in state.reasons
    }


def test_changes_name_the_setting() -> None:
    assert changes({"Trees": 8, "Old": 1}, {"Trees": 9, "New": True}) == [
        "Trees: 9 instead of 8.",
        "New: new.",
        "Old: no longer used.",
    ]
    assert [stage.key for stage in STAGES][:3] == ["stack", "labels", "split"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"codes": []}, "bad_json"),
        ({"block_px": 0}, "bad_json"),
        ({"buffer_px": 900}, "bad_json"),
        ({"codes": ["9"]}, "bad_json"),
        ({"version": "a"}, "bad_json"),
        (None, "other_grid"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(scene, change, code) -> None:
    folder, _, _ = scene
    home = folder / "out" / "dataset"
    grid = read_dataset(home)[0].recipe.grid
    data = json.loads((home / "blocks.json").read_text(encoding="utf-8"))
    (home / "blocks.json").write_text(json.dumps({**data, **(change or {})}), encoding="utf-8")
    with pytest.raises(GeoSegError) as raised:
        kept_plan(home / "blocks.json", grid if change else replace(grid, width=grid.width + 1))
    assert raised.value.code == code


def test_without_blocks_to_keep_that_is_said(tmp_path, made) -> None:
    grid = read_dataset(made[0] / "out" / "dataset")[0].recipe.grid
    with pytest.raises(GeoSegError) as raised:
        kept_plan(tmp_path / "blocks.json", grid)
    assert raised.value.code == "no_split_to_keep"


def test_damaged_blocks_are_drawn_anew(scene) -> None:
    folder, corners, _ = scene
    (folder / "out" / "dataset" / "blocks.json").write_text("{", encoding="utf-8")
    write_labels(folder / "labels.gpkg", corners[::3], between(corners[::2]))
    result, _ = make(folder)
    assert not result["comparable"]
    assert "cannot be read" in result["split_note"]


def test_the_shell_reaches_the_settings_of_every_stage(tmp_path) -> None:
    write_scene(tmp_path)
    words = ["map", "--job-folder", str(tmp_path), "--rasters", str(tmp_path / "image.tif")]
    words += [
        "--labels",
        "labels.gpkg",
        "--class-field",
        "kind",
        "--split",
        "block_px=32",
        "--baseline",
        "trees=9",
    ]
    words += ["--prediction", "entropy=entropy.tif", "--final-model", "all", "--new-split"]
    job = read_job(cli.write_job(cli.parser().parse_args(words)))
    assert isinstance(job, MapJob)
    assert (job.split.block_px, job.baseline.trees, job.class_field) == (32, 9, "kind")
    assert job.labels.class_field == "kind"
    assert job.labels.unlabelled == "auto"
    assert job.area == Area("concave_hull")
    assert (job.prediction.entropy, job.prediction.confidence) == ("entropy.tif", "confidence.tif")
    assert (job.final_model, job.new_split, job.model) == ("all", True, FAST_MODEL)
    assert len(job.bands) == 2
    assert job.problems() == []


def test_a_network_learns_all_labels_as_long_as_validation_found(tmp_path) -> None:
    plan = {
        "width": 8,
        "levels": 2,
        "epochs": 60,
        "average": 0.9,
        "augment": ["flip"],
        "reasons": ["x"],
        "patience": 5,
    }
    write_json(tmp_path / "metrics.json", {"plan": plan, "best_epoch": 7})
    job = final_job(TrainJob("a", max_minutes=3), tmp_path, tmp_path / "all")
    assert isinstance(job, TrainJob)
    assert (job.epochs, job.patience, job.max_minutes, job.width, job.ema_decay) == (7, 0, 0.0, 8, 0.9)
    assert job.augment == ("flip",)
    assert job.settings_from == str(tmp_path / "model.onnx")
    (tmp_path / "metrics.json").write_text("{", encoding="utf-8")
    with pytest.raises(GeoSegError) as raised:
        final_job(TrainJob("a"), tmp_path, tmp_path / "all")
    assert raised.value.code == "no_run"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": "oracle"}, "model"),
        ({"prediction": PredictJob("", shard="1/2")}, "shard"),
        ({"split": TileJob("", "", stride_px=80)}, "stride_px"),
        ({"bands": ()}, "no_bands"),
    ],
)
def test_a_map_that_cannot_be_made_says_why(made, changes, code) -> None:
    assert code in [problem.code for problem in map_job(made[0], **changes).problems()]


def test_the_map_is_what_its_own_model_predicts(scene) -> None:
    folder, _, _ = scene
    with rasterio.open(folder / "out" / "classes.tif") as raster:
        assert set(np.unique(raster.read(1))) <= {0, 1, 255}
        assert raster.shape == (160, 192)
    assert FAST.trees == 8
