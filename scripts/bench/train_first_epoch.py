"""Seconds from the start of a training to its first epoch, with everything found by the automatic mode."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measuring import ENGINE_ENV, ROOT, Row, engine_command

sys.path.insert(0, str(ROOT / "tests" / "engine"))

from training_scenes import write_dataset

SIDE_PX, SMALL_PX = 1024, 128
SMALL_JOB = {"width": 8, "levels": 2, "crop_px": 32, "batch_size": 2, "steps_per_epoch": 2}
LIMIT_S = 4.0


def run(folder: Path, repeat: int, small: bool) -> Row:
    """The engine started as QGIS starts it, ended at its first epoch."""
    side = SMALL_PX if small else SIDE_PX
    dataset = write_dataset(folder / "data", side, side, tile_px=64)
    job = {"dataset": str(dataset), "device": "cpu", **(SMALL_JOB if small else {})}
    seconds = [
        until_first_epoch(engine_command(folder / str(number), "train", job)) for number in range(repeat)
    ]
    found = statistics.median(seconds)
    return Row(
        f"first epoch of a training on {side}² pixels",
        "4 s",
        found,
        LIMIT_S,
        found / LIMIT_S,
        1.0,
        0.0,
        note=f"{min(seconds):.1f} to {max(seconds):.1f} s",
    )


def until_first_epoch(command: list[str]) -> float:
    """Wall seconds from starting the engine to its first event `epoch`; the engine is ended then."""
    started = time.perf_counter()
    process = subprocess.Popen(
        list(command), env={**os.environ, **ENGINE_ENV}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        for text in process.stdout:
            event = json.loads(text)
            if event["type"] == "epoch":
                return time.perf_counter() - started
            if event["type"] == "failed":
                raise RuntimeError(event["message"])
    finally:
        process.kill()
        process.wait()
    raise RuntimeError("The training ended without an epoch.")
