"""What is installed in an environment, read from its records, and what PyTorch asks for."""

from __future__ import annotations

import re
from pathlib import Path

from .records import installed, normalized

FLAVOURS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-rocm", "onnxruntime-migraphx", "onnxruntime-openvino",
            "onnxruntime-directml")  # fmt: skip
"""Packages that write into the same folder: only one of them may be installed."""
_ACCELERATOR = re.compile(
    r"nvidia-|cuda-|triton|pytorch-triton|intel-|onemkl|dpcpp|impi-|oneccl|tcmlib|umf$|mkl$|tbb$"
)
_INDEXED = re.compile(r"(?:pytorch-)?triton-")
"""Packages of PyTorch's family that only its own index has; plain `triton` is in every index."""


def required(site: Path, package: str) -> list[str]:
    """Return the requirements of an installed package, without those of its extras.

    Args:
        site: folder of the packages.
        package: normalized name.
    """
    for folder in site.glob("*.dist-info"):
        if normalized(folder.name.partition("-")[0]) == package and (folder / "METADATA").is_file():
            text = (folder / "METADATA").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
            found = re.findall(r"^Requires-Dist: (.+)$", text, re.MULTILINE)
            return [line.strip() for line in found if not re.search(r"extra\s*==", line)]
    return []


def name_of(requirement: str) -> str:
    """Return the normalized name in a requirement: `triton==3.7; sys_platform == "linux"` is `triton`."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return normalized(found.group()) if found else ""


def torch_companions(site: Path) -> list[str]:
    """Return what the installed PyTorch requires and only its own index has."""
    return [
        line.replace(" (", "").replace(")", "")
        for line in required(site, "torch")
        if _INDEXED.match(name_of(line))
    ]


def torch_leftovers(site: Path) -> list[str]:
    """Return packages of another build of PyTorch that the installed one does not require."""
    needed = {name_of(line) for line in required(site, "torch")}
    return [name for name in installed(site) if _ACCELERATOR.match(name) and name not in needed]


def other_flavours(site: Path, wanted: str) -> list[str]:
    """Return the ONNX Runtime packages that must go before the wanted one is installed.

    Removing one takes files of the other with it, so that where two are installed both go.

    Args:
        site: folder of the packages.
        wanted: normalized name.
    """
    found = [name for name in FLAVOURS if name in installed(site)]
    return [] if found == [wanted] else found
