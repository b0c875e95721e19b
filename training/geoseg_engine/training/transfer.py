"""Numbers that go to the training device and back while it computes: nothing here waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from ..device.devices import Device, as_device


def sent(values: NDArray[Any], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Return an array as a tensor on a device; the copy waits in the device's queue, not here.

    Args:
        values: of the host; not changed afterwards.
        device: of the training.
        dtype: of the result; None keeps the array's.
    """
    tensor = torch.from_numpy(values)
    tensor = tensor if dtype is None else tensor.to(dtype)
    if device.type == "cpu":
        return tensor
    return as_device(device).pinned(tensor).to(device, non_blocking=True)


def sent_back(tensor: Tensor, device: Device) -> Callable[[], Tensor]:
    """Start copying a tensor to the host.

    Args:
        tensor: on the device; not changed afterwards.
        device: that computes it.

    Returns:
        What waits for the copy, not for what the device was given since, and returns it.
    """
    event = device.new_event()
    if event is None:
        return tensor.cpu
    copy = device.pinned(torch.empty(tensor.shape, dtype=tensor.dtype))
    copy.copy_(tensor, non_blocking=True)
    event.record()

    def arrived() -> Tensor:
        event.synchronize()
        return copy

    return arrived


class LateNumbers:
    """Reads numbers of a GPU at the next call, when they have arrived, instead of waiting; of a CPU at once.

    Args:
        device: that computes them.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._pending: Callable[[], Tensor] | None = None

    def exchange(self, numbers: Tensor) -> list[float]:
        """Return the numbers of the call before and start copying these; of a CPU return these.

        Args:
            numbers: (count) on the device.
        """
        if not self._device.is_gpu:
            return list(numbers.tolist())
        before, self._pending = self._pending, sent_back(numbers, self._device)
        return [] if before is None else list(before().tolist())
