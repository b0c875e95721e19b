"""Cards and their drivers, as the programs, files and registry entries of their vendors state them."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from .facts import ANSWER_S, SYSCTL, Adapter, Card, Probe, Version, version

NVIDIA_ID, AMD_ID, INTEL_ID = 0x10DE, 0x1002, 0x8086
VENDORS = {NVIDIA_ID: "NVIDIA", AMD_ID: "AMD", INTEL_ID: "Intel"}
QUERY = "--query-gpu=name,driver_version,compute_cap,memory.total"
SHORT_QUERY = "--query-gpu=name,driver_version,memory.total"
"""For drivers before 510, which do not know compute capabilities."""
FORMAT = "--format=csv,noheader,nounits"
GENERATIONS = ((0x2900, (10, 0)), (0x1E00, (7, 5)), (0x1340, (5, 0)), (0x0001, (3, 0)))
"""First PCI device id of a group of NVIDIA's cards -> the lowest compute capability in it: Blackwell; Turing to
Hopper; Maxwell to Volta; older. For cards that `nvidia-smi` does not describe."""
DISPLAY_CLASS = "0x03"
PCI_NAMES = ("usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids")
ADAPTERS_KEY = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"


def linux(probe: Probe) -> tuple[Card, ...]:
    """Cards on Linux: NVIDIA's from `nvidia-smi` or, without it, from the loaded driver; others from /sys."""
    listed = pci_adapters(probe.root)
    return (*(nvidia_smi(probe) or nvidia_module(probe.root, listed)), *amd(probe.root, listed),
            *(_intel(item) for item in listed if item.vendor_id == INTEL_ID))  # fmt: skip


def windows(probe: Probe) -> tuple[Card, ...]:
    """Cards on Windows: NVIDIA's from `nvidia-smi` or, without it, from the registry; others from the registry."""
    listed = (probe.adapters or registry_adapters)()
    found = nvidia_smi(probe) or [_nvidia_of_registry(item) for item in listed if item.vendor_id == NVIDIA_ID]
    others = [Card("amd", item.name or "AMD graphics", version(item.driver), None, item.memory_mb, item.device_id)
              for item in listed if item.vendor_id == AMD_ID]  # fmt: skip
    return (*found, *others, *(_intel(item) for item in listed if item.vendor_id == INTEL_ID))


