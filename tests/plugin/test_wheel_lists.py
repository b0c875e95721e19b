"""The shipped lists of wheels agree with the requirements, and the check finds what it is for."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from geoseg_plugin.contract import GeoSegError
from geoseg_plugin.engine.setup import wheel_lists
from geoseg_plugin.engine.setup.builds import BUILDS, OFFERED, propose
from geoseg_plugin.engine.setup.machine import Machine
from geoseg_plugin.engine.setup.wheel_lists import lists_for, platform_of, read_list, tool
from geoseg_plugin.paths import plugin_dir

SHIPPED = wheel_lists.wheels_dir()
HASH = "0" * 64


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """scripts/dev/wheel_lists.py, under a name of its own."""
    file = plugin_dir().parent / "scripts" / "dev" / "wheel_lists.py"
    spec = importlib.util.spec_from_file_location("make_wheel_lists", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped lists, to be damaged."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "wheels"))


def change(folder: Path, name: str, old: str, new: str) -> None:
    file = folder / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_shipped_lists_agree_with_the_requirements(script: ModuleType) -> None:
    assert script.problems(SHIPPED) == []


def test_a_release_names_every_wheel_that_is_not_checked(script: ModuleType) -> None:
    """Only PyTorch's own index knows these; no default build of a common machine is among them."""
    found = script.problems(SHIPPED, release=True)
    assert all("has no hash" in line or "has no size" in line for line in found)
    unchecked = {line.partition(":")[0] for line in found if "no hash" in line}
    assert unchecked <= {"linux-arm64-torch-cu130.txt", "linux-x86_64-torch-rocm7.2.txt", "linux-x86_64-torch-xpu.txt",
                         "windows-x86_64-torch-xpu.txt"}  # fmt: skip


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "sum": (lambda root: change(root, "linux-x86_64-base.txt", " bytes", "1 bytes"), "its first line states"),
    "form of a hash": (
        lambda root: change(root, "macos-arm64-base.txt", "--hash=sha256:", "--hash=sha256:x"), "is damaged: line"),
    "another hash": (
        lambda root: change(root, "macos-arm64-base.txt", "--hash=sha256:", "--hash=md5:"), "is damaged: line"),
    "first line": (lambda root: change(root, "windows-x86_64-base.txt", "# windows", "# "), "states that it is"),
    "no first line": (lambda root: change(root, "windows-x86_64-base.txt", "# windows", "x"), "its first line is"),
    "missing": (lambda root: (root / "linux-arm64-torch-cpu.txt").unlink(), "linux-arm64-torch-cpu.txt is missing"),
    "left over": (lambda root: shutil.copy(root / "linux-arm64-torch-cpu.txt", root / "linux-arm64-torch-old.txt"),
                  "belongs to no build"),
    "version": (lambda root: change(root, "linux-x86_64-base.txt", "rasterio==1.4.4", "rasterio==1.4.5"),
                "rasterio 1.4.5 is in the lists, 1.4.4 in the requirements"),
    "constraint": (lambda root: change(root, "linux-x86_64-base.txt", "click==8.5.1", "click==8.5.2"), "click 8.5.2"),
    "torch": (lambda root: change(root, "linux-x86_64-torch-cpu.txt", "+cpu --", "+cu130 --"), "2.13.0+cpu is wanted"),
    "other runtime": (lambda root: shutil.copy(root / "linux-x86_64-runtime-onnxruntime-gpu.txt",
                                               root / "linux-x86_64-runtime-onnxruntime.txt"),
                      "onnxruntime==1.31.1 is wanted"),
    "another file": (lambda root: change(root, "linux-x86_64-base.txt", " scipy-1.17.1", " scipy-1.17.0"),
                     "scipy 1.17.1 is not scipy-1.17.0"),
    "another platform": (
        lambda root: change(root, "linux-x86_64-base.txt", "cp312-manylinux_2_28_x86_64", "cp312-win_amd64"),
                         "does not run on linux-x86_64"),
    "another Python": (lambda root: change(root, "linux-x86_64-base.txt", "-cp312-cp312-", "-cp311-cp311-"),
                       "does not run on linux-x86_64"),
    "damaged tool": (lambda root: change(root, "pip.txt", "--hash=sha256:", "--hash=sha256:x"), "0 hashes"),
    "no tool": (lambda root: (root / "uv.txt").unlink(), "uv.txt is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault: str, script: ModuleType, folder: Path) -> None:
    damage, expected = FAULTS[fault]
    damage(folder)
    found = script.problems(folder)
    assert any(expected in line for line in found), found


def test_two_runtimes_or_a_package_twice_are_found(script: ModuleType, folder: Path) -> None:
    both = read_list(folder / "linux-x86_64-base.txt").wheels
    both += read_list(folder / "linux-x86_64-runtime-onnxruntime-gpu.txt").wheels
    script.write("linux-x86_64", "base", both, folder)
    found = script.problems(folder)
    assert any("flatbuffers stands in the lists 2 times" in line for line in found)
    assert any("'onnxruntime-gpu==1.31.1', 'onnxruntime==1.31.1'" in line or
               "'onnxruntime==1.31.1', 'onnxruntime-gpu==1.31.1'" in line for line in found)  # fmt: skip


def test_a_wheel_without_hash_is_a_problem_in_lists_from_the_default_index(
    script: ModuleType, folder: Path
) -> None:
    first, *others = read_list(folder / "linux-x86_64-base.txt").wheels
    script.write("linux-x86_64", "base", [replace(first, sha256=""), *others], folder)
    assert any("absl-py 2.5.1 has no hash" in line for line in script.problems(folder))


@pytest.mark.parametrize(("system", "processor", "key"), [
    (system, processor, key) for (system, processor), keys in OFFERED.items() for key in keys])  # fmt: skip
def test_every_build_has_its_lists(system: str, processor: str, key: str) -> None:
    machine = Machine(system, processor, (14,) if system == "macos" else (10, 0), (2, 39))  # type: ignore[arg-type]
    build = propose(machine, key).build
    assert build is not None
    lists = lists_for(platform_of(machine), build)
    if (system, key) == ("windows", "xpu"):
        assert lists is None
        return
    assert lists is not None and lists.torch.wheels[0].name == "torch"
    names = [wheel.name for part in lists.all for wheel in part.wheels]
    assert len(names) == len(set(names)) and not {"richdem", "torchvision"} & set(names)
    assert [name for name in names if name.startswith("onnxruntime")] == [build.onnxruntime.partition("=")[0]]
    assert set(lists.unchecked) <= {"torch", "triton-rocm", "triton-xpu"}
    assert propose(machine, key).download_mb >= lists.bytes / 1e6 - 1
    has_libraries = any(part.part.startswith("libraries") for part in lists.others)
    assert has_libraries == (system == "linux" and key in ("cu126", "cu130", "xpu"))


def test_a_set_up_for_cpu_on_linux_downloads_no_cuda() -> None:
    lists = lists_for("linux-x86_64", BUILDS["cpu"])
    assert lists is not None and lists.bytes < 450e6 and lists.unchecked == ()
    assert not [
        wheel.name
        for part in lists.all
        for wheel in part.wheels
        if wheel.name.startswith(("nvidia", "triton"))
    ]


def test_no_list_fits_another_python_or_platform(folder: Path) -> None:
    assert lists_for("linux-x86_64", BUILDS["cpu"], (3, 13)) is None
    assert lists_for("linux-riscv64", BUILDS["cpu"]) is None
    (folder / "linux-x86_64-base.txt").unlink()
    assert lists_for("linux-x86_64", BUILDS["cpu"], folder=folder) is None


def test_a_damaged_list_is_an_error_with_its_name(folder: Path) -> None:
    (folder / "linux-x86_64-base.txt").write_bytes(b"# \xff")
    with pytest.raises(GeoSegError) as raised:
        lists_for("linux-x86_64", BUILDS["cpu"], folder=folder)
    assert raised.value.code == "install_lists" and "linux-x86_64-base.txt" in raised.value.message


def test_lines_may_lack_hash_size_and_name(tmp_path: Path) -> None:
    file = tmp_path / "a-b.txt"
    text = f"# a b: 3 wheels, 7 bytes\n# a note\nx==1 --hash=sha256:{HASH}  # 7 x-1-py3-none-any.whl\ny==2\nz==3\n"
    file.write_text(text, encoding="utf-8")
    found = read_list(file)
    assert (found.bytes, found.unchecked) == (7, ("y", "z")) and found.wheels[1].file == ""


def test_tools_are_pinned_for_every_platform() -> None:
    for platform in wheel_lists.PLATFORMS:
        uv, pip = tool("uv", platform), tool("pip", platform)
        assert uv is not None and pip is not None and pip.file == "pip-26.3-py3-none-any.whl"
        assert uv.version == "0.13.9" and 10e6 < uv.bytes < 30e6
    assert len({tool("uv", platform) for platform in wheel_lists.PLATFORMS}) == len(wheel_lists.PLATFORMS)
    assert tool("uv", "linux-riscv64") is None


LOCK = f"""
[[packages]]
name = "two-wheels"
version = "1.5"
wheels = [
  {{ url = "https://x.example/two_wheels-1.5-py3-none-any.whl", size = 5, hashes = {{ sha256 = "{"1" * 64}" }} }},
  {{ url = "https://x.example/two_wheels-1.5-cp312-abi3-manylinux_2_17_x86_64.whl", size = 6, hashes = {{ sha256 = "{"2" * 64}" }} }},
  {{ url = "https://x.example/two_wheels-1.5-cp312-abi3-win_amd64.whl", size = 7, hashes = {{ sha256 = "{"3" * 64}" }} }},
]
[[packages]]
name = "a"
version = "2.0+cpu"
wheels = [{{ url = "https://x.example/a-2.0%2Bcpu-py3-none-any.whl", size = 1, hashes = {{ sha256 = "{"4" * 64}" }} }}]
"""  # noqa: E501


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for uv")
def test_what_uv_resolves_becomes_one_wheel_a_package(script: ModuleType, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\nwhile [ \"$1\" != --output-file ]; do shift; done\ncat > \"$2\" <<'E'\n{LOCK}\nE\n",
                  encoding="utf-8")  # fmt: skip
    uv.chmod(0o755)
    found = script.resolve(str(uv), "linux-x86_64", ["two-wheels"])
    assert [(wheel.name, wheel.version, wheel.bytes) for wheel in found] == [
        ("a", "2.0+cpu", 1),
        ("two-wheels", "1.5", 6),
    ]
    assert found[0].file == "a-2.0+cpu-py3-none-any.whl"
    assert script.resolve(str(uv), "windows-x86_64", ["two-wheels"])[1].bytes == 7
    assert script.resolve(str(uv), "macos-arm64", ["two-wheels"])[1].bytes == 5
    script.write("linux-x86_64", "part", found, tmp_path, ["A note."])
    assert read_list(tmp_path / "linux-x86_64-part.txt").wheels == tuple(found)
    script.write_tool("two-wheels", "1.5", {name: script.resolve(str(uv), name, ["x"])[1] for name in script.TARGETS},
                      tmp_path)  # fmt: skip
    picked = tool("two-wheels", "windows-x86_64", tmp_path)
    assert picked is not None and (picked.sha256, picked.bytes) == ("3" * 64, 7)


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for uv")
def test_pytorch_comes_from_its_own_index_and_all_else_from_the_default_one(
    script: ModuleType, tmp_path: Path
) -> None:
    uv, log, target = tmp_path / "uv", tmp_path / "log", tmp_path / "wheels"
    read = (
        f"for item; do case $item in */in.txt) tr '\\n' ' ' < $item; esac; done >> '{log}'; echo >> '{log}'"
    )
    made = f"while [ $1 != --output-file ]; do shift; done; cat > $2 <<'E'\n{LOCK}\nE"
    uv.write_text(f"#!/bin/sh\necho $* >> '{log}'\n{read}\n{made}\n", encoding="utf-8")
    uv.chmod(0o755)
    script.make(str(uv), target, with_torch=True)
    lines = log.read_text(encoding="utf-8").splitlines()
    calls = list(zip(lines[::2], lines[1::2], strict=True))
    own = {(call.partition("--default-index ")[2].split()[0].rpartition("/")[2], inputs.strip())
           for call, inputs in calls if "--default-index" in call}  # fmt: skip
    assert own == {(build.index, " ".join((f"torch=={build.torch}", *build.companions)))
                   for build in BUILDS.values() if build.index}  # fmt: skip
    assert all("--no-deps" in call for call, inputs in calls if inputs.startswith("torch=="))
    assert all("--default-index" not in call for call, inputs in calls if "numpy==" in inputs)
    assert {file.name.partition("-torch-")[2] for file in target.glob("*-torch-*")} == {
        f"{key}.txt" for key in BUILDS
    }


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for uv")
def test_what_uv_says_when_it_finds_no_solution_is_shown(script: ModuleType, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho no solution found >&2\nexit 1\n", encoding="utf-8")
    uv.chmod(0o755)
    with pytest.raises(SystemExit, match="no solution found"):
        script.resolve(str(uv), "linux-x86_64", ["x"])
