"""The device of a job: by its name, or the best one that has proved itself."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from ..contract import GeoSegError, Problem
from .devices import CPU, Device, gpus
from .missing_operations import listen
from .proof import FAILURES, failure_of

OWN_GPU = "LOCAL_RANK"
"""By it torchrun tells a process which GPU is its own: another would hold memory of the first for nothing."""
NAMES = r"(cpu|mps|(?:cuda|xpu)(?::(\d+))?)"


def find_device(wanted: str) -> Device:
    """Return the device of a job.

    Args:
        wanted: `auto`, which is the first GPU that has proved itself, else the CPU; `cpu`, `cuda`, `cuda:N` (also of
            AMD, by ROCm), `mps`, `xpu`, `xpu:N`.

    Raises:
        GeoSegError: `no_gpu` for a GPU that is not here, `device` for an unknown name.
    """
    if wanted == "auto":
        own = int(os.environ.get(OWN_GPU, "0"))
        return next((gpu for gpu in (*gpus()[own:], *gpus()[:own]) if not failure_of(gpu)), CPU)
    named = re.fullmatch(NAMES, wanted)
    if named is None:
        raise GeoSegError(
            "device", f"Unknown device '{wanted}'.", "Choose auto, cpu, cuda, cuda:N, mps, xpu or xpu:N."
        )
    if wanted == "cpu":
        return CPU
    kind, number = wanted.partition(":")[0], int(named[2] or 0)
    found = [gpu for gpu in gpus() if gpu.offer.module == kind]
    if number >= len(found):
        here = ", ".join(f"{gpu} ({gpu.name})" for gpu in gpus())
        raise GeoSegError(
            "no_gpu",
            f"Device '{wanted}' is not here: PyTorch finds {here or 'no GPU'}.",
            "Choose the device 'auto' or 'cpu', or set up the engine for this GPU.",
        )
    return found[number]


def device_warnings(device: Device) -> list[Problem]:
    """Return what a result must say about its device: operations that it lacks, GPUs that failed their proof.

    Args:
        device: of the job.
    """
    return [
        *device.problems(),
        *(failed_proof(gpu) for gpu, failure in FAILURES.items() if failure),
    ]


def announce(device: Device, log: Callable[[str], None]) -> None:
    """Log which GPUs are not used, and from here on every operation that is moved from the device to the CPU.

    Args:
        device: of the job.
        log: receives them.
    """
    device.log = log
    for problem in device_warnings(device):
        log(f"{problem.message} {problem.hint}")
    if device.offer.falls_back:
        listen(device.note_moved)


def failed_proof(gpu: Device) -> Problem:
    """Return the warning that a GPU is not used because it does not compute what the CPU does."""
    return Problem(
        "gpu_not_used",
        f"{gpu.name} ({gpu}) is not used: {failure_of(gpu)}.",
        "Update its driver, or set up the engine again for this GPU.",
        "warning",
    )
