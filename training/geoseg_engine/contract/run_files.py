"""A run's folder stands for the file in it: whoever has trained a model may hand on the folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from .job import Job

MODEL_FILE, ENCODER_FILE = "model.onnx", "encoder.pt"
FILES = {"model": MODEL_FILE, "start_from": MODEL_FILE, "weights": ENCODER_FILE}
"""Field of a job -> the file of a run's folder that is meant."""

J = TypeVar("J", bound=Job)


def file_of_run(text: str, name: str, folder: Path = Path()) -> str:
    """The path of a file where the folder that holds it is given; any other text as it is.

    Args:
        text: a path, relative to `folder`, or something else.
        name: of the file that is meant.
    """
    return str(Path(text) / name) if text and (folder / text / name).is_file() else text


def with_files_of_runs(job: J, folder: Path) -> J:
    """The job with files where it names folders of runs, in the trainings inside it too.

    Args:
        folder: of the job: its paths are relative to it.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(job):
        value = getattr(job, field.name)
        if isinstance(value, Job):
            changes[field.name] = with_files_of_runs(value, folder)
        elif field.name in FILES and isinstance(value, str):
            changes[field.name] = file_of_run(value, FILES[field.name], folder)
    return dataclasses.replace(job, **changes)
