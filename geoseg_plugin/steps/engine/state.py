"""What an engine can do, as its probe reports it. No Qt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...panel.texts import memory, tr

OK, NOT_TRIED = "ok", "not tried"


def engine_facts(python: str, probe: Mapping[str, Any], with_gpu: bool = False) -> list[tuple[str, str]]:
    """Return what a probe found, in reading order.

    Args:
        with_gpu: whether a GPU is wanted; then the note of ONNX Runtime about it is shown.
    """
    facts = [(tr("Python"), python)] if python else []
    if not probe:
        return facts
    versions = probe.get("versions") or {}
    named = ("torch", "numpy", "rasterio", "geopandas", "onnxruntime-gpu", "onnxruntime")
    shown = ", ".join(f"{name} {versions[name]}" for name in named if versions.get(name))
    names = [str(item).removesuffix("ExecutionProvider") for item in probe.get("providers") or []]
    runtime = ", ".join(names)
    note = str(probe.get("provider_note") or "") if with_gpu else ""
    richdem = tr("richdem {}").format(versions.get("richdem", "")) if probe.get("richdem") else tr("GDAL")
    facts += [
        (tr("Device"), device_text(probe)),
        (tr("Versions"), shown),
        (tr("Terrain"), richdem.strip()),
        (tr("ONNX Runtime"), f"{runtime}. {note}".strip(". ") if runtime or note else tr("not installed")),
    ]
    return [(name, value) for name, value in facts if value]


def uses_card(probe: Mapping[str, Any]) -> bool:
    """Return whether the engine computes on a card: CUDA, ROCm, MPS or XPU."""
    return str(probe.get("device") or "").partition(":")[0] not in ("", "cpu")


def device_text(probe: Mapping[str, Any]) -> str:
    """Return "NVIDIA H200, 141 GB" or "CPU"; empty when it is not known."""
    device = str(probe.get("device") or "")
    if not device:
        return ""
    name = str(probe.get("device_name") or "") or device.upper()
    size = float(probe.get("device_memory_mb") or 0)
    if not uses_card(probe):
        return tr("CPU ({})").format(name) if name.upper() != "CPU" else tr("CPU")
    return f"{name}, {memory(size)}" if size else name


def badge_text(probe: Mapping[str, Any]) -> str:
    """Return the device in a word or two, for the badge."""
    if not probe.get("device"):
        return ""
    name = str(probe.get("device_name") or tr("GPU"))
    return name.removeprefix("NVIDIA GeForce ").removesuffix(" GPU") if uses_card(probe) else tr("CPU")


def proof_text(probe: Mapping[str, Any], stamp: Mapping[str, str]) -> str:
    """Return what was tried on the device and how it went; empty if nothing was.

    Args:
        probe: its `proof`, the parts `convolution`, `training_step` and `onnx_session`, each `ok` or a reason.
        stamp: of the environment, with the proof of its installation as JSON.
    """
    proof = probe.get("proof") or proof_of(stamp)
    if not isinstance(proof, Mapping):
        return ""
    names = {"convolution": tr("convolution"), "training_step": tr("training step")}
    agree = [name for key, name in names.items() if proof.get(key) == OK]
    failed = [
        f"{name}: {proof[key]}" for key, name in names.items() if proof.get(key) not in (None, OK, NOT_TRIED)
    ]
    if failed:
        return "; ".join(failed)
    if not agree:
        return ""
    text = tr("{} agree with the CPU") if uses_card(probe) else tr("{} agree with double precision")
    return text.format(tr(" and ").join(agree))


def proof_of(stamp: Mapping[str, str]) -> Any:
    """Return the proof that the installer kept; None if there is none that can be read."""
    try:
        return json.loads(stamp.get("proof", "") or "null")
    except ValueError:
        return None
