"""Which build of PyTorch runs on which card, with the reason in a sentence: the table of vendors and drivers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .cards import shown_version
from .facts import Card, Machine, Version

CUDA13_DRIVER: Version = (580,)
CUDA12_DRIVER: dict[str, Version] = {"linux": (525, 60, 13), "windows": (528, 33)}
OLDEST, CUDA13_OLDEST, CUDA13_ONLY = (5, 0), (7, 5), (10, 0)
"""Compute capabilities: the first that CUDA 12.6's build has code for (Maxwell), the first of CUDA 13's (Turing),
and the first that only CUDA 13's has (Blackwell)."""
UPDATE = "Update the driver to 580 or newer, then set up again."
UPDATE_LAST = "Update the driver to 580, then set up again."
LAST_OLD_DRIVER = 589
"""The last branch of NVIDIA's driver for cards before Turing is 580; what runs a newer one is Turing or newer."""
ROCM_ARCHITECTURES = frozenset(
    (
        "gfx90a",
        "gfx942",
        "gfx950",
        "gfx1030",
        "gfx1100",
        "gfx1101",
        "gfx1102",
        "gfx1150",
        "gfx1151",
        "gfx1200",
        "gfx1201",
    )
)
"""What PyTorch 2.13's build for ROCm 7.2 has matrix multiplication for; more names stand in it without that."""
AMD_CARD_MB = 3000
"""An AMD adapter with less memory of its own is one inside a processor, which nobody expects to be used."""
XPU_DEVICES = ((0x4F80, 0x4F88), (0x5690, 0x56CF), (0xE202, 0xE2FF), (0x7D40, 0x7D6F), (0x7DD1, 0x7DD5),
               (0x6420, 0x64BF), (0xB080, 0xB0BF))  # fmt: skip
"""PCI device ids, first and last: Arc A, Arc B, and the adapters of Core Ultra (Meteor, Arrow, Lunar and Panther
Lake). Intel's other adapters, those of most laptops, have no XPU build."""
XPU_CARDS = ((0x4F80, 0x4F88), (0x5690, 0x56CF), (0xE202, 0xE2FF))
XPU_NAME = re.compile(r"\bArc\b")


@dataclass(frozen=True)
class Fit:
    """What a card can be used with.

    Attributes:
        key: of the build that runs on it; empty if none does.
        reason: why this build, or why none, as a sentence.
        next_step: what the user can do so that it is used, as a sentence; empty where nothing helps.
        expected: whether a user expects it to be used, so that it is worth a warning if it is not.
        experimental: whether the build is offered, but not taken without being chosen.
    """

    key: str
    reason: str
    next_step: str = ""
    expected: bool = True
    experimental: bool = False


def fit(machine: Machine, card: Card) -> Fit:
    """Which build runs on a card of a machine.

    Args:
        machine: that the card is in; for its system and processor.
        card: one of its cards.
    """
    rule = {"nvidia": _nvidia, "amd": _amd, "intel": _intel, "apple": _apple}[card.vendor]
    return rule(machine, card)


def label(card: Card) -> str:
    """Name of a card with what decides about it: `NVIDIA GeForce RTX 3090 (compute capability 8.6, driver 535.129)`."""
    parts = []
    if card.capability:
        parts.append(f"compute capability {card.capability[0]}.{card.capability[1]}")
    if card.vendor == "nvidia":
        parts.append(f"driver {shown_version(card.driver)}" if card.driver else "no driver")
    return f"{card.name} ({', '.join(parts)})" if parts else card.name


