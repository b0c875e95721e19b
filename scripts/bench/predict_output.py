"""Prediction beside the network alone on windows that are there already: pixels of the map, halos being extra work."""

from __future__ import annotations

import statistics
from pathlib import Path

from measuring import Row
from predict_limit import measured, told
from predict_runs import size_for

BAR = 1 / 0.8


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns, in the runtime that ours chooses."""
    rounds = measured(folder.parent, repeat, small, "cpu")
    grid = rounds[0][0].result["grid"]
    pixels = grid["width"] * grid["height"]
    ours_s = statistics.median(run.seconds for run, _ in rounds)
    beside_s = statistics.median(pixels / speed for _, speed in rounds)
    ratio = statistics.median(run.seconds * speed / pixels for run, speed in rounds)
    return Row(
        f"map of {size_for(small).work}, cpu",
        "the model alone",
        ours_s,
        beside_s,
        ratio,
        BAR,
        max(run.peak_mb for run, _ in rounds),
        note=f"{told(rounds[0][0])}; {pixels / ours_s / 1e6:.3f} Mpx/s, {1 / ratio:.0%} of the limit",
    )
