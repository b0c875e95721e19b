"""Make the lists of wheels in training/requirements/wheels, or check them.

    python scripts/dev/wheel_lists.py --uv PATH          resolve every platform (the default index must be reachable)
    python scripts/dev/wheel_lists.py --uv PATH --torch  also PyTorch's wheels (its index must be reachable)
    python scripts/dev/wheel_lists.py --check [--release]  without a network

Without `--torch` the lists `torch-<build>` stay as they are. A hash in them that did not come from the index itself is
one that at least two independent public lock files state.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from geoseg_plugin.contract import GeoSegError  # noqa: E402
from geoseg_plugin.engine.setup import wheel_lists  # noqa: E402
from geoseg_plugin.engine.setup.torch_builds import BUILDS, OFFERED, Build, address  # noqa: E402
from geoseg_plugin.engine.setup.wheel_lists import PYTHON, Wheel, WheelList  # noqa: E402

REQUIREMENTS = ROOT / "training" / "requirements"
INPUTS = ("numpy2.txt", "geo.txt", "learn.txt", "onnx.txt", "torch.txt")
CONSTRAINTS = ("constraints.txt", "build.txt")
TARGETS = {"linux-x86_64": "x86_64-manylinux_2_28", "linux-arm64": "aarch64-manylinux_2_28",
           "windows-x86_64": "x86_64-pc-windows-msvc", "macos-arm64": "aarch64-apple-darwin"}  # fmt: skip
"""Platform of a list -> uv's name for it."""
MACOS = "14.0"
GPU_ONLY = re.compile(r"torch|triton.*|nvidia-.*|cuda-.*")
"""Packages that only PyTorch's builds for NVIDIA need, and PyTorch itself."""
TOOLKIT = "cublas,cudart,cufft,cufile,cupti,curand,cusolver,cusparse,nvjitlink,nvrtc,nvtx"
ONEAPI = "2026.0.0"
LIBRARIES = {
    "linux-x86_64 cu126": (
        f"cuda-toolkit[{TOOLKIT}]==12.6.3", "cuda-bindings>=12.9.4,<13", "nvidia-cudnn-cu12==9.10.2.21",
        "nvidia-cusparselt-cu12==0.7.1", "nvidia-nccl-cu12==2.29.3", "nvidia-nvshmem-cu12==3.4.5", "triton==3.7.1"),
    "linux-x86_64 xpu": (
        *(f"{name}=={ONEAPI}" for name in (
            "intel-cmplr-lib-rt", "intel-cmplr-lib-ur", "intel-cmplr-lic-rt", "intel-sycl-rt", "onemkl-license",
            "onemkl-sycl-blas", "onemkl-sycl-dft", "onemkl-sycl-lapack", "onemkl-sycl-rng", "onemkl-sycl-sparse",
            "dpcpp-cpp-rt", "intel-opencl-rt", "mkl", "intel-openmp")),
        "oneccl-devel==2022.0.0", "oneccl==2022.0.0", "impi-rt==2021.18.0", "tbb==2023.0.0", "tcmlib==1.5.0",
        "umf==1.1.0", "intel-pti==0.17.0", "pyzes==0.1.1"),
}  # fmt: skip
"""What PyTorch's wheels state as their requirements, where no wheel of the default index states it: those for CUDA
13.0 are those of the default index's wheel for Linux. For XPU on Windows they are not known: it gets no list."""
TOOLS = {"uv": "0.13.9", "pip": "26.3"}


def targets() -> Iterator[tuple[str, Build]]:
    """Each platform with each build that is offered on it."""
    for (system, processor), keys in OFFERED.items():
        for key in keys:
            build = BUILDS[key]
            yield (
                f"{system}-{processor}",
                build if processor == "x86_64" else replace(build, onnxruntime=BUILDS["cpu"].onnxruntime),
            )


def runtime_of(build: Build) -> str:
    """The package of ONNX Runtime: `onnxruntime` or `onnxruntime-gpu`."""
    return build.onnxruntime.partition("=")[0]


