"""Size of windows: from the available memory, the memory per pixel, and the speed of the model."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import torch

from ..raster.grid import round_up
from .windows import Frame

BLOCK_PX, HALF_BLOCK_PX = 512, 256
"""Cores are multiples of the blocks of the written file, or of half of one while they are no larger than two."""
HOST_CAP_BYTES = 1300 << 20
HOST_SHARE, DEVICE_SHARE = 0.4, 0.6
MAX_CORE_PX = {"cpu": 2048, "cuda": 4096}
"""On a CPU a U-Net of four levels spends 7 % of its time on the halo of such a core, a quarter on that of 512 px."""
MAX_WINDOW_S = 12.0
"""Between two cancel points."""
UNKNOWN_BYTES = 4 << 30


def core_for(frame: Frame, host_bytes_px: float, device_bytes_px: float, device: str, px_per_s: float) -> int:
    """Return the side of the largest core that fits into memory.

    Args:
        frame: raster and network.
        host_bytes_px: bytes of main memory for every pixel of a window, all stages together.
        device_bytes_px: bytes of activations for every pixel of a window, on `device`.
        device: `cpu` or `cuda:N`.
        px_per_s: speed of the model; 0 if unknown.

    Returns:
        A multiple of BLOCK_PX or HALF_BLOCK_PX if it fits, else of `align_px`; never more than the raster needs.
    """
    host = min(HOST_CAP_BYTES, HOST_SHARE * available_bytes())
    largest = host / (host_bytes_px + (device_bytes_px if device == "cpu" else 0))
    if device != "cpu":
        largest = min(largest, DEVICE_SHARE * torch.cuda.mem_get_info(device)[0] / device_bytes_px)
    if px_per_s:
        largest = min(largest, max(MAX_WINDOW_S * px_per_s, (BLOCK_PX + 2 * frame.halo_px) ** 2))
    core_px = int(largest**0.5) - 2 * frame.halo_px
    needed = round_up(max(frame.height, frame.width), frame.align_px)
    core_px = min(core_px, MAX_CORE_PX[device.partition(":")[0]], needed)
    if core_px == needed or core_px < BLOCK_PX:
        step = frame.align_px
    else:
        step = BLOCK_PX if core_px >= 2 * BLOCK_PX else HALF_BLOCK_PX
    return max(core_px // step * step, frame.align_px)


def available_bytes() -> int:
    """Return the main memory that is available without swapping, within the limit of the control group."""
    return min(_machine_bytes(), _group_bytes())


def _machine_bytes() -> int:
    if sys.platform == "win32":
        return _windows_bytes()
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return UNKNOWN_BYTES
    return next(
        (int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable")), UNKNOWN_BYTES
    )


def _group_bytes() -> int:
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return sys.maxsize
    return max(int(limit) - used, 256 << 20) if limit.isdigit() else sys.maxsize


def _windows_bytes() -> int:
    """Ask GlobalMemoryStatusEx."""

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_ulonglong),
                    ("available", ctypes.c_ulonglong), ("rest", ctypes.c_ulonglong * 5)]  # fmt: skip

    status = Status(length=ctypes.sizeof(Status))
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return UNKNOWN_BYTES
    return int(status.available)
