"""Tiny stand-ins for all packages of an environment, their lists of requirements and of wheels, and six indexes.

The indexes of PyTorch's builds hold stale copies of other packages, as the real ones do.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wheel_index import WheelIndex, make_wheel

from geoseg_plugin.engine import environment
from geoseg_plugin.engine.setup import finish, installation, kit, requirement_lists, steps, wheel_lists
from geoseg_plugin.engine.setup.machine import Machine
from geoseg_plugin.engine.setup.places import site_packages
from geoseg_plugin.engine.setup.records import installed

LINUX = Machine("linux", "x86_64", (6, 8), (2, 36))
PLATFORM = "linux-x86_64"
BUILDS = {
    "cpu": (),
    "cu126": ("nvidia-cublas-cu12==12.6",),
    "cu130": ("nvidia-cublas==13.0",),
    "xpu": ("triton-xpu==3.7.1",),
    "rocm7.2": ("triton-rocm==3.7.1",),
}
OTHERS = {
    "numpy": ("2.4.6", ()),
    "filelock": ("4.2.11", ()),
    "shapely": ("2.2.0", ("numpy",)),
    "onnx": ("1.23.2", ("numpy",)),
    "onnxruntime": ("1.31.1", ()),
    "onnxruntime-gpu": ("1.31.1", ()),
    "scikit-learn": ("1.9.1", ("numpy",)),
    "buildtool": ("1.0", ()),
    "richdem": ("0.3.4", ("numpy",)),
    "timm": ("1.0.31", ("torch", "torchvision")),
    "openvino": ("2026.4.1", ()),
    "nvidia-cublas": ("13.0", ()),
    "nvidia-cublas-cu12": ("12.6", ()),
}
LISTS = {
    "build.txt": "buildtool==1.0",
    "numpy1.txt": "numpy==1.26.4",
    "numpy2.txt": "numpy==2.4.6",
    "richdem.txt": "richdem==0.3.4",
    "geo.txt": "shapely==2.2.0",
    "torch.txt": "torch==2.13.0",
    "onnx.txt": "onnx==1.23.2",
    "learn.txt": "scikit-learn==1.9.1",
    "zoo.txt": "torchvision==0.28.0\ntimm==1.0.31",
    "openvino.txt": "openvino==2026.4.1",
    "dev.txt": "buildtool==1.0",
    "constraints.txt": "filelock==4.2.11",
}
UV = b"#!/bin/sh\necho uv 0.13.9\n"


@dataclass
class World:
    """What a set-up sees: the index, the lists, and the engine's answer.

    Attributes:
        index: of wheels.
        training: folder that stands for the engine's.
        probe: what the engine answers; an exception is raised.
    """

    index: WheelIndex
    training: Path
    probe: dict[str, Any] | Exception

    def list(self, name: str, text: str) -> None:
        """Write a list of requirements."""
        (self.training / "requirements" / name).write_text(text + "\n", encoding="utf-8")


def make_packages(root: Path) -> None:
    """Write all wheels."""
    default = root / "default"
    for name, (version, requires) in OTHERS.items():
        make_wheel(default, name, version, requires)
    make_wheel(default, "numpy", "1.26.4")
    shared = {"onnxruntime/capi.py": b"name = 'shared'\n"}
    for name in ("onnxruntime", "onnxruntime-gpu"):
        (default / f"{name.replace('-', '_')}-1.31.1-py3-none-any.whl").unlink()
        make_wheel(default, name, "1.31.1", files={**shared, "onnxruntime/flavour.py": name.encode()})
    make_wheel(default, "torch", "2.13.0", ("filelock", "nvidia-cublas==13.0"))
    make_wheel(default, "torchvision", "0.28.0", ("torch==2.13.0",))
    for key, requires in BUILDS.items():
        make_wheel(root / key, "torch", f"2.13.0+{key}", ("filelock", "numpy", *requires))
        make_wheel(root / key, "torchvision", f"0.28.0+{key}", ("torch==2.13.0",))
        make_wheel(root / key, "numpy", "1.0")
        make_wheel(root / key, "filelock", "3.0")
    make_wheel(root / "xpu", "triton-xpu", "3.7.1")
    make_wheel(root / "rocm7.2", "triton-rocm", "3.7.1")
    make_wheel(default, "uv", "0.13.9", files={"uv-0.13.9.data/scripts/uv": UV})


def make_lists(training: Path, root: Path) -> None:
    """Write the lists of requirements, and those of wheels for a build for CPU and one for CUDA."""
    requirements = training / "requirements"
    (requirements / "wheels").mkdir(parents=True)
    for name, text in LISTS.items():
        (requirements / name).write_text(text + "\n", encoding="utf-8")
    parts = {
        "torch-cpu": [root / "cpu" / "torch-2.13.0+cpu-py3-none-any.whl"],
        "torch-cu130": [root / "cu130" / "torch-2.13.0+cu130-py3-none-any.whl"],
        "libraries-cu130": [root / "default" / "nvidia_cublas-13.0-py3-none-any.whl"],
        "runtime-onnxruntime": [root / "default" / "onnxruntime-1.31.1-py3-none-any.whl"],
        "runtime-onnxruntime-gpu": [root / "default" / "onnxruntime_gpu-1.31.1-py3-none-any.whl"],
        "base": [root / "default" / f"{name.replace('-', '_')}-{OTHERS[name][0]}-py3-none-any.whl"
                 for name in ("numpy", "filelock", "shapely", "onnx", "scikit-learn")],
    }  # fmt: skip
    for part, files in parts.items():
        write_list(requirements / "wheels" / f"{PLATFORM}-{part}.txt", part, files)
    for name, version in (("uv", "0.13.9"), ("pip", "26.3")):
        file = root / "default" / f"{name}-{version}-py3-none-any.whl"
        digest = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "0" * 64
        platform = PLATFORM if name == "uv" else "any"
        text = f"# {platform} {file.stat().st_size if file.exists() else 1} {file.name}\n"
        text += f"{name}=={version} \\\n    --hash=sha256:{digest}\n"
        (requirements / "wheels" / f"{name}.txt").write_text(text, encoding="utf-8")


def write_list(target: Path, part: str, files: list[Path]) -> None:
    """Write a list of wheels."""
    total = sum(file.stat().st_size for file in files)
    lines = [f"# {PLATFORM} {part}: {len(files)} wheels, {total} bytes"]
    for file in files:
        name, version = file.name.split("-")[:2]
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        size = file.stat().st_size
        lines.append(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}  # {size} {file.name}")
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def use(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the set-up see the world's lists, its index and its engine."""
    for module in (environment, finish, installation, requirement_lists, steps, wheel_lists):
        monkeypatch.setattr(module, "training_dir", lambda: world.training)
    for name in ("PIP_FIND_LINKS", "PIP_CERT", "UV_INDEX", "UV_DEFAULT_INDEX", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", world.index.address())
    monkeypatch.setenv("GEOSEG_TORCH_INDEX", world.index.address("").rstrip("/"))

    def probe(python: Path, folder: Path, is_cancelled: Any) -> dict[str, Any]:
        if isinstance(world.probe, Exception):
            raise world.probe
        return world.probe

    monkeypatch.setattr(steps, "run_probe", probe)


def use_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lists of wheels be for the Python that runs the tests."""
    for module in (wheel_lists, installation, kit):
        monkeypatch.setattr(module, "PYTHON", sys.version_info[:2])


def packages(root: Path) -> dict[str, str]:
    """What is installed, without pip and setuptools."""
    found = installed(site_packages(root))
    return {name: version for name, version in found.items() if name not in ("pip", "setuptools")}


def real_uv() -> str:
    """Path of uv; empty if there is none."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.is_file() else shutil.which("uv") or ""
