"""Checkpoints, encoders and weights of others, damaged or made to do harm: a state comes out, or one sentence."""

import json
import math
import pickle
import random
import struct
import zipfile

import pytest
import torch
from damage import VALUES, damaged_bytes, modest_memory, survives
from recorder import Recorder
from training_scenes import small_job, write_dataset

from geoseg_engine.contract import GeoSegError
from geoseg_engine.device.devices import CPU
from geoseg_engine.models.weights import read_state
from geoseg_engine.training import checkpoint, fit, initial_weights
from geoseg_engine.training.distributed import Group
from geoseg_engine.training.preparing import prepare_resumed

TIMES = 60
SEED = 1
STATE = {"encoder.0.weight": torch.ones(4, 3, 3, 3), "encoder.0.bias": torch.zeros(4), "n": torch.tensor(3)}
OTHERS = (torch.ones(2), {"a": torch.ones(1)}, math.nan, (), b"x")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training of one epoch: its job and its checkpoint."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    job = small_job(write_dataset(tmp_path_factory.mktemp("dataset")), epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "write_model", lambda *_: None)
        fit.run(job, folder, Recorder(folder))
    return job, checkpoint.load(folder / checkpoint.FILE)


def go_on(job, folder):
    """What a resumed training does before its first step."""
    from dataclasses import replace

    channel = Recorder(folder)
    ground = fit.read_training_data(replace(job, resume=True), folder, folder, channel)
    prepare_resumed(ground.job, ground.scene, ground.saved, CPU, Group(), channel)


def test_damaged_bytes_of_a_checkpoint(run, tmp_path):
    job, saved = run
    path = tmp_path / checkpoint.FILE
    torch.save(saved, path)
    assert survives(lambda: go_on(job, tmp_path)) is None
    for content in damaged_bytes(path.read_bytes(), TIMES, SEED):
        path.write_bytes(content)
        survives(lambda: checkpoint.load(path))


def test_damaged_values_of_a_checkpoint(run, tmp_path):
    job, saved = run
    draw = random.Random(SEED)
    refused = 0
    with modest_memory():
        for _ in range(TIMES // 2):
            torch.save(changed(saved, draw), tmp_path / checkpoint.FILE)
            refused += survives(lambda: go_on(job, tmp_path)) is not None
    assert refused > TIMES / 6


def changed(value, draw):
    """A copy with one value replaced, at any depth."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        if draw.randrange(8) == 0:
            return {name: item for name, item in value.items() if name != key}
        return {**value, key: changed(value[key], draw)}
    return draw.choice(
        [item for item in (*VALUES, *OTHERS) if item != "\ud800"] if not torch.is_tensor(value) else OTHERS
    )


def test_a_checkpoint_asks_for_no_more_memory_than_it_has_weights(run, tmp_path):
    job, saved = run
    architecture = {**saved["architecture"], "width": 1000}
    torch.save({**saved, "architecture": architecture}, tmp_path / checkpoint.FILE)
    with modest_memory(), pytest.raises(GeoSegError) as caught:
        go_on(job, tmp_path)
    assert caught.value.code == "bad_checkpoint" and "do not fit its network" in caught.value.message


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_weights_of_others(suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        path.write_bytes(
            safetensors({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16))
        )
    else:
        torch.save({"state_dict": STATE}, path)
    assert read_state(path)
    with modest_memory():
        for content in damaged_bytes(path.read_bytes(), 2 * TIMES, SEED):
            path.write_bytes(content)
            error = survives(lambda: read_state(path))
            assert error is None or error.code == "weights"


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 2**50]},
        {"dtype": "F32", "shape": [2, 2], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": "22", "data_offsets": [0, 16]},
        {"dtype": ["F32"], "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4]},
        {"dtype": "F32", "shape": [1] * 30 + [4], "data_offsets": [0, 16]},
        [1],
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_its_file_is_refused(entry, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors({"a": entry}, bytes(16)))
    with modest_memory(), pytest.raises(GeoSegError) as caught:
        read_state(path)
    assert caught.value.code == "weights"


class Harm:
    """Runs a command where a pickle is opened trustingly."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("wrapped", [False, True])
def test_code_in_a_file_is_not_run(wrapped, tmp_path):
    path, trace = tmp_path / "w.pth", tmp_path / "was_run"
    path.write_bytes(pickle.dumps({"a": Harm(trace)}))
    if wrapped:
        torch.save({"a": Harm(trace)}, path)
    for read, code in ((checkpoint.load, "bad_checkpoint"), (read_state, "weights")):
        with pytest.raises(GeoSegError) as caught:
            read(path)
        assert caught.value.code == code and not trace.exists()


def test_a_file_that_unpacks_to_more_than_it_is_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(8 << 20)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert (tmp_path / "packed.pth").stat().st_size < 1 << 20
    with pytest.raises(GeoSegError, match="packed"):
        read_state(tmp_path / "packed.pth")


@pytest.mark.parametrize(
    "change", [{"architecture": {"name": "unet", "width": 10**6}}, {"architecture": 3}, {"bands": [1]}]
)
def test_a_damaged_encoder_is_named(change, run, tmp_path):
    from dataclasses import replace

    job, saved = run
    kept = {
        "kind": initial_weights.KIND,
        "architecture": saved["architecture"],
        "bands": saved["bands"],
        "weights": {},
    }
    torch.save({**kept, **change}, tmp_path / "encoder.pt")
    with pytest.raises(GeoSegError) as caught:
        fit.read_training_data(replace(job, weights="encoder.pt"), tmp_path, tmp_path, Recorder(tmp_path))
    assert caught.value.code == "weights" and "encoder.pt is damaged" in caught.value.message
