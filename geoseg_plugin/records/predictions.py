"""What predictions left in their folders. Plain data without QGIS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..contract import GeoSegError, PredictJob, encode
from ..jobs.predict import views
from ..jobs.train import METRICS, job_of
from .workspace import kept_in, result_of


def has_parts(folder: Path) -> bool:
    """Whether an interrupted prediction can be resumed."""
    return any(folder.glob(".predict-*")) or (folder / "classes.tif").exists()


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
    evaluated = result_of(model.parent / "evaluation")
    found = evaluated or kept_in(model.parent / METRICS)
    miou = found.get("miou")
    if not isinstance(miou, (int, float)):
        return {}
    ends = (found.get("intervals") or {}).get("miou")
    split = str(found.get("split") or ("test" if evaluated else "validation"))
    return {"miou": float(miou), "split": split, **({"interval": list(ends)} if ends else {})}


def with_facts(folder: Path, result: dict[str, Any]) -> dict[str, Any]:
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
