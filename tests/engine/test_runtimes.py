"""Runtimes beside one another, the choice among them, and int8 with its check on validation tiles."""

import shutil

import numpy as np
import pytest
import torch
from fake_devices import FakeGpu
from prediction_scenes import STATISTICS, grid_of, network, recipe_of, scene, write_model, write_raster
from training_scenes import small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import GeoSegError
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile.reading import read_model
from geoseg_engine.modelfile.stats import normalise
from geoseg_engine.models import build
from geoseg_engine.models.ensemble import Ensemble
from geoseg_engine.models.segnet import SegNet
from geoseg_engine.prediction.runtimes import banded_unet, int8, openvino_runtime, selection
from geoseg_engine.prediction.runtimes.int8 import int8_path, quantized, read_scores
from geoseg_engine.prediction.runtimes.onnx_runtime import OnnxRuntime
from geoseg_engine.prediction.runtimes.selection import Choice, candidates, choose_runtime, open_runtime, rank
from geoseg_engine.prediction.runtimes.tiling_invariance import make_invariant
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime, fold_batch_norm
from geoseg_engine.raster.grid import Window
from geoseg_engine.training import fit


def has_openvino():
    try:
        import openvino  # noqa: F401
    except ImportError:
        return False
    return True


needs_openvino = pytest.mark.skipif(not has_openvino(), reason="the extra 'openvino' is not installed")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained model, three levels deep."""
    folder = tmp_path_factory.mktemp("model")
    grid = grid_of(64, 64)
    image = write_raster(folder / "image.tif", scene(64, 64), grid)
    return read_model(write_model(folder / "model.onnx", recipe_of(image, grid), levels=3))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short training; its dataset lies in `data` inside."""
    folder = tmp_path_factory.mktemp("run")
    dataset = write_dataset(folder / "data", 128, 192)
    fit.run(small_job(dataset), folder, Channel(folder))
    return folder


SCORES = normalise(scene(96, 96), STATISTICS)


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_bands_change_no_bit_and_reach_members_of_an_ensemble(levels, monkeypatch):
    monkeypatch.setattr(banded_unet, "BAND_BYTES", 1)
    net = fold_batch_norm_of(network(levels, width=8))
    image = torch.from_numpy(scene(208, 160)[None] / 100).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole = net(image)
        cut = banded_unet.banded(net)
        assert banded_unet.unets(cut) and (cut(image) == whole).all()
    both = banded_unet.banded(Ensemble([network(levels), network(levels)]))
    assert len(banded_unet.unets(both)) == 2
    assert len(banded_unet.unets(banded_unet.banded(ensemble("unet", "unet")))) == 2
    mixed = ensemble("unet", "segnet")
    assert not banded_unet.unets(banded_unet.banded(mixed)), "its members would give parts of different size"
    uneven = build({"name": "unet", "bands": 2, "classes": 3, "width": 4, "levels": 2, "norm": "group"})
    assert not banded_unet.unets(banded_unet.banded(uneven)), "its normalisation looks at the whole window"


KEPT = [Window(0, 0, 16, 16), Window(48, 32, 100, 97), Window(96, 0, 112, 160), Window(64, 80, 1, 33)]


@pytest.mark.parametrize("precision", ["float64", "float32", "bf16"])
def test_what_is_kept_of_a_window_has_the_bits_of_the_whole(precision, monkeypatch):
    monkeypatch.setattr(banded_unet, "BAND_BYTES", 1)
    scores = scene(208, 160).astype("float64" if precision == "float64" else "float32") / 100
    for net in (network(4, width=8), ensemble("unet", "unet"), segnet()):
        runtime = TorchRuntime(net, precision=precision)
        assert runtime.crops == (precision != "float64" and not isinstance(net, SegNet))
        whole = runtime.predict_window(scores)
        for kept in KEPT:
            assert (runtime.predict_window(scores, kept) == kept.of(whole)).all()


