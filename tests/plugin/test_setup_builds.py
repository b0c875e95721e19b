"""The table: platform and answers of drivers -> the build of PyTorch with its sentences, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from geoseg_plugin.engine.setup.builds import BUILDS, OFFERED, address, choices, named_build, propose
from geoseg_plugin.engine.setup.machine import Adapter, Card, Machine, Probe, inspect_machine
from geoseg_plugin.engine.setup.torch_builds import BASE_ADDRESS, ONNXRUNTIME, TORCH
from geoseg_plugin.paths import training_dir

WINDOWS, LINUX, MACOS = "win32", "linux", "darwin"
IRIS, UHD = (
    Adapter(0x8086, 0x9A49, "Intel(R) Iris(R) Xe Graphics"),
    Adapter(0x8086, 0x3E92, "Intel(R) UHD Graphics"),
)
ARC, ARC_B = Adapter(0x8086, 0x56A0, "Intel(R) Arc(TM) A770 Graphics"), Adapter(0x8086, 0xE20B)
ULTRA, LUNAR = Adapter(0x8086, 0x7D55, "Intel(R) Arc(TM) Graphics"), Adapter(0x8086, 0x64A0)
RADEON = Adapter(0x1002, 0x744C, "AMD Radeon RX 7900 XTX", "32.0.21025.10016", 24576)
RYZEN = Adapter(0x1002, 0x1681, "AMD Radeon(TM) Graphics", "32.0.21025.10016", 512)


@dataclass(frozen=True)
class Row:
    """A machine by what it answers, and what follows.

    Attributes:
        name: of the test.
        system, processor, release, c_library, bits, environ: what Python says there.
        smi: what a query of nvidia-smi prints; None where there is none.
        adapters: of the PCI bus or of Windows' registry.
        kfd: versions of instruction sets that AMD's driver for computing lists.
        module: version of a loaded NVIDIA driver without nvidia-smi.
        arm_mac: whether the kernel of macOS runs on Apple silicon.
        build: expected; None if nothing can be installed.
        reason, advice, problem: expected parts of the sentences; an empty advice is expected to be empty.
    """

    name: str
    system: str
    build: str | None
    smi: str | None = None
    processor: str = ""
    release: str = ""
    c_library: str = "glibc 2.39"
    bits: int = 64
    environ: dict[str, str] = field(default_factory=dict)
    adapters: tuple[Adapter, ...] = ()
    kfd: tuple[int, ...] = ()
    module: str = ""
    arm_mac: bool = True
    reason: str = ""
    advice: str = ""
    problem: str = ""


def smi(*cards: tuple[str, str, str]) -> str:
    return "".join(f"NVIDIA {name}, {driver}, {capability}, 16384\n" for name, driver, capability in cards)


ROWS = [
    # Windows, x86-64
    Row("windows-no-card", WINDOWS, "cpu", reason="no card was found"),
    Row("windows-intel-laptop", WINDOWS, "cpu", adapters=(IRIS,), reason="PyTorch for CPU"),
    Row("windows-intel-desktop", WINDOWS, "cpu", adapters=(UHD,)),
    Row("windows-rtx-3060-driver-581", WINDOWS, "cu130", smi(("GeForce RTX 3060", "581.29", "8.6")),
        reason="driver 581.29"),
    Row("windows-laptop-with-both", WINDOWS, "cu130", smi(("GeForce RTX 4070", "591.44", "8.9")), adapters=(IRIS,)),
    Row("windows-rtx-3060-driver-552", WINDOWS, "cu126", smi(("GeForce RTX 3060", "552.22", "8.6")),
        reason="CUDA 12.6"),
    Row("windows-rtx-3060-driver-528.33", WINDOWS, "cu126", smi(("GeForce RTX 3060", "528.33", "8.6"))),
    Row("windows-rtx-3060-driver-528.24", WINDOWS, "cpu", smi(("GeForce RTX 3060", "528.24", "8.6")),
        advice="Update the driver to 580 or newer"),
    Row("windows-gtx-1080-driver-581", WINDOWS, "cu126", smi(("GeForce GTX 1080", "581.29", "6.1")),
        reason="capability 6.1"),
    Row("windows-gtx-1080-driver-516", WINDOWS, "cpu", smi(("GeForce GTX 1080", "516.94", "6.1")),
        advice="Update the driver to 580,"),
    Row("windows-rtx-5090-driver-572", WINDOWS, "cpu", smi(("GeForce RTX 5090", "572.83", "12.0")),
        advice="Update the driver to 580"),
    Row("windows-rtx-5090-driver-610", WINDOWS, "cu130", smi(("GeForce RTX 5090", "610.12", "12.0"))),
    Row("windows-gtx-680", WINDOWS, "cpu", smi(("GeForce GTX 680", "475.14", "3.0")), reason="no card"),
    Row("windows-nvidia-without-driver", WINDOWS, "cpu", adapters=(Adapter(0x10DE, 0x2204, "NVIDIA GeForce RTX 3090"),),
        advice="no working NVIDIA driver"),
    Row("windows-registry-only-gtx-1080", WINDOWS, "cu126",
        adapters=(Adapter(0x10DE, 0x1B80, "NVIDIA GeForce GTX 1080", "32.0.15.8129"),)),
    Row("windows-registry-only-rtx-5080", WINDOWS, "cu130",
        adapters=(Adapter(0x10DE, 0x2C02, "NVIDIA GeForce RTX 5080", "32.0.15.8129"),)),
    Row("windows-arc", WINDOWS, "cpu", adapters=(ARC,), advice="PyTorch for Intel GPUs under Change…"),
    Row("windows-arc-and-iris", WINDOWS, "cpu", adapters=(IRIS, ARC), advice="Arc(TM) A770"),
    Row("windows-10-arc", WINDOWS, "cpu", release="10.0.19045", adapters=(ARC,), advice="needs Windows 11"),
    Row("windows-core-ultra", WINDOWS, "cpu", adapters=(ULTRA,), reason="PyTorch for Intel GPUs under Change…"),
    Row("windows-radeon", WINDOWS, "cpu", adapters=(RADEON,), advice="builds for AMD only for Linux"),
    Row("windows-ryzen-laptop", WINDOWS, "cpu", adapters=(RYZEN,)),
    Row("windows-8", WINDOWS, None, release="6.3.9600", problem="This is Windows 6.3"),
    Row("windows-32-bit", WINDOWS, None, processor="x86", bits=32, problem="32 bit"),
    Row("windows-64-bit-seen-from-32", WINDOWS, "cpu", processor="x86", bits=32,
        environ={"PROCESSOR_ARCHITEW6432": "AMD64"}),
    Row("windows-on-arm", WINDOWS, None, processor="ARM64", problem="Windows on ARM"),
    Row("windows-on-arm-emulated", WINDOWS, None, environ={"PROCESSOR_IDENTIFIER": "ARMv8 (64-bit) Qualcomm"},
        problem="Windows on ARM"),
    # Linux, x86-64
    Row("linux-no-card", LINUX, "cpu"),
    Row("linux-glibc-2.28", LINUX, "cpu", c_library="glibc 2.28"),
    Row("linux-glibc-2.27", LINUX, None, c_library="glibc 2.27", problem="glibc 2.27; PyTorch 2.13 needs 2.28"),
    Row("linux-musl", LINUX, None, c_library="", problem="no glibc"),
    Row("linux-32-bit", LINUX, None, processor="i686", bits=32, problem="32 bit"),
    Row("linux-riscv", LINUX, None, processor="riscv64", problem="Linux on riscv64"),
    Row("linux-h200-driver-580", LINUX, "cu130", smi(("H200", "580.95.05", "9.0"))),
    Row("linux-a100-driver-535", LINUX, "cu126", smi(("A100-SXM4-40GB", "535.183.01", "8.0"))),
    Row("linux-t4-driver-525.60.13", LINUX, "cu126", smi(("Tesla T4", "525.60.13", "7.5"))),
    Row("linux-t4-driver-525.60.11", LINUX, "cpu", smi(("Tesla T4", "525.60.11", "7.5")),
        advice="Update the driver to 580"),
    Row("linux-v100-driver-580", LINUX, "cu126", smi(("Tesla V100", "580.95.05", "7.0"))),
    Row("linux-b200-driver-570", LINUX, "cpu", smi(("B200", "570.86.15", "10.0")), advice="driver 580 or newer"),
    Row("linux-k80", LINUX, "cpu", smi(("Tesla K80", "470.82.01", "3.7"))),
    Row("linux-driver-470-without-capability", LINUX, "cpu", "Tesla K80, 470.82.01, 11441\n",
        advice="the driver is too old"),
    Row("linux-driver-550-without-capability", LINUX, "cpu", "NVIDIA X, 550.90, 24576\n", advice="is not known"),
    Row("linux-unknown-card-driver-595", LINUX, "cu130", "NVIDIA X, 595.10, 24576\n"),
    Row("linux-no-devices", LINUX, "cpu", "No devices were found\n"),
    Row("linux-smi-fails", LINUX, "cpu", "NVIDIA-SMI has failed because it couldn't communicate with the driver.\n"),
    Row("linux-nouveau", LINUX, "cpu", adapters=(Adapter(0x10DE, 0x2204),), advice="Install NVIDIA's driver"),
    Row("linux-flatpak-rtx-3090", LINUX, "cu130", adapters=(Adapter(0x10DE, 0x2204),), module="580.95.05"),
    Row("linux-flatpak-gtx-1080", LINUX, "cu126", adapters=(Adapter(0x10DE, 0x1B80),), module="580.95.05"),
    Row("wsl-rtx-4090", LINUX, "cu130", smi(("GeForce RTX 4090", "581.29", "8.9")),
        release="5.15.153.1-microsoft-standard-WSL2"),
    Row("wsl-no-card", LINUX, "cpu", release="5.15.153.1-microsoft-standard-WSL2"),
    # several cards
    Row("mixed-3090-1080", LINUX, "cu126",
        smi(("GeForce GTX 1080", "580.95.05", "6.1"), ("GeForce RTX 3090", "580.95.05", "8.6")), reason="GTX 1080"),
    Row("mixed-5090-1080", LINUX, "cu130",
        smi(("GeForce GTX 1080", "580.95.05", "6.1"), ("GeForce RTX 5090", "580.95.05", "12.0")),
        reason="Not used: NVIDIA GeForce GTX 1080"),
    Row("mixed-5090-3090-driver-570", WINDOWS, "cu126",
        smi(("GeForce RTX 5090", "572.83", "12.0"), ("GeForce RTX 3090", "572.83", "8.6")),
        reason="Not used: NVIDIA GeForce RTX 5090", advice="Update the driver to 580"),
    Row("mixed-two-the-same", LINUX, "cu130", smi(*[("RTX 6000 Ada", "580.95.05", "8.9")] * 2)),
    Row("nvidia-and-arc", WINDOWS, "cu130", smi(("GeForce RTX 3060", "581.29", "8.6")), adapters=(ARC,),
        reason="Not used: Intel(R) Arc(TM) A770"),
    # AMD and Intel on Linux
    Row("linux-radeon-with-rocm", LINUX, "cpu", adapters=(RADEON,), kfd=(110000,),
        advice="PyTorch for AMD GPUs under"),
    Row("linux-radeon-without-rocm", LINUX, "cpu", adapters=(RADEON,), advice="/dev/kfd"),
    Row("linux-radeon-too-old", LINUX, "cpu", adapters=(RADEON,), kfd=(80003,), advice="no code for gfx803"),
    Row("linux-ryzen-laptop", LINUX, "cpu", adapters=(RYZEN,)),
    Row("linux-arc", LINUX, "cpu", adapters=(ARC_B,), advice="PyTorch for Intel GPUs under Change…"),
    Row("linux-lunar-lake", LINUX, "cpu", adapters=(LUNAR,), reason="PyTorch for Intel GPUs under Change…"),
    Row("linux-intel-laptop", LINUX, "cpu", adapters=(IRIS,)),
    # Linux, arm64
    Row("arm64-no-card", LINUX, "cpu", processor="aarch64"),
    Row("arm64-gh200", LINUX, "cu130", smi(("GH200 480GB", "580.95.05", "9.0")), processor="aarch64"),
    Row("arm64-gb10", LINUX, "cu130", "NVIDIA GB10, 580.95.05, 12.1, [N/A]\n", processor="aarch64"),
    Row("arm64-driver-550", LINUX, "cpu", smi(("GH200 480GB", "550.90", "9.0")), processor="aarch64",
        advice="Update the driver to 580"),
    Row("arm64-32-bit-system", LINUX, None, processor="aarch64", bits=32, problem="32 bit"),
    # macOS
    Row("mac-m2", MACOS, "mps", processor="arm64", release="15.1", reason="Metal"),
    Row("mac-14.0", MACOS, "mps", processor="arm64", release="14.0"),
    Row("mac-13", MACOS, None, processor="arm64", release="13.6", problem="This is macOS 13.6"),
    Row("mac-rosetta", MACOS, "mps", processor="x86_64", release="14.5",
        reason="a Python for Apple silicon of its own"),
    Row("mac-intel", MACOS, None, processor="x86_64", release="14.5", arm_mac=False, problem="Intel processor"),
]  # fmt: skip


def machine(row: Row, root: Path) -> Machine:
    """The machine of a row, read the way a real one is."""

    def run(arguments: Sequence[str]) -> str | None:
        line = " ".join(arguments)
        if "nvidia-smi" in line:
            return row.smi
        mac = {"hw.optional.arm64": "1" if row.arm_mac else "0", "kern.osproductversion": row.release,
               "machdep.cpu.brand_string": "Apple M2", "hw.memsize": str(2**34)}  # fmt: skip
        return mac.get(line.rpartition(" ")[2])

    for number, item in enumerate(row.adapters):
        folder = root / f"sys/bus/pci/devices/0000:0{number}:00.0"
        folder.mkdir(parents=True)
        values = {"vendor": hex(item.vendor_id), "device": hex(item.device_id), "class": "0x030000",
                  "mem_info_vram_total": str(item.memory_mb * 2**20)}  # fmt: skip
        for name, text in values.items():
            (folder / name).write_text(text, encoding="ascii")
    for number, target in enumerate(row.kfd):
        folder = root / f"sys/class/kfd/kfd/topology/nodes/{number}"
        folder.mkdir(parents=True)
        text = f"vendor_id 4098\ndevice_id {0x744C}\ngfx_target_version {target}\n"
        (folder / "properties").write_text(text, encoding="ascii")
    if row.module:
        (root / "sys/module/nvidia").mkdir(parents=True)
        (root / "sys/module/nvidia/version").write_text(row.module, encoding="ascii")
    processor = row.processor or {WINDOWS: "AMD64", MACOS: "arm64"}.get(row.system, "x86_64")
    release = row.release or {WINDOWS: "10.0.22631", MACOS: "15.1"}.get(row.system, "6.8.0-40-generic")
    return inspect_machine(Probe(row.system, processor, release, row.c_library if row.system == LINUX else "",
                                 row.bits, run, root, row.environ, lambda: list(row.adapters)))  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_table(row: Row, tmp_path: Path) -> None:
    found = propose(machine(row, tmp_path))
    assert (found.build.key if found.build else None) == row.build, found
    assert row.reason in found.reason
    assert row.advice in found.advice and bool(found.advice) == bool(row.advice), found.advice
    assert bool(found.problems) == (row.build is None)
    assert all(
        row.problem in item.message and item.hint and item.code == "no_build" for item in found.problems
    )
    if found.build:
        assert 200 < found.download_mb < found.disk_mb < found.free_needed_mb and found.minutes >= 1


def test_the_table_is_as_large_as_promised() -> None:
    assert len(ROWS) == len({row.name for row in ROWS}) >= 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_sentences_are_whole_and_what_is_chosen_by_hand_is_taken(row: Row, tmp_path: Path) -> None:
    found = machine(row, tmp_path)
    offered = choices(found)
    assert bool(offered) == (row.build is not None)
    for choice in offered:
        by_hand = propose(found, choice.build.key)
        assert by_hand.build == choice.build and "by hand" in by_hand.reason
    plan = propose(found)
    for text in (plan.reason, plan.advice, *(choice.note for choice in offered)):
        assert not text or (
            text[0].isupper() and text.endswith(".") and ".." not in text and "  " not in text
        ), text


def linux(*cards: Card, processor: str = "x86_64") -> Machine:
    return Machine("linux", processor, (6, 8), (2, 39), 64, cards)


GTX_1080 = Card("nvidia", "GTX 1080", (580, 95), (6, 1), 8192)
RTX_3090 = Card("nvidia", "RTX 3090", (580, 95), (8, 6), 24576)
RADEON_7900 = Card("amd", "AMD graphics gfx1100", (), None, 24576, 0x744C, "gfx1100")


def test_gpu_means_the_best_build_for_a_card_experimental_or_not() -> None:
    assert [propose(linux(card), "gpu").build.key for card in (RTX_3090, GTX_1080, RADEON_7900)] == [  # type: ignore[union-attr]
        "cu130", "cu126", "rocm7.2"]  # fmt: skip
    none = propose(linux(), "gpu")
    assert none.build is not None and none.build.key == "cpu" and "no card" in none.reason


def test_a_build_that_does_not_exist_there_is_refused_with_those_that_do() -> None:
    found = propose(linux(processor="arm64"), "cu126")
    assert found.build is None and "cu126" in found.problems[0].message and "cu130" in found.problems[0].hint
    assert propose(linux(), "nonsense").problems[0].code == "no_build"


def test_doubtful_builds_are_marked() -> None:
    marked = {choice.build.key: choice for choice in choices(linux(GTX_1080))}
    assert marked["cu130"].experimental and "known to run" in marked["cu130"].note
    assert not marked["cu126"].experimental and not marked["cu126"].note and not marked["cpu"].note
    newer = {choice.build.key: choice for choice in choices(linux(RTX_3090))}
    assert not newer["cu126"].experimental and "newer" in newer["cu126"].note
    blackwell = {item.build.key: item for item in choices(linux(replace(RTX_3090, capability=(12, 0))))}
    assert blackwell["cu126"].experimental and "Blackwell" in blackwell["cu126"].note
    assert {choice.build.key for choice in choices(linux()) if choice.experimental} >= {"rocm7.2", "xpu"}


def test_a_card_that_a_choice_by_hand_leaves_unused_is_named() -> None:
    assert "RTX 3090" in propose(linux(RTX_3090), "cpu").advice
    assert "RTX 3090" in propose(linux(RTX_3090), "xpu").advice
    assert propose(linux(RTX_3090), "cu126").advice == "" and propose(linux(), "cpu").advice == ""
    wrong = propose(linux(GTX_1080), "cu130")
    assert "GTX 1080" in wrong.advice and wrong.build is not None
    both = propose(linux(RTX_3090, replace(RTX_3090, name="RTX 5090", capability=(12, 0))), "cu126")
    assert "RTX 5090" in both.advice and "RTX 3090" not in both.advice


def test_builds_name_one_exact_torch_and_one_runtime() -> None:
    lists = training_dir() / "requirements"
    assert f"torch=={TORCH}" in (lists / "torch.txt").read_text(encoding="utf-8").splitlines()
    assert "onnxruntime" not in [line.partition("==")[0] for line in
                                 (lists / "onnx.txt").read_text(encoding="utf-8").splitlines()]  # fmt: skip
    for key, build in BUILDS.items():
        assert key == build.key and build.torch == (f"{TORCH}+{build.index}" if build.index else TORCH)
        assert build.onnxruntime.partition("==")[2] == ONNXRUNTIME
    assert {key for keys in OFFERED.values() for key in keys} == set(BUILDS)
    assert BUILDS["cu130"].onnxruntime.startswith("onnxruntime-gpu==")
    on_arm = propose(linux(replace(RTX_3090, capability=(9, 0)), processor="arm64"))
    assert on_arm.build is not None and on_arm.build.onnxruntime.startswith("onnxruntime==")


MIRROR = "https://mirror.example/pytorch"


@pytest.mark.parametrize(("value", "key", "found", "named"), [
    ("", "cu130", f"{BASE_ADDRESS}/cu130", ""),
    ("", "mps", "", ""),
    (MIRROR, "cu126", f"{MIRROR}/cu126", ""),
    (f"{MIRROR}/", "cpu", f"{MIRROR}/cpu", ""),
    (MIRROR, "mps", "", ""),
    (f"{MIRROR}/cu126", "cu126", f"{MIRROR}/cu126", "cu126"),
    (f"{MIRROR}/cu128/", "cu130", f"{MIRROR}/cu128", ""),
    (f"{MIRROR}/rocm7.2", "rocm7.2", f"{MIRROR}/rocm7.2", "rocm7.2"),
    (f"{MIRROR}/xpu", "xpu", f"{MIRROR}/xpu", "xpu"),
    ("file:///somewhere", "cpu", "file:///somewhere/cpu", ""),
])  # fmt: skip
def test_the_base_address_can_be_a_mirror_or_one_index(value: str, key: str, found: str, named: str) -> None:
    environ = {"GEOSEG_TORCH_INDEX": value} if value else {}
    assert address(BUILDS[key], environ) == found and named_build(environ) == named
