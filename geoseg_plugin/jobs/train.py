"""Train a model, or go on with one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ..contract import JOB_FILE, GeoSegError, TrainJob, job_from_json
from .submission import Submission


def train(run_folder: Path, dataset_folder: Path, **settings: Any) -> Submission:
    """Train on a dataset; `settings` are the fields of TrainJob."""
    job = TrainJob(dataset=str(dataset_folder), **settings)
    return Submission(job, run_folder, f"Train {run_folder.name}")


def resume(run_folder: Path) -> Submission:
    """Continue a run from its last epoch: the same job with `resume`.

    Raises:
        GeoSegError: `no_run` if the folder holds no training job; `bad_json`, `protocol` if it is not readable.
    """
    job_file = run_folder / JOB_FILE
    try:
        job = job_from_json(json.loads(job_file.read_text(encoding="utf-8")))
    except (OSError, json.JSONDecodeError) as error:
        raise GeoSegError("no_run", f"{job_file} cannot be read: {error}.", "Choose another run.") from error
    if not isinstance(job, TrainJob):
        raise GeoSegError("no_run", f"{run_folder} holds a job of kind {job.kind}.", "Choose a training run.")
    return Submission(dataclasses.replace(job, resume=True), run_folder, f"Resume {run_folder.name}")