@pytest.mark.parametrize("kept", KEPT)
def test_a_decoder_computes_little_around_what_is_kept(kept):
    parts = banded_unet.decoded_parts(kept, 208, 160, 3)
    for level, part in enumerate(parts):
        whole = Window(0, 0, 208 >> level, 160 >> level)
        wanted, given = part.wanted, part.given
        needed = wanted.padded(banded_unet.REACH)
        assert given.shared(whole) == given and given.shared(needed) == needed.shared(whole)
        assert given.height <= max(wanted.height + 6, 26) and given.width <= max(wanted.width + 6, 26)
        if level:
            assert wanted == banded_unet.halved(parts[level - 1].given)


def ensemble(*names):
    """As folds and seeds are written."""
    members = [
        {"name": "member", "network": {"name": name, "bands": 2, "classes": 3, "width": 4, "levels": 3},
         "bands": 2, "classes": 3}
        for name in names
    ]  # fmt: skip
    return build({"name": "ensemble", "members": members, "bands": 2, "classes": 3}).eval()


def segnet():
    return build({"name": "segnet", "bands": 2, "classes": 3, "width": 4})


def fold_batch_norm_of(net):
    """The network as a runtime changes it."""
    fold_batch_norm(net)
    make_invariant(net.to(memory_format=torch.channels_last))
    return net


class Fake:
    """A runtime that only has a name."""

    name, device = "onnx", CPU

    def __init__(self, title, precision="float32"):
        self.title, self.precision = title, precision


def chosen(*facts):
    """Title of the best of (title, speed, agreement, precision)."""
    return rank([Choice(Fake(t, p), speed, 1.0, same) for t, speed, same, p in facts])[0].runtime.title


def test_offers_follow_the_wishes(monkeypatch):
    monkeypatch.setattr(selection, "reduced_precision", lambda device: "bf16")
    assert candidates(CPU, "auto", "auto") == [
        ("torch", "float32"),
        ("torch", "bf16"),
        ("onnx", "float32"),
        ("openvino", "float32"),
        ("openvino", "bf16"),
    ]
    assert candidates(CPU, "auto", "int8") == [("onnx", "int8"), ("openvino", "int8")]
    assert candidates(CPU, "torch", "bf16") == [("torch", "bf16")]
    assert ("openvino", "float32") not in candidates(FakeGpu(), "auto", "auto")
    monkeypatch.setattr(selection, "reduced_precision", lambda device: "")
    assert candidates(CPU, "torch", "auto") == [("torch", "float32")]
    for wish in (("torch", "bf16"), ("onnx", "fp16"), ("torch", "int8")):
        with pytest.raises(GeoSegError) as caught:
            candidates(CPU, *wish)
        assert caught.value.code == "no_precision" and wish[1] in caught.value.message
    with pytest.raises(GeoSegError):
        candidates(FakeGpu(), "openvino", "auto")


def test_the_fastest_of_those_that_agree_is_taken():
    plain = ("plain", 100.0, 1.0, "float32")
    assert chosen(plain, ("wrong", 900.0, 0.99, "float32"), ("right", 200.0, 0.9999, "float32")) == "right"
    assert chosen(plain, ("no gain", 110.0, 1.0, "float32")) == "plain"
    assert chosen(plain, ("one", 200.0, 1.0, "float32"), ("two", 210.0, 1.0, "float32")) == "two"
    assert chosen(("far", 900.0, 0.5, "bf16"), ("near", 100.0, 0.9, "bf16")) == "near"
    with pytest.raises(GeoSegError) as caught:
        rank([])
    assert caught.value.code == "no_runtime"


def test_a_precision_by_name_is_the_only_one_taken(model):
    said = []
    choice = choose_runtime(model, SCORES, 10**9, "cpu", "auto", said.append, "float32")[0]
    assert choice.runtime.precision == "float32" and not any("bf16" in line for line in said)


