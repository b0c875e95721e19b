"""Cards of this computer that PyTorch does not use, and why: asked of the system, without starting a program."""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..contract import Problem
from .devices import Device

UPDATE = "Update its driver, or set up the engine again for this GPU."
SET_UP = "Set up the engine again for this GPU."
MAKERS = {"0x10de": "cuda", "0x1002": "rocm", "0x8086": "xpu"}
"""PCI number of a maker -> kind of device."""
WORDS = {"nvidia": "cuda", "radeon": "rocm", "amd": "rocm", "intel": "xpu"}
"""Word in the name of a display adapter on Windows -> kind of device."""
TITLES = {"cuda": "NVIDIA GPU", "rocm": "AMD GPU", "xpu": "Intel GPU", "mps": "Apple GPU"}
CUDA_DRIVER = {"win32": "nvcuda.dll"}
DISPLAY_CLASS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
NAME_BYTES = 256


@dataclass(frozen=True)
class Card:
    """A card that is not used.

    Attributes:
        name: of the card, or of its maker where the system tells no more.
        kind: of `devices.KINDS`.
        reason: why it is not used, to end a sentence.
        hint: the next step.
        expected: whether most cards of its kind can be used: not the graphics inside many processors.
    """

    name: str
    kind: str
    reason: str
    hint: str
    expected: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, for the result of `probe`."""
        return {"name": self.name, "kind": self.kind, "reason": self.reason, "hint": self.hint}

    def problem(self) -> Problem:
        """Return the warning that it is not used."""
        return Problem("gpu_not_used", f"{self.name} is not used: {self.reason}.", self.hint, "warning")


@dataclass(frozen=True)
class Driver:
    """What the driver of NVIDIA says.

    Attributes:
        cuda: newest version of CUDA that it runs, as (major, minor).
        cards: names.
    """

    cuda: tuple[int, int]
    cards: tuple[str, ...]


def unused_cards(used: Sequence[Device]) -> list[Card]:
    """Return the cards of this computer that PyTorch does not find.

    Args:
        used: devices that it finds.
    """
    kinds = {device.kind for device in used}
    found = []
    if "cuda" not in kinds:
        driver = nvidia_driver()
        found += [_nvidia(name, driver.cuda) for name in driver.cards] if driver else []
    here = {card.kind for card in found} | kinds
    for kind, name in adapters():
        if kind not in here:
            here.add(kind)
            found.append(_without_driver(kind, name))
    if sys.platform == "darwin" and platform.machine() == "arm64" and "mps" not in kinds:
        found.append(Card("Apple GPU", "mps", "PyTorch does not find it", "Use macOS 14 or newer."))
    return found


def _nvidia(name: str, cuda: tuple[int, int]) -> Card:
    built = torch.version.cuda
    if not built:
        return Card(name, "cuda", "this PyTorch was built without CUDA", SET_UP)
    wanted = int(built.split(".")[0])
    if cuda[0] < wanted:
        driver = f"its driver runs CUDA up to {cuda[0]}.{cuda[1]}, and this PyTorch needs {built}"
        return Card(name, "cuda", driver, "Update the driver of the card, or set up the engine again.")
    return Card(
        name, "cuda", "PyTorch does not find it", "Restart the computer, or update the driver of the card."
    )


def _without_driver(kind: str, name: str) -> Card:
    title = name or TITLES[kind]
    if kind == "cuda":
        return Card(title, kind, "its driver does not answer", "Install the driver of NVIDIA, then restart.")
    # Processors of AMD and Intel have graphics inside that PyTorch may not know: nothing to warn about.
    return Card(title, kind, f"this PyTorch was not built for {TITLES[kind]}s", SET_UP, expected=False)


def nvidia_driver() -> Driver | None:
    """Ask the driver of NVIDIA for its cards; None where there is none that answers."""
    try:
        library = ctypes.CDLL(CUDA_DRIVER.get(sys.platform, "libcuda.so.1"))
        version, count = ctypes.c_int(), ctypes.c_int()
        if library.cuInit(0) or library.cuDriverGetVersion(ctypes.byref(version)):
            return None
        if library.cuDeviceGetCount(ctypes.byref(count)):
            return None
        names = []
        for number in range(count.value):
            device, text = ctypes.c_int(), ctypes.create_string_buffer(NAME_BYTES)
            if not library.cuDeviceGet(ctypes.byref(device), number):
                library.cuDeviceGetName(text, NAME_BYTES, device)
            names.append(text.value.decode("utf-8", "replace") or TITLES["cuda"])
    except (OSError, AttributeError):
        return None
    return Driver((version.value // 1000, version.value % 1000 // 10), tuple(names))


def adapters() -> list[tuple[str, str]]:
    """Return kind and name of the display adapters that the system lists; a name is empty where it has none."""
    if sys.platform == "win32":
        return _windows_adapters()
    return _pci_adapters(Path("/sys/bus/pci/devices"))


def _pci_adapters(folder: Path) -> list[tuple[str, str]]:
    found = []
    for card in sorted(folder.glob("*")):
        try:
            is_display = (card / "class").read_text(encoding="ascii").startswith("0x03")
            maker = (card / "vendor").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if is_display and maker in MAKERS:
            found.append((MAKERS[maker], ""))
    return found


def _windows_adapters() -> list[tuple[str, str]]:
    import winreg

    access: Any = winreg
    found = []
    try:
        with access.OpenKey(access.HKEY_LOCAL_MACHINE, DISPLAY_CLASS) as displays:
            for number in range(access.QueryInfoKey(displays)[0]):
                try:
                    with access.OpenKey(displays, access.EnumKey(displays, number)) as display:
                        name = str(access.QueryValueEx(display, "DriverDesc")[0])
                except OSError:
                    continue
                kinds = [kind for word, kind in WORDS.items() if word in name.lower()]
                found += [(kinds[0], name)] if kinds else []
    except OSError:
        return found
    return found
