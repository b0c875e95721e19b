"""Train a model or a baseline, resume a run, plan a training, pretrain an encoder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..contract import (
    JOB_FILE,
    ForestJob,
    GeoSegError,
    Job,
    PretrainJob,
    PreviewJob,
    TrainJob,
    kept_json,
    read_job,
)
from .submission import Submission

MODEL, METRICS, ENCODER = "model.onnx", "metrics.json", "encoder.pt"
NETWORK_KEYS = ("encoder", "decoder", "width", "levels", "norm")
"""Entries of a stored architecture that are fields of TrainJob by the same name."""


def train(run_folder: Path, dataset_folder: Path, **settings: Any) -> Submission:
    """Return the job that trains a network on a dataset.

    Args:
        run_folder: gets the run.
        dataset_folder: of the dataset.
        settings: further fields of TrainJob.
    """
    job = TrainJob(dataset=str(dataset_folder), **settings)
    return Submission(job, run_folder, f"Train {run_folder.name}")


def forest(run_folder: Path, dataset_folder: Path, **settings: Any) -> Submission:
    """Return the job that trains a baseline on a dataset.

    Args:
        run_folder: gets the run.
        dataset_folder: of the dataset.
        settings: further fields of ForestJob.
    """
    job = ForestJob(dataset=str(dataset_folder), **settings)
    return Submission(job, run_folder, f"Train {run_folder.name}")


def pretrain(run_folder: Path, dataset_folder: Path, **settings: Any) -> Submission:
    """Return the job that pretrains encoder weights on the stack of a dataset.

    Args:
        run_folder: gets the run.
        dataset_folder: of the dataset.
        settings: further fields of PretrainJob.
    """
    job = PretrainJob(dataset=str(dataset_folder), **settings)
    return Submission(job, run_folder, f"Make encoder weights {run_folder.name}")


def preview(folder: Path, training: TrainJob, tiles: int = 6) -> Submission:
    """Return the job that draws crops as a training would see them.

    Args:
        folder: gets the crops.
        training: whose crops are drawn.
        tiles: number of crops.
    """
    return Submission(PreviewJob(training, tiles), folder, "Preview crops")


def plan(folder: Path, job: TrainJob | ForestJob) -> Submission:
    """Return the dry run of a training: its settings with their reasons, and how long it would take.

    Args:
        folder: gets the plan.
        job: the training.
    """
    return Submission(dataclasses.replace(job, dry_run=True, output="."), folder, "Plan the training")


def again(dataset_folder: Path, model: Path, **settings: Any) -> TrainJob:
    """The job of an earlier run once more, from its weights, on a dataset with more labels.

    Args:
        dataset_folder: what to train on now.
        model: model.onnx in the folder of the earlier run.
        settings: fields of TrainJob that go before those of the earlier run.

    Raises:
        GeoSegError: `no_run` if there is no training job beside the model.
    """
    job = job_of(model.parent)
    if not isinstance(job, TrainJob):
        raise GeoSegError("no_run", f"{model.parent} holds no training of a network.", "Choose another run.")
    fixed = {"dataset": str(dataset_folder), "start_from": str(model), "weights": "", "output": "."}
    return dataclasses.replace(
        job, **{**network_of(model), **settings, **fixed, "resume": False, "dry_run": False}
    )


def network_of(model: Path) -> dict[str, Any]:
    """The network of a model as fields of TrainJob, from the record beside it; empty where there is none."""
    metrics = kept_json(model.parent / METRICS)
    stored = metrics.get("architecture") if isinstance(metrics, dict) else None
    if not isinstance(stored, dict) or not stored.get("name"):
        return {}
    return {"architecture": stored["name"], **{key: stored[key] for key in NETWORK_KEYS if stored.get(key)}}


def resume(run_folder: Path) -> Submission:
    """Continue a run from its last epoch: the same job with `resume`.

    Raises:
        GeoSegError: `no_run` if the folder holds no training job; `bad_json`, `protocol` if it is not readable.
    """
    job = job_of(run_folder)
    if not isinstance(job, TrainJob):
        raise GeoSegError("no_run", f"{run_folder} holds a job of kind {job.kind}.", "Choose a training run.")
    return Submission(dataclasses.replace(job, resume=True), run_folder, f"Resume {run_folder.name}")


def job_of(run_folder: Path) -> Job:
    """The job that made a run.

    Raises:
        GeoSegError: `no_run` if there is none; `protocol`, `unknown_job` if it is not readable.
    """
    job_file = run_folder / JOB_FILE
    try:
        return read_job(job_file)
    except OSError as error:
        raise GeoSegError("no_run", f"{job_file} cannot be read: {error}.", "Choose another run.") from error
