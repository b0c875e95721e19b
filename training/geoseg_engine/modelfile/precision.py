"""Precision: the faster arithmetic is measured.

bf16 halves a convolution's time on processors that compute in it and multiplies it on those that emulate it,
so it is tried where the processor supports it and kept where two steps of each show that it is faster.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from ..device.devices import Device

TIMED_STEPS = 2
GAIN = 0.9
"""bf16 is chosen if it takes at most this fraction of the time of float32."""


@dataclass(frozen=True)
class Precision:
    """Arithmetic of forward and backward passes: `float32`, `bf16` or `fp16`, and the seconds of a step."""

    name: str
    seconds_per_step: float = 0.0

    def autocast(self, device: Device) -> AbstractContextManager[None]:
        """Return the context of a forward pass."""
        return device.autocast(self.name)


def reduced_precision(device: Device) -> str:
    """Return the precision to compare with float32: `bf16`, `fp16`, or empty for none."""
    first = device.precisions[0]
    return "" if first == "float32" else first


def choose(
    network: nn.Module, shape: tuple[int, int, int, int], device: Device, wanted: str = "auto"
) -> Precision:
    """Time two training steps in float32 and two in reduced precision; the network is left as it was.

    Args:
        network: on the device, in training mode, in its layout.
        shape: of a batch (batch, bands, rows, cols).
        device: where to run.
        wanted: `auto`, or the name of a precision to use (it is timed all the same).

    Returns:
        The faster precision, or the wanted one.
    """
    trial = copy.deepcopy(network)
    images = torch.zeros(shape, device=device.torch_device).to(memory_format=device.layout)

    def step(precision: Precision) -> None:
        with precision.autocast(device):
            logits = trial(images)
        logits.float().square().mean().backward()

    return fastest(step, device, wanted)


def fastest(step: Callable[[Precision], None], device: Device, wanted: str = "auto") -> Precision:
    """Time two steps in float32 and two in reduced precision; random numbers of torch are restored.

    The first reduced precision that pays is taken.

    Args:
        step: runs one.
        device: where it runs.
        wanted: `auto`, or the name of a precision to use (it is timed all the same).

    Returns:
        The faster precision, or the wanted one.
    """
    reduced = reduced_precision(device)
    if wanted != "auto":
        name = "float32" if wanted != "float32" and not reduced else wanted
        name = reduced if name == "bf16" and reduced == "fp16" else name
        return Precision(name, _time(step, Precision(name), device))
    plain = _time(step, Precision("float32"), device)
    if not reduced:
        return Precision("float32", plain)
    for name in (reduced, *device.precisions[1:-1]):
        fast = _time(step, Precision(name), device)
        if fast < GAIN * plain:
            return Precision(name, fast)
    return Precision("float32", plain)


def _time(step: Callable[[Precision], None], precision: Precision, device: Device) -> float:
    """Seconds of the faster of two steps, after one to warm up."""
    with device.forked_rng():
        seconds = []
        for _ in range(TIMED_STEPS + 1):
            started = time.perf_counter()
            device.run(lambda: step(precision))
            device.synchronise()
            seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