def resolve(uv: str, platform: str, requirements: Sequence[str], *options: str) -> list[Wheel]:
    """Resolve requirements for a platform; one wheel a package, sorted by name.

    Args:
        uv: the program.
        platform: key of `TARGETS`.
        requirements: lines of a requirements file.
        options: further arguments, e.g. another index.

    Raises:
        SystemExit: if uv fails; with what it printed.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, lock = Path(folder) / "in.txt", Path(folder) / "pylock.toml"
        source.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [uv, "pip", "compile", "--quiet", "--python-platform", TARGETS[platform], "--python-version",
                   ".".join(str(part) for part in PYTHON), "--only-binary", ":all:", "--format", "pylock.toml",
                   "--output-file", str(lock), *options, str(source)]  # fmt: skip
        for name in CONSTRAINTS:
            command += ["--constraints", str(REQUIREMENTS / name)]
        environ = {**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS}
        done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            raise SystemExit(f"{platform}: {done.stderr}")
        packages = tomllib.loads(lock.read_text(encoding="utf-8"))["packages"]
    return sorted((best(platform, package) for package in packages), key=lambda wheel: wheel.name)


def best(platform: str, package: dict[str, Any]) -> Wheel:
    """Choose the wheel of a package that an installer would take on a platform.

    Args:
        platform: key of `TARGETS`.
        package: entry of a pylock.toml.
    """
    from packaging.utils import parse_wheel_filename

    order = {tag: rank for rank, tag in enumerate(supported_tags(platform))}
    ranked = []
    for item in package["wheels"]:
        file = item.get("name") or item["url"].rpartition("/")[2].replace("%2B", "+")
        ranks = [order[str(tag)] for tag in parse_wheel_filename(file)[3] if str(tag) in order]
        if ranks:
            ranked.append((min(ranks), file, item))
    if not ranked:
        raise SystemExit(f"{platform}: {package['name']} {package['version']} has no wheel")
    _, file, item = min(ranked, key=lambda entry: entry[:2])
    return Wheel(package["name"], package["version"], item["hashes"].get("sha256", ""),
                 item.get("size") or size_of(item["url"]), file)  # fmt: skip


def supported_tags(platform: str) -> Iterator[str]:
    """Tags of wheels that run on a platform with the Python of the lists, the best first."""
    from packaging.tags import compatible_tags, cpython_tags, mac_platforms

    if platform.startswith("linux"):
        processor = "x86_64" if platform.endswith("x86_64") else "aarch64"
        names = [f"manylinux_2_{minor}_{processor}" for minor in range(28, 4, -1)]
        names += [f"manylinux{year}_{processor}" for year in ("2014", "2010", "1")] + [f"linux_{processor}"]
    elif platform.startswith("macos"):
        names = list(mac_platforms((14, 0), "arm64"))
    else:
        names = ["win_amd64"]
    yield from map(str, cpython_tags(PYTHON, platforms=names))
    yield from map(str, compatible_tags(PYTHON, "cp312", names))


def size_of(url: str) -> int:
    """Size of a file that an index lists without its size; 0 if it is not told."""
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=60) as answer:
        return int(answer.headers.get("Content-Length") or 0)


def write(platform: str, part: str, wheels: Sequence[Wheel], folder: Path, notes: Iterable[str] = ()) -> None:
    """Write a list under a temporary name, then rename it.

    Args:
        platform, part: of the list.
        wheels: its wheels.
        folder: of the lists.
        notes: comment lines below the first.
    """
    lines = [f"# {platform} {part}: {len(wheels)} wheels, {sum(wheel.bytes for wheel in wheels)} bytes"]
    lines += [f"# {note}" for note in notes]
    for wheel in wheels:
        checked = f" --hash=sha256:{wheel.sha256}" if wheel.sha256 else ""
        size = f"  # {wheel.bytes} {wheel.file}" if wheel.file else ""
        lines.append(f"{wheel.name}=={wheel.version}{checked}{size}")
    partial = folder / f"{platform}-{part}.txt.part"
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(folder / f"{platform}-{part}.txt")


def make(uv: str, folder: Path, with_torch: bool) -> None:
    """Resolve all platforms and write their lists.

    Args:
        uv: the program.
        folder: of the lists.
        with_torch: also the lists of PyTorch's own wheels, from its index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [line for name in INPUTS for line in pins(REQUIREMENTS / name, whole=True)]
    for platform in TARGETS:
        found = resolve(uv, platform, inputs)
        base = [wheel for wheel in found if not GPU_ONLY.fullmatch(wheel.name)]
        known = {wheel.name for wheel in base}
        write(platform, "base", base, folder)
        for build in [item for place, item in targets() if place == platform]:
            wanted = resolve(uv, platform, [*inputs, build.onnxruntime])
            write(platform, f"runtime-{runtime_of(build)}",
                  [wheel for wheel in wanted if wheel.name not in known and not GPU_ONLY.fullmatch(wheel.name)],
                  folder)  # fmt: skip
            if (needs := libraries(uv, platform, build, found)) is not None:
                own = [wheel for wheel in needs if wheel.name not in known | {"torch"}]
                write(platform, f"libraries-{build.key}", own, folder)
            if with_torch or build.key == "mps":
                index = ("--default-index", address(build, {})) if build.index else ()
                exact = [f"torch=={build.torch}", *build.companions]
                write(
                    platform, f"torch-{build.key}", resolve(uv, platform, exact, "--no-deps", *index), folder
                )
    for name, version in TOOLS.items():
        write_tool(name, version, {platform: resolve(uv, platform, [f"{name}=={version}"])[0] for platform in TARGETS},
                   folder)  # fmt: skip


