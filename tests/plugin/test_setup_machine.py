"""What the set-up sees of a machine: answers of programs, files of the kernel and the registry, all as data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from geoseg_plugin.engine.setup import cards, facts
from geoseg_plugin.engine.setup.cards import parse_nvidia_smi, registry_adapter
from geoseg_plugin.engine.setup.machine import Adapter, Card, Machine, Probe, inspect_machine, version

RTX = "NVIDIA GeForce RTX 3090, 580.95.05, 8.6, 24576\n"
HEADER_OF_610 = """\
Tue Dec  1 10:00:00 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 610.12              Driver Version: 610.12         CUDA UMD Version: 13.3     |
+-----------------------------------------+------------------------+----------------------+
"""


def answers(**texts: str) -> Callable[[Sequence[str]], str | None]:
    """A runner that answers by the first word whose key is in the command line; others cannot be started."""

    def run(arguments: Sequence[str]) -> str | None:
        line = " ".join(arguments).replace(".", "_").replace("-", "_")
        return next((text for key, text in texts.items() if key in line), None)

    return run


NOTHING = answers()
"""No program can be started."""


def linux(root: Path, run: Callable[[Sequence[str]], str | None] = NOTHING, **others: object) -> Probe:
    values: dict[str, object] = {
        "system": "linux", "processor": "x86_64", "release": "6.8.0-40-generic", "c_library": "glibc 2.39",
        "bits": 64, "environ": {}, **others}  # fmt: skip
    return Probe(run=run, root=root, **values)  # type: ignore[arg-type]


def windows(
    run: Callable[[Sequence[str]], str | None] = NOTHING, *listed: Adapter, **others: object
) -> Probe:
    values: dict[str, object] = {"processor": "AMD64", "bits": 64, "environ": {}, **others}
    return Probe(system="win32", release="10.0.22631", c_library="", run=run, adapters=lambda: list(listed),
                 **values)  # type: ignore[arg-type]  # fmt: skip


def pci(root: Path, slot: str, vendor: int, device: int, kind: str = "0x030000", memory: int = 0) -> None:
    folder = root / "sys/bus/pci/devices" / slot
    folder.mkdir(parents=True)
    for name, text in (("vendor", hex(vendor)), ("device", hex(device)), ("class", kind)):
        (folder / name).write_text(text + "\n", encoding="ascii")
    if memory:
        (folder / "mem_info_vram_total").write_text(f"{memory}\n", encoding="ascii")


def kfd(root: Path, node: int, target: int, device: int) -> None:
    folder = root / "sys/class/kfd/kfd/topology/nodes" / str(node)
    folder.mkdir(parents=True)
    vendor = 0x1002 if target else 0
    text = f"cpu_cores_count 0\nvendor_id {vendor}\ndevice_id {device}\ngfx_target_version {target}\n"
    (folder / "properties").write_text(text, encoding="ascii")


def test_versions_are_read_as_numbers() -> None:
    assert version("580.65.06") == (580, 65, 6) and version("glibc 2.36") == (2, 36)
    assert version("6.8.0-40-generic") == (6, 8, 0) and version("unknown") == ()


@pytest.mark.parametrize(("text", "found"), [
    (RTX, [Card("nvidia", "NVIDIA GeForce RTX 3090", (580, 95, 5), (8, 6), 24576)]),
    ("Tesla K80, 470.82, 11441\n", [Card("nvidia", "Tesla K80", (470, 82), None, 11441)]),
    ("NVIDIA GB10, 580.95.05, 12.1, [N/A]\n", [Card("nvidia", "NVIDIA GB10", (580, 95, 5), (12, 1), 0)]),
    ("A100, 535.1, 8.0, 40960\nA100, 535.1, 8.0, 40960\n", [Card("nvidia", "A100", (535, 1), (8, 0), 40960)] * 2),
    ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", []),
    ("No devices were found\n", []),
    ("Field \"compute_cap\" is not a valid field to query.\n", []),
    (HEADER_OF_610, []),
    ("", []),
])  # fmt: skip
def test_answers_of_nvidia_smi(text: str, found: list[Card]) -> None:
    assert parse_nvidia_smi(text) == found


def test_the_answer_of_driver_610_is_read_by_its_fields_not_by_its_header(tmp_path: Path) -> None:
    run = answers(query_gpu="NVIDIA GeForce RTX 5090, 610.12, 12.0, 32607\n", nvidia_smi=HEADER_OF_610)
    assert inspect_machine(linux(tmp_path, run)).cards[0].driver == (610, 12)


def test_an_old_driver_is_asked_again_without_the_capability(tmp_path: Path) -> None:
    def run(arguments: Sequence[str]) -> str | None:
        return None if "compute_cap" in " ".join(arguments) else "Tesla K80, 470.82.01, 11441\n"

    assert inspect_machine(linux(tmp_path, run)).cards == (
        Card("nvidia", "Tesla K80", (470, 82, 1), None, 11441),
    )


def test_nvidia_smi_is_found_where_wsl_has_it(tmp_path: Path) -> None:
    place = tmp_path / "usr/lib/wsl/lib/nvidia-smi"
    place.parent.mkdir(parents=True)
    place.touch()
    found = inspect_machine(linux(tmp_path, answers(wsl=RTX), release="5.15.153-microsoft-standard-WSL2"))
    assert found.cards[0].name.endswith("RTX 3090") and "WSL" in found.notes[0]


def test_a_driver_without_nvidia_smi_is_read_from_the_kernel(tmp_path: Path) -> None:
    module = tmp_path / "sys/module/nvidia"
    module.mkdir(parents=True)
    (module / "version").write_text("580.95.05\n", encoding="ascii")
    information = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0"
    information.mkdir(parents=True)
    (information / "information").write_text("Model: \t NVIDIA GeForce GTX 1080\nIRQ: 1\n", encoding="ascii")
    pci(tmp_path, "0000:01:00.0", 0x10DE, 0x1B80)
    assert inspect_machine(linux(tmp_path)).cards == (
        Card("nvidia", "NVIDIA GeForce GTX 1080", (580, 95, 5), (5, 0), 0, 0x1B80),
    )


def test_a_card_without_any_driver_is_seen(tmp_path: Path) -> None:
    pci(tmp_path, "0000:01:00.0", 0x10DE, 0x2204)
    assert inspect_machine(linux(tmp_path)).cards == (Card("nvidia", "NVIDIA GPU", (), (7, 5), 0, 0x2204),)


@pytest.mark.parametrize(("device", "capability"), [
    (0x2B85, (10, 0)), (0x2684, (7, 5)), (0x2204, (7, 5)), (0x1E04, (7, 5)), (0x1DB1, (5, 0)), (0x1B80, (5, 0)),
    (0x1380, (5, 0)), (0x1180, (3, 0)), (0, None)])  # fmt: skip
def test_generations_by_device_id(device: int, capability: tuple[int, int] | None) -> None:
    """RTX 5090, 4090, 3090, 2080 Ti, V100, GTX 1080, 750 Ti, 680."""
    assert cards.generation(device) == capability


def test_amd_with_its_driver_for_computing(tmp_path: Path) -> None:
    kfd(tmp_path, 0, 0, 0)
    kfd(tmp_path, 1, 110000, 0x744C)
    kfd(tmp_path, 2, 90010, 0x740F)
    pci(tmp_path, "0000:03:00.0", 0x1002, 0x744C, memory=24 * 2**30)
    found = inspect_machine(linux(tmp_path)).cards
    assert [(card.architecture, card.memory_mb) for card in found] == [("gfx1100", 24576), ("gfx90a", 0)]


def test_amd_without_its_driver_for_computing(tmp_path: Path) -> None:
    pci(tmp_path, "0000:03:00.0", 0x1002, 0x744C)
    assert inspect_machine(linux(tmp_path)).cards == (
        Card("amd", "AMD graphics 0x744c", (), None, 0, 0x744C),
    )


def test_other_devices_of_the_bus_are_no_cards(tmp_path: Path) -> None:
    pci(tmp_path, "0000:00:02.0", 0x8086, 0x46A6)
    pci(tmp_path, "0000:00:14.0", 0x8086, 0x51ED, kind="0x0c0330")
    (tmp_path / "sys/bus/pci/devices/0000:00:1f.0").mkdir()
    assert [card.device_id for card in inspect_machine(linux(tmp_path)).cards] == [0x46A6]


PCI_IDS = """\
# a list
1001  Another vendor
\t744c  Another device
1002  Advanced Micro Devices, Inc. [AMD/ATI]
\t744b  Navi 31 GL-XL
\t744c  Navi 31 [Radeon RX 7900 XT/7900 XTX]
\t\t1002 0e3b  RX 7900 XTX Reference
8086  Intel Corporation
\t46a6  Alder Lake-P GT2 [Iris Xe Graphics]
C 03  Display controller
"""


def test_names_come_from_the_systems_list_of_devices(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/hwdata"
    folder.mkdir(parents=True)
    (folder / "pci.ids").write_text(PCI_IDS, encoding="utf-8")
    kfd(tmp_path, 1, 110000, 0x744C)
    for number, (vendor, device) in enumerate([(0x1002, 0x744C), (0x8086, 0x46A6), (0x8086, 0xFFFF)]):
        pci(tmp_path, f"0000:0{number}:00.0", vendor, device)
    names = [card.name for card in inspect_machine(linux(tmp_path)).cards]
    assert names == [
        "AMD Radeon RX 7900 XT/7900 XTX (gfx1100)",
        "Intel Iris Xe Graphics",
        "Intel graphics 0xffff",
    ]
    assert cards.pci_name(tmp_path, 0x1002, 0x744B) == "AMD Navi 31 GL-XL"
    assert cards.pci_name(tmp_path, 0x10DE, 0x744C) == ""


def test_a_driver_that_hangs_is_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, calls = [0.0], []

    def hang(arguments: Sequence[str]) -> str | None:
        calls.append(arguments)
        clock[0] += 16
        return None

    monkeypatch.setattr(cards.time, "monotonic", lambda: clock[0])
    assert inspect_machine(linux(tmp_path, hang)).cards == () and len(calls) == 1


def test_glibc_and_other_c_libraries(tmp_path: Path) -> None:
    assert inspect_machine(linux(tmp_path)).libc == (2, 39)
    assert inspect_machine(linux(tmp_path, c_library="")).libc is None
    assert inspect_machine(linux(tmp_path, bits=32, processor="i686")).processor == "x86"


def test_windows_reads_the_registry_where_nvidia_smi_is_not() -> None:
    listed = Adapter(0x10DE, 0x1B80, "NVIDIA GeForce GTX 1080", "32.0.15.8129", 8192)
    found = inspect_machine(windows(NOTHING, listed, Adapter(0x8086, 0x9A49, "Intel(R) Iris(R) Xe Graphics")))
    assert found.cards[0] == Card("nvidia", "NVIDIA GeForce GTX 1080", (581, 29), (5, 0), 8192, 0x1B80)
    assert found.cards[1].vendor == "intel" and found.os_version == (10, 0, 22631)


def test_windows_takes_nvidia_smi_of_the_system_folder() -> None:
    run = answers(System32=RTX)
    found = inspect_machine(
        windows(run, Adapter(0x10DE, 0x2204, "the same card"), environ={"SYSTEMROOT": "D:\\W"})
    )
    assert [card.name for card in found.cards] == ["NVIDIA GeForce RTX 3090"]


def test_entries_of_the_registry() -> None:
    values: dict[str, object] = {
        "MatchingDeviceId": r"PCI\VEN_8086&DEV_56A0&SUBSYS_1", "DriverDesc": "Intel(R) Arc(TM) A770 Graphics",
        "DriverVersion": "32.0.101.6790", "HardwareInformation.qwMemorySize": 16 * 2**30}  # fmt: skip
    assert registry_adapter(values) == [
        Adapter(0x8086, 0x56A0, "Intel(R) Arc(TM) A770 Graphics", "32.0.101.6790", 16384)
    ]
    assert registry_adapter({"MatchingDeviceId": r"root\basicdisplay", "DriverDesc": "Microsoft"}) == []
    odd = {"MatchingDeviceId": r"pci\ven_1002&dev_744c", "HardwareInformation.qwMemorySize": b"\0"}
    assert registry_adapter(dict(odd)) == [Adapter(0x1002, 0x744C)]


def test_windows_on_arm_is_known_although_the_program_is_told_amd64() -> None:
    environ = {"PROCESSOR_IDENTIFIER": "ARMv8 (64-bit) Family 8 Model 1 Revision 201, Qualcomm"}
    found = inspect_machine(windows(environ=environ))
    assert (found.processor, found.translated) == ("arm64", True)
    assert not inspect_machine(windows()).translated


def test_a_32_bit_program_on_a_64_bit_windows() -> None:
    found = inspect_machine(windows(processor="x86", bits=32, environ={"PROCESSOR_ARCHITEW6432": "AMD64"}))
    assert (found.processor, found.bits) == ("x86_64", 64)
    assert inspect_machine(windows(processor="x86", bits=32)).bits == 32


def mac(processor: str, **texts: str) -> Machine:
    return inspect_machine(Probe(system="darwin", processor=processor, release="10.16", c_library="", bits=64,
                                 run=answers(**texts), environ={}))  # fmt: skip


def test_apple_silicon_and_rosetta() -> None:
    silicon = {"optional_arm64": "1\n", "osproductversion": "15.1\n", "brand_string": "Apple M2\n",
               "memsize": f"{16 * 2**30}\n"}  # fmt: skip
    native, translated = mac("arm64", **silicon), mac("x86_64", **silicon)
    assert native.cards == (Card("apple", "Apple M2", memory_mb=16384),) and native.os_version == (15, 1)
    assert not native.translated and translated.translated and translated.processor == "arm64"
    intel = mac("x86_64", optional_arm64="0\n")
    assert (intel.processor, intel.cards, intel.os_version) == ("x86_64", (), (10, 16))


def test_a_program_that_fails_or_hangs_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def hang(*_arguments: object, **_words: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 15)

    assert facts.ask(["a-program-that-nobody-has"]) is None
    monkeypatch.setattr(facts, "answer", hang)
    assert facts.ask(["nvidia-smi"]) is None


def test_this_machine_can_be_described() -> None:
    found = inspect_machine()
    assert found.system in ("linux", "windows", "macos") and found.bits == 64
    assert (found.libc is not None) == (found.system == "linux")
