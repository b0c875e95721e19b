"""Copies to the device and back beside the computation: buffers in pinned memory, queues of their own.

Where the device has neither, as a CPU, arrays are lent as they are and everything happens in its turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...device.devices import Device
from .raw_bands import Memory, RawWindow
from .scores import Uploaded

ALIGNED_BYTES = 64
"""Where pieces of a buffer begin."""


class Buffer:
    """Memory that arrays lie in, or that copies to or from the device use, and the mark that the last is done."""

    def __init__(self, device: Device) -> None:
        """Begin empty; it grows to what was needed before."""
        self._device = device
        self._memory = torch.empty(0, dtype=torch.uint8)
        self._place = 0
        self.used: torch.Event | None = None

    def reset(self) -> None:
        """Wait until the last copies are done, and begin anew."""
        if self.used is not None:
            self.used.synchronize()
        self.used = None
        if self._place > len(self._memory):
            self._memory = self._device.pinned(torch.empty(self._place, dtype=torch.uint8))
        self._place = 0

    def piece(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Return the next piece of the memory; a tensor of its own where no room is left, until the next `reset`."""
        size = math.prod(shape) * dtype.itemsize
        first, self._place = self._place, self._place + -(-size // ALIGNED_BYTES) * ALIGNED_BYTES
        if self._place > len(self._memory):
            return torch.empty(tuple(shape), dtype=dtype)
        return self._memory[first : first + size].view(dtype).view(tuple(shape))

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the next piece of the memory as an array."""
        held = np.dtype(np.int16) if dtype == np.uint16 else dtype
        found: NDArray[Any] = self.piece(shape, torch.from_numpy(np.empty(0, held)).dtype).numpy()
        return found.view(dtype)


class Ring:
    """Buffers that go round: who needs one waits until one is free."""

    def __init__(self, device: Device, count: int) -> None:
        """Make `count` empty buffers."""
        self._free: SimpleQueue[Buffer] = SimpleQueue()
        for _ in range(count):
            self._free.put(Buffer(device))

    def take(self) -> Buffer:
        """Return a free buffer whose last copies are done."""
        buffer = self._free.get()
        buffer.reset()
        return buffer

    def give_back(self, buffer: Buffer) -> None:
        """Let others use a buffer; copies that were begun may still run."""
        self._free.put(buffer)


class Staged:
    """A window of the host, on its way to the device."""

    def __init__(self, window: RawWindow, buffer: Buffer) -> None:
        """Hold a window whose numbers lie in a buffer."""
        self.window = window
        self.buffer: Buffer | None = buffer


class Copies:
    """Both ways between the host and a device."""

    def __init__(self, device: Device, ahead: int) -> None:
        """Make buffers and queues.

        Args:
            device: to and from.
            ahead: windows that may be on their way in either direction.
        """
        self._device = device
        self._up, self._down = Ring(device, ahead), Ring(device, ahead)
        self._to, self._back = device.new_stream(), device.new_stream()
        self.compute = device.new_stream()
        """Queue that everything is computed in; None is the device's own."""
        device.synchronise()  # what was put on the device before is there

    def staged(self, read: Callable[[Memory], RawWindow]) -> Staged:
        """Read a window into memory that is copied to the device without waiting, where there is such.

        Args:
            read: reads it with the memory that it is given.
        """
        buffer = self._up.take()
        try:
            return Staged(read(buffer.array), buffer)
        except BaseException:
            self._up.give_back(buffer)
            raise

    def drop(self, staged: Staged) -> None:
        """Let others use the memory of a window."""
        if staged.buffer is not None:
            self._up.give_back(staged.buffer)
            staged.buffer = None

    def uploaded(self, staged: Staged) -> Uploaded:
        """Begin the copies of a window to the device; what is computed from here on waits for them.

        On a CPU nothing is copied: the numbers are valid until `drop`.
        """
        at, wait = self._device.torch_device, self._to is not None
        window = staged.window

        def moved(array: NDArray[Any] | None) -> Tensor | None:
            return None if array is None else _tensor(array).to(at, non_blocking=wait)

        with self._device.on(self._to):
            raw = [_tensor(part.raw).to(at, non_blocking=wait) for part in window.parts]
            invalid = [moved(part.invalid) for part in window.parts]
            wanted = moved(window.wanted)
        if self._to is not None and self.compute is not None:
            done = self._to.record_event()
            self.compute.wait_event(done)
            _used_in(self.compute, (*raw, *invalid, wanted))
            if staged.buffer is not None:
                staged.buffer.used = done
        return Uploaded(window, tuple(raw), tuple(invalid), wanted)

    def begun(self, tensors: Sequence[Tensor]) -> Coming:
        """Begin the copies of results to the host.

        Args:
            tensors: on the device.
        """
        if not self._device.is_gpu:
            return Coming(tensors)
        buffer = self._down.take()
        try:
            return self._copied_back(tensors, buffer)
        except BaseException:
            self._down.give_back(buffer)
            raise

    def _copied_back(self, tensors: Sequence[Tensor], buffer: Buffer) -> Coming:
        if self._back is not None and self.compute is not None:
            self._back.wait_event(self.compute.record_event())
        with self._device.on(self._back):
            held = [
                buffer.piece(item.shape, item.dtype).copy_(item, non_blocking=self._back is not None)
                for item in tensors
            ]
        if self._back is not None:
            buffer.used = self._back.record_event()
            _used_in(self._back, tensors)
        return Coming(held, buffer, self._down)


class Coming:
    """Results on their way to the host."""

    def __init__(
        self, tensors: Sequence[Tensor], buffer: Buffer | None = None, ring: Ring | None = None
    ) -> None:
        """Hold tensors of the host that copies may still fill."""
        self._tensors, self._buffer, self._ring = list(tensors), buffer, ring

    def arrived(self) -> list[NDArray[Any]]:
        """Wait for the copies; the arrays are valid until `release`."""
        if self._buffer is not None and self._buffer.used is not None:
            self._buffer.used.synchronize()
        return [item.numpy() for item in self._tensors]

    def release(self) -> None:
        """Let other copies use the buffer."""
        if self._buffer is not None and self._ring is not None:
            self._ring.give_back(self._buffer)
            self._buffer = None


def _used_in(stream: torch.Stream, tensors: Sequence[Tensor | None]) -> None:
    """Let the device's allocator know that a queue still needs tensors of another."""
    for item in tensors:
        if item is not None and item.device.type != "cpu":
            item.record_stream(stream)


def _tensor(array: NDArray[Any]) -> Tensor:
    held = array.view(np.int16) if array.dtype == np.uint16 else array
    return torch.from_numpy(np.ascontiguousarray(held))
