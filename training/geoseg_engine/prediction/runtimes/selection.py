"""Choice of runtime and precision: timed on a window of the user's own raster, and checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...contract import GeoSegError
from ...device.devices import CPU, Device
from ...device.finding import find_device
from ...modelfile.precision import reduced_precision
from ...modelfile.reading import (
    ModelFile,
    is_fast,
    is_third_party,
    load_network,
    not_our_model,
    onnx_only,
    read_model,
)
from ...models import needs_float64
from .int8 import quantized
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime
from .runtime import Runtime
from .third_party import third_party_runtime
from .torch_runtime import TorchRuntime

STEPS = 2
WORTHWHILE_PX = 1_000_000
"""Smaller jobs end sooner than a trial would."""
GAIN = 0.85
"""Share of the time of float32 that another choice may take at most."""
SAME_CLASS = {"float32": 0.999, "bf16": 0.998, "fp16": 0.998, "int8": 0.0}
"""Share of a window's pixels that must get the class that float32 gives; int8 is judged on validation blocks."""
BYTES = {"float32": 4, "bf16": 2, "fp16": 2, "int8": 2}
"""Of an activation; int8 keeps some of its layers in float32."""
GRAPH_COPIES = 3
"""Copies of features and probabilities alive at once in a graph of ONNX_ONLY."""
SCRATCH, BANDED_SCRATCH = 2.7, 1.3
"""Activations alive at once, over the largest single operation's input and output: 2.2 to 2.7 on U-Nets in all
runtimes, 1.2 to 1.3 in bands."""
CROPPED_COST = 0.4
"""Of what a pixel costs, what one of the halo does where nothing else is computed of it than a U-Net's encoder."""
PROBE_PX, TIMED_PX = 32, 128
"""Side of the window that a graph is checked with, and of that which a fast model is timed with: there is no choice."""


@dataclass(frozen=True)
class Choice:
    """A runtime that may be used.

    Attributes:
        runtime: ready to run.
        px_per_s: speed on the sample window; 0 if it was not timed.
        bytes_px: bytes of activations per pixel.
        agreement: share of the sample's pixels with the class of float32, 0 to 1.
        int8_loss: mean IoU that int8 loses on validation tiles; None for other precisions.
        difference: see `tiling_invariance.largest_difference`; None if it was not computed.
    """

    runtime: Runtime
    px_per_s: float
    bytes_px: float
    agreement: float = 1.0
    int8_loss: float | None = None
    difference: float | None = None


SPEED: Callable[[Choice], float] = attrgetter("px_per_s")


def choose_runtime(
    model: ModelFile,
    sample: NDArray[Any],
    job_px: int,
    device: str = "auto",
    wanted: str = "auto",
    log: Callable[[str], None] = lambda text: None,
    precision: str = "auto",
    int8_loss: float = 0.005,
    worth: Callable[[Choice], float] = SPEED,
) -> list[Choice]:
    """Open the runtimes that give the classes of float32 torch.

    Args:
        model: the model file.
        sample: z-scores (bands, rows, cols) of a typical window, aligned.
        job_px: pixels to predict; below WORTHWHILE_PX, float32 torch is used without timing.
        device: name of a device, see `find_device`.
        wanted: `auto`, `torch`, `onnx` or `openvino`.
        log: receives what was timed, with speed and agreement.
        precision: `auto`, or the only one to use. One that is set by name is used even if it gives other classes than
            float32, and its agreement is logged; int8 only if it loses at most `int8_loss`.
        int8_loss: mean IoU that int8 may lose on validation blocks.
        worth: pixels of the map per second of a choice; by default those that the network sees.

    Returns:
        Choices, the best first.

    Raises:
        GeoSegError: if a device, runtime or precision that is set by name is not available.
    """
    if onnx_only(model):
        return [_graph_only(model, sample, job_px, wanted, precision, log)]
    found = CPU if wanted == "openvino" and device == "auto" else find_device(device)
    network = load_network(model.path)
    found = able_to_compute(network, found, log)
    path, loss = model.path, None
    if precision == "int8":
        made = quantized(model, int8_loss, log)
        path, precision, loss = (made[0], "int8", made[1]) if made else (path, "auto", None)
    ways = candidates(found, wanted, precision)
    largest = largest_bytes(network, sample)
    plain = TorchRuntime(network, found, "float32", model.calibration)
    bytes_px = scratch_factor(plain) * largest
    if ways[0] == ("torch", "float32") and job_px < WORTHWHILE_PX:
        return [Choice(plain, 0.0, bytes_px)]
    reference, speed = time_runtime(plain, sample)
    log(f"{plain.title}: {speed / 1e6:.2f} Mpx/s")
    tried = [Choice(plain, speed, bytes_px)] if ways[0] == ("torch", "float32") else []
    for runtime in _opened(ways[len(tried) :], path, found, wanted, log):
        tried.append(_compared(runtime, sample, reference, largest, log))
    return [replace(choice, int8_loss=loss) for choice in rank(tried, worth)]


