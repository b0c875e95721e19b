"""What happens before the first epoch is shown: no second more than it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fake_devices import FakeGpu
from training_scenes import small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import encode
from geoseg_engine.device.devices import CPU
from geoseg_engine.modelfile import precision as arithmetic
from geoseg_engine.modelfile.precision import Precision
from geoseg_engine.run import run_file
from geoseg_engine.training import fit, step_timing
from geoseg_engine.training.losses import loss_of

LATE = {
    "torch._dynamo": "torch's compiler, 0.8 s",
    "torch._inductor": "torch's compiler",
    "sympy": "comes with torch's compiler",
    "onnxscript": "the export of the model",
    "onnxruntime": "the check of the model",
    "geopandas": "readers of vector files, 0.2 s",
    "pyogrio": "readers of vector files",
    "sklearn": "baselines",
}
"""Modules that a training needs after its first epoch or not at all."""
UNTIL_THE_FIRST_EPOCH = """
import json, sys
from pathlib import Path
from geoseg_engine.channel import Channel
from geoseg_engine.contract import TrainJob, decode
from geoseg_engine.training import fit, loop

def report(*arguments):
    print(json.dumps(sorted(sys.modules)))
    raise SystemExit

loop.report_epoch = report
folder = Path(sys.argv[1])
fit.run(decode(TrainJob, json.loads(sys.argv[2])), folder, Channel(folder))
"""


def test_nothing_is_loaded_before_the_first_epoch_that_is_not_needed_for_it(tmp_path):
    job = small_job(write_dataset(tmp_path / "data"), epochs=2, steps_per_epoch=2)
    command = [sys.executable, "-c", UNTIL_THE_FIRST_EPOCH, str(tmp_path), json.dumps(encode(job))]
    env = {**os.environ, "PYTHONPATH": str(Path(fit.__file__).parents[2])}
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, env=env)
    loaded = set(json.loads(found.stdout.splitlines()[-1]))
    assert not loaded & set(LATE)


def timed(monkeypatch, seconds_per_crop, size, device=CPU, alone=True):
    """Result of a trial in which a crop takes so long in each precision, and the sizes that were tried."""
    clock, sizes = [0.0], []

    class Time:
        @staticmethod
        def perf_counter():
            return clock[0]

    def batch(count):
        return torch.zeros(count, 1, 8, 8), torch.zeros(count, 8, 8, dtype=torch.uint8)

    plain = loss_of("ce", [1.0, 1.0])

    def loss(logits, labels):
        sizes.append(len(logits))
        name = "bf16" if logits.dtype == torch.bfloat16 else "float32"
        clock[0] += seconds_per_crop[name] * len(logits)
        return plain(logits, labels)

    monkeypatch.setattr(arithmetic, "time", Time)
    monkeypatch.setattr(type(device), "precisions", property(lambda self: ("bf16", "float32")))
    found = step_timing.time_steps(torch.nn.Conv2d(1, 2, 1), loss, batch, device, "auto", size, False, alone)
    return found, sizes


def test_on_a_cpu_precisions_are_compared_on_some_of_the_crops(monkeypatch):
    found, sizes = timed(monkeypatch, {"float32": 0.2, "bf16": 0.1}, 16)
    assert (found.precision.name, found.batch_size) == ("bf16", 16)
    assert found.precision.seconds_per_step == pytest.approx(1.6)
    assert set(sizes) == {4}


def test_short_steps_and_small_batches_are_timed_whole(monkeypatch):
    found, sizes = timed(monkeypatch, {"float32": 0.001, "bf16": 0.002}, 16)
    assert found.precision == Precision("float32", pytest.approx(0.016))
    assert {4, 16} <= set(sizes)
    found, sizes = timed(monkeypatch, {"float32": 0.5, "bf16": 0.2}, 2)
    assert set(sizes) == {2} and found.precision.seconds_per_step == pytest.approx(0.4)


def test_processes_that_share_a_step_try_all_of_their_crops(monkeypatch):
    _, sizes = timed(monkeypatch, {"float32": 0.2, "bf16": 0.1}, 16, alone=False)
    assert set(sizes) == {16}


def test_on_a_gpu_all_crops_are_tried_because_they_must_fit(monkeypatch):
    _, sizes = timed(monkeypatch, {"float32": 0.2, "bf16": 0.1}, 16, FakeGpu(precisions=("bf16", "float32")))
    assert set(sizes) == {16}


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)],
)
def test_waiting_threads_leave_their_core_soon_unless_the_user_decides(
    tmp_path, monkeypatch, given, expected
):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    run_file(tmp_path / "job.json", Channel(tmp_path))
    assert os.environ.get("GOMP_SPINCOUNT") == expected
