"""What this environment can really do: versions, devices with their proof, ONNX Runtime providers, richdem."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from .channel import Channel
from .contract import ProbeJob, Problem
from .device.cards import UPDATE, Card, unused_cards
from .device.devices import CPU, Device, cpu_has_bf16, gpus
from .device.proof import Proof, honest_providers, prove
from .versions import installed_versions


def run(job: ProbeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """The job `probe`: nothing is trained or written.

    Every device proves itself; the first GPU that does is the one of the device `auto`, else the CPU.
    """
    proofs = {device: prove(device) for device in (*gpus(), CPU)}
    device = next((item for item, proof in proofs.items() if not proof.failure), CPU)
    unused = [*failed_cards(proofs), *unused_cards(gpus())]
    providers, note = honest_providers()
    has_richdem, why_not = can_import("richdem")
    return {
        "device": str(device),
        "device_name": device.name,
        "device_memory_mb": device.memory_mb,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda or "",
        "providers": providers,
        "provider_note": note,
        "proof": proofs[device].as_dict(),
        "devices": [described(item, proof) for item, proof in proofs.items()],
        "unused": [card.as_dict() for card in unused],
        "richdem": has_richdem,
        "versions": {"python": platform.python_version(), **installed_versions()},
        "python": sys.executable,
        "platform": platform.platform(),
        "cpu_bf16": cpu_has_bf16(),
        "threads": torch.get_num_threads(),
        "problems": [*problems_of(unused, proofs[CPU]), *richdem_problems(has_richdem, why_not)],
    }


def described(device: Device, proof: Proof) -> dict[str, Any]:
    """Return a device that PyTorch uses, with its memory in MiB and its proof, as plain data."""
    return {
        "device": str(device),
        "name": device.name,
        "kind": device.kind,
        "memory_mb": device.memory_mb if device.is_gpu else device.memory().total // 2**20,
        "precisions": [] if proof.failure else list(device.precisions),
        "proof": proof.as_dict(),
    }


def failed_cards(proofs: dict[Device, Proof]) -> list[Card]:
    """Return the GPUs that PyTorch finds but that failed their proof."""
    return [
        Card(device.name, device.kind, f"it failed its proof: {proof.failure}", UPDATE)
        for device, proof in proofs.items()
        if device.is_gpu and proof.failure
    ]


def problems_of(unused: Sequence[Card], on_cpu: Proof) -> list[Problem]:
    """Return a warning for every card that is not used, and one if the CPU itself failed its proof.

    Args:
        unused: cards and why they are not used.
        on_cpu: proof of the CPU.
    """
    found = [card.problem() for card in unused if card.expected]
    if on_cpu.failure:
        found.append(
            Problem(
                "cpu_failed",
                f"This computer's processor computes wrongly: {on_cpu.failure}.",
                "Set up the engine again; if it fails again, report it with the log.",
                "warning",
            )
        )
    return found


def richdem_problems(has_richdem: bool, why_not: str) -> list[Problem]:
    """Return the warning that richdem cannot be used, and why not."""
    if has_richdem:
        return []
    return [
        Problem(
            "no_richdem",
            f"richdem cannot be used ({why_not}): terrain attributes come from another implementation.",
            "Nothing needs to be done; results say which one was used.",
            "warning",
        )
    ]


def can_import(name: str) -> tuple[bool, str]:
    """Whether a package imports; if not, why."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError, AttributeError) as error:
        return False, str(error).strip().splitlines()[0][:120] if str(error) else type(error).__name__
    return True, ""
