"""Jobs that report what a model or this environment is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from .job import Job
from .parameter import Param
from .run_files import MODEL_FILE


@dataclass(frozen=True)
class DescribeJob(Job):
    """Read a model's metadata: classes, recipe, metrics, architecture."""

    kind: ClassVar[str] = "describe"
    worker: ClassVar[str] = "modelfile.reading"
    title: ClassVar[str] = "Describe a model"
    phases: ClassVar[dict[str, str]] = {"describe": "Reading the model"}

    model: Annotated[str, Param("Model", "model.onnx.", reads=True, in_folder=MODEL_FILE)]


@dataclass(frozen=True)
class ProbeJob(Job):
    """Report what this environment can do: versions, devices, ONNX Runtime providers that work, richdem."""

    kind: ClassVar[str] = "probe"
    worker: ClassVar[str] = "probe"
    title: ClassVar[str] = "Check the engine"
    phases: ClassVar[dict[str, str]] = {"probe": "Checking the engine"}
