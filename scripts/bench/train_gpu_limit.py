"""Steps of training beside the network alone, on a GPU of any maker, and its share of what the card multiplies."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch
from measuring import Row
from train_limit import beside_limit
from train_steps import GPU, SMALL, first_gpu

from geoseg_engine.device.devices import DTYPES, Device

SIDE, SMALL_SIDE, TIMES = 8192, 256, 20


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns; on the CPU where there is no GPU, to try the script out."""
    gpu = first_gpu()
    row = beside_limit(folder, repeat, SMALL if small else GPU, str(gpu), 1 / 0.9)
    name = gpu.precisions[0]
    peak = peak_flops(gpu, name, SMALL_SIDE if small else SIDE)
    return replace(
        row, note=f"{row.note}; {gpu.name}; a large {name} product reaches {peak / 1e12:.3g} TFLOP/s"
    )


def peak_flops(device: Device, precision: str, side: int) -> float:
    """Floating point operations a second of a square product on a device."""
    one = torch.randn(side, side, device=device.torch_device, dtype=DTYPES[precision])
    one @ one
    device.synchronise()
    started = time.perf_counter()
    for _ in range(TIMES):
        one @ one
    device.synchronise()
    return TIMES * 2 * side**3 / (time.perf_counter() - started)