def macos(probe: Probe) -> tuple[Card, ...]:
    """The GPU inside Apple silicon, with all of the machine's memory."""
    name = (probe.run([SYSCTL, "-n", "machdep.cpu.brand_string"]) or "").strip() or "Apple silicon"
    memory = (probe.run([SYSCTL, "-n", "hw.memsize"]) or "").strip()
    return (Card("apple", name, memory_mb=int(memory) // 2**20 if memory.isdigit() else 0),)


def nvidia_smi(probe: Probe) -> list[Card]:
    """Return the cards that `nvidia-smi` lists, wherever it is; none if there is none or it fails.

    A driver that hangs costs the time of one question, or little more.
    """
    end = time.monotonic() + ANSWER_S
    for program in _nvidia_smi_places(probe):
        for query in (QUERY, SHORT_QUERY):
            if time.monotonic() > end:
                return []
            cards = parse_nvidia_smi(probe.run([program, query, FORMAT]) or "")
            if cards:
                return cards
    return []


def _nvidia_smi_places(probe: Probe) -> list[str]:
    if probe.system == "win32":
        system = probe.environ.get("SYSTEMROOT", r"C:\Windows")
        return [rf"{system}\System32\nvidia-smi.exe", "nvidia-smi"]
    others = [probe.root / place for place in ("usr/lib/wsl/lib/nvidia-smi", "usr/bin/nvidia-smi")]
    return ["nvidia-smi", *(str(place) for place in others if place.is_file())]


def parse_nvidia_smi(text: str) -> list[Card]:
    """Read the answer of a query, one line a card; lines of another form (messages of the driver) are skipped.

    Args:
        text: `name, driver, capability, memory in MiB` or without the capability; without a header.

    Returns:
        The cards, in the order of the driver.
    """
    cards = []
    for line in text.splitlines():
        name, *values = [part.strip() for part in line.split(",")]
        driver = version(values[0]) if values else ()
        if not name or len(values) not in (2, 3) or not re.match(r"\d", values[0]):
            continue
        number = re.fullmatch(r"(\d+)\.(\d+)", values[1]) if len(values) == 3 else None
        memory = re.match(r"\d+", values[-1])
        cards.append(Card("nvidia", name, driver, (int(number.group(1)), int(number.group(2))) if number else None,
                          int(memory.group()) if memory else 0))  # fmt: skip
    return cards


def nvidia_module(root: Path, listed: list[Adapter]) -> list[Card]:
    """Cards of a loaded driver without `nvidia-smi` (containers, Flatpak); none where no driver is loaded.

    A card without a driver is returned too, with an empty version: it will not be used, and this is worth a word.

    Args:
        root: folder below which /sys and /proc lie.
        listed: adapters of the PCI bus.
    """
    driver = version(_text(root / "sys/module/nvidia/version"))
    named = [line.partition(":")[2].strip() for file in sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
             for line in _text(file).splitlines() if line.startswith("Model:")]  # fmt: skip
    on_bus = [item for item in listed if item.vendor_id == NVIDIA_ID]
    ids = [item.device_id for item in on_bus]
    count = max(len(named), len(ids), 1 if driver else 0)
    named = named if len(named) >= len(ids) else [item.name or "NVIDIA GPU" for item in on_bus]
    named += ["NVIDIA GPU"] * (count - len(named))
    ids += [0] * (count - len(ids))
    return [Card("nvidia", name, driver, generation(number), 0, number)
            for name, number in zip(named, ids, strict=False)]  # fmt: skip


def generation(device_id: int) -> tuple[int, int] | None:
    """Compute capability of a generation of NVIDIA's cards by PCI device id; None for ids that are not known."""
    return next((capability for first, capability in GENERATIONS if device_id >= first), None)


def _nvidia_of_registry(item: Adapter) -> Card:
    """The last five digits of Windows' number are the driver: 32.0.15.8097 is 580.97."""
    digits = re.sub(r"\D", "", item.driver)[-5:]
    driver = (int(digits[:3]), int(digits[3:])) if len(digits) == 5 else ()
    return Card(
        "nvidia",
        item.name or "NVIDIA GPU",
        driver,
        generation(item.device_id),
        item.memory_mb,
        item.device_id,
    )


def amd(root: Path, listed: list[Adapter]) -> list[Card]:
    """AMD's cards: from the driver for computing with the instruction set, else only from the PCI bus."""
    cards = []
    for folder in sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*")):
        values = dict(re.findall(r"^(\w+) (\d+)$", _text(folder / "properties"), re.MULTILINE))
        target, number = int(values.get("gfx_target_version", "0")), int(values.get("device_id", "0"))
        if target and int(values.get("vendor_id", "0")) == AMD_ID:
            same = [item for item in listed if (item.vendor_id, item.device_id) == (AMD_ID, number)]
            name = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}"
            title = f"{same[0].name} ({name})" if same and same[0].name else f"AMD graphics {name}"
            cards.append(Card("amd", title, (), None, same[0].memory_mb if same else 0, number, name))
    if cards:
        return cards
    return [Card("amd", item.name or f"AMD graphics 0x{item.device_id:04x}", (), None, item.memory_mb, item.device_id)
            for item in listed if item.vendor_id == AMD_ID]  # fmt: skip


def _intel(item: Adapter) -> Card:
    return Card("intel", item.name or f"Intel graphics 0x{item.device_id:04x}", version(item.driver), None,
                item.memory_mb, item.device_id)  # fmt: skip


def pci_adapters(root: Path) -> list[Adapter]:
    """Display adapters and accelerators of the PCI bus as the kernel of Linux lists them, whether or not a driver is
    loaded.

    Args:
        root: folder below which /sys and /usr lie.
    """
    found = []
    for folder in sorted((root / "sys/bus/pci/devices").glob("*")):
        if not _text(folder / "class").startswith((DISPLAY_CLASS, "0x12")):
            continue
        vendor, device = _hexadecimal(_text(folder / "vendor")), _hexadecimal(_text(folder / "device"))
        memory = _text(folder / "mem_info_vram_total")
        mb = int(memory) // 2**20 if memory.isdigit() else 0
        found.append(
            Adapter(vendor, device, pci_name(root, vendor, device) if vendor in VENDORS else "", memory_mb=mb)
        )
    return found


def pci_name(root: Path, vendor: int, device: int) -> str:
    """Name of a device in the system's list of PCI devices, with its vendor; empty if it is not there.

    Args:
        root: folder below which /usr lies.
        vendor, device: numbers on the bus.
    """
    text = next((text for place in PCI_NAMES if (text := _text(root / place))), "")
    section = re.search(rf"^{vendor:04x}  .*\n((?:[#\t].*\n|\n)*)", text + "\n", re.MULTILINE)
    line = re.search(rf"^\t{device:04x}  (.+)$", section.group(1), re.MULTILINE) if section else None
    if line is None:
        return ""
    model = re.search(r"\[(.+)\]", line.group(1))
    return f"{VENDORS[vendor]} {model.group(1) if model else line.group(1)}"


def registry_adapters() -> list[Adapter]:
    """Display adapters in Windows' registry; none on other systems, or where it cannot be read."""
    if sys.platform != "win32":
        return []
    import winreg

    found = []
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, ADAPTERS_KEY) as group:
            for number in range(winreg.QueryInfoKey(group)[0]):
                if (name := winreg.EnumKey(group, number)).isdigit():
                    with winreg.OpenKey(group, name) as key:
                        values = {item[0]: item[1] for item in
                                  (winreg.EnumValue(key, at) for at in range(winreg.QueryInfoKey(key)[1]))}  # fmt: skip
                    found += registry_adapter(values)
    except OSError:
        return found
    return found


def registry_adapter(values: dict[str, object]) -> list[Adapter]:
    """Read the values of one entry; none if it is no device of the PCI bus (remote desktops, virtual screens).

    Args:
        values: names and values of the entry in the registry.
    """
    number = re.search(
        r"ven_([0-9a-f]{4})&dev_([0-9a-f]{4})", str(values.get("MatchingDeviceId", "")), re.IGNORECASE
    )
    if not number:
        return []
    found = values.get("HardwareInformation.qwMemorySize", 0)
    memory = found // 2**20 if isinstance(found, int) else 0
    return [Adapter(int(number.group(1), 16), int(number.group(2), 16), str(values.get("DriverDesc", "")),
                    str(values.get("DriverVersion", "")), memory)]  # fmt: skip


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _hexadecimal(text: str) -> int:
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9a-fA-F]+", text) else 0


def shown_version(driver: Version) -> str:
    """A version as its vendor writes it: `580.65.06` is shown as 580.65."""
    return ".".join(str(part) for part in driver[:2])
