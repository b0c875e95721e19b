"""The machine that the engine is set up on: system, processor, C library, cards with their drivers."""

from __future__ import annotations

from . import cards
from .facts import PROCESSORS, SYSCTL, Adapter, Card, Machine, Probe, version

__all__ = ["Adapter", "Card", "Machine", "Probe", "inspect_machine", "version"]


def inspect_machine(probe: Probe | None = None) -> Machine:
    """Describe the machine. Starts at most two short programs, so not for the main thread.

    Args:
        probe: how it is read; None reads the machine that this runs on.

    Returns:
        What was found. What cannot be found is left open; nothing is raised for it.
    """
    probe = probe or Probe()
    if probe.system == "darwin":
        return _macos(probe)
    if probe.system == "win32":
        return _windows(probe, cards.windows(probe))
    notes = ("Linux inside Windows (WSL).",) if "microsoft" in probe.release.lower() else ()
    return Machine("linux", _processor(probe.processor), version(probe.release),
                   version(probe.c_library) if probe.c_library.startswith("glibc") else None, probe.bits,
                   cards.linux(probe), notes=notes)  # fmt: skip


def _processor(name: str) -> str:
    return PROCESSORS.get(name.lower(), name.lower())


def _macos(probe: Probe) -> Machine:
    """`platform` tells the processor of the program: x86_64 also under Rosetta, so the kernel is asked."""
    arm = (probe.run([SYSCTL, "-n", "hw.optional.arm64"]) or "").strip() == "1"
    processor = "arm64" if arm else _processor(probe.processor)
    release = (probe.run([SYSCTL, "-n", "kern.osproductversion"]) or "").strip() or probe.release
    return Machine("macos", processor, version(release), bits=64 if arm else probe.bits,
                   cards=cards.macos(probe) if processor == "arm64" else (),
                   translated=processor == "arm64" and _processor(probe.processor) != "arm64")  # fmt: skip


def _windows(probe: Probe, found: tuple[Card, ...]) -> Machine:
    """A program for Intel on Windows on ARM is told AMD64; the name of the processor is the true one."""
    own = _processor(probe.processor)
    true = probe.environ.get("PROCESSOR_ARCHITEW6432", "") or probe.processor
    if "ARM" in probe.environ.get("PROCESSOR_IDENTIFIER", "").upper().split(" ")[0]:
        true = "ARM64"
    processor = _processor(true)
    return Machine("windows", processor, version(probe.release), bits=32 if processor == "x86" else 64, cards=found,
                   translated=processor == "arm64" and own != "arm64")  # fmt: skip
