"""Parts of a prediction: resumed, in shards, with any cutting - always the same bytes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import shapely
from prediction_scenes import grid_of, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    CANCEL_FILE,
    Area,
    Band,
    Cancelled,
    Cleaning,
    GeoSegError,
    PredictJob,
    job_to_json,
    write_json,
)
from geoseg_engine.modelfile.calibration import Calibration
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.output_checks import behind
from geoseg_engine.prediction import parts, predict, run_plan, shards
from geoseg_engine.prediction.block_reader import BandReader
from geoseg_engine.prediction.inference import Setup
from geoseg_engine.prediction.result_layers import Layer
from geoseg_engine.prediction.windows import Cut, Frame, cuts
from geoseg_engine.raster.grid import Window
from geoseg_engine.raster.window_blending import Lattice
from geoseg_engine.stacking.reader import StackReader

ROWS, COLS = 300, 260
LAYERS = {
    "confidence": "confidence.tif",
    "entropy": "entropy.tif",
    "probability": "probability.tif",
    "margin": "margin.tif",
    "beyond": "beyond.tif",
}
FILES = ("classes.tif", "classes.tif.aux.xml", *LAYERS.values())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    grid = grid_of(ROWS, COLS)
    values = scene(ROWS, COLS)
    values[0, 20:30, 40:60] = -999
    values[:, 128:192, 64:128] = -999
    image = write_raster(folder / "image.tif", values, grid, -999)
    write_model(
        folder / "model.onnx", recipe_of(image, grid), calibration=Calibration(1.2, (), (1.0, 1.5, 1.0))
    )
    return folder


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr(run_plan, "UNIT_PX", 64)


def run(place, folder, channel=None, **changes):
    folder.mkdir(exist_ok=True)
    settings = {"model": str(place / "model.onnx"), "output": "classes.tif", "runtime": "torch", **LAYERS}
    return predict.run(PredictJob(**{**settings, **changes}), folder, channel or Channel(folder))


def content(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def cancelling(folder, steps):
    """A channel that finds itself cancelled after so many reports."""
    channel = Channel(folder)
    progress, count = channel.progress, [0]

    def counting(*args):
        count[0] += 1
        if count[0] == steps:
            (folder / CANCEL_FILE).touch()
        progress(*args)

    channel.progress = counting
    return channel


@pytest.fixture(scope="module")
def whole(place, tmp_path_factory):
    """Files of a prediction in one window."""
    folder = tmp_path_factory.mktemp("whole")
    result = run(place, folder, core_px=512)
    assert not (folder / ".predict-classes").exists()
    assert result["resumed_parts"] == 0 and result["shard"] is None and result["views"] == 1
    return folder, content(folder), result


@pytest.mark.parametrize("core", [40, 64, 100, 128])
def test_any_cutting_gives_the_same_bytes(place, tmp_path, whole, core):
    result = run(place, tmp_path, core_px=core)
    assert content(tmp_path) == whole[1]
    for key in ("counts", "areas_m2", "nodata_px", "warnings"):
        assert result[key] == whole[2][key]


def test_what_was_cancelled_is_taken_up_and_gives_the_same_bytes(place, tmp_path, whole):
    with pytest.raises(Cancelled):
        run(place, tmp_path, cancelling(tmp_path, 9), core_px=64)
    assert not (tmp_path / "classes.tif").exists()
    (tmp_path / CANCEL_FILE).unlink()
    again = run(place, tmp_path, core_px=64)
    assert 5 <= again["resumed_parts"] <= 8
    assert content(tmp_path) == whole[1]


def test_cancelled_while_the_files_are_made_nothing_is_computed_again(place, tmp_path, whole):
    with pytest.raises(Cancelled):
        run(place, tmp_path, cancelling(tmp_path, 28), core_px=64)
    (tmp_path / CANCEL_FILE).unlink()
    assert run(place, tmp_path, core_px=64)["resumed_parts"] == 25
    assert content(tmp_path) == whole[1]


def test_parts_of_another_prediction_are_not_taken(place, tmp_path):
    with pytest.raises(Cancelled):
        run(place, tmp_path, cancelling(tmp_path, 9), core_px=64)
    (tmp_path / CANCEL_FILE).unlink()
    assert run(place, tmp_path, core_px=64, entropy="")["resumed_parts"] == 0


def test_rasters_behind_a_vrt_count_as_read(place, tmp_path):
    rasterio.shutil.copy(place / "image.tif", tmp_path / "image.vrt", driver="VRT")
    text = (
        (tmp_path / "image.vrt")
        .read_text(encoding="utf-8")
        .replace(str(place / "image.tif"), str(tmp_path / "image.vrt"))
    )
    (tmp_path / "outer.vrt").write_text(text, encoding="utf-8")
    assert behind(tmp_path / "image.vrt") == [place / "image.tif"]
    assert set(behind(tmp_path / "outer.vrt")) == {tmp_path / "image.vrt", place / "image.tif"}
    assert behind(place / "image.tif") == []


def test_without_resume_all_is_done_again(place, tmp_path):
    with pytest.raises(Cancelled):
        run(place, tmp_path, cancelling(tmp_path, 9), core_px=64)
    (tmp_path / CANCEL_FILE).unlink()
    assert run(place, tmp_path, core_px=64, resume=False)["resumed_parts"] == 0


def test_shards_make_the_files_together_and_may_be_run_again(place, tmp_path, whole):
    first = run(place, tmp_path, core_px=64, shard="1/2")
    assert first["shard"] == {"index": 1, "count": 2, "done": 13, "complete": False}
    assert first["output"] == "" and not (tmp_path / "classes.tif").exists()
    again = run(place, tmp_path, core_px=64, shard="1/2")
    assert again["resumed_parts"] == 13 and not again["shard"]["complete"]
    last = run(place, tmp_path, core_px=64, shard="2/2")
    assert last["shard"] == {"index": 2, "count": 2, "done": 25, "complete": True}
    assert content(tmp_path) == whole[1]
    late = run(place, tmp_path, core_px=64, shard="1/2")
    assert late["shard"]["complete"] and late["counts"] == last["counts"] and late["output"] == last["output"]


def test_shards_are_done_again_where_a_file_is_gone_or_another_is_wanted(place, tmp_path, whole):
    for shard in ("1/2", "2/2"):
        run(place, tmp_path, core_px=64, shard=shard)
    (tmp_path / "margin.tif").unlink()
    assert not run(place, tmp_path, core_px=64, shard="1/2")["shard"]["complete"]
    assert run(place, tmp_path, core_px=64, shard="2/2")["shard"]["complete"]
    assert content(tmp_path) == whole[1]
    cleaning = Cleaning(majority_px=5)
    assert not run(place, tmp_path, core_px=64, shard="1/2", cleaning=cleaning)["shard"]["complete"]
    cleaned = run(place, tmp_path, core_px=64, shard="2/2", cleaning=cleaning)
    assert cleaned["shard"]["complete"] and cleaned["cleaned"]["changed_px"] > 0
    (tmp_path / "classes.tif").unlink()
    run(place, tmp_path, core_px=64)
    assert content(tmp_path) == whole[1]


def test_two_predictions_to_one_file_never_mix(place, tmp_path):
    channel = Channel(tmp_path)
    progress, count = channel.progress, [0]

    def interrupted(*args):
        count[0] += 1
        if count[0] == 8:
            run(place, tmp_path, core_px=64, tta="flips", shard="1/2")
        progress(*args)

    channel.progress = interrupted
    with pytest.raises(GeoSegError) as caught:
        run(place, tmp_path, channel, core_px=64)
    assert caught.value.code == "in_work"
    assert not (tmp_path / "classes.tif").exists()


@pytest.mark.parametrize("removed", [True, False])
def test_a_part_is_not_saved_where_another_run_has_taken_the_folder_while_it_was_written(
    tmp_path, monkeypatch, removed
):
    grid = grid_of(64, 64)
    ours, theirs = (run_plan.RunPlan(key, "torch", "float32", 64, 64) for key in ("ours", "theirs"))
    run_plan.agree_on(tmp_path, ours)
    layers = [Layer("classes", ("class",))]
    part = parts.Parts(tmp_path, grid, Window(0, 0, 64, 64), ours, layers, 1)
    opened = rasterio.open

    def taken(path, mode="r", **profile):
        if mode == "r":  # the part is looked at before it gets its name
            if removed:
                parts.prepare_parts(tmp_path, theirs.key, False)
            run_plan.agree_on(tmp_path, theirs)
        return opened(path, mode, **profile)

    monkeypatch.setattr(rasterio, "open", taken)
    with pytest.raises(GeoSegError) as caught:
        part.save(0, np.zeros((1, 64, 64), np.uint16), np.zeros(1, np.int64), 1)
    assert caught.value.code == "in_work"
    assert not list(tmp_path.glob("*.tif"))


def test_a_shard_that_begins_leaves_the_plan_that_another_is_writing(tmp_path, monkeypatch):
    wanted = run_plan.RunPlan("key", "torch", "float32", 64, 64)
    monkeypatch.setattr(parts, "read_plan", lambda folder: None)  # looked just before it was there
    run_plan.agree_on(tmp_path, wanted)
    (tmp_path / "0000000.tif").touch()
    assert parts.prepare_parts(tmp_path, "key", True) is None
    assert run_plan.agree_on(tmp_path, run_plan.RunPlan("key", "onnx", "float32", 64, 64)) == wanted
    assert not list(tmp_path.glob("*.tif"))


def test_a_lock_that_has_just_been_made_is_held(tmp_path):
    lock = tmp_path / shards.LOCK_FILE
    lock.touch()  # its maker has not written its name yet
    with shards.assembly_lock(tmp_path) as free:
        assert not free
    assert lock.exists()
    sleeping = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    lock.write_text(f"{socket.gethostname()} {sleeping.pid}", encoding="utf-8")
    with shards.assembly_lock(tmp_path) as free:
        assert not free
    sleeping.kill()
    sleeping.wait()
    with shards.assembly_lock(tmp_path) as free:
        assert free
    assert not lock.exists()


def test_only_one_shard_puts_the_files_together(place, tmp_path):
    run(place, tmp_path, core_px=64, shard="1/2")
    beside = parts.parts_folder(tmp_path / "classes.tif")
    (beside / shards.LOCK_FILE).write_text("elsewhere 1", encoding="utf-8")
    waiting = run(place, tmp_path, core_px=64, shard="2/2")
    assert not waiting["shard"]["complete"] and waiting["shard"]["done"] == 25
    long_ago = time.time() - 2 * shards.STALE_S
    os.utime(beside / shards.LOCK_FILE, (long_ago, long_ago))
    assert run(place, tmp_path, core_px=64, shard="2/2")["shard"]["complete"]


def test_killed_at_any_moment_it_goes_on_and_gives_the_same_bytes(place, tmp_path, whole):
    job = PredictJob(str(place / "model.onnx"), output="classes.tif", runtime="torch", core_px=64, **LAYERS)
    write_json(tmp_path / "job.json", job_to_json(job))
    code = (
        "import sys; from geoseg_engine.prediction import run_plan; run_plan.UNIT_PX = 64;"
        "from geoseg_engine.cli import main; sys.exit(main(['run', 'job.json']))"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root / "training")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    beside = parts.parts_folder(tmp_path / "classes.tif")
    deadline = time.monotonic() + 300
    while len(list(beside.glob("???????.tif"))) < 3 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "classes.tif").exists()
    assert run(place, tmp_path, core_px=64)["resumed_parts"] >= 3
    assert content(tmp_path) == whole[1]


def test_margin_and_beyond_are_what_they_say(place, whole):
    folder = whole[0]
    shares, margin = read(folder / "probability.tif"), read(folder / "margin.tif")[0]
    known = ~np.isnan(margin)
    two = np.sort(shares[:, known], axis=0)[-2:]
    assert abs(margin[known] - (two[1] - two[0])).max() <= 1.01 / 512
    values = read(place / "image.tif")
    low, high = np.array([40, -10])[:, None, None], np.array([160, 30])[:, None, None]
    count = ((values < low) | (values > high)).sum(axis=0)
    beyond = read(folder / "beyond.tif")[0]
    assert ((beyond == 255) == ~known).all() and (beyond[known] == count[known]).all()


def test_more_bands_beyond_training_than_a_byte_counts():
    count = 300
    bands = tuple(Band(f"b{number}", "r1", number) for number in range(count))
    flat = Statistics((0.0,) * count, (1.0,) * count, (-1.0,) * count, (1.0,) * count)
    model = SimpleNamespace(architecture={}, recipe=SimpleNamespace(bands=bands), statistics=flat)
    values = np.full((count, 4, 4), 9, np.float32)
    values[1:, 0, 0] = 0
    stack = SimpleNamespace(
        band_names=[band.name for band in bands],
        read=lambda window: values[:, *window.within(Window(0, 0, 4, 4))],
    )
    found = BandReader(stack, model, None, True).read(Cut(Window(0, 0, 4, 4), Window(0, 0, 4, 4)))
    assert found.out_of_range_px[0, 0] == 1 and found.out_of_range_px[3, 3] == 254


def test_windows_that_may_begin_anywhere_make_no_huge_parts():
    frame = Frame(20_000, 20_000, 500, 500)
    setup = Setup(frame, None, 1536, lattice=Lattice(20_000, 20_000, 500, 1))
    assert run_plan.unit_px_for(setup.core_px, setup.step_px) == 1536
    assert Setup(frame, None, 1536).step_px == 500


def test_outside_the_area_nothing_is_predicted(place, tmp_path, whole):
    left, top = 500_000, 5_000_000
    box = shapely.box(left + 500, top - 1800, left + 1300, top - 700)
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32631").to_file(tmp_path / "area.gpkg")
    area = Area("polygons", str(tmp_path / "area.gpkg"))
    result = run(place, tmp_path, core_px=64, area=area)
    inside = np.zeros((ROWS, COLS), bool)
    inside[70:180, 50:130] = True
    ids, all_ids = read(tmp_path / "classes.tif")[0], read(whole[0] / "classes.tif")[0]
    assert (ids == np.where(inside, all_ids, 255)).all()
    assert (np.isnan(read(tmp_path / "confidence.tif")[0]) == (ids == 255)).all()
    assert sum(result["counts"].values()) == (ids != 255).sum()
    assert result["nodata_px"] == (all_ids[inside] == 255).sum()
    part = (left + 900, top - 1000, left + 1500, top - 400)
    result = run(place, tmp_path, core_px=64, area=area, extent=part, extent_crs="EPSG:32631")
    assert result["nodata_px"] == (all_ids[70:100, 90:130] == 255).sum()
    assert sum(result["counts"].values()) + result["nodata_px"] == 30 * 40


def test_an_area_of_label_hulls_is_refused_in_words(place, tmp_path):
    with pytest.raises(GeoSegError) as caught:
        run(place, tmp_path, area=Area("convex_hull"))
    assert caught.value.code == "no_labels"


def test_cleaning_counts_the_cleaned_map_and_polygons_follow_it(place, tmp_path, whole):
    result = run(place, tmp_path, cleaning=Cleaning(min_patch_px=30), polygons="p.gpkg", min_area_px=1)
    ids = read(tmp_path / "classes.tif")[0]
    assert (ids != read(whole[0] / "classes.tif")[0]).any() and result["cleaned"]["changed_px"] > 0
    for item in range(3):
        assert result["counts"][str(item)] == (ids == item).sum()
    layer = geopandas.read_file(tmp_path / "p.gpkg")
    assert layer.area[layer.class_id == 1].sum() == pytest.approx((ids == 1).sum() * 100)
    assert not parts.parts_folder(tmp_path / "classes.tif").exists()


def test_views_are_averaged_and_their_disagreement_is_written(place, tmp_path):
    results = []
    for core in (64, 512):
        folder = tmp_path / str(core)
        result = run(place, folder, core_px=core, tta="flips", disagreement="disagreement.tif")
        results.append((*content(folder).values(), (folder / "disagreement.tif").read_bytes()))
        assert result["views"] == 4 and result["disagreement"] == str(folder / "disagreement.tif")
    assert results[0] == results[1]
    split = read(tmp_path / "64" / "disagreement.tif")
    assert 0 <= np.nanmin(split) < np.nanmax(split) <= 1


def test_disagreement_of_one_answer_is_refused_before_work_begins(place, tmp_path):
    with pytest.raises(GeoSegError) as caught:
        run(place, tmp_path, disagreement="disagreement.tif")
    assert caught.value.code == "no_disagreement"


def test_a_disk_too_small_is_told_before_work_begins(place, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "scratch_bytes", lambda *_: 1 << 60)
    with pytest.raises(GeoSegError) as caught:
        run(place, tmp_path)
    assert caught.value.code == "disk_full"
    assert not list(tmp_path.glob("*.tif"))
    monkeypatch.setattr(
        predict, "held_bytes", lambda *_: 1 << 60
    )  # the parts of a run that goes on are there
    assert run(place, tmp_path)["output"]


def test_parts_that_are_there_need_no_more_room(tmp_path):
    assert parts.held_bytes(tmp_path / "none") == 0
    (tmp_path / "0000000.tif").write_bytes(b"12345")
    assert parts.held_bytes(tmp_path) == 5


def test_columns_that_windows_share_are_read_once(place):
    model = read_model(place / "model.onnx")
    frame = Frame(ROWS, COLS, model.reach_px, model.align_px)
    with StackReader(model.recipe) as stack:
        read_px, real = [0], stack.read

        def counting(window):
            read_px[0] += window.height * window.width
            return real(window)

        stack.read = counting
        reader = BandReader(stack, model)
        blocks = [reader.read(cut) for cut in cuts(frame, 132)]
        stack.read = real
        for block in blocks:
            alone = BandReader(stack, model).read(block.cut)
            assert np.array_equal(block.scores, alone.scores) and np.array_equal(block.valid, alone.valid)
    rows = {(block.cut.read.row, block.cut.read.height) for block in blocks}
    assert read_px[0] == sum(height for _, height in rows) * frame.full.width


@pytest.mark.parametrize("core", [40, 128])
def test_an_extent_gives_the_same_pixels_as_the_whole_map(place, tmp_path, whole, core):
    grid, row, col, height, width = whole[2]["grid"], 37, 121, 170, 99
    x, y, side = grid.transform[2], grid.transform[5], grid.transform[0]
    extent = (
        x + (col + 0.3) * side,
        y - (row + height - 0.2) * side,
        x + (col + width - 0.4) * side,
        y - (row + 0.1) * side,
    )
    settings = {"extent": extent, "extent_crs": grid.crs, "core_px": core}
    result = run(place, tmp_path / "one", **settings)
    assert (result["grid"].height, result["grid"].width) == (height, width)
    for shard in ("1/2", "2/2"):
        last = run(place, tmp_path / "two", shard=shard, **settings)
    assert last["shard"]["complete"]
    for name in ("classes.tif", *LAYERS.values()):
        cut = read(whole[0] / name)[:, row : row + height, col : col + width]
        assert np.array_equal(
            read(tmp_path / "one" / name), cut, equal_nan=name != "classes.tif" and name != "beyond.tif"
        )
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    with rasterio.open(tmp_path / "one" / "classes.tif") as cut_map:
        assert cut_map.transform[2] == x + col * side and cut_map.transform[5] == y - row * side


def test_plain_parts_need_room_for_whole_units(tmp_path, monkeypatch):
    """A strip of one row takes all rows of its units on disk."""
    free = SimpleNamespace(free=10 * 2 * 64 * 64 * 3)
    monkeypatch.setattr(parts.shutil, "disk_usage", lambda folder: free)
    layers = [Layer("classes", ("class",))]
    assert parts.room_for_plain(tmp_path, [Window(0, 64 * col, 64, 64) for col in range(6)], layers)
    assert not parts.room_for_plain(tmp_path, [Window(0, 64 * col, 64, 64) for col in range(7)], layers)


def test_a_strip_across_units_asks_for_the_room_of_the_units(place, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        predict, "room_for_plain", lambda folder, units, layers: asked.append(list(units)) or False
    )
    run(place, tmp_path, core_px=64, extent=(500_000.0, 4_999_990.0, 502_600.0, 5_000_000.0))
    assert sum(unit.height * unit.width for unit in asked[0]) > 10 * COLS
