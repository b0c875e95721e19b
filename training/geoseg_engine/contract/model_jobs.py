"""Jobs that say what a model or this environment is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .job import Job


@dataclass(frozen=True)
class DescribeJob(Job):
    """Read a model's metadata: classes, recipe, metrics, architecture."""

    kind: ClassVar[str] = "describe"
    model: str


@dataclass(frozen=True)
class ProbeJob(Job):
    """Say what this environment can do: versions, devices, honest ONNX Runtime providers, richdem."""

    kind: ClassVar[str] = "probe"
