"""Networks in the model file and in the runtimes: ONNX Runtime, folded normalisation and bf16 give what torch gives."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from network_scenes import BANDS, CLASSES, NAMES, architecture, drawn, small

from geoseg_engine.modelfile import export as exporter
from geoseg_engine.modelfile.calibration import Calibration
from geoseg_engine.modelfile.export import export
from geoseg_engine.modelfile.stats import Statistics
from geoseg_engine.models import build, last_layers
from geoseg_engine.prediction.runtimes.torch_runtime import TorchRuntime, fold_batch_norm

STATISTICS = Statistics(*((value,) * BANDS for value in (0.0, 1.0, -5.0, 5.0)))
OTHERS = {
    "ensemble": {
        "name": "ensemble",
        "members": [architecture("unet", levels=1), architecture("segnet", levels=1)],
        "bands": BANDS,
        "classes": CLASSES,
    },
    "group": architecture("unet", levels=1, norm="group"),
    "instance": architecture("resunet_a", levels=1, norm="instance"),
    "resnet50": architecture("deeplabv3plus", encoder="resnet50"),
}


def every(name, **settings):
    torch.manual_seed(0)
    return drawn(build(OTHERS[name] if name in OTHERS else architecture(name, **settings)))


@pytest.mark.parametrize("name", [*NAMES, "ensemble", "group", "instance"])
def test_the_exported_file_agrees_in_batches_and_sizes_it_was_not_traced_with(name, tmp_path):
    network = every(
        name, **({} if name == "deeplabv3plus" else {"levels": 1})
    )  # deeper ones take longer to trace
    sample = torch.randn(2, BANDS, 64, 96)
    export(network, STATISTICS, {}, [sample, torch.randn(1, BANDS, 96, 64)], tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    image = torch.randn(3, BANDS, 32, 160).clamp(-5, 5)
    with torch.no_grad():
        expected = torch.softmax(network(image), dim=1).numpy()
    assert np.abs(session.run(None, {"image": image.numpy()})[0] - expected).max() < 1e-4


def test_a_kept_graph_gives_the_file_that_tracing_gives(tmp_path):
    """The tests trace a network once, see graph_cache."""
    cache, files = exporter._write, []
    for seed in range(2):
        torch.manual_seed(seed)
        network = drawn(build(architecture("unet", levels=1)))
        module = exporter.Exported(
            network, STATISTICS, Calibration(1.5 + seed, (0.1 + seed,) * CLASSES)
        ).eval()
        for write in (cache, cache.trace):
            write(module, torch.randn(2 + seed, BANDS, 32, 64), tmp_path / "model.onnx")
            files.append((tmp_path / "model.onnx").read_bytes())
    assert files[0] == files[1] != files[2] == files[3]


@pytest.mark.parametrize("name", [*NAMES, "ensemble", "resnet50"])
def test_folding_changes_nothing_and_folds_what_stands_in_a_row(name):
    network = every(name).double()
    image = torch.randn(1, BANDS, 64, 64, dtype=torch.float64)
    folded = copy.deepcopy(network)
    fold_batch_norm(folded)
    with torch.no_grad():
        assert (network(image) - folded(image)).abs().max() < 1e-9
    before, after = (
        sum(isinstance(item, torch.nn.BatchNorm2d) for item in each.modules()) for each in (network, folded)
    )
    assert after == 0 or name in ("deeplabv3plus", "resnet50")
    assert after < before


@pytest.mark.parametrize("name", [*NAMES, "ensemble"])
def test_bf16_ends_in_float32(name):
    runtime = TorchRuntime(every(name), precision="bf16")
    image = np.random.default_rng(0).normal(size=(BANDS, 64, 64)).astype(np.float32)
    shares = runtime.predict_window(image)
    exact = TorchRuntime(every(name), precision="float32").predict_window(image)
    assert shares.dtype == np.float32 and np.isfinite(shares).all()
    assert np.abs(shares - exact).mean() < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_the_last_convolution_makes_the_logits(name):
    (layer,) = last_layers(small(name))
    assert layer.out_channels == CLASSES and not layer.bias.any()


@pytest.mark.parametrize("name", NAMES)
def test_one_step_of_training_moves_every_weight(name):
    network = small(name).train().to(memory_format=torch.channels_last)
    image = torch.randn(2, BANDS, 64, 64).to(memory_format=torch.channels_last)
    network(image).square().mean().backward()
    still = [
        key for key, item in network.named_parameters() if item.grad is None or not item.grad.isfinite().all()
    ]
    assert not still
