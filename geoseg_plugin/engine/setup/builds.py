"""Which build of PyTorch a machine gets, why, and how large that is.

One exact build comes from one index; everything else from the user's own index. What is decided here is decided from a
`Machine` and from the plugin's lists of wheels: nothing is started or downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...contract import Problem
from .facts import Card, Machine
from .rules import CUDA13_ONLY, Fit, fit, label
from .torch_builds import BUILDS, OFFERED, ONNXRUNTIME, Build, address, named_build
from .wheel_lists import WheelList, lists_for, platform_of

__all__ = ["BUILDS", "OFFERED", "Build", "Choice", "Proposal", "address", "choices", "named_build", "propose",
           "unsupported"]  # fmt: skip
MIN_GLIBC, MIN_MACOS, MIN_WINDOWS = (2, 28), (14,), (10,)
RATE_MBIT = 50
"""Megabits per second of the estimate; the page states it."""
UNPACK_MB_PER_S = 60
"""Unpacking, writing and checking, of a disk that is not slow."""


@dataclass(frozen=True)
class Choice:
    """A build that may be chosen by hand; `note` is why it is doubtful, empty if it is not."""

    build: Build
    experimental: bool
    note: str


@dataclass(frozen=True)
class Proposal:
    """What will be installed on a machine.

    Attributes:
        build: None if there is none for this machine.
        reason: why this build, in a sentence or two.
        advice: a card is there and will not be used: why, and the next step; empty otherwise.
        problems: why nothing can be installed; empty if it can.
        download_mb, disk_mb: sizes in MB of 10^6 bytes: of the wheels, and of the environment.
        free_needed_mb: what must be free before, with what was downloaded beside it.
        minutes: estimate at `RATE_MBIT`.
    """

    build: Build | None
    reason: str
    advice: str = ""
    problems: tuple[Problem, ...] = ()
    download_mb: int = 0
    disk_mb: int = 0
    free_needed_mb: int = 0
    minutes: int = 0


def propose(machine: Machine, chosen: str = "auto") -> Proposal:
    """Return what to install on a machine.

    Args:
        machine: as `inspect_machine` describes it.
        chosen: key of a build; `auto` takes the best that is not experimental; `gpu` the best for a card,
            experimental or not.

    Returns:
        The proposal; with problems and without a build where none exists.
    """
    if problems := unsupported(machine):
        return Proposal(None, problems[0].message, problems=problems)
    if chosen in ("auto", "gpu"):
        return _with_sizes(_best(machine, chosen == "gpu"), machine)
    choice = next((item for item in choices(machine) if item.build.key == chosen), None)
    if choice is None:
        problem = Problem("no_build", f"There is no build {chosen} of PyTorch for {_name(machine)}.",
                          "Choose one of: " + ", ".join(_keys(machine)) + ".")  # fmt: skip
        return Proposal(None, problem.message, problems=(problem,))
    reason = f"{choice.build.title}: chosen by hand." + (f" {choice.note}" if choice.note else "")
    return _with_sizes(Proposal(choice.build, reason, _unused(machine, chosen)), machine)


def choices(machine: Machine) -> tuple[Choice, ...]:
    """Return the builds that may be chosen by hand; none where no build exists.

    Args:
        machine: as `inspect_machine` describes it.
    """
    if unsupported(machine):
        return ()
    fits = [fit(machine, card) for card in machine.cards]
    found = []
    for key in _keys(machine):
        doubtful = key not in ("cpu", "mps") and all(item.key != key for item in fits)
        note = "No card was found on which it is known to run." if doubtful else ""
        if doubtful and key == "cu126" and any(item.key == "cu130" for item in fits):
            doubtful = any((card.capability or CUDA13_ONLY) >= CUDA13_ONLY for card in machine.cards
                           if card.vendor == "nvidia")  # fmt: skip
            note = (
                "It does not run on cards from Blackwell on."
                if doubtful
                else "The build for CUDA 13.0 is newer."
            )
        found.append(Choice(_build(machine, key), BUILDS[key].experimental or doubtful, note))
    return tuple(found)


def unsupported(machine: Machine) -> tuple[Problem, ...]:
    """Return why no build exists for a machine, each reason with a next step; empty if one does."""
    found = []
    if machine.bits != 64 or machine.processor == "x86":
        found.append(Problem("no_build", "This is a 32 bit system; PyTorch exists for 64 bit systems only.",
                             "Use a computer with a 64 bit system."))  # fmt: skip
    elif machine.system == "macos" and machine.processor != "arm64":
        found.append(Problem("no_build", "This Mac has an Intel processor; PyTorch 2.13 exists for Apple silicon only.",
                             "Use a Mac with Apple silicon, Windows or Linux."))  # fmt: skip
    elif machine.system == "windows" and machine.processor == "arm64":
        found.append(Problem("no_build", "This is Windows on ARM; packages that GeoSeg needs do not exist for it.",
                             "Use a computer with an Intel or AMD processor."))  # fmt: skip
    elif (machine.system, machine.processor) not in OFFERED:
        found.append(Problem("no_build", f"PyTorch 2.13 does not exist for {_name(machine)}.",
                             "Use a computer with an Intel, AMD or 64 bit ARM processor."))  # fmt: skip
    found += _too_old(machine)
    return tuple(found)


def _too_old(machine: Machine) -> list[Problem]:
    have = ".".join(str(part) for part in machine.os_version[:2])
    if machine.system == "macos" and machine.os_version and machine.os_version < MIN_MACOS:
        return [Problem("no_build", f"This is macOS {have}; the packages that GeoSeg needs exist from macOS 14 on.",
                        "Update macOS to version 14 or newer.")]  # fmt: skip
    if machine.system == "windows" and machine.os_version and machine.os_version < MIN_WINDOWS:
        return [Problem("no_build", f"This is Windows {have}; PyTorch 2.13 exists from Windows 10 on.",
                        "Update Windows to version 10 or newer.")]  # fmt: skip
    if machine.system == "linux" and machine.libc is None:
        return [Problem("no_build", "This Linux has no glibc (but musl, or another C library); PyTorch needs glibc.",
                        "Use a Linux with glibc 2.28 or newer: Debian, Ubuntu, Fedora, openSUSE.")]  # fmt: skip
    if machine.system == "linux" and machine.libc is not None and machine.libc < MIN_GLIBC:
        libc = ".".join(str(part) for part in machine.libc)
        return [Problem("no_build", f"This Linux has glibc {libc}; PyTorch 2.13 needs 2.28 or newer.",
                        "Update the system: Debian 10, Ubuntu 20.04, RHEL 8 and newer will do.")]  # fmt: skip
    return []


def _keys(machine: Machine) -> tuple[str, ...]:
    return OFFERED.get((machine.system, machine.processor), ())


def _build(machine: Machine, key: str) -> Build:
    """The build as it is on this machine: onnxruntime-gpu exists for processors of Intel's kind only."""
    build = BUILDS[key]
    if machine.processor != "x86_64":
        return replace(build, onnxruntime=f"onnxruntime=={ONNXRUNTIME}")
    return build