def libraries(uv: str, platform: str, build: Build, found: list[Wheel]) -> list[Wheel] | None:
    """Resolve what a build needs besides PyTorch; None if that is nothing, or not known.

    Args:
        uv: the program.
        platform: key of `TARGETS`.
        build: of PyTorch.
        found: what the default index's PyTorch needs on this platform.
    """
    if not wheel_lists.needs_libraries(platform, build.key):
        return None
    if build.key == "cu130":
        return found
    stated = LIBRARIES.get(f"{platform} {build.key}")
    return resolve(uv, platform, stated) if stated else None


def write_tool(name: str, version: str, wheels: dict[str, Wheel], folder: Path) -> None:
    """Write the pins of a tool: one requirement with a hash for each platform, in the order of the comments."""
    if len({wheel.file for wheel in wheels.values()}) == 1:
        wheels = {"any": next(iter(wheels.values()))}
    lines = [f"# {platform} {wheel.bytes} {wheel.file}" for platform, wheel in wheels.items()]
    lines.append(f"{name}=={version} \\")
    lines += [f"    --hash=sha256:{wheel.sha256} \\" for wheel in wheels.values()]
    partial = folder / f"{name}.txt.part"
    partial.write_text("\n".join(lines).removesuffix(" \\") + "\n", encoding="utf-8")
    partial.replace(folder / f"{name}.txt")


