"""The device of a job: what it is called, what it offers, and everything that is asked of torch about it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from ..contract import Problem
from . import main_memory
from .faults import missing_operation, translated
from .missing_operations import ComputedOnCpu, on_cpu

Result = TypeVar("Result")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "float32": torch.float32}


BF16_CAPABILITY = (8, 0)
"""Oldest compute capability of NVIDIA (Ampere) that computes in bf16 itself."""


class Memory(NamedTuple):
    """Bytes of a device."""

    free: int
    total: int


@dataclass(frozen=True)
class Offer:
    """What a kind of device has.

    Attributes:
        title: of the kind, on screen.
        module: of torch that knows it; empty for the CPU.
        pinned: copies from pinned memory run beside the computation.
        streams, graphs: queues of operations; a queue that is recorded once and replayed.
        float64: double precision.
        channels_last: whether convolutions may be computed in this layout.
        collectives: backend by which several processes exchange tensors of the device; empty for none.
        falls_back: whether torch itself may compute a missing operation on the CPU, with a warning.
    """

    title: str
    module: str = ""
    pinned: bool = False
    streams: bool = False
    graphs: bool = False
    float64: bool = True
    channels_last: bool = True
    collectives: str = "gloo"
    falls_back: bool = False


KINDS = {
    "cpu": Offer("CPU"),
    "cuda": Offer("NVIDIA GPU", "cuda", pinned=True, streams=True, graphs=True, collectives="nccl"),
    "rocm": Offer("AMD GPU", "cuda", pinned=True, streams=True, graphs=True, collectives="nccl"),
    # Gradients of batch norm are silently wrong there in channels last (pytorch #175189).
    "mps": Offer("Apple GPU", "mps", float64=False, channels_last=False, collectives="", falls_back=True),
    "xpu": Offer(
        "Intel GPU", "xpu", pinned=True, streams=True, float64=False, collectives="cpu:gloo,xpu:xccl", falls_back=True
    ),
}  # fmt: skip
"""Kind -> what it has. ROCm is `cuda` in torch, MPS is Apple's, XPU Intel's."""


class Device:
    """A device: CPU or GPU of any maker.

    Args:
        kind: of KINDS.
        torch_device: that tensors are sent to.

    Attributes:
        moved: operations that the device does not have, computed on the CPU so far.
        log: receives a line for each of them.
    """

    def __init__(self, kind: str, torch_device: torch.device) -> None:
        self.kind, self.torch_device = kind, torch_device
        self.offer = KINDS[kind]
        self.moved: list[str] = []
        self.log: Callable[[str], None] = lambda text: None

    def __str__(self) -> str:
        """Name in jobs and results: `cpu`, `cuda:0`, `mps`, `xpu:0`."""
        return str(self.torch_device)

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU, with a memory of its own or a share of the main memory."""
        return self.kind != "cpu"

    @property
    def name(self) -> str:
        """Name on screen: `NVIDIA H200`, `AMD Radeon RX 7900 XT (ROCm)`, `Apple M2`, `CPU`."""
        if self.kind in ("cuda", "rocm", "xpu"):
            try:
                model = str(self._module.get_device_name(self.torch_device))
            except RuntimeError:  # a driver that does not answer
                return self.title
            return f"{model} (ROCm)" if self.kind == "rocm" else model
        return _apple_chip() if self.kind == "mps" else "CPU"

    @property
    def title(self) -> str:
        """Name of the kind in a sentence: `NVIDIA GPU`, `Apple GPU`, `CPU`."""
        return self.offer.title

    # Memory

    def memory(self) -> Memory:
        """Return the free and all bytes; of the CPU those of the computer."""
        if self.kind == "cpu":
            return Memory(main_memory.available_bytes(), main_memory.total_bytes())
        if self.kind == "mps":
            total = int(torch.mps.recommended_max_memory())
            return Memory(max(total - int(torch.mps.driver_allocated_memory()), 0), total)
        try:
            free, total = self._module.mem_get_info(self.torch_device)
        except RuntimeError:
            if self.kind != "xpu":
                raise
            # Graphics inside a processor do not tell it (pytorch #194576), and share the main memory.
            total = self._module.get_device_properties(self.torch_device).total_memory
            held = self._module.memory_reserved(self.torch_device)
            free = min(max(total - held, 0), main_memory.available_bytes())
        return Memory(int(free), int(total))

    @property
    def memory_mb(self) -> int:
        """MiB of a GPU's memory; 0 for the CPU, and for a GPU that does not tell."""
        try:
            return self.memory().total // 2**20 if self.is_gpu else 0
        except RuntimeError:
            return 0

    def peak_bytes(self) -> int:
        """Return the largest number of bytes held at once since `reset_peak`; 0 for the CPU.

        Of MPS, which counts no peak, what the driver holds now: it gives nothing back by itself.
        """
        if self.kind == "cpu":
            return 0
        if self.kind == "mps":
            return int(torch.mps.driver_allocated_memory())
        return int(self._module.max_memory_allocated(self.torch_device))

    def reset_peak(self) -> None:
        """Count the peak of memory from here."""
        if self.kind not in ("cpu", "mps"):
            self._module.reset_peak_memory_stats(self.torch_device)

    def empty_cache(self) -> None:
        """Give back the memory that torch keeps for reuse."""
        if self.is_gpu:
            self._module.empty_cache()

    def synchronise(self) -> None:
        """Wait until everything that was asked of the device is done."""
        if self.kind == "mps":
            torch.mps.synchronize()
        elif self.is_gpu:
            self._module.synchronize(self.torch_device)

    # Arithmetic

    @property
    def precisions(self) -> tuple[str, ...]:
        """Names of `bf16`, `fp16` and `float32` that the device computes in, in the order to try them."""
        if self.kind == "cpu":
            return ("bf16", "float32") if cpu_has_bf16() else ("float32",)
        if self.kind == "cuda":
            has_bf16 = self._module.get_device_capability(self.torch_device) >= BF16_CAPABILITY
        elif self.kind == "rocm":
            has_bf16 = bool(torch.cuda.is_bf16_supported(including_emulation=False))
        elif self.kind == "xpu":
            facts = self._module.get_device_properties(self.torch_device)
            has_bf16 = bool(getattr(facts, "has_bfloat16_conversions", False))
        else:  # MPS has it since macOS 14, the oldest that we run on
            has_bf16 = True
        return ("bf16", "fp16", "float32") if has_bf16 else ("fp16", "float32")

    @property
    def has_float64(self) -> bool:
        """Whether it computes in double precision; where not, such sums belong on the CPU."""
        return self.offer.float64

    @property
    def layout(self) -> torch.memory_format:
        """Layout of images and weights for convolutions."""
        return torch.channels_last if self.offer.channels_last else torch.contiguous_format

    @contextmanager
    def autocast(self, precision: str) -> Iterator[None]:
        """Return the context of a forward pass.

        Args:
            precision: `bf16`, `fp16` or `float32`, which changes nothing.
        """
        with torch.autocast(
            self.torch_device.type, dtype=DTYPES[precision], enabled=precision != "float32"
        ):  # fmt: skip
            yield

    def scaler(self, precision: str) -> torch.amp.GradScaler:
        """Return the scaler of gradients, which works in fp16 alone: other precisions need none."""
        return torch.amp.GradScaler(self.torch_device.type, enabled=precision == "fp16")

    def make_current(self) -> None:
        """Make it the device that torch uses where none is named."""
        if self.is_gpu:
            torch.accelerator.set_device_index(self.torch_device)

    def make_deterministic(self) -> None:
        """Let convolutions give the same sums in every run."""
        if self.kind in ("cuda", "rocm"):
            torch.backends.cudnn.deterministic = True

    # Random numbers

    def rng_state(self) -> list[Tensor]:
        """Return the state of the device's random generator, in a list; empty for the CPU, whose state torch has."""
        if self.kind == "cpu":
            return []
        own = () if self.kind == "mps" else (self.torch_device,)
        return [self._module.get_rng_state(*own)]

    def set_rng_state(self, states: Sequence[Tensor]) -> None:
        """Restore what `rng_state` returned.

        Args:
            states: one, or one for each device of the computer, as former versions kept them; without one for this
                device nothing changes.
        """
        place = self.torch_device.index or 0
        chosen = states if len(states) == 1 else states[place : place + 1]
        if self.is_gpu and chosen:
            own = () if self.kind == "mps" else (self.torch_device,)
            self._module.set_rng_state(chosen[0], *own)

    @contextmanager
    def forked_rng(self) -> Iterator[None]:
        """Return a context that leaves the random numbers of torch, on CPU and device, as they were."""
        states = self.rng_state()
        with torch.random.fork_rng([]):
            try:
                yield
            finally:
                self.set_rng_state(states)

    # Copies and queues

    def pinned(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the CPU in memory that is copied to the device without waiting, where there is such."""
        return tensor.pin_memory() if self.offer.pinned else tensor

    def new_stream(self) -> torch.Stream | None:
        """Return a queue of its own for operations; None where the device has none."""
        return torch.Stream(self.torch_device) if self.offer.streams else None

    def new_event(self) -> torch.Event | None:
        """Return a mark in a queue that others can wait for; None where the device has no queues."""
        return torch.Event(self.torch_device) if self.offer.streams else None

    def on(self, stream: torch.Stream | None) -> AbstractContextManager[Any]:
        """Return the context in which operations go into a queue; None is the device's own."""
        return nullcontext() if stream is None else stream

    def recorded(self, call: Callable[[], None], warm_up: int = 3) -> Callable[[], None]:
        """Record the operations of a call once, and return what replays them; the call itself without graphs.

        Args:
            call: reads and writes tensors that stay where they are; nothing in it waits for the device.
            warm_up: calls before it is recorded.
        """
        if not self.offer.graphs:
            return call
        stream = self.new_stream()
        with self.on(stream):
            for _ in range(warm_up):
                call()
        self.synchronise()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            call()
        return graph.replay

    # What goes wrong

    def faults(self) -> AbstractContextManager[None]:
        """Return the context in which memory that runs out is a MemoryError, and a lost device `device_lost`."""
        return translated(self.title)

    def run(self, call: Callable[[], Result], once: bool = False) -> Result:
        """Run a call whose missing operations are computed on the CPU and noted in `moved`.

        Args:
            call: begins again where the first of them is found in it.
            once: it must not begin again, because it changes what it starts from. Where PyTorch lacks operations for
                this kind of device, each is then watched, which takes longer.

        Raises:
            MemoryError: where memory has run out.
            GeoSegError: `device_lost`.
        """
        with self.faults():
            if not self.is_gpu:
                return call()
            if not self.moved and not (once and self.offer.falls_back):
                try:
                    return call()
                except (NotImplementedError, RuntimeError) as error:
                    if not missing_operation(error):
                        raise
            with ComputedOnCpu(self.on_cpu, self.note_moved):
                return call()

    def on_cpu(self, func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Compute an operation on the CPU, and return what it gives on this device.

        Args:
            func: of torch.
            args, named: its arguments, on this device.
        """
        return on_cpu(func, args, named, self.torch_device)

    def note_moved(self, name: str) -> None:
        """Note an operation that is computed on the CPU."""
        if name not in self.moved:
            self.moved.append(name)
            self.log(f"The {self.title} does not have the operation {name}: it is computed on the CPU.")

    def problems(self) -> list[Problem]:
        """Return a warning that names the operations computed on the CPU; empty without any."""
        if not self.moved:
            return []
        several = len(self.moved) > 1
        return [
            Problem(
                "moved_to_cpu",
                f"The {self.title} does not have the operation{'s' * several} {', '.join(self.moved)}: "
                f"{'they were' if several else 'it was'} computed on the CPU.",
                "The result is right, but slower. Another architecture or a newer PyTorch may avoid it.",
                "warning",
            )
        ]

    @property
    def _module(self) -> Any:
        return torch.get_device_module(self.torch_device)


CPU = Device("cpu", torch.device("cpu"))


@functools.cache
def gpu_kind() -> str:
    """Return the kind of the GPUs that torch uses here: `cuda`, `rocm`, `mps`, `xpu`; empty without any."""
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None or found.type not in ("cuda", "mps", "xpu"):
        return ""
    return "rocm" if found.type == "cuda" and torch.version.hip else str(found.type)


@functools.cache
def gpus() -> tuple[Device, ...]:
    """Return the GPUs that torch uses here, in its order."""
    kind = gpu_kind()
    if not kind:
        return ()
    if kind == "mps":
        return (Device("mps", torch.device("mps")),)
    name = KINDS[kind].module
    return tuple(Device(kind, torch.device(name, place)) for place in range(torch.accelerator.device_count()))


def as_device(device: Device | torch.device | str) -> Device:
    """Return the device that torch knows under a name; a Device is returned as it is.

    Args:
        device: `cpu`, `cuda:0`, `mps`, `xpu:0`, or a device of torch.

    Raises:
        LookupError: for one that torch does not use here.
    """
    if isinstance(device, Device):
        return device
    wanted = torch.device(device)
    if wanted.type == "cpu":
        return CPU
    found = [item for item in gpus() if item.torch_device.type == wanted.type]
    return found[wanted.index or 0]


def cpu_has_bf16() -> bool:
    """Return whether the processor computes in bf16 itself (AVX512-BF16 or AMX)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() or {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _apple_chip() -> str:
    """Name of the chip, e.g. `Apple M2`, which torch does not know: asked of the system."""
    text, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
    try:
        ctypes.CDLL(None).sysctlbyname(b"machdep.cpu.brand_string", text, ctypes.byref(size), None, 0)
    except (OSError, AttributeError, TypeError):
        return KINDS["mps"].title
    return text.value.decode("utf-8", "replace") or KINDS["mps"].title
