"""Numbers that go to the training device and back while it computes: nothing here waits for it."""

from __future__ import annotations

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


class LateNumbers:
    """Reads numbers of a device some steps late, when they are there, instead of waiting for them.

    Args:
        device: that computes them.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._pending: tuple[Tensor, torch.Event | None] | None = None

    def exchange(self, numbers: Tensor) -> list[float]:
        """Start copying numbers to the host and return those of the call before; empty at the first call.

        Args:
            numbers: (count) on the device.
        """
        before = self.rest()
        there = self._device.is_gpu and self._device.offer.pinned
        copy = self._device.pinned(torch.empty(numbers.shape, dtype=numbers.dtype)) if there else numbers
        if there:
            copy.copy_(numbers, non_blocking=True)
        event = self._device.new_event()
        if event is not None:
            event.record()
        self._pending = copy, event
        return before

    def rest(self) -> list[float]:
        """Return the numbers that were copied last; empty without any."""
        if self._pending is None:
            return []
        copy, event = self._pending
        self._pending = None
        if event is not None:
            event.synchronize()
        values: list[float] = copy.tolist()
        return values
