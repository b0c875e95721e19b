"""What the errors of devices mean: no memory left, device lost, operation missing. Without torch: texts decide.

Every backend says the same three things in its own words, and most of them in a plain RuntimeError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..contract import GeoSegError

DEVICE_LOST = "device_lost"
"""Code of the error for a device that no longer answers."""
OUT_OF_MEMORY = (
    "out of memory",  # CUDA, HIP, XPU and MPS, from their allocators and their drivers
    "outofmemory",
    "out_of_memory",
    "out_of_device_memory",
    "out_of_host_memory",
    "out_of_resources",
    "invalid buffer size",  # MPS, for one tensor that is larger than a buffer may be
    "alloc_failed",  # cuBLAS and cuDNN
    "can't allocate memory",
    "not enough memory",  # the CPU's allocator on Windows
    "failed to allocate memory",  # ONNX Runtime
    "std::bad_alloc",
    "bad allocation",
)
"""Parts of messages, in lower case, that mean that memory has run out."""
LOST = (
    "unspecified launch failure",
    "device-side assert",
    "illegal memory access",
    "misaligned address",
    "illegal instruction",
    "launch timed out",
    "the launch timed out and was terminated",
    "device_lost",
    "device is lost",
    "device lost",
    "device removed",
    "device hung",
    "device_unavailable",
    "device_not_available",
    "fallen off the bus",
    "uncorrectable ecc",
    "driver shutting down",
    "no cuda-capable device",
    "no cuda gpus are available",
    "devices are busy or unavailable",
    "device(s) is/are busy or unavailable",
    "insufficient for cuda runtime version",
    "driver version is insufficient",
    "system has unsupported display driver",
    "cuda error: unknown error",
    "hip error: unknown error",
    "execution_failed",  # cuBLAS and cuDNN after the context is gone
    "excessive gpu errors",
)
"""Parts of messages, in lower case, that mean that a device no longer answers."""
NOT_LOST = ("no kernel image",)
"""Parts of messages of a device that answers, but that this build of torch has no code for."""
OF_GPU = re.compile(r"\b(cuda|hip|mps|xpu|gpu|cublas|cudnn|level_zero|metal)", re.IGNORECASE)
MISSING = re.compile(
    r"operator '(?P<operator>[\w:.]+)' is not currently (?:implemented|supported)"
    r"|could not run '(?P<kernel>[\w:.]+)' with arguments from the"
    r"|\"(?P<quoted>\w+)\" not implemented for",
    re.IGNORECASE,
)
"""How torch names an operation that a device does not have."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the device or the computer has no more memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(part in text for part in OUT_OF_MEMORY)


def is_device_lost(error: BaseException) -> bool:
    """Return whether an error means that a device no longer answers: reset, removed, or its driver gone.

    After any error of a CUDA kernel the process cannot use the device again, so each of them counts.
    """
    if not isinstance(error, RuntimeError) or is_out_of_memory(error):
        return False
    text = str(error).lower()
    if any(part in text for part in NOT_LOST):
        return False
    return type(error).__name__ == "AcceleratorError" or any(part in text for part in LOST)


def missing_operation(error: BaseException | str) -> str:
    """Return the name of the operation that a device does not have; empty for any other error or text."""
    found = MISSING.search(str(error))
    if found:
        return next(name for name in found.groups() if name)
    return "an operation" if isinstance(error, NotImplementedError) else ""


def lost_error(error: BaseException, device: str = "GPU") -> GeoSegError:
    """Return the error `device_lost`.

    Args:
        error: of the backend.
        device: its name on screen.
    """
    return GeoSegError(
        DEVICE_LOST,
        f"The {device} no longer answers: {_first_line(error)}.",
        "What was finished is kept: run again with Resume, or run the prediction again. If it happens again, update "
        "the driver of the GPU, or choose the CPU as device.",
    )


def memory_error(error: BaseException) -> GeoSegError:
    """Return the error for memory that has run out: `out_of_gpu_memory` of a GPU, else `out_of_memory`."""
    if type(error).__name__ == "OutOfMemoryError" or OF_GPU.search(str(error)):
        return GeoSegError(
            "out_of_gpu_memory",
            f"The GPU ran out of memory: {_first_line(error)}.",
            "Choose a smaller batch or tile, or the CPU as device.",
        )
    return GeoSegError(
        "out_of_memory",
        "There is not enough memory for this job.",
        "Choose a smaller tile or batch, or close other programs.",
    )


def fault_of(error: BaseException) -> GeoSegError | None:
    """Return what an error of a device means to a user; None where it is no fault of a device or of memory."""
    if is_out_of_memory(error):
        return memory_error(error)
    return lost_error(error) if is_device_lost(error) else None


@contextmanager
def translated(device: str) -> Iterator[None]:
    """Let errors of a device leave as MemoryError or as GeoSegError `device_lost`; others pass.

    Args:
        device: its name on screen.

    Raises:
        MemoryError: where memory has run out.
        GeoSegError: `device_lost`.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        if is_device_lost(error):
            raise lost_error(error, device) from error
        raise


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