def _name(machine: Machine) -> str:
    system = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}[machine.system]
    return f"{system} on {machine.processor}"


def _strength(card: Card) -> tuple[tuple[int, int], int]:
    return card.capability or (0, 0), card.memory_mb


def _best(machine: Machine, experimental: bool) -> Proposal:
    """The build for the best card; CPU where none can be used."""
    fits = [(card, fit(machine, card)) for card in machine.cards]
    usable = [item for item in fits if item[1].key in _keys(machine) and item[1].key
              and (experimental or not item[1].experimental)]  # fmt: skip
    if not usable:
        return _cpu(machine, fits)
    usable.sort(key=lambda item: _strength(item[0]), reverse=True)
    card, best = usable[0]
    same = [item for item in usable if item[0].vendor == card.vendor]
    if {item[1].key for item in same} == {"cu126", "cu130"} and (
        card.capability or CUDA13_ONLY
    ) < CUDA13_ONLY:
        build, reason = _build(machine, "cu126"), "PyTorch for CUDA 12.6, which runs on all of them: "
        reason += "; ".join(label(item[0]) for item in same) + "."
        return Proposal(build, reason + _translated(machine))
    others = [item for item in fits if item[0] is not card and item[1].expected and item[1].key != best.key]
    unused = f" Not used: {'; '.join(label(item[0]) for item in others)}." if others else ""
    advice = " ".join(
        f"{item[1].reason} {item[1].next_step}" for item in others if not item[1].key and item[1].next_step
    )
    return Proposal(_build(machine, best.key), best.reason + unused + _translated(machine), advice)