def able_to_compute(network: nn.Module, device: Device, log: Callable[[str], None]) -> Device:
    """Return the device, or the CPU for a network in double precision that the device does not have.

    Args:
        network: of the model.
        device: of the job.
        log: receives a line where it is the CPU.
    """
    if device.has_float64 or not needs_float64(network):
        return device
    log(f"This model needs double precision, which the {device.title} does not have: the CPU computes it.")
    return CPU


def _opened(
    ways: Sequence[tuple[str, str]], path: Path, device: Device, wanted: str, log: Callable[[str], None]
) -> Iterator[Runtime]:
    """The runtimes that can be had; one that is missing is logged once, whatever the precision.

    Raises:
        GeoSegError: if it is the one that is wanted by name.
    """
    missing = ""
    for name, precision in ways:
        if name == missing:
            continue
        try:
            yield open_runtime(path, name, device, precision)
        except GeoSegError as error:
            if wanted == name:
                raise
            log(f"Not tried: {error.message} {error.details}".strip())
            missing = name


def open_runtime(path: Path | str, name: str, device: Device | str, precision: str = "float32") -> Runtime:
    """Open a model file in one runtime.

    Args:
        path: path of the model file.
        name: `torch`, `onnx` or `openvino`.
        device: to compute on, or its name; OpenVINO uses the CPU.
        precision: see `Runtime`.

    Raises:
        GeoSegError: as `find_device`, `load_network`, `OnnxRuntime`, `OpenVinoRuntime`.
    """
    if name == "openvino":
        return OpenVinoRuntime(path, precision)
    found = device if isinstance(device, Device) else find_device(device)
    if name == "onnx":
        return OnnxRuntime(path, found, precision)
    return TorchRuntime(load_network(path), found, precision, read_model(path).calibration)


def candidates(device: Device, wanted: str, precision: str) -> list[tuple[str, str]]:
    """Return the runtimes and precisions to time, the one that needs no timing first.

    Args:
        device: to compute on.
        wanted: `auto` or the name of a runtime.
        precision: `auto` or the name of a precision.

    Raises:
        GeoSegError: `no_precision` if no runtime computes in that precision.
    """
    reduced = reduced_precision(device)
    ways = [("torch", "float32"), ("torch", reduced), ("onnx", "float32"), ("onnx", "int8")]
    if device.is_gpu:
        ways += [("torch", name) for name in device.precisions[1:-1]]
    else:
        ways += [("openvino", "float32"), ("openvino", reduced), ("openvino", "int8")]
    found = [
        (name, arithmetic)
        for name, arithmetic in ways
        if wanted in ("auto", name)
        and arithmetic
        and (precision == arithmetic or (precision == "auto" and arithmetic != "int8"))
    ]
    if not found:
        who = "No runtime computes" if wanted == "auto" else f"The runtime '{wanted}' does not compute"
        here = "" if precision == "auto" else f" in {precision}"
        raise GeoSegError(
            "no_precision",
            f"{who}{here} on {device}.",
            "Choose the runtime and the precision 'auto'.",
        )
    return found


def rank(tried: Sequence[Choice], worth: Callable[[Choice], float] = SPEED) -> list[Choice]:
    """Return the choices with the classes of float32, the fastest first; if there are none, the closest alone.

    The first that was timed is replaced only by one that saves more than GAIN.

    Args:
        tried: choices, in the order in which they were timed.
        worth: as in `choose_runtime`.

    Raises:
        GeoSegError: `no_runtime` if nothing could be opened.
    """
    if not tried:
        raise GeoSegError(
            "no_runtime",
            "None of the runtimes that could compute so is installed.",
            "Choose the runtime and the precision 'auto', or install OpenVINO.",
        )
    good = [item for item in tried if item.agreement >= SAME_CLASS[item.runtime.precision]]
    if not good:
        return [max(tried, key=lambda item: item.agreement)]
    return sorted(good, key=lambda item: worth(item) / (GAIN if item is tried[0] else 1), reverse=True)


