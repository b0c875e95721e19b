"""Prediction beside the network alone on windows that are there already: pixels that the network sees."""

from __future__ import annotations

import statistics
from functools import cache
from pathlib import Path

from measuring import Row
from predict_runs import Run, limit, ours, prepared, size_for

BAR, GPU_BAR = 1 / 0.95, 1 / 0.8


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns, in the runtime that ours chooses."""
    return beside_limit(folder, repeat, small, "cpu", BAR)


def beside_limit(folder: Path, repeat: int, small: bool, device: str, bar: float) -> Row:
    """Row of a device."""
    rounds = measured(folder.parent, repeat, small, device)
    first = rounds[0][0]
    inputs = first.input_px
    ours_s = statistics.median(run.seconds for run, _ in rounds)
    beside_s = statistics.median(inputs / speed for _, speed in rounds)
    ratio = statistics.median(run.seconds * speed / inputs for run, speed in rounds)
    return Row(
        f"network input of {size_for(small).work}, {device}",
        "the model alone",
        ours_s,
        beside_s,
        ratio,
        round(bar, 4),
        max(run.peak_mb for run, _ in rounds),
        note=f"{told(first)}; {inputs / ours_s / 1e6:.3f} Mpx/s, {1 / ratio:.0%} of the limit",
    )


@cache
def measured(place: Path, repeat: int, small: bool, device: str) -> tuple[tuple[Run, float], ...]:
    """Runs of ours and the speed of the model alone, by turns; the rows `limit` and `output` share them."""
    folder, found = prepared(place, size_for(small)), []
    for _ in range(repeat):
        run = ours(folder, device)
        found.append((run, limit(folder, run, small)))
    return tuple(found)


def told(run: Run) -> str:
    """How a run was made, in words."""
    return f"{run.result['runtime']}, core {run.result['core_px']} px, process {run.wall_s:.0f} s"
