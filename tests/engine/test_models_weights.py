"""Weights of encoders from files."""

import json
import struct

import numpy as np
import pytest
import torch
from network_scenes import BANDS, small

from geoseg_engine.contract import GeoSegError
from geoseg_engine.models import load_encoder
from geoseg_engine.models.torchfile import read_torch
from geoseg_engine.models.weights import adapt_bands, read_state

TYPES = {torch.float32: "F32", torch.int64: "I64"}


def other(bands=3):
    """State as of a ResNet-18 that others have trained, with the layer for their own classes."""
    torch.manual_seed(7)
    network = small("deeplabv3plus", bands=bands)
    torch.nn.init.normal_(network.encoder.conv1.weight)
    return {**network.encoder.state_dict(), "fc.weight": torch.randn(1000, 512), "fc.bias": torch.randn(1000)}


def write_safetensors(path, state):
    header, parts, place = {"__metadata__": {"format": "pt"}}, [], 0
    for name, value in state.items():
        raw = value.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": TYPES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [place, place + len(raw)],
        }
        parts.append(raw)
        place += len(raw)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_resnet_in_the_common_names_loads(suffix, tmp_path):
    state, path = other(), tmp_path / f"resnet18{suffix}"
    write_safetensors(path, state) if suffix == ".safetensors" else torch.save(state, path)
    network = small("deeplabv3plus", bands=3)
    assert load_encoder(network, path) == []
    own = network.encoder.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in state.items() if not name.startswith("fc."))


def test_the_names_are_those_of_everyone():
    names = set(small("deeplabv3plus").encoder.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer2.0.downsample.1.bias"} <= names
    assert "layer1.0.downsample.0.weight" not in names
    fifty = set(small("deeplabv3plus", encoder="resnet50").encoder.state_dict())
    assert {"layer1.0.downsample.0.weight", "layer4.2.bn3.weight", "layer3.5.conv3.weight"} <= fifty


@pytest.mark.parametrize("bands", [3, 13])
@pytest.mark.parametrize("wrapped", ["plain", "prefixed", "inside"])
def test_other_bands_and_wrappings_are_adapted_and_said(bands, wrapped, tmp_path):
    state = other(bands)
    found = (
        {f"module.backbone.{name}": value for name, value in state.items()}
        if wrapped == "prefixed"
        else state
    )
    torch.save({"state_dict": found, "epoch": 3} if wrapped == "inside" else found, tmp_path / "e.pth")
    network = small("deeplabv3plus", bands=6)
    assert load_encoder(network, tmp_path / "e.pth") == [f"conv1.weight (from {bands} bands to 6)"]
    mean = state["conv1.weight"].mean(dim=1) * bands / 6
    assert torch.allclose(network.encoder.conv1.weight[:, 4], mean, atol=1e-6)


def test_an_adapted_convolution_keeps_the_answer_to_an_even_image():
    weight = torch.randn(8, 3, 7, 7)
    one = torch.nn.functional.conv2d(torch.ones(1, 3, 9, 9), weight)
    more = torch.nn.functional.conv2d(torch.ones(1, 10, 9, 9), adapt_bands(weight, 10))
    assert torch.allclose(one, more, atol=1e-4)


def test_what_is_missing_keeps_its_values_and_is_named(tmp_path):
    state = {name: value for name, value in other().items() if not name.startswith("layer4.1")}
    torch.save(state, tmp_path / "e.pth")
    network = small("deeplabv3plus", bands=3)
    before = network.encoder.layer4[1].conv1.weight.clone()
    notes = load_encoder(network, tmp_path / "e.pth")
    assert "layer4.1.conv1.weight" in notes and all(note.startswith("layer4.1") for note in notes)
    assert torch.equal(before, network.encoder.layer4[1].conv1.weight)


@pytest.mark.parametrize("name", ["unet", "attention_resunet", "resunet_a", "segnet", "patchcnn"])
def test_the_encoder_of_an_own_network_goes_into_another_of_its_kind(name, tmp_path):
    source, target = small(name), small(name, classes=9)
    for item in source.parameters():
        torch.nn.init.normal_(item)
    kept = {key: value for key, value in source.state_dict().items() if key.startswith("encoder.")}
    torch.save({"format": 1, "weights": kept, "bands": ["a"] * BANDS}, tmp_path / "encoder.pt")
    assert load_encoder(target, tmp_path / "encoder.pt") == []
    assert all(torch.equal(value, target.state_dict()[key]) for key, value in kept.items())


def test_files_that_do_not_fit_are_refused(tmp_path):
    network = small("deeplabv3plus")
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "foreign.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 64)
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    torch.save({"hint": "none"}, tmp_path / "empty.pt")
    for name in ("foreign.pth", "broken.safetensors", "broken.pth", "empty.pt", "missing.pth", "imagenet"):
        path = name if name == "imagenet" else tmp_path / name
        with pytest.raises(GeoSegError) as caught:
            load_encoder(network, path)
        assert caught.value.code == "weights" and caught.value.hint


def test_half_precision_is_read(tmp_path):
    header = {"x": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    (tmp_path / "h.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + np.array([1.5, -2], np.float16).tobytes()
    )
    assert read_state(tmp_path / "h.safetensors")["x"].tolist() == [1.5, -2.0]


class Running:
    """Runs code when it is read as a pickle."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit",))


@pytest.mark.parametrize("content", [{"state": Running()}, None, b"no such file"])
def test_files_of_torch_are_read_without_running_code(tmp_path, content):
    file = tmp_path / "saved.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    if content is None:
        assert read_torch(file) is None
        return
    with pytest.raises(ValueError):
        read_torch(file)