def _graph_only(
    model: ModelFile,
    sample: NDArray[Any],
    job_px: int,
    wanted: str,
    precision: str,
    log: Callable[[str], None],
) -> Choice:
    """ONNX Runtime on the CPU, for a model that has no torch network.

    Raises:
        GeoSegError: `no_network` if torch is wanted, `no_precision` if OpenVINO or another arithmetic is.
    """
    if wanted == "torch":
        load_network(model.path)
    if precision == "int8":
        log(f"int8 is not used: {model.path.name} is no network of ours.")
    elif wanted == "openvino" or precision not in ("auto", "float32"):
        requested = "OpenVINO" if wanted == "openvino" else precision
        raise GeoSegError(
            "no_precision",
            f"{model.path.name} runs only in ONNX Runtime and float32; {requested} was requested.",
            "Choose the runtime and the precision 'auto'.",
        )
    runtime = third_party_runtime(model) if is_third_party(model) else _forest(model)
    features = max(int(model.architecture.get("features", 0)), len(sample))
    bytes_px = 4.0 * GRAPH_COPIES * (features + len(model.classes))
    if job_px < WORTHWHILE_PX:
        return Choice(runtime, 0.0, bytes_px)
    _, speed = time_runtime(runtime, sample[:, :TIMED_PX, :TIMED_PX] if is_fast(model) else sample)
    log(f"{runtime.title}: {speed / 1e6:.2f} Mpx/s")
    return Choice(runtime, speed, bytes_px)


def _forest(model: ModelFile) -> Runtime:
    try:
        runtime = OnnxRuntime(model.path, of_trees=True)
    except GeoSegError as error:
        why = "ONNX Runtime, which must be 1.21 or newer for a forest, cannot read its trees"
        raise not_our_model(model.path, why, error.details) from error
    zeros = np.zeros((len(model.recipe.bands), PROBE_PX, PROBE_PX), np.float32)
    _check_shape(runtime, runtime.predict_window(zeros).shape, (len(model.classes), PROBE_PX, PROBE_PX))
    return runtime


def _check_shape(runtime: Runtime, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise `model_failed` unless a runtime gave (classes, rows, cols) of a window."""
    if given != wanted:
        raise GeoSegError(
            "model_failed",
            f"{runtime.title} gives {given} values where the model file promises {wanted}.",
            "Choose another model file.",
        )


def _compared(
    runtime: Runtime,
    sample: NDArray[Any],
    reference: NDArray[Any],
    largest: float,
    log: Callable[[str], None],
) -> Choice:
    result, speed = time_runtime(runtime, sample)
    _check_shape(runtime, result.shape, reference.shape)
    agreement = float((result.argmax(axis=0) == reference.argmax(axis=0)).mean())
    minimum = SAME_CLASS[runtime.precision]
    log(
        f"{runtime.title}: {speed / 1e6:.2f} Mpx/s, {agreement:.3%} of the pixels get the class of float32"
        + (f" ({minimum:.1%} are needed)" if minimum else "")
    )
    bytes_px = scratch_factor(runtime) * largest * BYTES[runtime.precision] / 4
    return Choice(runtime, speed, bytes_px, agreement)


def scratch_factor(runtime: Runtime) -> float:
    """Return the activations that a runtime holds at once, divided by the largest operation's input and output."""
    return BANDED_SCRATCH if isinstance(runtime, TorchRuntime) and runtime.in_bands else SCRATCH


def halo_cost(runtime: Runtime) -> float:
    """Return the cost of a pixel of the halo divided by that of one of the core."""
    return CROPPED_COST if isinstance(runtime, TorchRuntime) and runtime.crops else 1.0


def time_runtime(runtime: Runtime, sample: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Run a sample three times, the first to warm up.

    Args:
        runtime: the network.
        sample: z-scores (bands, rows, cols).

    Returns:
        Output (classes, rows, cols), and pixels per second of the faster of the last two runs.
    """
    result = runtime.predict_window(sample)
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        runtime.predict_window(sample)
        seconds.append(time.perf_counter() - started)
    return result, sample.shape[1] * sample.shape[2] / max(min(seconds), 1e-9)


def largest_bytes(network: nn.Module, sample: NDArray[Any]) -> float:
    """Return the bytes per pixel of the largest operation's input and output in float32, on a small part of the sample.

    Args:
        network: the network.
        sample: z-scores (bands, rows, cols).
    """
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
    return largest[0] / (part.shape[2] * part.shape[3])
