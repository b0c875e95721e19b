"""The job `predict` on small rasters: what it writes, what it refuses, what it leaves behind."""

import json
import math
import tracemalloc

import numpy as np
import pytest
import rasterio
from fake_devices import FakeGpu
from prediction_scenes import STATISTICS, grid_of, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import CANCEL_FILE, Cancelled, GeoSegError, PredictJob, Source, encode
from geoseg_engine.device.devices import CPU, gpus
from geoseg_engine.modelfile.reading import load_network, read_model
from geoseg_engine.modelfile.stats import normalise
from geoseg_engine.prediction import predict
from geoseg_engine.prediction.run_plan import unit_px_for
from geoseg_engine.prediction.runtimes import selection
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
from geoseg_engine.prediction.runtimes.selection import open_runtime
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime
from geoseg_engine.prediction.window_size import core_for
from geoseg_engine.prediction.windows import Frame

ROWS, COLS = 150, 203


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with image.tif (some pixels without value) and model.onnx."""
    folder = tmp_path_factory.mktemp("model")
    grid = grid_of(ROWS, COLS)
    values = scene(ROWS, COLS)
    values[0, 20:30, 40:60] = -999
    values[1, 100:, 190:] = -999
    image = write_raster(folder / "image.tif", values, grid, -999)
    write_model(folder / "model.onnx", recipe_of(image, grid))
    return folder


def job(place, **changes):
    settings = {"model": str(place / "model.onnx"), "output": "classes.tif", "runtime": "torch", **changes}
    return PredictJob(**settings)


def run(place, folder, **changes):
    folder.mkdir(exist_ok=True)
    result = predict.run(job(place, **changes), folder, Channel(folder))
    json.dumps(encode(result), allow_nan=False)
    return result


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_the_whole_result(place, tmp_path):
    result = run(
        place,
        tmp_path,
        confidence="confidence.tif",
        entropy="entropy.tif",
        probability="probability.tif",
        polygons="polygons.gpkg",
    )
    with rasterio.open(tmp_path / "classes.tif") as dataset:
        ids = dataset.read(1)
        assert dataset.nodata == 255 and dataset.dtypes == ("uint8",)
        assert dataset.colormap(1)[1] == (0, 0, 255, 255)
        assert dataset.crs.to_epsg() == 32631 and dataset.shape == (ROWS, COLS)
    missing = np.isnan(values_of(place)).any(axis=0)
    assert ((ids == 255) == missing).all() and missing.sum() == 200 + 50 * 13
    shares = read(tmp_path / "probability.tif")
    confidence = read(tmp_path / "confidence.tif")[0]
    assert (np.isnan(confidence) == missing).all()
    assert np.nanmin(confidence) >= 0 and np.nanmax(confidence) <= 1
    assert np.nanmax(abs(np.nansum(shares, 0)[~missing] - 1)) < 3 / 512
    chosen = np.take_along_axis(shares, np.where(missing, 0, ids)[None].astype(int), 0)[0]
    assert (chosen[~missing] == shares.max(0)[~missing]).all()
    assert 0 <= np.nanmin(read(tmp_path / "entropy.tif")) <= np.nanmax(read(tmp_path / "entropy.tif")) <= 1
    for item in range(3):
        assert result["counts"][str(item)] == (ids == item).sum()
        assert result["areas_m2"][str(item)] == pytest.approx((ids == item).sum() * 100, rel=2e-3)
    assert [(row["slot"], row["file"]) for row in result["matched"]] == [("image", str(place / "image.tif"))]
    assert (tmp_path / "polygons.gpkg").exists()
    assert "<Category>water</Category>" in (tmp_path / "classes.tif.aux.xml").read_text(encoding="utf-8")


def values_of(place):
    with rasterio.open(place / "image.tif") as dataset:
        return dataset.read(masked=True).astype(np.float32).filled(np.nan)


def test_the_result_equals_the_network_on_the_whole_raster(place, tmp_path):
    run(place, tmp_path, core_px=64)
    scores = np.zeros((2, 152, 204), np.float32)
    scores[:, :ROWS, :COLS] = normalise(values_of(place), STATISTICS)
    ids = TorchRuntime(load_network(place / "model.onnx")).predict_window(scores).argmax(0)[:ROWS, :COLS]
    given = read(tmp_path / "classes.tif")[0]
    known = given != 255
    assert (given[known] == ids[known]).mean() > 0.9999


def test_several_tilings_give_the_same_bytes(place, tmp_path):
    results = []
    for core in (64, 100, 512):
        run(place, tmp_path, core_px=core, confidence="confidence.tif")
        results.append(read(tmp_path / "classes.tif").tobytes() + read(tmp_path / "confidence.tif").tobytes())
    assert results[0] == results[1] == results[2]


def test_a_temporary_confidence_leaves_no_trace(place, tmp_path):
    result = run(place, tmp_path, polygons="polygons.gpkg")
    assert result["confidence"] == ""
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "classes.tif",
        "classes.tif.aux.xml",
        "events.jsonl",
        "polygons.gpkg",
    ]


def test_dry_run_writes_nothing_and_tells_what_would_be_done(place, tmp_path):
    result = run(place, tmp_path, dry_run=True)
    assert result["problems"] == [] and result["grid"].width == COLS
    assert result["sentence"].startswith("Predict 3 classes on 203 × 150 pixels of 10 m, EPSG:32631")
    assert [item.name for item in tmp_path.iterdir()] == ["events.jsonl"]


def test_missing_bands_are_named(place, tmp_path):
    one = write_raster(tmp_path / "one.tif", scene(20, 20)[0], grid_of(20, 20))
    found = run(place, tmp_path / "dry", sources=(Source("x", str(one), "one"),), dry_run=True)["problems"]
    assert [item.code for item in found] == ["missing_bands"]
    assert "red, height" in found[0].message and "'one' (1 band)" in found[0].message
    with pytest.raises(GeoSegError, match="red, height"):
        run(place, tmp_path / "run", sources=(Source("x", str(one), "one"),))


def test_a_foreign_model_is_refused(place, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(GeoSegError) as caught:
        predict.run(PredictJob(model="model.onnx"), tmp_path, Channel(tmp_path))
    assert caught.value.code == "not_our_model"


def test_cancel_keeps_the_old_result_and_the_parts_that_are_done(place, tmp_path):
    (tmp_path / "classes.tif").write_text("the old result", encoding="utf-8")
    channel = Channel(tmp_path)
    count = [0]
    progress = channel.progress

    def cancelling(*args):
        count[0] += 1
        if count[0] == 4:
            (tmp_path / CANCEL_FILE).touch()
        progress(*args)

    channel.progress = cancelling
    with pytest.raises(Cancelled):
        predict.run(job(place, core_px=32, confidence="confidence.tif", polygons="p.gpkg"), tmp_path, channel)
    assert (tmp_path / "classes.tif").read_text(encoding="utf-8") == "the old result"
    names = sorted(item.name for item in tmp_path.iterdir())
    assert names == [".predict-classes", "cancel", "classes.tif", "events.jsonl"]


def test_other_units_are_noticed(place, tmp_path):
    grid = grid_of(64, 64)
    far = write_raster(tmp_path / "far.tif", scene(64, 64) * 50, grid)
    result = run(place, tmp_path / "run", sources=(Source("r1", str(far), "far"),))
    assert "beyond_training" in [item.code for item in result["warnings"]]


def test_a_raster_smaller_than_the_stride_and_one_without_values(place, tmp_path):
    tiny = write_raster(tmp_path / "tiny.tif", scene(3, 2), grid_of(3, 2))
    run(place, tmp_path / "tiny", sources=(Source("r1", str(tiny)),))
    assert read(tmp_path / "tiny" / "classes.tif").shape == (1, 3, 2)
    empty = write_raster(tmp_path / "empty.tif", np.full((2, 40, 40), np.nan, np.float32), grid_of(40, 40))
    result = run(place, tmp_path / "empty", sources=(Source("r1", str(empty)),), polygons="p.gpkg")
    assert (read(tmp_path / "empty" / "classes.tif") == 255).all()
    assert "all_nodata" in [item.code for item in result["warnings"]]


def test_layers_elsewhere_keep_the_models_pixel_size(place, tmp_path):
    fine = grid_of(300, 406, size=5)
    path = write_raster(tmp_path / "fine.tif", scene(300, 406), fine)
    grid = run(place, tmp_path / "a", sources=(Source("r1", str(path)),), dry_run=True)["grid"]
    assert (grid.transform[0], grid.width, grid.height) == (10, 203, 150)
    degrees = grid_of(1, 1)
    degrees = type(degrees)("EPSG:4326", (9e-5, 0, 40.0, 0, -9e-5, 10.0), 400, 300)
    path = write_raster(tmp_path / "degrees.tif", scene(300, 400), degrees)
    grid = run(place, tmp_path / "b", sources=(Source("r1", str(path)),), dry_run=True)["grid"]
    assert grid.crs == "EPSG:4326"
    assert grid.transform[0] * 111_320 * math.cos(math.radians(10)) == pytest.approx(10, rel=0.01)


def test_an_extent_cuts_the_grid(place, tmp_path):
    extent = (500_100.0, 4_999_500.0, 500_500.0, 4_999_900.0)
    grid = run(place, tmp_path, extent=extent, extent_crs="EPSG:32631", dry_run=True)["grid"]
    assert (grid.width, grid.height, grid.transform[2], grid.transform[5]) == (40, 40, 500_100, 4_999_900)


def test_runtimes_agree_and_the_trial_says_what_it_chose(place, monkeypatch):
    scores = normalise(scene(96, 96), STATISTICS)
    model = read_model(place / "model.onnx")
    torch_result = open_runtime(model.path, "torch", "cpu").predict_window(scores)
    onnx_result = OnnxRuntime(model.path).predict_window(scores)
    assert abs(torch_result - onnx_result).max() < 1e-4
    said = []
    choice = selection.choose_runtime(model, scores, 10**9, "cpu", "auto", said.append)[0]
    assert "float32 on cpu" in said[0] and any(choice.runtime.title in line for line in said)
    assert choice.agreement > 0.99 and choice.px_per_s > 0
    small = selection.choose_runtime(model, scores, 1000, "cpu", "auto", said.append)[0]
    assert small.runtime.title == "torch float32 on cpu"


def test_a_gpu_that_is_not_there_is_an_error_and_no_silent_fallback(place):
    if gpus():
        pytest.skip("there is a GPU")
    with pytest.raises(GeoSegError, match="finds no GPU"):
        open_runtime(place / "model.onnx", "torch", "cuda")
    with pytest.raises(GeoSegError) as caught:
        OnnxRuntime(place / "model.onnx", FakeGpu())
    assert caught.value.code == "no_onnx_gpu"


def test_the_core_follows_memory_and_blocks():
    frame = Frame(20_000, 20_000, 96, 16)
    core = core_for(frame, 100, 300, CPU, 0)
    assert core % 512 == 0 and (core + 192) ** 2 * 400 < CPU.memory().free
    assert core_for(frame, 1e6, 1e6, CPU, 0) == 16
    assert core_for(Frame(100, 90, 96, 16), 100, 300, CPU, 0) == 112
    assert core_for(frame, 1, 1, CPU, 60_000) == 512, "windows of 12 s"
    assert core_for(frame, 1, 1, CPU, 100_000) == 768, "and of half a block more"


@pytest.mark.parametrize(
    ("core_px", "unit_px"),
    [(112, 512), (256, 512), (512, 512), (600, 1024), (768, 1536), (1280, 1536), (3840, 4096)],
)
def test_units_are_whole_blocks_of_the_file_and_little_larger_than_a_core(core_px, unit_px):
    assert unit_px_for(core_px, 16) == unit_px


def test_memory_does_not_grow_with_the_raster(place, tmp_path):
    peaks = []
    for rows in (512, 2048):  # a part has 512 rows
        grid = grid_of(rows, 256)
        path = write_raster(tmp_path / f"{rows}.tif", np.tile(scene(256, 256), (1, rows // 256, 1)), grid)
        tracemalloc.start()
        run(place, tmp_path / str(rows), sources=(Source("r1", str(path)),), core_px=64, confidence="c.tif")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_raster_that_is_read_is_never_overwritten(place, tmp_path):
    with pytest.raises(GeoSegError) as caught:
        run(place, tmp_path, confidence=str(place / "image.tif"))
    assert caught.value.code == "would_overwrite"
