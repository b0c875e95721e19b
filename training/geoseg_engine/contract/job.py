"""What all jobs are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar

from .errors import Problem
from .parameter import Param, range_problems

HARDWARE, OTHER = "Hardware", "Other"
DEVICE_NAMES = "auto, cpu, cuda, cuda:0, mps, xpu or xpu:0"
MAX_SEED = 2**32 - 1
"""Largest seed that numpy and scikit-learn take."""
RASTERS, POLYGONS = (".tif", ".tiff"), (".gpkg",)
"""Suffixes of results."""


@dataclass(frozen=True)
class Job:
    """Base of all jobs. Relative paths are relative to the job folder.

    Attributes:
        kind: name of the job in job.json and in the shell.
        worker: engine module whose `run(job, folder, channel)` does it and returns the result.
        title: on screen.
        phases: phase of a progress event -> what is shown while it lasts.
        leaves: files that it writes into its output folder and that a job of its kind also reads.
        layers: layer of a GeoPackage that it writes -> a field by which a layer of ours is known.
    """

    kind: ClassVar[str] = ""
    worker: ClassVar[str] = ""
    title: ClassVar[str] = ""
    phases: ClassVar[dict[str, str]] = {}
    leaves: ClassVar[tuple[str, ...]] = ()
    layers: ClassVar[dict[str, str]] = {}

    def problems(self) -> list[Problem]:
        """List everything wrong that can be known without opening a file."""
        return [*range_problems(self), *device_problems(getattr(self, "device", "auto"))]


def device_problems(device: str) -> list[Problem]:
    """List what is wrong with the name of a device."""
    if re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", device):
        return []
    return [Problem("device", f"'{device}' is no device.", f"Write {DEVICE_NAMES}.")]


SEED = Annotated[
    int,
    Param(
        "Seed",
        "The same seed gives the same result on one device, at a fixed precision and without a time limit.",
        low=0,
        high=MAX_SEED,
        group=OTHER,
        guide="seed-and-resume",
        fixed=True,
    ),
]
DEVICE = Annotated[
    str,
    Param(
        "Device",
        "A GPU is 20 to 100 times faster; where there are several, cuda:1 is the second.",
        labels={
            "auto": "automatic (GPU if there is one)",
            "cpu": "CPU",
            "cuda": "NVIDIA or AMD GPU",
            "mps": "Apple GPU",
            "xpu": "Intel GPU",
        },
        group=HARDWARE,
        guide="engine",
    ),
]
