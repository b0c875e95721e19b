"""Proof that a training survives kill -9: kill it at random moments, resume, compare with an undisturbed run.

Prints a line for every kill and a last one with the verdict; ends with 1 unless all weights are bit for bit equal.
Without --dataset it makes the small scene of the tests. Precision and steps are fixed, because what is measured
or bounded by time differs between any two runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("training", "scripts/bench", "tests/engine")
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

import onnx  # noqa: E402
import torch  # noqa: E402
from measuring import add_small  # noqa: E402
from training_scenes import small_job, write_dataset  # noqa: E402

from geoseg_engine.contract import EVENTS_FILE, TrainJob, job_to_json, write_json  # noqa: E402
from geoseg_engine.training import checkpoint  # noqa: E402

POLL_S = 0.01
STATE = ("weights", "average", "optimiser", "best", "history", "step", "epoch")


@dataclasses.dataclass(frozen=True)
class Moment:
    """When to kill: `epochs` epochs and `seconds` after data and device were announced."""

    epochs: int
    seconds: float


SMALL = {"epochs": 9, "steps_per_epoch": 10, "patience": 8}
SMALL_MOMENTS = [Moment(0, 0.2), Moment(2, 0.05), Moment(3, 0.0)]
"""In the first epochs; within a later one; just after a checkpoint."""


def main() -> int:
    """Kill as often as asked; returns 0 only if nothing differs in the end."""
    flags = parser()
    options = flags.parse_args()
    if options.small and options.dataset:
        flags.error("--small makes its own scene: give no --dataset")
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        job = make_job(options.dataset, Path(scratch), **(SMALL if options.small else {}))
        whole, parts = Path(scratch) / "whole", Path(scratch) / "parts"
        started = time.monotonic()
        run(job, whole)
        print(f"undisturbed: {time.monotonic() - started:.1f} s")
        moments = [Moment(dice.randrange(4), dice.uniform(0, 0.5)) for _ in range(options.kills)]
        kill_often(job, parts, SMALL_MOMENTS if options.small else moments)
        different = differences(whole, parts)
        different += [f"{path.name} is left" for path in parts.glob("*.part*")]
    print("different: " + "; ".join(different) if different else "the same weights, bit for bit")
    return 1 if different else 0


def parser() -> argparse.ArgumentParser:
    """The script's flags."""
    known = argparse.ArgumentParser(description=__doc__)
    known.add_argument("--kills", type=int, default=10)
    known.add_argument("--seed", type=int, default=1, help="decides the moments")
    known.add_argument("--dataset", type=Path, help="dataset.json of a real case")
    add_small(known)
    return known


def make_job(dataset: Path | None, scratch: Path, **changes: Any) -> TrainJob:
    """A training with fixed precision and length; small where the scene is."""
    if dataset is not None:
        fixed: dict[str, Any] = {"epochs": 30, "steps_per_epoch": 20, "precision": "float32", **changes}
        return TrainJob(str(dataset.resolve()), device="cpu", **fixed)
    fixed = {"epochs": 40, "steps_per_epoch": 20, **changes}
    return small_job(write_dataset(scratch / "dataset"), **fixed)


def kill_often(job: TrainJob, folder: Path, moments: list[Moment]) -> int:
    """Train in `folder`, killed at each moment and resumed, at last to the end. Returns kills that hit."""
    hits = 0
    for moment in moments:
        hit = run(job, folder, moment)
        hits += hit
        what = "killed" if hit else "ended by itself before"
        when = f"{moment.epochs} epochs and {moment.seconds:.2f} s"
        print(f"{what} {when} after its start: epoch {epochs_kept(folder)} is kept")
        job = dataclasses.replace(job, resume=True)
    run(job, folder)
    return hits


def run(job: TrainJob, folder: Path, kill: Moment | None = None) -> bool:
    """Run a job in a process of its own. Returns whether it was killed before its end.

    Raises:
        RuntimeError: if it fails.
    """
    folder.mkdir(exist_ok=True)
    write_json(folder / "job.json", job_to_json(job))
    events = folder / EVENTS_FILE
    before = events.stat().st_size if events.exists() else 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "training")}
    command = [sys.executable, "-m", "geoseg_engine", "run", "job.json"]
    with (folder / "engine.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=log
        )
        if kill is not None:
            wait_for(kill, process, events, before)
            if process.poll() is None:
                process.kill()
                process.wait()
                return True
        code = process.wait()
    if code:
        raise RuntimeError(f"the training ended with {code}: {events.read_text(encoding='utf-8')[-600:]}")
    return False


def wait_for(moment: Moment, process: subprocess.Popen[bytes], events: Path, before: int) -> None:
    """Wait until the moment has come, or the process has ended. The second `hello` names the device."""
    while process.poll() is None:
        said = events.read_bytes()[before:] if events.exists() else b""
        if said.count(b'"hello"') > 1 and said.count(b'"epoch", ') >= moment.epochs:
            time.sleep(moment.seconds)
            return
        time.sleep(POLL_S)


def epochs_kept(folder: Path) -> int:
    """Epochs in the checkpoint."""
    path = folder / checkpoint.FILE
    return int(checkpoint.load(path)["epoch"]) if path.exists() else 0


def differences(whole: Path, parts: Path) -> list[str]:
    """What two runs differ in: state of the checkpoint, rows of the history, calibration of the model."""
    one, other = (checkpoint.load(folder / checkpoint.FILE) for folder in (whole, parts))
    found = [key for key in STATE if not equal(one[key], other[key])]
    rows = [json.loads((folder / "history.json").read_text(encoding="utf-8")) for folder in (whole, parts)]
    if [row["epoch"] for row in rows[1]] != list(range(1, len(rows[0]) + 1)):
        found.append("epochs of history.json")
    if calibration(whole) != calibration(parts):
        found.append("calibration")
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether two nested values are the same, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        return bool(isinstance(other, torch.Tensor) and torch.equal(one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def calibration(folder: Path) -> str:
    """What the model file says of its calibration; empty without."""
    model = onnx.load(str(folder / "model.onnx"))
    return {item.key: item.value for item in model.metadata_props}.get("geoseg:calibration", "")


if __name__ == "__main__":
    sys.exit(main())
