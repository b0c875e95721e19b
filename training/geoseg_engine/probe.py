"""What this environment can really do: versions, devices, ONNX Runtime providers, richdem.

`onnxruntime.get_available_providers()` names what the package was built with, not what runs here, so a provider
counts only if a session that may not fall back to the CPU accepts it.
"""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from onnx import TensorProto, helper

from .channel import Channel
from .contract import ProbeJob, Problem
from .modelfile.precision import cpu_has_bf16, device_name, find_device
from .versions import installed_versions


def run(job: ProbeJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """The job `probe`: nothing is trained or written."""
    device = find_device("auto")
    name, memory_mb = device_name(device)
    providers, note = honest_providers()
    has_richdem, why_not = can_import("richdem")
    problems = []
    if not has_richdem:
        problems.append(
            Problem(
                "no_richdem",
                f"richdem cannot be used ({why_not}): terrain attributes come from another implementation.",
                "Nothing needs to be done; results say which one was used.",
                "warning",
            )
        )
    return {
        "device": str(device),
        "device_name": name,
        "device_memory_mb": memory_mb,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda or "",
        "providers": providers,
        "provider_note": note,
        "richdem": has_richdem,
        "versions": {"python": platform.python_version(), **installed_versions()},
        "python": sys.executable,
        "platform": platform.platform(),
        "cpu_bf16": cpu_has_bf16(),
        "threads": torch.get_num_threads(),
        "problems": problems,
    }


def honest_providers() -> tuple[list[str], str]:
    """ONNX Runtime providers that really run a model here, and a sentence about those that only claim to."""
    if torch.cuda.is_available() and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    claimed = [name for name in onnxruntime.get_available_providers() if name != "CPUExecutionProvider"]
    # TensorRT would build engines for seconds; it adds nothing that CUDA does not show.
    claimed = [name for name in claimed if name != "TensorrtExecutionProvider"]
    working, notes = [], []
    for name in claimed:
        reason = refusal(name)
        if reason:
            notes.append(f"{name} is installed but does not run here ({reason})")
        else:
            working.append(name)
    return [*working, "CPUExecutionProvider"], "; ".join(notes)


def refusal(provider: str) -> str:
    """Why a provider does not run a tiny model by itself; empty if it does."""
    if provider == "CUDAExecutionProvider" and not torch.cuda.is_available():
        return "no CUDA device"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[provider])
    except (RuntimeError, ValueError) as error:
        return str(error).strip().splitlines()[0][:120]
    return "" if provider in session.get_providers() else "it was passed over"


def can_import(name: str) -> tuple[bool, str]:
    """Whether a package imports; if not, why."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError, AttributeError) as error:
        return False, str(error).strip().splitlines()[0][:120] if str(error) else type(error).__name__
    return True, ""
