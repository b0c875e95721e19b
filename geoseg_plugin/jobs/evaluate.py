"""Compare a model with held-out labels, or any map with any labels."""

from __future__ import annotations

from pathlib import Path

from ..contract import EvaluateJob
from .submission import Submission


def evaluate(
    folder: Path, dataset_folder: Path, model: Path | str, split: str = "test", prediction: str = ""
) -> Submission:
    """Write metrics.json, confusion.csv and errors.tif to `folder`.

    Give either `model` or `prediction` (a class raster on the dataset's grid); the other is empty.
    """
    job = EvaluateJob(str(dataset_folder), str(model), prediction, split)
    return Submission(job, folder, "Evaluate on held-out blocks")
