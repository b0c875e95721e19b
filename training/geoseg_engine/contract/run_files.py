"""The folder of a run can be given instead of the file in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

from .job import Job
from .parameter import params_of

MODEL_FILE, ENCODER_FILE = "model.onnx", "encoder.pt"

J = TypeVar("J", bound=Job)


def file_of_run(text: str, name: str, folder: Path = Path()) -> str:
    """Return the path of a file where the folder that holds it is given; any other text as it is.

    Args:
        text: a path, relative to `folder`, or something else.
        name: of the file that is meant.
    """
    return str(Path(text) / name) if text and (folder / text / name).is_file() else text


def with_files_of_runs(job: J, folder: Path) -> J:
    """Return the job with files where it names folders of runs, in the trainings inside it too.

    Args:
        folder: of the job: its paths are relative to it.
    """
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(job):
        value = getattr(job, field.name)
        if isinstance(value, Job):
            changes[field.name] = with_files_of_runs(value, folder)
        elif isinstance(value, str) and (param := params_of(type(job)).get(field.name)) and param.in_folder:
            changes[field.name] = file_of_run(value, param.in_folder, folder)
    return dataclasses.replace(job, **changes)
