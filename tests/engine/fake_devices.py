"""A GPU for tests: behaves like one to the engine and computes on the CPU, with the faults that a test asks for."""

from __future__ import annotations

import dataclasses

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from geoseg_engine.device import finding, proof
from geoseg_engine.device.devices import Device, Memory

MEMORY_WORDS = {
    "cuda": "CUDA out of memory. Tried to allocate 20.00 MiB.",
    "rocm": "HIP out of memory. Tried to allocate 20.00 MiB.",
    "mps": "MPS backend out of memory (MPS allocated: 5.50 GB, other allocations: 14.76 GB, max allowed: 20.40 GB).",
    "xpu": "XPU out of memory. Tried to allocate 20.00 MiB.",
}
LOST_WORDS = {
    "cuda": "CUDA error: unspecified launch failure",
    "rocm": "HIP error: unspecified launch failure",
    "mps": "Caused GPU Hang: device lost",
    "xpu": "level_zero backend failed with error: 20 (UR_RESULT_ERROR_DEVICE_LOST)",
}


class FakeGpu(Device):
    """A GPU of a kind.

    Args:
        kind: see `devices.KINDS`.
        largest_bytes: a result of an operation that is larger runs out of memory; 0 sets no limit.
        lost_after: operations after which the device no longer answers; 0 is never.
        missing: parts of the names of operations that it does not have.
        precisions: that it offers.
        free_mb: free memory.

    Attributes:
        calls: operations so far.
        emptied: times that its cache was emptied.
    """

    def __init__(
        self, kind="cuda", largest_bytes=0, lost_after=0, missing=(), precisions=("float32",), free_mb=8192
    ):
        super().__init__(kind, torch.device("cpu"))
        self.offer = dataclasses.replace(self.offer, pinned=False, streams=False, graphs=False)
        self.largest_bytes, self.lost_after, self.missing = largest_bytes, lost_after, missing
        self.offered, self.free_mb = precisions, free_mb
        self.calls = self.emptied = 0
        self._elsewhere = False
        self.random = [torch.tensor([7], dtype=torch.uint8)]

    def __str__(self):
        return self.kind if self.kind == "mps" else f"{self.offer.module}:0"

    @property
    def name(self):
        return f"Fake {self.kind}"

    @property
    def precisions(self):
        return self.offered

    def memory(self):
        return Memory(self.free_mb << 20, 2 * self.free_mb << 20)

    def peak_bytes(self):
        return 1 << 30

    def reset_peak(self):
        pass

    def empty_cache(self):
        self.emptied += 1

    def synchronise(self):
        pass

    def rng_state(self):
        return [state.clone() for state in self.random]

    def set_rng_state(self, states):
        self.random = states

    def run(self, call, once=False):
        with Simulated(self):
            return super().run(call, once)

    def on_cpu(self, func, args, named):
        self._elsewhere = True
        try:
            return super().on_cpu(func, args, named)
        finally:
            self._elsewhere = False


class Simulated(TorchDispatchMode):
    """Lets operations fail as the backend of a fake GPU would."""

    def __init__(self, gpu):
        super().__init__()
        self.gpu = gpu

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        gpu = self.gpu
        if gpu._elsewhere:
            return func(*args, **(kwargs or {}))
        gpu.calls += 1
        if gpu.lost_after and gpu.calls > gpu.lost_after:
            raise RuntimeError(LOST_WORDS[gpu.kind])
        if any(part in func.name() for part in gpu.missing):
            raise NotImplementedError(
                f"The operator '{func.name()}' is not currently implemented for the {gpu.kind.upper()} device."
            )
        result = func(*args, **(kwargs or {}))
        tensors = [item for item in tree_leaves(result) if isinstance(item, torch.Tensor)]
        if gpu.largest_bytes and any(item.nbytes > gpu.largest_bytes for item in tensors):
            kind = RuntimeError if gpu.kind == "mps" else torch.OutOfMemoryError
            raise kind(MEMORY_WORDS[gpu.kind])
        return result


def found(monkeypatch, *gpus):
    """Let these GPUs be the computer's; none has been tried yet."""
    monkeypatch.setattr(finding, "gpus", lambda: gpus)
    monkeypatch.setattr(proof, "FAILURES", {})
    monkeypatch.setattr(finding, "FAILURES", proof.FAILURES)
