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
    encode,
)
from .submission import Submission
from .train import METRICS, job_of
from .workspace import kept_in, result_of

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
    """Go on with a prediction: the same job in the same folder.

    Raises:
        GeoSegError: `no_run` if the folder holds no prediction; `bad_json`, `protocol` if it is not readable.
    """
    job = job_of(folder)
    if not isinstance(job, PredictJob):
        raise GeoSegError("no_run", f"{folder} holds a job of kind {job.kind}.", "Choose a prediction.")
    return Submission(dataclasses.replace(job, resume=True), folder, f"Resume {folder.name}")


def has_parts(folder: Path) -> bool:
    """Whether an interrupted prediction left something to go on from."""
    return any(folder.glob(".predict-*")) or (folder / "classes.tif").exists()


def views(tta: str, dropout_passes: int) -> int:
    """Return how often each pixel is predicted; the engine leaves out views that the model was not trained on.

    Args:
        tta: test-time augmentation, a key of VIEWS_OF.
        dropout_passes: MC dropout samples; 0 without.
    """
    return VIEWS_OF.get(tta, 1) * max(dropout_passes, 1)


def pace_of(folder: Path, model: Path) -> float | None:
    """Return the megapixels per second and view that a finished prediction reached; None if it used another model.

    Args:
        folder: of the prediction.
        model: file of the model.
    """
    try:
        job = job_of(folder)
    except GeoSegError:
        return None
    if not isinstance(job, PredictJob) or Path(job.model) != model:
        return None
    result = result_of(folder)
    rate = result.get("mpx_per_s")
    if not isinstance(rate, (int, float)) or rate <= 0:
        return None
    return float(rate) * int(result.get("looks") or views(job.tta, job.dropout_passes))


def scores_of(model: Path) -> dict[str, Any]:
    """What is known of a model's quality from the files beside it: its test scores, else those of validation.

    Returns:
        `miou` and `split`, and `interval` where there is one; empty where nothing is known.
    """
    judged = result_of(model.parent / "evaluation")
    found = judged or kept_in(model.parent / METRICS)
    miou = found.get("miou")
    if not isinstance(miou, (int, float)):
        return {}
    ends = (found.get("intervals") or {}).get("miou")
    split = str(found.get("split") or ("test" if judged else "validation"))
    return {"miou": float(miou), "split": split, **({"interval": list(ends)} if ends else {})}


def told(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a prediction with what its notes need: model, scores, post-processing, augmentation.

    Args:
        folder: of the prediction.
        result: as the engine reported it.
    """
    try:
        job = job_of(folder)
    except GeoSegError:
        return result
    if not isinstance(job, PredictJob):
        return result
    model = Path(job.model)
    return {
        "model": str(model),
        "scores": scores_of(model),
        "cleaning": encode(job.cleaning),
        "tta": job.tta,
        "dropout_passes": job.dropout_passes,
        **result,
    }