def _cpu(machine: Machine, fits: list[tuple[Card, Fit]]) -> Proposal:
    expected = [item for _, item in fits if item.expected]
    advice = " ".join(f"{item.reason} {item.next_step}".strip() for item in expected)
    offered = [item for _, item in fits if item.experimental and not item.expected]
    reason = "PyTorch for CPU: no card was found that can be used."
    reason += "".join(f" {item.reason} {item.next_step}" for item in offered)
    return Proposal(_build(machine, "cpu"), reason, advice)


def _unused(machine: Machine, chosen: str) -> str:
    """What a build chosen by hand leaves unused that another one would use."""
    fits = [(card, fit(machine, card)) for card in machine.cards]
    left = [label(card) for card, found in fits
            if found.key and not found.experimental and not _is_used(card, found, chosen)]  # fmt: skip
    return f"{'; '.join(left)} will not be used with {BUILDS[chosen].title}." if left else ""


def _is_used(card: Card, found: Fit, chosen: str) -> bool:
    """Cards of Turing to Ada with a new driver run with both builds for NVIDIA."""
    both = chosen == "cu126" and found.key == "cu130" and (card.capability or CUDA13_ONLY) < CUDA13_ONLY
    return found.key == chosen or both


def _translated(machine: Machine) -> str:
    if not machine.translated:
        return ""
    return (" QGIS itself runs translated (Rosetta): the engine gets a Python for Apple silicon of its own, not the"
            " one of QGIS.")  # fmt: skip


UNPACKED = {"base": 4.4, "torch-cpu": 4.1, "torch-mps": 4.8, "runtime-onnxruntime": 3.0, "runtime-onnxruntime-gpu": 1.5,
            "libraries-cu130": 1.7, "libraries-cu126": 1.7, "libraries-xpu": 3.7}  # fmt: skip
"""Part of a list -> size on disk by its download, compiled files included. Measured by installing the lists of Linux
and macOS."""
UNPACKED_ELSE = 2.2
"""The same for PyTorch's builds for GPUs: measured for CUDA 13.0 on Linux, assumed for the others."""
ASSUMED_MB = {"torch-cu126": 850, "torch-xpu": 1300, "torch-rocm7.2": 300}
"""Part -> download of those of its wheels whose size no list states."""
WITHOUT_LIST_MB = {"xpu": (2800, 7000)}
"""Build -> download and environment where there is no list."""


def _with_sizes(proposal: Proposal, machine: Machine) -> Proposal:
    if proposal.build is None:
        return proposal
    lists = lists_for(platform_of(machine), proposal.build)
    if lists is None:
        download, disk = WITHOUT_LIST_MB.get(proposal.build.key, (3500, 9000))
    else:
        download = round(sum(_download_mb(item) for item in lists.all))
        disk = round(sum(_download_mb(item) * UNPACKED.get(item.part, UNPACKED_ELSE) for item in lists.all))
    minutes = (download * 8 / RATE_MBIT + disk / UNPACK_MB_PER_S) / 60
    return replace(proposal, download_mb=download, disk_mb=disk, free_needed_mb=disk + download,
                   minutes=max(1, round(minutes)))  # fmt: skip


def _download_mb(item: WheelList) -> float:
    known = all(wheel.bytes for wheel in item.wheels)
    return item.bytes / 1e6 + (0 if known else ASSUMED_MB.get(item.part, 0))
