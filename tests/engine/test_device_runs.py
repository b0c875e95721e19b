"""Trainings and predictions on a fake GPU: little memory, a lost device, missing operations, a device that has gone."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
from fake_devices import FakeGpu, found
from prediction_scenes import grid_of, recipe_of, scene, write_model, write_raster
from recorder import Recorder
from training_scenes import CLASSES, blobs, small_job, write_dataset

from geoseg_engine.contract import Band, GeoSegError, PredictJob
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.models import build
from geoseg_engine.prediction import predict, run_plan
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
from geoseg_engine.training import checkpoint, fit
from geoseg_engine.training.losses import loss_of
from geoseg_engine.training.scene import scene_from_arrays
from geoseg_engine.training.validate import Core, validate

torch.set_num_threads(1)
ROWS, COLS = 300, 260
LITTLE_BYTES = 100 << 10
"""Less than 8 channels of 4 crops of 32 px in float32, more than those of 2, and than a window of 52 px."""
LONGER = {"epochs": 2, "steps_per_epoch": 6}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    grid = grid_of(ROWS, COLS)
    image = write_raster(folder / "image.tif", np.rint(scene(ROWS, COLS)).astype(np.int16), grid)
    write_model(folder / "model.onnx", recipe_of(image, grid))
    return folder


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr(run_plan, "UNIT_PX", 64)


def train(dataset, folder, **changes):
    channel = Recorder(folder)
    return fit.run(small_job(dataset, **{"device": "cuda", **LONGER, **changes}), folder, channel), channel


def map_of(place, folder, **changes):
    channel = Recorder(folder)
    settings = {
        "model": str(place / "model.onnx"), "output": "classes.tif", "confidence": "confidence.tif",
        "runtime": "torch", "precision": "float32", "device": "cuda", "core_px": 64,
    }  # fmt: skip
    result = predict.run(PredictJob(**{**settings, **changes}), folder, channel)
    with rasterio.open(folder / "classes.tif") as raster:
        return raster.read(1), result, channel


@pytest.mark.parametrize("kind", ["cuda", "rocm", "mps", "xpu"])
def test_a_training_runs_on_every_kind(dataset, tmp_path, monkeypatch, unexported, kind):
    gpu = FakeGpu(kind)
    monkeypatch.setattr(fit, "find_device", lambda name: gpu)
    result, channel = train(dataset, tmp_path)
    assert result["epochs_run"] == 2 and result["device"] == f"Fake {kind}" and result["warnings"] == []
    assert channel.of("hello")[-1]["device_memory_mb"] == 2 * 8192
    assert checkpoint.load(tmp_path / checkpoint.FILE)["device"] == f"Fake {kind}"
    assert gpu.calls > 100


def test_little_memory_halves_the_batch_and_says_so(dataset, tmp_path, monkeypatch, unexported):
    found(monkeypatch, FakeGpu(largest_bytes=LITTLE_BYTES))
    result, _ = train(dataset, tmp_path, batch_size=4)
    assert result["epochs_run"] == 2
    assert checkpoint.load(tmp_path / checkpoint.FILE)["batch_size"] <= 2


def test_memory_that_is_taken_by_others_later_halves_the_batch(dataset, tmp_path, monkeypatch, unexported):
    gpu = FakeGpu()
    found(monkeypatch, gpu)
    real = fit.open_session

    def less(*arguments):
        gpu.largest_bytes = LITTLE_BYTES
        return real(*arguments)

    monkeypatch.setattr(fit, "open_session", less)
    result, channel = train(dataset, tmp_path, batch_size=4)
    assert result["epochs_run"] == 2 and gpu.emptied
    assert any("2 crops per step" in text for text in channel.texts)


def test_a_core_of_the_validation_is_halved_where_memory_is_short():
    assert Core(0, 8, 48, 16).halves(16) == [Core(0, 8, 32, 16), Core(32, 8, 16, 16)]
    assert Core(0, 8, 16, 32).halves(16) == [Core(0, 8, 16, 16), Core(0, 24, 16, 16)]
    assert Core(0, 0, 16, 16).halves(16) == []


def test_a_validation_in_halves_counts_the_same_pixels(tmp_path):
    bands = tuple(Band(f"b{place}", "r1", place) for place in (1, 2, 3))
    whole, _ = scene_from_arrays(*blobs(), bands, len(CLASSES))
    torch.manual_seed(1)
    network = build({"name": "unet", "bands": 3, "classes": 2, "width": 4, "levels": 2, "dropout": 0.0})
    loss, gpu = loss_of("ce", [1.0, 1.0]), FakeGpu(largest_bytes=LITTLE_BYTES)
    plain, halved = (
        validate(network, whole, loss, one, Precision("float32"), Recorder(tmp_path)) for one in (CPU, gpu)
    )
    assert gpu.emptied > 1 and (halved.matrix == plain.matrix).all()
    assert halved.loss == pytest.approx(plain.loss)


def test_a_training_whose_gpu_is_lost_goes_on_where_its_checkpoint_is(
    dataset, tmp_path, monkeypatch, unexported
):
    gpu = FakeGpu()
    found(monkeypatch, gpu)
    real = checkpoint.save

    def loses(*arguments):
        real(*arguments)
        gpu.lost_after = gpu.calls + 50

    monkeypatch.setattr(checkpoint, "save", loses)
    with pytest.raises(GeoSegError) as caught:
        train(dataset, tmp_path)
    assert caught.value.code == "device_lost" and "Resume" in caught.value.hint
    assert checkpoint.load(tmp_path / checkpoint.FILE)["epoch"] == 1
    monkeypatch.setattr(checkpoint, "save", real)
    gpu.lost_after = 0
    result, channel = train(dataset, tmp_path, resume=True)
    assert result["epochs_run"] == 2
    assert not any("began on" in text for text in channel.texts)


def test_a_run_goes_on_on_the_cpu_where_its_gpu_has_gone_and_says_so(
    dataset, tmp_path, monkeypatch, unexported
):
    gpu = FakeGpu(precisions=("fp16", "float32"))
    found(monkeypatch, gpu)
    train(dataset, tmp_path, epochs=1, precision="float32")
    saved = checkpoint.load(tmp_path / checkpoint.FILE)
    saved["precision"], saved["scaler"] = "fp16", {"scale": 1024.0, "_growth_tracker": 3}
    torch.save(saved, tmp_path / checkpoint.FILE)
    found(monkeypatch)
    with pytest.raises(GeoSegError, match="'cuda' is not here: PyTorch finds no GPU") as caught:
        train(dataset, tmp_path, resume=True)
    assert caught.value.code == "no_gpu" and "auto" in caught.value.hint
    result, channel = train(dataset, tmp_path, resume=True, device="auto")
    assert result["epochs_run"] == 2 and result["precision"] == "float32" and result["device"] == "CPU"
    (text,) = [text for text in channel.texts if "The run began on Fake cuda" in text]
    assert "it goes on on CPU, in float32: it does not have fp16" in text


def test_an_operation_that_the_gpu_lacks_is_said_once_and_warned_of(
    dataset, tmp_path, monkeypatch, unexported
):
    gpu = FakeGpu("mps", missing=("max_pool2d",))
    monkeypatch.setattr(fit, "find_device", lambda name: gpu)
    result, channel = train(dataset, tmp_path)
    (warning,) = result["warnings"]
    assert (
        warning.code == "moved_to_cpu" and "max_pool2d" in warning.message and "Apple GPU" in warning.message
    )
    said = [text for text in channel.texts if "does not have the operation" in text]
    assert len(said) == len(gpu.moved) == 2


@pytest.mark.parametrize(
    "missing",
    [
        ("max_pool2d", "native_batch_norm"),
        ("fused_adamw",),
        ("foreach_norm", "foreach_lerp"),
        ("convolution",),
    ],
)
def test_whatever_is_missing_the_weights_are_the_same(dataset, tmp_path, monkeypatch, unexported, missing):
    weights, gpus = [], [FakeGpu("xpu"), FakeGpu("xpu", missing=missing)]
    for number, gpu in enumerate(gpus):
        monkeypatch.setattr(fit, "find_device", lambda name, gpu=gpu: gpu)
        train(dataset, tmp_path / str(number), epochs=1, steps_per_epoch=4)
        weights.append(checkpoint.load(tmp_path / str(number) / checkpoint.FILE)["weights"])
    assert all(any(part in name for name in gpus[1].moved) for part in missing)
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_a_prediction_on_a_gpu_gives_the_classes_of_the_cpu(place, tmp_path, monkeypatch, kind):
    plain, _, _ = map_of(place, tmp_path / "plain", device="cpu")
    gpu = FakeGpu(kind)
    monkeypatch.setattr("geoseg_engine.prediction.runtimes.selection.find_device", lambda name: gpu)
    monkeypatch.setattr(predict, "find_device", lambda name: gpu)
    found_map, result, _ = map_of(place, tmp_path / "gpu")
    assert (found_map == plain).mean() > 0.9999
    assert result["device"] == str(gpu)
    assert {item.code for item in result["warnings"]} <= {"windows_differ"}, "as a CPU may, in another layout"


@pytest.fixture
def gpu(monkeypatch):
    made = FakeGpu()
    monkeypatch.setattr("geoseg_engine.prediction.runtimes.selection.find_device", lambda name: made)
    monkeypatch.setattr(predict, "find_device", lambda name: made)
    return made


def test_little_memory_halves_the_windows_and_keeps_the_map(place, tmp_path, gpu):
    plain, _, _ = map_of(place, tmp_path / "plain", core_px=256)
    gpu.largest_bytes = 4 * 4 * 200 * 200
    halved, _, channel = map_of(place, tmp_path / "halved", core_px=256)
    assert (halved == plain).mean() > 0.9999
    assert any("does not fit into memory: it is halved" in text for text in channel.texts)
    gpu.largest_bytes = 1000
    with pytest.raises(GeoSegError) as caught:
        map_of(place, tmp_path / "none")
    assert caught.value.code in ("out_of_memory", "out_of_gpu_memory") and caught.value.hint


def test_a_prediction_whose_gpu_is_lost_goes_on_with_its_parts(place, tmp_path, gpu):
    plain, _, _ = map_of(place, tmp_path / "plain")
    whole = gpu.calls
    gpu.calls, gpu.lost_after = 0, whole // 2
    with pytest.raises(GeoSegError) as caught:
        map_of(place, tmp_path / "lost")
    assert caught.value.code == "device_lost"
    gpu.lost_after = 0
    again, result, _ = map_of(place, tmp_path / "lost")
    assert result["resumed_parts"] > 0 and (again == plain).all()


def test_an_operation_that_the_gpu_lacks_does_not_change_the_map(place, tmp_path, gpu):
    plain, _, _ = map_of(place, tmp_path / "plain")
    gpu.missing = ("max_pool2d",)
    found_map, result, channel = map_of(place, tmp_path / "missing")
    assert (found_map == plain).all()
    assert [item.code for item in result["warnings"]] == ["moved_to_cpu"]
    assert any("does not have the operation" in text for text in channel.texts)


def test_a_device_that_onnx_runtime_loses_is_said(place):
    class Failed(Exception):
        """As ONNX Runtime's own, which have no other base."""

    def run(*_):
        raise Failed("CUDA failure 719: unspecified launch failure ; GPU=0")

    runtime = OnnxRuntime(place / "model.onnx")
    runtime._session, runtime._errors = SimpleNamespace(run=run), (Failed,)
    with pytest.raises(GeoSegError) as caught:
        runtime.predict_window(np.zeros((2, 32, 32), np.float32))
    assert caught.value.code == "device_lost"


def test_parts_of_a_gpu_that_has_gone_are_continued_on_the_cpu(place, tmp_path, gpu, monkeypatch):
    from geoseg_engine.device import finding

    map_of(place, tmp_path / "plain", device="auto")
    whole = gpu.calls
    gpu.calls, gpu.lost_after, gpu.offered = 0, whole // 2, ("fp16", "float32")
    folder = tmp_path / "run"
    with pytest.raises(GeoSegError):
        map_of(place, folder, device="auto")
    (plan,) = folder.rglob("plan.json")
    kept = json.loads(plan.read_text(encoding="utf-8"))
    assert kept["device"] == "cuda"
    plan.write_text(json.dumps({**kept, "precision": "fp16"}), encoding="utf-8")
    found(monkeypatch)
    monkeypatch.setattr("geoseg_engine.prediction.runtimes.selection.find_device", finding.find_device)
    monkeypatch.setattr(predict, "find_device", finding.find_device)
    _, result, channel = map_of(place, folder, device="auto")
    assert result["device"] == "cpu" and result["resumed_parts"] > 0 and result["precision"] == "float32"
    (text,) = [text for text in channel.texts if "on another device (NVIDIA GPU)" in text]
    assert "predicted on CPU" in text
