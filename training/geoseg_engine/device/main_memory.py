"""Main memory of the computer: what there is and what is available."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

UNKNOWN_BYTES = 4 << 30
SMALLEST_LEFT = 256 << 20


def available_bytes() -> int:
    """Return the main memory that is available without swapping, within the limit of the control group."""
    return min(_machine_bytes("MemAvailable"), _group_bytes())


def total_bytes() -> int:
    """Return the main memory of the computer, within the limit of the control group."""
    return min(_machine_bytes("MemTotal"), _group_limit())


def _machine_bytes(what: str) -> int:
    if sys.platform == "win32":
        return _windows_bytes(what)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _pages(what)
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(what)), UNKNOWN_BYTES)


def _pages(what: str) -> int:
    """Memory where there is no /proc: macOS tells its total alone, of which half is taken as available."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return UNKNOWN_BYTES
    return total if what == "MemTotal" else min(total // 2, UNKNOWN_BYTES)


def _group_limit() -> int:
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return sys.maxsize
    return int(limit) if limit.isdigit() else sys.maxsize


def _group_bytes() -> int:
    limit = _group_limit()
    try:
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return sys.maxsize
    return max(limit - used, SMALLEST_LEFT) if limit != sys.maxsize else sys.maxsize


def _windows_bytes(what: str) -> int:
    """Ask GlobalMemoryStatusEx."""

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ulong), ("load", ctypes.c_ulong), ("total", ctypes.c_ulonglong),
                    ("available", ctypes.c_ulonglong), ("rest", ctypes.c_ulonglong * 5)]  # fmt: skip

    status = Status(length=ctypes.sizeof(Status))
    windll = getattr(ctypes, "windll", None)
    if windll is None or not windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return UNKNOWN_BYTES
    return int(status.total if what == "MemTotal" else status.available)
