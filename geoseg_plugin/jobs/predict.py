"""Classify rasters with a trained model, and resume where that was interrupted."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..contract import (
    GeoSegError,
    PredictJob,
    Source,
)
from .submission import Submission
from .train import job_of

FILES = {
    "polygons": "polygons.gpkg",
    "confidence": "confidence.tif",
    "entropy": "entropy.tif",
    "margin": "margin.tif",
    "disagreement": "disagreement.tif",
    "beyond": "beyond.tif",
    "probability": "probability.tif",
}
"""What can be written beside the classes: field of the job -> its file in the folder of the prediction."""
VIEWS_OF = {"none": 1, "flips": 4, "all": 8}
"""Images that test-time augmentation looks at."""


def predict(
    folder: Path,
    model: Path,
    sources: tuple[Source, ...] = (),
    outputs: Collection[str] = ("polygons", "confidence"),
    **settings: Any,
) -> Submission:
    """Write classes.tif, and the `outputs` of FILES, to `folder`.

    Args:
        folder, model: where and with what.
        sources: rasters; none are those of training.
        outputs: keys of FILES.
        settings: further fields of PredictJob.
    """
    files: dict[str, Any] = {key: file for key, file in FILES.items() if key in outputs}
    job = PredictJob(model=str(model), sources=sources, **files, **settings)
    return Submission(job, folder, f"Predict {folder.name}")


def plan(folder: Path, model: Path, sources: tuple[Source, ...] = (), **settings: Any) -> Submission:
    """Return the dry run: which layer fills which input of the model, and what would be written.

    Args:
        folder: gets the job in `jobs/plan`.
        model: file of the model.
        sources: rasters; none are those of training.
        settings: further fields of PredictJob.
    """
    job = PredictJob(model=str(model), sources=sources, dry_run=True, **settings)
    return Submission(job, folder / "jobs" / "plan", "Match layers with the model")


def resume(folder: Path) -> Submission:
    """Return the job that resumes a prediction: the same in the same folder.

    Raises:
        GeoSegError: `no_run` if the folder holds no prediction; `bad_json`, `protocol` if it is not readable.
    """
    job = job_of(folder)
    if not isinstance(job, PredictJob):
        raise GeoSegError("no_run", f"{folder} holds a job of kind {job.kind}.", "Choose a prediction.")
    return Submission(dataclasses.replace(job, resume=True), folder, f"Resume {folder.name}")


def views(tta: str, dropout_passes: int) -> int:
    """Return how often each pixel is predicted; the engine leaves out views that the model was not trained on.

    Args:
        tta: test-time augmentation, a key of VIEWS_OF.
        dropout_passes: MC dropout samples; 0 without.
    """
    return VIEWS_OF.get(tta, 1) * max(dropout_passes, 1)
