"""Compare a model with held-out labels, or any map with any labels."""

from __future__ import annotations

from pathlib import Path

from ..contract import Area, EvaluateJob, Labels
from .submission import Submission


def evaluate(
    folder: Path, dataset_folder: Path, model: Path | str, split: str = "test", prediction: str = ""
) -> Submission:
    """Write metrics.json, confusion.csv and errors.tif to `folder`.

    Give either `model` or `prediction` (a class raster on the dataset's grid); the other is empty.
    """
    job = EvaluateJob(str(dataset_folder), str(model), prediction, split)
    return Submission(job, folder, "Evaluate on held-out blocks")


def compare_with_labels(
    folder: Path, prediction: Path, truth: Labels, area: Area, made_by: str = ""
) -> Submission:
    """The same of a class raster and any labels; `made_by` is the model of the raster, if known."""
    job = EvaluateJob(prediction=str(prediction), truth=truth, area=area, made_by=made_by)
    return Submission(job, folder, "Compare a map with labels")
