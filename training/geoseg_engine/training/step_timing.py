"""Timing of real steps before a run: how fast they are, in which precision, and how many crops fit into memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from ..contract import GeoSegError
from ..device.devices import Device
from ..device.faults import is_out_of_memory
from ..modelfile.precision import Precision, fastest
from .batches import Batch
from .losses import Loss

MEMORY_SHARE = 0.85
"""The batch grows on a GPU until the next would use more than this fraction of its memory."""
MAX_CROPS = 64
FEW_CROPS, TRIED_SHARE = 2, 0.25
"""On a CPU, precisions are compared on this fraction of the crops of a step, and on at least so many."""
LONG_STEP_S = 0.1
"""Steps that take longer are not timed whole on a CPU: there the time grows with the number of crops."""
FORWARD_SHARE = 1 / 3
"""Fraction of a training step's time that prediction of the same pixels takes."""


@dataclass(frozen=True)
class StepTiming:
    """Result of the timing.

    Attributes:
        precision: the faster arithmetic, with seconds per step.
        batch_size: crops that fit, of the sizes that were tried.
        memory_mb: peak memory of a step; 0 where it was not measured.
    """

    precision: Precision
    batch_size: int
    memory_mb: int = 0


def time_steps(
    network: nn.Module,
    loss: Loss,
    batch: Callable[[int], Batch],
    device: Device,
    wanted: str,
    size: int,
    grow: bool = False,
    alone: bool = True,
) -> StepTiming:
    """Run forward passes, losses and backward passes of real crops; the network is left as it was.

    Args:
        network: on the device.
        loss: of the run.
        batch: returns a number of real crops, on the device.
        device: where to run.
        wanted: `auto`, or the precision to use.
        size: crops per step to start with; fewer are tried where these do not fit.
        grow: whether to try more, on a GPU.
        alone: whether a step that does not fit can be made smaller later: not where several processes share it.

    Raises:
        GeoSegError: `out_of_memory` where a single crop does not fit.
    """
    tried = copy.deepcopy(network).train()
    if alone and not device.is_gpu:
        found = time_few(tried, loss, batch, device, wanted, size)
        if found is not None:
            return StepTiming(found, size)
    precision = time_batch(tried, loss, batch(size), device, wanted)
    while precision is None:
        if size == 1:
            raise GeoSegError(
                "out_of_memory",
                "A single crop does not fit into memory.",
                "Choose a smaller crop, fewer base channels, or another device.",
            )
        size //= 2
        precision = time_batch(tried, loss, batch(size), device, wanted)
    if not device.is_gpu:
        return StepTiming(precision, size)
    while grow and 2 * size <= MAX_CROPS and 2 * _used_share(device) <= MEMORY_SHARE:
        more = time_batch(tried, loss, batch(2 * size), device, precision.name)
        if more is None:
            break
        size, precision = 2 * size, more
    return StepTiming(precision, size, device.peak_bytes() // 2**20)


def time_few(
    network: nn.Module,
    loss: Loss,
    batch: Callable[[int], Batch],
    device: Device,
    wanted: str,
    size: int,
) -> Precision | None:
    """Time some of a step's crops and return the precision with the time of all; a first result is sooner there.

    Args:
        network: on the device.
        loss: of the run.
        batch: returns a number of real crops, on the device.
        device: a CPU.
        wanted: `auto`, or the precision to use.
        size: crops of a step.

    Returns:
        None where it has to be measured with all crops: short steps, small batches, and if memory runs out.
    """
    few = max(round(TRIED_SHARE * size), FEW_CROPS)
    found = time_batch(network, loss, batch(few), device, wanted) if few < size else None
    if found is None:
        return None
    seconds = found.seconds_per_step * size / few
    return replace(found, seconds_per_step=seconds) if seconds > LONG_STEP_S else None


def time_batch(network: nn.Module, loss: Loss, batch: Batch, device: Device, wanted: str) -> Precision | None:
    """Time a batch in float32 and in reduced precision.

    Args:
        network: on the device.
        loss: of the run.
        batch: images and labels, on the device.
        device: where to run.
        wanted: `auto`, or the precision to use.

    Returns:
        The faster precision; None where the batch does not fit into memory.
    """
    images, labels = batch

    def step(precision: Precision) -> None:
        with precision.autocast(device):
            logits = network(images.contiguous(memory_format=device.layout))
        loss(logits, labels).backward()  # type: ignore[no-untyped-call]

    try:
        return fastest(step, device, wanted)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        network.zero_grad(set_to_none=True)
        return None


def validation_seconds(precision: Precision, step_pixels: int, validation_px: int) -> float:
    """Return about how many seconds a pass over the validation pixels takes.

    Args:
        precision: with seconds per step.
        step_pixels: pixels of a training step.
        validation_px: validation pixels.
    """
    return precision.seconds_per_step * FORWARD_SHARE * validation_px / max(step_pixels, 1)


def _used_share(device: Device) -> float:
    return device.peak_bytes() / device.memory().total