def _nvidia(machine: Machine, card: Card) -> Fit:
    if not card.driver:
        if card.capability and card.capability < OLDEST:
            return Fit(
                "", f"{label(card)} is older than Maxwell: PyTorch 2.13 does not run on it.", "", False
            )
        return Fit("", f"{card.name} has no working NVIDIA driver.",
                   "Install NVIDIA's driver, version 580 or newer, then set up again.")  # fmt: skip
    if card.capability is None:
        return _nvidia_by_driver(machine, card)
    if card.capability < OLDEST:
        return Fit("", f"{label(card)} is older than Maxwell: PyTorch 2.13 does not run on it.", "", False)
    if card.capability >= CUDA13_OLDEST and card.driver >= CUDA13_DRIVER:
        return Fit("cu130", f"{label(card)}: PyTorch for CUDA 13.0.")
    if card.capability >= CUDA13_ONLY:
        return Fit("", f"{label(card)} needs CUDA 13, and so driver 580 or newer.",
                   UPDATE)  # fmt: skip
    if _is_too_old(machine, card):
        return Fit("", f"{label(card)}: the driver is too old for PyTorch 2.13.",
                   UPDATE if card.capability >= CUDA13_OLDEST else UPDATE_LAST)  # fmt: skip
    if machine.processor == "arm64":
        return Fit("", f"{label(card)}: on this processor only PyTorch for CUDA 13 is used, which needs driver 580"
                   " and compute capability 7.5.",
                   UPDATE
                   if card.capability >= CUDA13_OLDEST else "")  # fmt: skip
    return Fit("cu126", f"{label(card)}: PyTorch for CUDA 12.6.")


def _nvidia_by_driver(machine: Machine, card: Card) -> Fit:
    """Without a compute capability only a driver after 580 proves that the card is Turing or newer."""
    if card.driver[0] > LAST_OLD_DRIVER:
        return Fit("cu130", f"{label(card)}: PyTorch for CUDA 13.0.")
    if _is_too_old(machine, card):
        return Fit("", f"{label(card)}: the driver is too old for PyTorch 2.13.",
                   UPDATE_LAST)  # fmt: skip
    return Fit("", f"{label(card)}: its compute capability is not known, so that the right build is not known.",
               "Make the driver's program nvidia-smi available, or choose the build under Change….")  # fmt: skip


def _is_too_old(machine: Machine, card: Card) -> bool:
    return card.driver < CUDA12_DRIVER["windows" if machine.system == "windows" else "linux"]


def _amd(machine: Machine, card: Card) -> Fit:
    is_card = card.memory_mb >= AMD_CARD_MB or bool(re.search(r"Radeon (RX|Pro|VII)|Instinct", card.name))
    if machine.system != "linux" or machine.processor != "x86_64":
        return Fit("", f"{card.name}: PyTorch has builds for AMD only for Linux with a processor of Intel's kind.", "",
                   is_card)  # fmt: skip
    if not card.architecture:
        return Fit("", f"{card.name}: the part of AMD's driver for computing (/dev/kfd) is not loaded.",
                   "Install AMD's driver with ROCm, then set up again." if is_card else "", is_card)  # fmt: skip
    if card.architecture not in ROCM_ARCHITECTURES:
        return Fit("", f"{card.name}: PyTorch for ROCm 7.2 has no code for {card.architecture}.", "", is_card)
    return Fit("rocm7.2", f"{card.name}: PyTorch for ROCm 7.2 is experimental here.",
               "Choose PyTorch for AMD GPUs under Change… to try it.", True, True)  # fmt: skip


def _intel(machine: Machine, card: Card) -> Fit:
    in_list = any(first <= card.device_id <= last for first, last in XPU_DEVICES)
    if not in_list and (card.device_id or not XPU_NAME.search(card.name)):
        return Fit(
            "", f"{card.name} is not an Intel Arc or Core Ultra GPU: PyTorch has no build for it.", "", False
        )
    is_card = any(first <= card.device_id <= last for first, last in XPU_CARDS)
    if machine.processor != "x86_64" or (machine.system == "windows" and machine.os_version < (10, 0, 22000)):
        return Fit("", f"{card.name}: PyTorch for Intel GPUs needs Windows 11, or Linux with a processor of Intel's"
                   " kind.", "", is_card)  # fmt: skip
    return Fit("xpu", f"{card.name}: PyTorch for Intel GPUs is experimental here.",
               "Choose PyTorch for Intel GPUs under Change… to try it.", is_card, True)  # fmt: skip


def _apple(machine: Machine, card: Card) -> Fit:
    return Fit("mps", f"{card.name}: PyTorch uses its GPU through Metal.")
