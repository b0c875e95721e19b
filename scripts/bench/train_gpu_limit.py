"""Steps of training beside the network alone, on a GPU, and its share of what the card multiplies in bf16."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import torch
from measuring import Row
from train_limit import beside_limit
from train_steps import GPU, SMALL

SIDE, TIMES = 8192, 20


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Both by turns."""
    row = beside_limit(folder, repeat, SMALL if small else GPU, "cuda", 1 / 0.9)
    return replace(row, note=f"{row.note}; a large bf16 product reaches {peak_flops() / 1e12:.0f} TFLOP/s")


def peak_flops() -> float:
    """Floating point operations a second of a large bf16 product on this card."""
    one = torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16)
    one @ one
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(TIMES):
        one @ one
    torch.cuda.synchronize()
    return TIMES * 2 * SIDE**3 / (time.perf_counter() - started)
