"""torch's compiler for a training on a GPU, where a trial shows that it pays within a minute.

On a CPU it is not tried: 29 s of compiling made steps a tenth faster, which pays after five minutes.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..device.devices import Device
from ..modelfile.precision import Precision
from .batches import Batch
from .ema import weights_of
from .losses import Loss

SHORTEST_S = 300.0
"""Compiling is tried for trainings that take at least this long, so that a trial in vain costs little of it."""
WITHIN_S = 60.0
"""Compiling must be made up for by faster steps within this time."""
TIMED_STEPS = 3
COMPILERS = ("cuda", "rocm", "xpu")
"""Kinds of devices that torch compiles for, through Triton."""


@dataclass(frozen=True)
class CompilerTrial:
    """Whether the compiled network is used.

    Attributes:
        network: the compiled network, which shares the weights; None where it is not used.
        seconds_per_step: of the compiled network; 0 where it is not used.
        reason: why it is used or not, in a phrase; empty where it was not tried.
    """

    network: Callable[[Tensor], Tensor] | None = None
    seconds_per_step: float = 0.0
    reason: str = ""


def try_compiler(
    network: nn.Module,
    loss: Loss,
    batch: Callable[[], Batch],
    device: Device,
    precision: Precision,
    training_s: float,
) -> CompilerTrial:
    """Compile the network and run real steps, if the training is long enough; weights are left as they were.

    Args:
        network: on the device, in training mode.
        loss: of the run.
        batch: returns images and labels, on the device.
        device: of the network.
        precision: arithmetic and seconds of a step without the compiler.
        training_s: how long the training takes without it.
    """
    if not device.is_gpu or training_s < SHORTEST_S:
        return CompilerTrial()
    missing = missing_for(device)
    if missing:
        return CompilerTrial(reason=f"the network is not compiled: {missing}")
    before, was_training = weights_of(network), network.training
    try:
        with device.forked_rng():
            compiled = compiled_network(network.train())
            first_s, *others = timed_steps(compiled, loss, batch(), device, precision)
    except (RuntimeError, ImportError, AttributeError, TypeError, OSError, MemoryError) as error:
        torch.compiler.reset()
        return CompilerTrial(reason=f"the network is not compiled: {first_line(error)}")
    finally:
        network.load_state_dict(before)
        network.zero_grad(set_to_none=True)
        network.train(was_training)
    return evaluated(compiled, first_s, min(others), precision.seconds_per_step)


def evaluated(
    compiled: Callable[[Tensor], Tensor], compiling_s: float, compiled_s: float, plain_s: float
) -> CompilerTrial:
    """Return whether the compiled network is used: if it makes up for its compiling within WITHIN_S.

    Args:
        compiled: network.
        compiling_s: seconds of the first step, in which it was compiled.
        compiled_s, plain_s: seconds of a step with the compiler and without.
    """
    gained_s = WITHIN_S * (1 - compiled_s / max(plain_s, 1e-9))
    found = f"{compiled_s:.3f} instead of {plain_s:.3f} s per step after {compiling_s:.0f} s of compiling"
    if gained_s < compiling_s:
        return CompilerTrial(
            reason=f"the network is not compiled, which would not pay within a minute: {found}"
        )
    return CompilerTrial(compiled, compiled_s, f"the network is compiled: {found}")


def compiled_network(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the network compiled for the shapes that it is called with; it shares the weights."""
    made: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
    return made


def missing_for(device: Device) -> str:
    """Return why torch cannot compile for a device; empty if it can.

    Args:
        device: of the training.
    """
    if device.kind not in COMPILERS:
        return f"PyTorch does not do that for the {device.title}"
    return "" if importlib.util.find_spec("triton") else "Triton is not installed"


def timed_steps(
    network: Callable[[Tensor], Tensor], loss: Loss, batch: Batch, device: Device, precision: Precision
) -> list[float]:
    """Return the seconds of forward pass, loss and backward pass, TIMED_STEPS times; compiling is in the first.

    Args:
        network: compiled.
        loss: of the run.
        batch: images and labels, on the device.
        device: of the network.
        precision: arithmetic of the passes.
    """
    images, labels = batch
    seconds = []
    for _ in range(TIMED_STEPS):
        device.synchronise()
        started = time.perf_counter()
        with precision.autocast(device):
            logits = network(images.contiguous(memory_format=device.layout))
        loss(logits, labels).backward()  # type: ignore[no-untyped-call]
        device.synchronise()
        seconds.append(time.perf_counter() - started)
    return seconds


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without its last dot."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