def pins(file: Path, whole: bool = False) -> list[str]:
    """Lines of a requirements file without comments; with `whole` as they are, else names made equal.

    Args:
        file: of requirements.
        whole: keep the spelling.
    """
    lines = [line.partition(" #")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    return kept if whole else [re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() + "==" +
                               line.partition("==")[2] for line in kept]  # fmt: skip


def problems(folder: Path, release: bool = False) -> list[str]:
    """Check all lists; needs no network.

    Args:
        folder: of the lists.
        release: also that every wheel has a hash and a size.

    Returns:
        What is wrong, a sentence each; empty if nothing is.
    """
    found: list[str] = []
    read: dict[str, WheelList] = {}
    for file in sorted(folder.glob("*-*.txt")):
        try:
            read[file.name] = wheel_lists.read_list(file)
        except GeoSegError as error:
            found.append(error.message)
    for item in read.values():
        found += list_problems(item, release)
    for name, version in TOOLS.items():
        found += tool_problems(folder, name, version)
    wanted = pinned()
    seen: set[str] = set()
    for platform, build in targets():
        runtime = f"{platform}-runtime-{runtime_of(build)}.txt"
        names = [f"{platform}-base.txt", runtime, f"{platform}-torch-{build.key}.txt"]
        if (build.key == "cu130" and platform.startswith("linux")) or f"{platform} {build.key}" in LIBRARIES:
            names.append(f"{platform}-libraries-{build.key}.txt")
        found += [f"{name} is missing." for name in names if name not in read]
        found += set_problems(
            f"{platform} {build.key}", [read[name] for name in names if name in read], build, wanted
        )
        seen |= set(names)
    return found + [f"{name} belongs to no build." for name in read if name not in seen]


def pinned() -> dict[str, str]:
    """Package -> version that requirements and constraints state."""
    files = [REQUIREMENTS / name for name in (*INPUTS, *CONSTRAINTS)]
    return dict(line.split("==") for file in files for line in pins(file) if "==" in line)


def list_problems(item: WheelList, release: bool) -> Iterator[str]:
    """What is wrong within one list."""
    name = item.path.name
    if name != f"{item.platform}-{item.part}.txt":
        yield f"{name} states that it is {item.platform} {item.part}."
    for wheel in item.wheels:
        if wheel.file:
            yield from file_problems(item, wheel)
        if not wheel.sha256 and (release or not item.part.startswith("torch-")):
            yield f"{name}: {wheel.name} {wheel.version} has no hash."
        if not wheel.bytes and (release or not item.part.startswith("torch-")):
            yield f"{name}: {wheel.name} {wheel.version} has no size."


def file_problems(item: WheelList, wheel: Wheel) -> Iterator[str]:
    """What is wrong with the file name of a wheel."""
    parts = wheel.file.split("-")
    if (re.sub(r"[-_.]+", "-", parts[0]).lower(), parts[1]) != (wheel.name, wheel.version):
        yield f"{item.path.name}: {wheel.name} {wheel.version} is not {wheel.file}."
    tags = {f"{python}-{abi}-{place}" for python in parts[-3].split(".") for abi in parts[-2].split(".")
            for place in parts[-1].removesuffix(".whl").split(".")}  # fmt: skip
    if item.platform in TARGETS and not tags & set(supported_tags(item.platform)):
        yield f"{item.path.name}: {wheel.file} does not run on {item.platform}."


def set_problems(
    title: str, lists: Sequence[WheelList], build: Build, wanted: dict[str, str]
) -> Iterator[str]:
    """What is wrong with the lists that are installed together."""
    wheels = [wheel for item in lists for wheel in item.wheels]
    names = [wheel.name for wheel in wheels]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{title}: {name} stands in the lists {names.count(name)} times."
    runtimes = [f"{wheel.name}=={wheel.version}" for wheel in wheels if wheel.name.startswith("onnxruntime")]
    if runtimes != [build.onnxruntime]:
        yield f"{title}: {build.onnxruntime} is wanted, and {runtimes} in the lists."
    versions = {wheel.name: wheel.version for wheel in wheels}
    if versions.get("torch") != build.torch:
        yield f"{title}: PyTorch {build.torch} is wanted, and {versions.get('torch')} in the lists."
    for name, version in versions.items():
        if name in wanted and name != "torch" and wanted[name] != version:
            yield f"{title}: {name} {version} is in the lists, {wanted[name]} in the requirements."
    for line in (line for name in INPUTS for line in pins(REQUIREMENTS / name)):
        if line.partition("==")[0] not in versions:
            yield f"{title}: {line} is not in the lists."


def tool_problems(folder: Path, name: str, version: str) -> Iterator[str]:
    """What is wrong with the pins of a tool."""
    for platform in TARGETS:
        try:
            wheel = wheel_lists.tool(name, platform, folder)
        except GeoSegError as error:
            yield error.message
            return
        if wheel is None or wheel.version != version or not wheel.file.startswith(f"{name}-{version}-"):
            yield f"{name}.txt has no wheel of {name} {version} for {platform}."


def main() -> int:
    """Make or check the lists. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the lists of wheels, or check them.")
    parser.add_argument("--uv", default="uv", help="the program uv")
    parser.add_argument("--torch", action="store_true", help="also PyTorch's own wheels, from its index")
    parser.add_argument("--check", action="store_true", help="only check; needs no network")
    parser.add_argument("--release", action="store_true", help="a wheel without hash is a problem")
    parser.add_argument("--folder", type=Path, default=REQUIREMENTS / "wheels")
    options = parser.parse_args()
    if not options.check:
        make(options.uv, options.folder, options.torch)
    found = problems(options.folder, options.release)
    for line in found:
        print(line)
    for platform, build in targets():
        if not found and (lists := wheel_lists.lists_for(platform, build, folder=options.folder)):
            count = sum(len(part.wheels) for part in lists.all)
            print(f"{platform} {build.key}: {count} wheels, {lists.bytes / 1e6:.0f} MB")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
