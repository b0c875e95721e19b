"""What the folders of the workspace record: the dataset of a run, its report, the job behind a map."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..contract import (
    CrossValidateJob,
    Dataset,
    ForestJob,
    GeoSegError,
    PredictJob,
    SearchJob,
    TrainJob,
)
from ..jobs import train
from ..layers import publish
from .texts import tr


def read_dataset(folder: Path | None) -> Dataset | None:
    """Return the dataset of a folder; None if it has no tiles yet or cannot be read."""
    if folder is None or not (folder / "dataset.json").exists():
        return None
    try:
        return publish.read_dataset(folder)
    except GeoSegError:
        return None


def dataset_of(run: Path) -> Path:
    """Return the dataset that a run was trained on.

    Raises:
        GeoSegError: `no_run` if the run's record is missing, `no_dataset` if the dataset is gone,
            `seen_ground` if the run is a cross-validation.
    """
    try:
        job = train.job_of(run)
    except GeoSegError as error:
        raise GeoSegError("no_run", tr("The record of run {} cannot be read.").format(run.name),
                          tr("Choose another run.")) from error  # fmt: skip
    if isinstance(job, CrossValidateJob):
        raise GeoSegError("seen_ground", tr("The folds were trained on all labelled pixels: none are held out."),
                          tr("The scores shown are those of each fold on its own test blocks."))  # fmt: skip
    if isinstance(job, SearchJob):
        job = job.training
    if not isinstance(job, (TrainJob, ForestJob)):
        raise GeoSegError("no_run", tr("{} holds no trained model.").format(run.name),
                          tr("Choose another run."))  # fmt: skip
    dataset = Path(job.dataset)
    if not dataset.exists():
        raise GeoSegError("no_dataset", tr("The dataset {} of this run is gone.").format(dataset),
                          tr("Put it back, or train on another dataset."))  # fmt: skip
    return dataset


def evaluation_folder(run: Path) -> Path:
    """Return the folder in which a run keeps its evaluation."""
    return run / "evaluation"


def report_of(run: Path, evaluation: Mapping[str, Any]) -> Path:
    """Return the report of a run, or its folder where there is none.

    Args:
        run: folder of the run.
        evaluation: result of its last evaluation; empty without one.
    """
    named = evaluation.get("report")
    places = (
        *([Path(named)] if named else []),
        evaluation_folder(run) / "report.html",
        run / "report.html",
        evaluation_folder(run),
    )
    return next((place for place in places if place.is_absolute() and place.exists()), run)


def prediction_job(folder: Path) -> PredictJob | None:
    """Return the job that made a prediction; None if the folder holds none."""
    try:
        job = train.job_of(folder)
    except GeoSegError:
        return None
    return job if isinstance(job, PredictJob) else None
