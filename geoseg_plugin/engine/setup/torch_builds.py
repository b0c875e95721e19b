"""Builds of PyTorch: which exist for which system, and from which index they come."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

TORCH, ONNXRUNTIME = "2.13.0", "1.31.1"
BASE_ADDRESS = "https://download.pytorch.org/whl"
BASE_VARIABLE = "GEOSEG_TORCH_INDEX"
BUILD_NAME = re.compile(r"cpu|cu\d{2,3}|rocm\d+(\.\d+)*|xpu")


@dataclass(frozen=True)
class Build:
    """One build of PyTorch with the ONNX Runtime that goes with it.

    Attributes:
        key: `cpu`, `cu126`, `cu130`, `rocm7.2`, `xpu` or `mps`.
        title: for people.
        torch: exact version, with its local part where its index has one: `2.13.0+cu130`.
        index: part of the address below the base: `cu130`; empty is the user's default index.
        onnxruntime: exactly one requirement.
        experimental: offered, never taken without being chosen.
        companions: what else has to come from that index, exactly.
    """

    key: str
    title: str
    torch: str
    index: str
    onnxruntime: str = f"onnxruntime=={ONNXRUNTIME}"
    experimental: bool = False
    companions: tuple[str, ...] = ()


BUILDS = {
    build.key: build
    for build in (
        Build("cpu", "PyTorch for CPU", f"{TORCH}+cpu", "cpu"),
        Build("cu126", "PyTorch for NVIDIA GPUs, CUDA 12.6", f"{TORCH}+cu126", "cu126"),
        Build("cu130", "PyTorch for NVIDIA GPUs, CUDA 13.0", f"{TORCH}+cu130", "cu130",
              f"onnxruntime-gpu=={ONNXRUNTIME}"),
        Build("rocm7.2", "PyTorch for AMD GPUs, ROCm 7.2", f"{TORCH}+rocm7.2", "rocm7.2", experimental=True,
              companions=("triton-rocm==3.7.1",)),
        Build("xpu", "PyTorch for Intel GPUs", f"{TORCH}+xpu", "xpu", experimental=True,
              companions=("triton-xpu==3.7.2",)),
        Build("mps", "PyTorch for Apple silicon", TORCH, ""),
    )
}  # fmt: skip
OFFERED = {
    ("linux", "x86_64"): ("cpu", "cu130", "cu126", "rocm7.2", "xpu"),
    ("linux", "arm64"): ("cpu", "cu130"),
    ("windows", "x86_64"): ("cpu", "cu130", "cu126", "xpu"),
    ("macos", "arm64"): ("mps",),
}
"""System and processor -> builds that exist for it."""


def address(build: Build, environ: Mapping[str, str] | None = None) -> str:
    """Return the address of a build's index; empty is the user's default index.

    Args:
        build: whose index is wanted.
        environ: variables; GEOSEG_TORCH_INDEX replaces the base address. Where it already ends with the name of
            a build, it is the index itself.
    """
    base = (os.environ if environ is None else environ).get(BASE_VARIABLE, "").strip().rstrip("/")
    if base and BUILD_NAME.fullmatch(base.rpartition("/")[2]):
        return base
    return f"{base or BASE_ADDRESS}/{build.index}" if build.index else ""


def named_build(environ: Mapping[str, str] | None = None) -> str:
    """Return the build that GEOSEG_TORCH_INDEX ends with (`…/whl/cu126`); empty if it is unset or a base address."""
    last = (
        (os.environ if environ is None else environ)
        .get(BASE_VARIABLE, "")
        .strip()
        .rstrip("/")
        .rpartition("/")[2]
    )
    return last if last in BUILDS else ""
