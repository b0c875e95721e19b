"""What is known about a machine, and how it is read.

Everything is read through a `Probe` (a runner of programs, a root folder, variables, a list of Windows' display
adapters), so that any machine can be described to it by data.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..liveness import answer

System = Literal["linux", "windows", "macos"]
Vendor = Literal["nvidia", "amd", "intel", "apple"]
Version = tuple[int, ...]

ANSWER_S = 15.0
"""Seconds that a program may take to describe the machine; a driver that starts up needs some."""
SYSCTL = "/usr/sbin/sysctl"
PROCESSORS = {"amd64": "x86_64", "x86_64": "x86_64", "x64": "x86_64", "arm64": "arm64", "aarch64": "arm64",
              "i386": "x86", "i686": "x86", "x86": "x86"}  # fmt: skip


@dataclass(frozen=True)
class Card:
    """A card, or a graphics adapter inside a processor.

    Attributes:
        vendor: who made it.
        name: as its driver calls it.
        driver: version of its driver; empty where it is unknown or not needed.
        capability: NVIDIA's compute capability, e.g. (8, 6); None where it is unknown, and for other vendors.
        memory_mb: its own memory in MB; 0 where it is unknown.
        device_id: of the PCI bus; 0 where it is unknown.
        architecture: AMD's name of the instruction set, e.g. `gfx1100`; empty for other vendors and where the
            driver for computing is not loaded.
    """

    vendor: Vendor
    name: str
    driver: Version = ()
    capability: tuple[int, int] | None = None
    memory_mb: int = 0
    device_id: int = 0
    architecture: str = ""


@dataclass(frozen=True)
class Machine:
    """A machine, as far as it decides which build of PyTorch runs on it.

    Attributes:
        system: `linux` (also inside WSL), `windows` or `macos`.
        processor: `x86_64`, `arm64`, `x86`, or what the system calls it. Of the machine, not of the program that
            asks: `arm64` also where QGIS itself runs translated.
        os_version: of macOS (14, 5) or Windows (10, 0, 22631); of the kernel on Linux.
        libc: version of glibc; None on other systems, and on Linux with another C library (musl).
        bits: 64 or 32; of the installed system.
        cards: NVIDIA's first, each in the order of its driver.
        translated: QGIS is a program for Intel on a processor of the ARM kind (Rosetta, Windows on ARM). Then its
            own Python will not do.
        notes: what else was seen, each a short sentence.
    """

    system: System
    processor: str
    os_version: Version = ()
    libc: Version | None = None
    bits: int = 64
    cards: tuple[Card, ...] = ()
    translated: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """A display adapter as Windows' registry or the Linux kernel lists it, whoever made it.

    Attributes:
        vendor_id, device_id: of the PCI bus.
        name: empty where nothing names it.
        driver: version of its driver as it is written there; empty where it is unknown.
        memory_mb: its own memory in MB; 0 where it is unknown.
    """

    vendor_id: int
    device_id: int
    name: str = ""
    driver: str = ""
    memory_mb: int = 0


def ask(arguments: Sequence[str]) -> str | None:
    """Return what a program prints, or None if it cannot be started, fails or does not answer in time."""
    try:
        done = answer(list(arguments), timeout_s=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _c_library() -> str:
    """`glibc 2.36`, or empty with another C library."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "") if hasattr(os, "confstr") else ""
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True)
class Probe:
    """All ways in which the machine is read; the defaults read the one that this runs on.

    Attributes:
        system: `sys.platform`.
        processor: `platform.machine()`.
        release: version of the system as Python knows it.
        c_library: `glibc 2.36`, or empty with another one.
        bits: of this process.
        run: starts a program and returns what it prints, None if that fails.
        root: folder below which /sys, /proc, /usr lie.
        environ: variables.
        adapters: display adapters of Windows; not called on other systems.
    """

    system: str = sys.platform
    processor: str = field(default_factory=platform.machine)
    release: str = field(
        default_factory=lambda: platform.mac_ver()[0] if sys.platform == "darwin" else platform.version()
        if sys.platform == "win32" else platform.release())  # fmt: skip
    c_library: str = field(default_factory=_c_library)
    bits: int = 64 if sys.maxsize > 2**32 else 32
    run: Callable[[Sequence[str]], str | None] = ask
    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    adapters: Callable[[], list[Adapter]] | None = None


def version(text: str) -> Version:
    """Return the numbers of a version: `580.65.06` is (580, 65, 6); empty for a text without numbers."""
    found = re.match(r"\D*(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()
