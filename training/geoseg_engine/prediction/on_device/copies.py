"""Copies to the device and back beside the computation: buffers in pinned memory, queues of their own.

Where the device has neither, as a CPU, arrays are lent as they are and everything happens in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...device.devices import Device
from .raw_bands import RawWindow
from .scores import Uploaded

ALIGNED_BYTES = 64
"""Where pieces of a buffer begin."""


class Buffer:
    """Memory that copies to or from the device use, and the mark that the last of them is done."""

    def __init__(self, device: Device) -> None:
        """Begin empty; it grows to what is needed."""
        self._device = device
        self._memory = torch.empty(0, dtype=torch.uint8)
        self._place = 0
        self.used: torch.Event | None = None

    def reset(self) -> None:
        """Wait until the last copies are done, and begin anew."""
        if self.used is not None:
            self.used.synchronize()
        self.used, self._place = None, 0

    def reserve(self, bytes_: int) -> None:
        """Have room for so many bytes from the beginning."""
        if len(self._memory) < bytes_:
            self._memory = self._device.pinned(torch.empty(bytes_, dtype=torch.uint8))

    def array(self, like: Tensor) -> Tensor:
        """Return the next piece of the buffer with the type and shape of a tensor."""
        size = like.numel() * like.element_size()
        found = self._memory[self._place : self._place + size].view(like.dtype).view(like.shape)
        self._place += _room([like])
        return found


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
    """A window in pinned memory, on its way to the device."""

    def __init__(
        self,
        window: RawWindow,
        tensors: Sequence[Tensor | None],
        wanted: Tensor | None,
        buffer: Buffer | None,
    ) -> None:
        """Hold raw numbers and masks by turns, and the buffer that they lie in."""
        self.window, self.tensors, self.wanted, self.buffer = window, tuple(tensors), wanted, buffer


class Copies:
    """Both ways between the host and a device."""

    def __init__(self, device: Device, ahead: int) -> None:
        """Make buffers and queues.

        Args:
            device: to and from.
            ahead: windows that may be on their way in either direction.
        """
        self._device = device
        self.pinned = device.offer.pinned
        self._up, self._down = Ring(device, ahead), Ring(device, ahead)
        self._to, self._back = device.new_stream(), device.new_stream()
        self.compute = device.new_stream()
        """Queue that everything is computed in; None is the device's own."""
        device.synchronise()  # what was put on the device before is there

    def staged(self, window: RawWindow) -> Staged:
        """Put a window into pinned memory, in the thread that has read it; without such memory it stays where it is."""
        pairs = [(_tensor(part.raw), _optional(part.invalid)) for part in window.parts]
        tensors = [item for pair in pairs for item in pair]
        wanted = _optional(window.wanted)
        if not self.pinned:
            return Staged(window, tensors, wanted, None)
        buffer = self._up.take()
        held = [item for item in (*tensors, wanted) if item is not None]
        buffer.reserve(_room(held))
        moved = [None if item is None else buffer.array(item).copy_(item) for item in (*tensors, wanted)]
        return Staged(window, moved[:-1], moved[-1], buffer)

    def drop(self, staged: Staged) -> None:
        """Let others use the memory of a window."""
        if staged.buffer is not None:
            self._up.give_back(staged.buffer)
            staged.buffer = None

    def uploaded(self, staged: Staged) -> Uploaded:
        """Begin the copies of a window to the device; what is computed from here on waits for them."""
        at, wait = self._device.torch_device, self._to is not None
        try:
            with self._device.on(self._to):
                moved = [None if item is None else item.to(at, non_blocking=wait) for item in staged.tensors]
                wanted = None if staged.wanted is None else staged.wanted.to(at, non_blocking=wait)
            if self._to is not None and self.compute is not None:
                done = self._to.record_event()
                self.compute.wait_event(done)
                for item in (*moved, wanted):
                    if item is not None:
                        item.record_stream(self.compute)
                if staged.buffer is not None:
                    staged.buffer.used = done
        finally:
            self.drop(staged)
        raw = [item for item in moved[::2] if item is not None]
        return Uploaded(staged.window, tuple(raw), tuple(moved[1::2]), wanted)

    def begun(self, tensors: Sequence[Tensor]) -> Coming:
        """Begin the copies of results to the host.

        Args:
            tensors: on the device.
        """
        if not self.pinned:
            return Coming([item.cpu() for item in tensors])
        buffer = self._down.take()
        try:
            return self._copied_back(tensors, buffer)
        except BaseException:
            self._down.give_back(buffer)
            raise

    def _copied_back(self, tensors: Sequence[Tensor], buffer: Buffer) -> Coming:
        buffer.reserve(_room(tensors))
        if self._back is not None and self.compute is not None:
            self._back.wait_event(self.compute.record_event())
        with self._device.on(self._back):
            held = [buffer.array(item).copy_(item, non_blocking=self._back is not None) for item in tensors]
        if self._back is not None:
            buffer.used = self._back.record_event()
            for item in tensors:
                item.record_stream(self._back)
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


def _room(tensors: Sequence[Tensor]) -> int:
    """Bytes that tensors take in a buffer."""
    return sum(-(-item.numel() * item.element_size() // ALIGNED_BYTES) * ALIGNED_BYTES for item in tensors)


def _tensor(array: NDArray[Any]) -> Tensor:
    held = array.view(np.int16) if array.dtype == np.uint16 else array
    return torch.from_numpy(np.ascontiguousarray(held))


def _optional(array: NDArray[Any] | None) -> Tensor | None:
    return None if array is None else torch.from_numpy(np.ascontiguousarray(array))
