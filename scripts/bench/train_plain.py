"""Steps of training beside the plain recipe of the usual tools, on the CPU."""

from __future__ import annotations

from pathlib import Path

from measuring import Row, compared
from train_steps import SMALL, USUAL, Size, measured

from geoseg_engine.device.devices import cpu_has_bf16


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns, ours in the arithmetic that it finds first; the plain recipe with 0 and with 2 workers, of which
    the faster counts.
    """
    return beside_plain(folder, repeat, SMALL if small else USUAL, "cpu", 0.5 if cpu_has_bf16() else 1 / 1.2)


def beside_plain(folder: Path, repeat: int, size: Size, device: str, bar: float) -> Row:
    """Row of a device."""
    arithmetic = str(measured("ours", size, folder, device)["precision"])

    def ours() -> tuple[float, float]:
        found = measured("ours", size, folder, device, arithmetic)
        return float(found["seconds"]), float(found["peak_mb"])

    def theirs() -> tuple[float, float]:
        both = [measured(f"plain{workers}", size, folder, device) for workers in (0, 2)]
        best = min(both, key=lambda found: float(found["seconds"]))
        return float(best["seconds"]), float(best["peak_mb"])

    ours_s, beside_s, ratio, peak_mb = compared(ours, theirs, repeat)
    tiles = size.steps * size.batch
    return Row(
        f"{tiles} tiles of {size.px} px, U-Net base {size.width}, 6 bands, {device}",
        "DataLoader over tile files, float32",
        ours_s,
        beside_s,
        ratio,
        round(bar, 4),
        peak_mb,
        note=f"{arithmetic}; {tiles / ours_s:.2f} against {tiles / beside_s:.2f} tiles/s",
    )
