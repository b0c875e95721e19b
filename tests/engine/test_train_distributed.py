"""Training by two processes on the CPU (gloo): together they do what one does."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from training_scenes import small_job, write_dataset

from geoseg_engine.channel import Channel
from geoseg_engine.contract import CANCEL_FILE, job_to_json, write_json
from geoseg_engine.run import work
from geoseg_engine.training import checkpoint
from geoseg_engine.training.distributed import ALONE, Group

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4
torch.set_num_threads(1)
DRIFT = 2e-3
"""Of weights after twelve steps of at most 5e-3: AdamW enlarges rounding where gradients are small."""
UNDECIDED = (".0.bias", ".3.bias", "running_mean")
"""Biases before a normalisation have no gradient but rounding, which AdamW blows up; the running means follow."""
SETTINGS = {"epochs": 2, "steps_per_epoch": 6, "dropout": 0.0, "augment": ("none",), "ema_decay": 0.9}


def started(job, folder):
    """Start a job in two processes, by torchrun."""
    folder.mkdir(exist_ok=True)
    write_json(folder / "job.json", job_to_json(job))
    shared = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*shared, "-m", "geoseg_engine", "run", "job.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "training"), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, encoding="utf-8"
    )


def by_two(job, folder):
    """Run a job in two processes; returns what they said on stdout."""
    process = started(job, folder)
    said, parameter_problems = process.communicate(timeout=300)
    assert process.returncode == 0, parameter_problems[-2000:]
    return said


def by_one(job, folder):
    """Run a job in this process; returns what it says on its stream."""
    folder.mkdir(exist_ok=True)
    stream = io.StringIO()
    channel = Channel(folder, stream)
    channel.send("done", result=work(job, folder, channel))
    return stream.getvalue()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    job = small_job(write_dataset(folder / "data"), **SETTINGS)
    return folder, job, {1: by_one(job, folder / "1"), 2: by_two(job, folder / "2")}


def history(folder):
    return json.loads((folder / "history.json").read_text(encoding="utf-8"))


def test_the_loss_curve_is_that_of_one_process(runs):
    folder, _, _ = runs
    for one, two in zip(history(folder / "1"), history(folder / "2"), strict=True):
        assert two["train_loss"] == pytest.approx(one["train_loss"], abs=TOLERANCE)
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=5e-3)
    one, two = (checkpoint.load(folder / name / checkpoint.FILE) for name in "12")
    assert one["step"] == two["step"]
    for key, value in one["average"]["weights"].items():
        if not key.endswith(UNDECIDED):
            assert torch.allclose(value.float(), two["average"]["weights"][key].float(), atol=DRIFT), key


def test_files_are_written_and_events_told_once(runs):
    folder, _, said = runs
    for count in (1, 2):
        events = [
            json.loads(line)
            for line in (folder / str(count) / "events.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        kinds = [event["type"] for event in events]
        assert kinds.count("epoch") == 2 and kinds.count("done") == 1 and kinds[-1] == "done"
        assert len([line for line in said[count].splitlines() if line.startswith("{")]) == len(events)
    names = [{item.name for item in (folder / name).iterdir()} for name in "12"]
    assert names[0] | {"job.json"} == names[1]


def test_one_process_resumes_what_two_began(runs):
    folder, job, _ = runs
    more = small_job(Path(job.dataset), **SETTINGS | {"epochs": 3, "resume": True})
    by_one(more, folder / "2")
    assert [row["epoch"] for row in history(folder / "2")] == [1, 2, 3]
    assert not (folder / "2" / CANCEL_FILE).exists()


def test_cancel_stops_both_and_keeps_the_best(runs, tmp_path):
    _, job, _ = runs
    long = small_job(Path(job.dataset), **SETTINGS | {"epochs": 1000, "patience": 0})
    process = started(long, tmp_path)
    events = tmp_path / "events.jsonl"
    while process.poll() is None and not (
        events.exists() and '"epoch", ' in events.read_text(encoding="utf-8")
    ):
        time.sleep(0.05)
    (tmp_path / CANCEL_FILE).touch()
    _, parameter_problems = process.communicate(timeout=300)
    assert process.returncode == 0, parameter_problems[-2000:]
    last = json.loads(events.read_text(encoding="utf-8").splitlines()[-1])
    assert last["type"] == "done" and last["result"]["cancelled"] and (tmp_path / "model.onnx").exists()


def test_alone_nothing_is_shared():
    assert ALONE.first and ALONE.broadcast({"a": 1}) == {"a": 1}
    assert list(range(5))[ALONE.share] == [0, 1, 2, 3, 4]
    assert sorted([*range(5)[Group(0, 2).share], *range(5)[Group(1, 2).share]]) == [0, 1, 2, 3, 4]
    network = torch.nn.Linear(1, 1)
    assert ALONE.wrap(network) is network
