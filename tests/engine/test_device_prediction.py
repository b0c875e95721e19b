"""The device path: in its CPU mode the bytes of the ordinary path, for every kind of raster; faults on fake GPUs."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import geopandas
import numpy as np
import onnxruntime
import prediction_scenes
import pytest
import rasterio
import shapely
import torch
from fake_devices import FakeGpu, found
from prediction_scenes import grid_of, recipe_of, scene, write_model, write_raster

from geoseg_engine.channel import Channel
from geoseg_engine.contract import (
    CANCEL_FILE,
    Area,
    Band,
    Cancelled,
    GeoSegError,
    PredictJob,
    Recipe,
    Source,
)
from geoseg_engine.modelfile.calibration import Calibration
from geoseg_engine.modelfile.reading import FAST, FOREST, read_model
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.modelfile.third_party import THIRD_PARTY
from geoseg_engine.prediction import predict, run_plan
from geoseg_engine.prediction.on_device import agreement
from geoseg_engine.prediction.on_device.pipeline import SWITCH, DevicePath, shared_px, steps, takes
from geoseg_engine.prediction.on_device.raw_bands import RawReader
from geoseg_engine.prediction.runtimes import selection
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime
from geoseg_engine.prediction.windows import Frame, cuts

ROWS, COLS = 300, 260
LAYERS = {
    "confidence": "confidence.tif",
    "probability": "probability.tif",
    "margin": "margin.tif",
    "entropy": "entropy.tif",
    "beyond": "beyond.tif",
}
FILES = ("classes.tif", "classes.tif.aux.xml", *LAYERS.values())


@pytest.fixture(autouse=True)
def small_units(monkeypatch):
    monkeypatch.setattr(run_plan, "UNIT_PX", 64)


def values_of(dtype):
    """Bands (2, rows, cols) in a type, with a hole of -999 (0 in an unsigned type)."""
    values = scene(ROWS, COLS)
    nodata = 0 if dtype.startswith("u") else -999
    values = values if dtype == "float32" else np.rint(np.maximum(values, 1))
    values = values.astype(dtype)
    values[0, 20:30, 40:60] = nodata
    values[:, 128:192, 64:128] = nodata
    return values, nodata


WEIGHTED = Calibration(1.2, (), (1.0, 1.5, 1.0))


def model_in(folder, values, nodata=None, calibration=WEIGHTED, **changes):
    grid = grid_of(*values.shape[1:])
    image = write_raster(folder / "image.tif", values, grid, nodata)
    write_model(folder / "model.onnx", recipe_of(image, grid), calibration=calibration, **changes)


def run(place, folder, **changes):
    folder.mkdir(exist_ok=True)
    settings = {
        "model": str(place / "model.onnx"), "output": "classes.tif", "runtime": "torch", "device": "cpu",
        "core_px": 64, **LAYERS,
    }  # fmt: skip
    return predict.run(PredictJob(**{**settings, **changes}), folder, Channel(folder))


def both(place, tmp_path, monkeypatch, **changes):
    """Results of the ordinary path and of the device path; all files must be the same bytes."""
    monkeypatch.delenv(SWITCH, raising=False)
    plain = run(place, tmp_path / "plain", **changes)
    monkeypatch.setenv(SWITCH, "cpu")
    device = run(place, tmp_path / "device", **changes)
    assert plain["host_s"] is None and device["host_s"] is not None
    for name in FILES:
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "device" / name).read_bytes(), name
    for key in ("counts", "areas_m2", "nodata_px", "warnings", "runtime"):
        assert plain[key] == device[key]
    return device


@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8", "float32", "int32"])
def test_each_type_gives_the_bytes_of_the_ordinary_path(tmp_path, monkeypatch, dtype):
    values, nodata = values_of(dtype)
    model_in(tmp_path, values, nodata)
    result = both(tmp_path, tmp_path, monkeypatch)
    assert result["device_agreement"]["same_classes"] == 1.0
    assert result["host_bands"] == (["red", "height"] if dtype == "int32" else [])


def test_without_nodata_and_without_weights(tmp_path, monkeypatch):
    values = np.rint(scene(ROWS, COLS) * 3).astype(np.int16)
    model_in(tmp_path, values, None, Calibration())
    both(tmp_path, tmp_path, monkeypatch)


def test_scale_and_offset_are_applied_in_float64(tmp_path, monkeypatch):
    model_in(tmp_path, np.rint(scene(ROWS, COLS) * 100).astype(np.int16), -999)
    with rasterio.open(tmp_path / "image.tif", "r+") as dataset:
        dataset.scales, dataset.offsets = (0.01, 0.0123), (0.0, -1.5)
    assert both(tmp_path, tmp_path, monkeypatch)["host_bands"] == []


def test_masks_alpha_nan_and_infinity(tmp_path, monkeypatch):
    values = scene(ROWS, COLS)
    values[0, 3:9, 5:50], values[1, 40:44, :], values[0, 100, 100] = np.nan, np.inf, -np.inf
    model_in(tmp_path, values, float("nan"))
    with rasterio.open(tmp_path / "image.tif", "r+") as dataset:
        mask = np.full((ROWS, COLS), 255, np.uint8)
        mask[200:230, 10:90] = 0
        dataset.write_mask(mask)
    both(tmp_path, tmp_path, monkeypatch)


def test_layers_that_end_inside_the_grid_and_derived_bands(tmp_path, monkeypatch):
    """A layer that begins elsewhere, terrain and an index of two layers: the host computes what is derived."""
    grid = grid_of(ROWS, COLS)
    values = np.rint(scene(ROWS, COLS)).astype(np.int16)
    image = write_raster(tmp_path / "image.tif", values, grid, -999)
    a, b, c, d, e, f = grid.transform
    other = replace(grid, transform=(a, b, c + 37 * a, d, e, f + 21 * e), width=150, height=200)
    write_raster(tmp_path / "other.tif", values[1, :200, :150], other)
    bands = (
        Band("red", "r1", 1),
        Band("other", "r2", 1),
        Band("slope", "r1", 2, derive="slope"),
        Band("height", "r1", 2, fill="12"),
    )
    recipe = Recipe(
        (Source("r1", str(image), "image"), Source("r2", str(tmp_path / "other.tif"))), bands, grid
    )
    statistics = Statistics(
        (100.0, 10.0, 20.0, 10.0), (20.0, 5.0, 9.0, 5.0), (40.0, -10.0, 0.0, -10.0), (160.0, 30.0, 80.0, 30.0)
    )
    monkeypatch.setattr(prediction_scenes, "STATISTICS", statistics)
    write_model(tmp_path / "model.onnx", recipe, statistics=statistics)
    with RawReaderOf(recipe, tmp_path) as reader:
        assert reader.derived == ["slope", "height"] and [layer.places for layer in reader.layers[:2]] == [
            (0,),
            (1,),
        ]
    sources = (Source("r1", str(image), "image"), Source("r2", str(tmp_path / "other.tif")))
    assert both(tmp_path, tmp_path, monkeypatch, sources=sources)["host_bands"] == ["slope", "height"]


class RawReaderOf:
    def __init__(self, recipe, folder):
        self.reader = RawReader(recipe, read_model(folder / "model.onnx"))

    def __enter__(self):
        return self.reader

    def __exit__(self, *_):
        self.reader.close()


def test_an_area_and_windows_without_any_value(tmp_path, monkeypatch):
    values = np.full((2, ROWS, COLS), -999, np.int16)
    values[:, 100:180, 60:150] = np.rint(scene(80, 90))
    model_in(tmp_path, values, -999)
    x, y = 500_000.0, 5_000_000.0
    shape = shapely.box(x + 300, y - 1700, x + 1300, y - 900).union(
        shapely.box(x + 2200, y - 300, x + 2500, y - 100)
    )
    geopandas.GeoSeries([shape], crs="EPSG:32631").to_file(tmp_path / "area.gpkg")
    both(tmp_path, tmp_path, monkeypatch, area=Area("polygons", str(tmp_path / "area.gpkg")))
    (tmp_path / "second").mkdir()
    both(tmp_path, tmp_path / "second", monkeypatch)


def test_neighbours_share_columns_only_in_a_row():
    frame = Frame(ROWS, COLS, 20, 4)
    found = list(steps((0, cut) for cut in cuts(frame, 64)))
    for one, other in pairwise(found[:6]):
        assert one.keep_px == other.known_px == shared_px(one.cut.read, other.cut.read)
    assert found[0].known_px == 0 and found[1].known_px == found[0].keep_px > 0
    ends = [step for step in found if step.cut.core.col == 0]
    assert len(ends) == 5 and all(step.known_px == 0 for step in ends)


class Queue:
    """A queue that does at once what it is asked, and counts what is asked."""

    def __init__(self):
        self.waited = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def record_event(self):
        return self

    def wait_event(self, event):
        self.waited += 1

    def synchronize(self):
        self.waited += 1


class QueueGpu(FakeGpu):
    """With queues, pinned memory and recorded graphs."""

    def __init__(self, **settings):
        super().__init__("cuda", **settings)
        self.offer = replace(self.offer, pinned=True, streams=True, graphs=True)
        self.queues, self.graphs, self.replays = [], 0, 0

    def pinned(self, tensor):
        return tensor.clone()

    def new_stream(self):
        self.queues.append(Queue())
        return self.queues[-1]

    def recorded(self, call, warm_up=3):
        self.graphs += 1
        call()

        def replay():
            self.replays += 1
            call()

        return replay


def on_fake(monkeypatch, gpu):
    """Let a job on `cuda` run on a fake GPU."""
    found(monkeypatch, gpu)
    monkeypatch.delenv(SWITCH, raising=False)
    return gpu


def classes_of(folder):
    with rasterio.open(folder / "classes.tif") as dataset:
        return dataset.read(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    values, nodata = values_of("int16")
    model_in(folder, values, nodata)
    return folder


def test_queues_pinned_memory_and_a_recorded_network(place, tmp_path, monkeypatch):
    plain = run(place, tmp_path / "plain")
    gpu = on_fake(monkeypatch, QueueGpu())
    result = run(place, tmp_path / "gpu", device="cuda")
    assert result["device"] == "cuda:0" and result["device_agreement"]["same_classes"] >= 0.9999
    assert gpu.graphs >= 1 and gpu.replays >= 1 and any(queue.waited for queue in gpu.queues)
    differ = classes_of(tmp_path / "plain") != classes_of(tmp_path / "gpu")
    assert differ.mean() <= 1e-4
    assert plain["nodata_px"] == result["nodata_px"]


@pytest.mark.parametrize("kind", ["rocm", "mps", "xpu"])
def test_other_kinds_give_the_classes_of_the_cpu(place, tmp_path, monkeypatch, kind):
    run(place, tmp_path / "plain")
    gpu = on_fake(monkeypatch, FakeGpu(kind))
    result = run(place, tmp_path / "gpu", device=str(gpu))
    assert result["host_s"] is not None
    assert (classes_of(tmp_path / "plain") != classes_of(tmp_path / "gpu")).mean() <= 1e-4


def test_scaled_bands_are_made_by_the_host_where_the_device_has_no_float64(tmp_path, monkeypatch):
    model_in(tmp_path, np.rint(scene(ROWS, COLS) * 100).astype(np.int16), -999)
    with rasterio.open(tmp_path / "image.tif", "r+") as dataset:
        dataset.scales = (0.01, 0.01)
    on_fake(monkeypatch, FakeGpu("mps"))
    result = run(tmp_path, tmp_path / "gpu", device="mps")
    assert result["host_bands"] == ["red", "height"] and result["host_s"]["derived_s"] > 0


def test_a_window_that_does_not_fit_is_halved(place, tmp_path, monkeypatch):
    run(place, tmp_path / "plain", core_px=128)
    # an image of 2 bands and 160 x 160 pixels takes 205 kB, half of it 130 kB
    gpu = on_fake(monkeypatch, FakeGpu("cuda"))
    lines = []
    monkeypatch.setattr(Channel, "log", lambda self, text, level="info": lines.append(text))
    original = DevicePath._codes

    def short_of_memory(self, scores, cut):
        if cut.core.height * cut.core.width > 64 * 128:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return original(self, scores, cut)

    monkeypatch.setattr(DevicePath, "_codes", short_of_memory)
    run(place, tmp_path / "gpu", device="cuda", core_px=128)
    assert any("it is halved" in line for line in lines) and gpu.emptied
    assert (classes_of(tmp_path / "plain") != classes_of(tmp_path / "gpu")).mean() <= 1e-4


def test_the_smallest_window_that_does_not_fit_ends_the_job(place, tmp_path, monkeypatch):
    on_fake(monkeypatch, FakeGpu("cuda"))

    def never(self, scores, cut):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(agreement, "measured", lambda *_: None)
    monkeypatch.setattr(DevicePath, "_codes", never)
    with pytest.raises(GeoSegError, match="fits into memory") as error:
        run(place, tmp_path / "gpu", device="cuda")
    assert error.value.code == "out_of_memory"


@pytest.mark.parametrize("stage", ["_codes", "_staged"])
def test_a_lost_device_leaves_parts_to_resume_with(place, tmp_path, monkeypatch, stage):
    on_fake(monkeypatch, FakeGpu("cuda"))
    original, calls = getattr(DevicePath, stage), [0]

    def lost(self, *args):
        calls[0] += 1
        if calls[0] > 12:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return original(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(DevicePath, stage, lost)
        with pytest.raises((GeoSegError, RuntimeError)):
            run(place, tmp_path / "gpu", device="cuda")
    result = run(place, tmp_path / "gpu", device="cuda")
    assert result["resumed_parts"] >= 5
    run(place, tmp_path / "whole", device="cuda")
    assert (tmp_path / "gpu" / "classes.tif").read_bytes() == (
        tmp_path / "whole" / "classes.tif"
    ).read_bytes()


def test_a_device_that_disagrees_is_not_used_and_one_that_does_a_little_warns(place, tmp_path, monkeypatch):
    on_fake(monkeypatch, FakeGpu("cuda"))
    for share, used in ((0.5, False), (0.9995, True)):
        found = agreement.Agreement(1000, share, 0.3)
        monkeypatch.setattr(agreement, "measured", lambda *_, found=found: found)
        result = run(place, tmp_path / f"{used}", device="cuda")
        assert (result["host_s"] is not None) is used
        assert any(item.code == "device_differs" for item in result["warnings"]) is used


def test_a_network_that_is_wrong_on_the_device_warns_in_the_result(place, tmp_path, monkeypatch):
    on_fake(monkeypatch, FakeGpu("cuda"))
    right = TorchRuntime.output

    def wrong(self, image, kept=None):
        found = right(self, image, kept)
        return found.flip(0) if self.device.is_gpu else found

    monkeypatch.setattr(TorchRuntime, "output", wrong)
    result = run(place, tmp_path / "wrong", device="cuda")
    assert result["host_s"] is None and result["device_agreement"]["same_classes"] < agreement.USABLE
    assert any(item.code == "device_differs" for item in result["warnings"])


def test_a_path_that_is_wrong_on_the_device_leaves_the_results_to_the_cpu(place, tmp_path, monkeypatch):
    on_fake(monkeypatch, FakeGpu("cuda"))
    plain = run(place, tmp_path / "plain", device="cpu")
    monkeypatch.setattr(agreement, "measured", lambda *_: agreement.Agreement(1000, 0.5, 0.3))
    result = run(place, tmp_path / "gpu", device="cuda")
    assert result["warnings"] == plain["warnings"] and result["counts"] == plain["counts"]


def test_agreement_counts_pixels_and_their_margins():
    expected = np.array([[[0, 1, 2, 65535]], [[400, 300, 8, 65535]]], np.uint16)
    found = expected.copy()
    found[0, 0, 2] = 1
    agreed = agreement.compared(found, expected)
    assert agreed.pixels == 3 and agreed.same_classes == pytest.approx(2 / 3)
    assert agreed.largest_margin == round(8 / 512, 4)
    assert agreement.compared(None, expected).same_classes == 0


def test_the_switch_and_what_is_not_taken(place, tmp_path, monkeypatch):
    on_fake(monkeypatch, FakeGpu("cuda"))
    monkeypatch.setenv(SWITCH, "off")
    assert run(place, tmp_path / "off", device="cuda")["host_s"] is None
    monkeypatch.delenv(SWITCH)
    averaged = run(place, tmp_path / "mean", device="cuda", tta="flips", disagreement="disagreement.tif")
    assert averaged["host_s"] is None and averaged["views"] > 1


def test_cancelled_and_resumed_gives_the_same_bytes(place, tmp_path, monkeypatch):
    monkeypatch.setenv(SWITCH, "cpu")
    run(place, tmp_path / "whole")
    folder = tmp_path / "cancelled"
    folder.mkdir()
    channel, count = Channel(folder), [0]
    progress = channel.progress

    def counting(*args):
        count[0] += 1
        if count[0] == 9:
            (folder / CANCEL_FILE).touch()
        progress(*args)

    channel.progress = counting
    settings = {
        "model": str(place / "model.onnx"),
        "output": "classes.tif",
        "runtime": "torch",
        "core_px": 64,
    }
    with pytest.raises(Cancelled):
        predict.run(PredictJob(**settings, **LAYERS, device="cpu"), folder, channel)
    (folder / CANCEL_FILE).unlink()
    assert run(place, folder)["resumed_parts"] >= 5
    for name in FILES:
        assert (tmp_path / "whole" / name).read_bytes() == (folder / name).read_bytes()


class Session:
    """A session of ONNX Runtime as its GPU providers give it; the graph runs on the CPU."""

    opened: list = []

    def __init__(self, path, options, providers):
        names = [item if isinstance(item, str) else item[0] for item in providers]
        Session.opened.append(names)
        if "TensorrtExecutionProvider" in names and not Session.has_tensorrt:
            names.remove("TensorrtExecutionProvider")  # as ONNX Runtime does without its libraries
        self.names, self.real = names, REAL_SESSION(path, providers=["CPUExecutionProvider"])

    def get_providers(self):
        return self.names

    def __getattr__(self, name):
        return getattr(self.real, name)


REAL_SESSION = onnxruntime.InferenceSession


@pytest.mark.parametrize("tensorrt", [True, False])
def test_tensorrt_is_tried_for_large_jobs_where_its_libraries_are(place, monkeypatch, tensorrt):
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(Session, "opened", [])
    monkeypatch.setattr(Session, "has_tensorrt", tensorrt, raising=False)
    monkeypatch.setattr(selection, "tensorrt_built", lambda: True)
    on_fake(monkeypatch, FakeGpu("cuda"))
    model, lines = read_model(place / "model.onnx"), []
    sample = np.zeros((2, 128, 128), np.float32)
    selection.choose_runtime(model, sample, 10**7, "cuda", log=lines.append)
    assert not any("TensorRT" in line for line in lines)
    choices = selection.choose_runtime(model, sample, 10**9, "cuda", log=lines.append)
    tried = [choice.runtime.title for choice in choices]
    assert any("by TensorRT" in title for title in tried) is tensorrt
    assert any("TensorRT cannot be used" in line for line in lines) is not tensorrt


def test_onnx_runtime_on_a_gpu_goes_over_the_device_too(place, tmp_path, monkeypatch):
    run(place, tmp_path / "plain")
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(Session, "has_tensorrt", False, raising=False)
    on_fake(monkeypatch, FakeGpu("mps"))
    result = run(place, tmp_path / "gpu", device="mps", runtime="onnx")
    assert result["runtime"].startswith("ONNX Runtime") and result["host_s"] is not None
    assert (classes_of(tmp_path / "plain") != classes_of(tmp_path / "gpu")).mean() <= 1e-4


@pytest.mark.parametrize(
    "name, taken", [("unet", True), (FOREST, False), (FAST, False), (THIRD_PARTY, False)]
)
def test_graphs_without_a_network_stay_on_the_ordinary_way(name, taken):
    """They cannot be compared with the CPU's network, and the fast model wants missing values as they are."""
    runtime = OnnxRuntime.__new__(OnnxRuntime)
    runtime.device = FakeGpu("cuda")
    setup = SimpleNamespace(lattice=None, runtime=runtime)
    assert takes(setup, SimpleNamespace(architecture={"name": name}), ()) is taken
