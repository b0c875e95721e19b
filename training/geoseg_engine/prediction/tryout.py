"""Which runtime and precision to predict with: timed on a window of the user's own raster, and checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..contract import GeoSegError
from ..modelfile.precision import find_device, reduced_precision
from ..modelfile.reading import ModelFile, load_network, onnx_only
from .runtime import DTYPES, OnnxRuntime, Runtime, TorchRuntime

STEPS = 2
WORTHWHILE_PX = 1_000_000
"""Smaller jobs end sooner than a trial would."""
GAIN = 0.85
"""Share of the time of float32 that another choice may take at most."""
SAME_CLASS = {"float32": 0.999, "bf16": 0.998, "fp16": 0.998}
"""Share of a window's pixels that must get the class that float32 gives."""
GRAPH_COPIES = 3
"""Copies of features and probabilities alive at once in a graph of ONNX_ONLY."""
SCRATCH = 1.5
"""Activations alive at once, over the largest single operation's input and output (measured on U-Nets)."""


@dataclass(frozen=True)
class Choice:
    """A runtime, its speed on the trial window and the bytes of activations for every pixel."""

    runtime: Runtime
    px_per_s: float
    bytes_px: float
    agreement: float = 1.0


def choose_runtime(
    model: ModelFile,
    sample: NDArray[Any],
    job_px: int,
    device: str = "auto",
    wanted: str = "auto",
    log: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Open the fastest runtime that gives the classes of float32 torch.

    Args:
        model: the model file.
        sample: z-scores (bands, rows, cols) of a typical window, aligned.
        job_px: pixels to predict; below WORTHWHILE_PX, float32 torch is taken without a trial.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        wanted: `auto`, `torch` or `onnx` (which is taken as it is, and its agreement told).
        log: told what was tried, with speeds and agreement.

    Raises:
        GeoSegError: if a device or runtime is wanted by name that is not there.
    """
    if onnx_only(model):
        return _graph_alone(model, sample, job_px, wanted, log)
    found = str(find_device(device))
    network = load_network(model.path)
    bytes_px = activation_bytes(network, sample)
    plain = TorchRuntime(network, found, "float32", model.calibration)
    if wanted != "onnx" and job_px < WORTHWHILE_PX:
        return Choice(plain, 0.0, bytes_px)
    reference, speed = timed(plain, sample)
    best = Choice(plain, speed, bytes_px)
    log(f"{plain.title}: {speed / 1e6:.2f} Mpx/s")
    if wanted == "onnx":
        return _checked(OnnxRuntime(model.path, found), sample, reference, bytes_px, log)
    for runtime in _others(model, found, wanted, log):
        other = _checked(runtime, sample, reference, bytes_px, log)
        if other.agreement >= SAME_CLASS[runtime.precision] and best.px_per_s < GAIN * other.px_per_s:
            best = other
    log(f"Predicting with {best.runtime.title}.")
    return best


def _graph_alone(
    model: ModelFile, sample: NDArray[Any], job_px: int, wanted: str, log: Callable[[str], None]
) -> Choice:
    """ONNX Runtime on the CPU, for a model that has no torch network.

    Raises:
        GeoSegError: `no_network` if torch is wanted.
    """
    if wanted == "torch":
        load_network(model.path)
    runtime = OnnxRuntime(model.path)
    features = max(int(model.architecture.get("features", 0)), len(sample))
    bytes_px = 4.0 * GRAPH_COPIES * (features + len(model.classes))
    if job_px < WORTHWHILE_PX:
        return Choice(runtime, 0.0, bytes_px)
    _, speed = timed(runtime, sample)
    log(f"{runtime.title}: {speed / 1e6:.2f} Mpx/s")
    return Choice(runtime, speed, bytes_px)


def _others(model: ModelFile, device: str, wanted: str, log: Callable[[str], None]) -> list[Runtime]:
    """What could be faster than float32 torch."""
    found: list[Runtime] = []
    reduced = reduced_precision(torch.device(device))
    if reduced:
        found.append(TorchRuntime(load_network(model.path), device, reduced, model.calibration))
    if wanted == "auto":
        try:
            found.append(OnnxRuntime(model.path, device))
        except GeoSegError as error:
            log(f"Not tried: {error.message} {error.details}".strip())
    return found


def _checked(
    runtime: Runtime,
    sample: NDArray[Any],
    reference: NDArray[Any],
    bytes_px: float,
    log: Callable[[str], None],
) -> Choice:
    result, speed = timed(runtime, sample)
    agreement = float((result.argmax(axis=0) == reference.argmax(axis=0)).mean())
    log(f"{runtime.title}: {speed / 1e6:.2f} Mpx/s, {agreement:.3%} of the pixels get the class of float32")
    size = DTYPES[runtime.precision].itemsize / DTYPES["float32"].itemsize
    return Choice(runtime, speed, bytes_px * size, agreement)


def timed(runtime: Runtime, sample: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Probabilities of the sample, and pixels per second of the faster of two steps after one to warm up."""
    result = runtime.predict_window(sample)
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        runtime.predict_window(sample)
        seconds.append(time.perf_counter() - started)
    return result, sample.shape[1] * sample.shape[2] / max(min(seconds), 1e-9)


def activation_bytes(network: nn.Module, sample: NDArray[Any]) -> float:
    """Bytes of float32 activations a pixel, from the largest operation on a small part of the sample."""
    part = torch.from_numpy(np.ascontiguousarray(sample[:, :64, :64]))[None]
    largest = [0]

    def note(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        tensors = [item for item in (*inputs, output) if isinstance(item, torch.Tensor)]
        largest[0] = max(largest[0], sum(item.numel() * item.element_size() for item in tensors))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(note) for module in leaves]
    with torch.inference_mode():
        network(part)
    for hook in hooks:
        hook.remove()
    return SCRATCH * largest[0] / (part.shape[2] * part.shape[3])