def test_openvino_by_name_without_it_is_an_error_and_else_a_line(model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    said = []
    assert choose_runtime(model, SCORES, 10**9, "cpu", "auto", said.append)[0].runtime.name != "openvino"
    assert sum("OpenVINO is not installed" in line for line in said) == 1
    with pytest.raises(GeoSegError) as caught:
        choose_runtime(model, SCORES, 10**9, "cpu", "openvino")
    assert caught.value.code == "no_openvino" and "pip install openvino" in caught.value.hint


@needs_openvino
def test_openvino_gives_what_torch_gives_in_windows_of_any_size(model):
    runtime = open_runtime(model.path, "openvino", "auto")
    assert runtime.title == "OpenVINO float32 on cpu"
    for rows, cols in ((96, 96), (48, 96), (96, 16)):
        window = SCORES[:, :rows, :cols]
        expected = open_runtime(model.path, "torch", "cpu").predict_window(window)
        first = runtime.predict_window(window)
        kept = first.copy()
        assert np.abs(first - expected).max() < 1e-4
        runtime.predict_window(SCORES)
        assert (first == kept).all(), "an answer is not written over by the next"


@needs_openvino
def test_openvino_refuses_what_is_no_graph(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(GeoSegError) as caught:
        openvino_runtime.OpenVinoRuntime(tmp_path / "model.onnx")
    assert caught.value.code == "openvino_model"


def test_windows_of_any_shape_take_turns_in_one_session(model):
    runtime = OnnxRuntime(model.path)
    whole = runtime.predict_window(SCORES)
    runtime.predict_window(SCORES[:, :16, :48])
    assert (runtime.predict_window(SCORES) == whole).all()


def test_int8_is_kept_where_validation_tiles_lose_little(trained):
    model, said = read_model(trained / "model.onnx"), []
    path, loss = quantized(model, 0.05, said.append)
    assert path == int8_path(model.path) and path.exists()
    assert "validation pixels" in said[-1] and "model.int8.onnx" in said[-1]
    verdict = read_scores(path, model)
    assert verdict is not None and verdict.loss == loss <= 0.05 and 0.5 < verdict.float32 <= 1
    assert verdict.pixels > 1000
    scores = np.random.default_rng(0).normal(size=(3, 64, 64)).astype(np.float32)
    plain, quick = (
        open_runtime(file, "onnx", "cpu", precision).predict_window(scores)
        for file, precision in ((model.path, "float32"), (path, "int8"))
    )
    assert quick.shape == plain.shape and np.abs(quick.sum(axis=0) - 1).max() < 1e-5
    assert 0 < np.abs(quick - plain).max() < 0.3, "it is another arithmetic, and near"
    assert len(np.unique(quick)) > 500, "probabilities have no steps"

    again = []
    assert quantized(model, 0.05, again.append) == (path, loss) and len(again) == 1, "made once"
    choice = choose_runtime(
        model, scores, 10**9, "cpu", "onnx", again.append, precision="int8", int8_loss=0.05
    )[0]
    assert choice.runtime.title == "ONNX Runtime int8 on cpu"
    assert choice.int8_loss == loss


def test_int8_that_loses_too_much_is_not_used(trained, monkeypatch):
    model, said = read_model(trained / "model.onnx"), []
    int8_path(model.path).unlink(missing_ok=True)
    poor = int8.Int8Scores("", 0.9, 0.8, 5000)
    monkeypatch.setattr(int8, "compare_scores", lambda *arguments: poor)
    assert quantized(model, 0.005, said.append) is None
    assert "at most 0.005 may be lost" in said[-1] and not int8_path(model.path).exists()


def test_without_its_dataset_a_model_stays_in_float32(trained, tmp_path):
    shutil.copy(trained / "model.onnx", tmp_path / "model.onnx")
    shutil.move(trained / "data", trained / "elsewhere")
    try:
        said = []
        model = read_model(tmp_path / "model.onnx")
        choice = choose_runtime(
            model, np.zeros((3, 32, 32), np.float32), 100, "cpu", "auto", said.append, "int8"
        )[0]
        assert choice.runtime.precision == "float32" and choice.int8_loss is None
        assert "int8 is not used" in said[0] and "not found" in said[0]
    finally:
        shutil.move(trained / "elsewhere", trained / "data")
