"""Device and precision: the faster arithmetic is measured.

bf16 halves a convolution's time on processors that compute in it and multiplies it on those that emulate it,
so it is tried where the processor supports it and kept where two steps of each show that it is faster.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..contract import GeoSegError

TIMED_STEPS = 2
GAIN = 0.9
"""bf16 is chosen if it takes at most this fraction of the time of float32."""


@dataclass(frozen=True)
class Precision:
    """Arithmetic of forward and backward passes: `float32`, `bf16` or `fp16`, and the seconds of a step."""

    name: str
    seconds_per_step: float = 0.0

    @property
    def dtype(self) -> torch.dtype:
        """Type of the autocast."""
        return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.name, torch.float32)

    @contextmanager
    def autocast(self, device: torch.device) -> Iterator[None]:
        """Return the context of a forward pass."""
        with torch.autocast(device.type, dtype=self.dtype, enabled=self.name != "float32"):
            yield


def find_device(wanted: str) -> torch.device:
    """Return the device of a job: `auto` is the first GPU if there is one, else the CPU.

    Raises:
        GeoSegError: `no_gpu` for a GPU that does not exist, `device` for an unknown name.
    """
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda"):
        device = torch.device("cuda:0" if wanted == "cuda" else wanted)
        if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
            raise GeoSegError(
                "no_gpu",
                f"Device '{wanted}' does not exist: torch finds {torch.cuda.device_count()} GPUs.",
                "Choose the device 'auto' or 'cpu', or set up the engine with GPU support.",
            )
        return device
    if wanted != "cpu":
        raise GeoSegError("device", f"Unknown device '{wanted}'.", "Choose auto, cpu, cuda or cuda:N.")
    return torch.device("cpu")


def device_name(device: torch.device) -> tuple[str, int]:
    """Return the name of the device, and its memory in MiB (0 for the CPU)."""
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        return facts.name, facts.total_memory // 2**20
    return "CPU", 0


def cpu_has_bf16() -> bool:
    """Return whether the processor computes in bf16 itself (AVX512-BF16 or AMX)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() or {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def reduced_precision(device: torch.device) -> str:
    """Return the precision to compare with float32: `bf16`, `fp16`, or empty for none."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if cpu_has_bf16() else ""


def choose(
    network: nn.Module, shape: tuple[int, int, int, int], device: torch.device, wanted: str = "auto"
) -> Precision:
    """Time two training steps in float32 and two in reduced precision; the network is left as it was.

    Args:
        network: on the device, in training mode, channels last.
        shape: of a batch (batch, bands, rows, cols).
        device: where to run.
        wanted: `auto`, or the name of a precision to use (it is timed all the same).

    Returns:
        The faster precision, or the wanted one.
    """
    trial = copy.deepcopy(network)
    images = torch.zeros(shape, device=device).to(memory_format=torch.channels_last)

    def step(precision: Precision) -> None:
        with precision.autocast(device):
            logits = trial(images)
        logits.float().square().mean().backward()

    return fastest(step, device, wanted)


def fastest(step: Callable[[Precision], None], device: torch.device, wanted: str = "auto") -> Precision:
    """Time two steps in float32 and two in reduced precision; random numbers of torch are restored.

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
    fast = _time(step, Precision(reduced), device)
    return Precision(reduced, fast) if fast < GAIN * plain else Precision("float32", plain)


def _time(step: Callable[[Precision], None], precision: Precision, device: torch.device) -> float:
    """Seconds of the faster of two steps, after one to warm up."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        seconds = []
        for _ in range(TIMED_STEPS + 1):
            started = time.perf_counter()
            step(precision)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
