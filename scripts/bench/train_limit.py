"""Steps of training beside the network alone on tensors that are there already, in the same arithmetic."""

from __future__ import annotations

from pathlib import Path

from measuring import Row, compared
from train_steps import SMALL, USUAL, Size, measured

BAR = 1 / 0.95


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns, in the arithmetic that ours finds first."""
    return beside_limit(folder, repeat, SMALL if small else USUAL, "cpu", BAR)


def beside_limit(folder: Path, repeat: int, size: Size, device: str, bar: float) -> Row:
    """Row of a device."""
    first = measured("ours", size, folder, device)
    arithmetic = str(first["precision"])

    def timed_as(kind: str) -> tuple[float, float]:
        found = measured(kind, size, folder, device, arithmetic)
        return float(found["seconds"]), float(found["peak_mb"])

    ours_s, beside_s, ratio, peak_mb = compared(lambda: timed_as("ours"), lambda: timed_as("limit"), repeat)
    tiles = size.steps * size.batch
    speed = float(first["flops"]) * size.steps / ours_s
    return Row(
        f"{tiles} tiles of {size.px} px, U-Net base {size.width}, 6 bands, {device}",
        "the model alone",
        ours_s,
        beside_s,
        ratio,
        round(bar, 4),
        peak_mb,
        note=f"{arithmetic}; {1 / ratio:.0%} of the limit; {speed / 1e9:.0f} GFLOP/s",
    )
