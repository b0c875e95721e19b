"""An encoder that the job `pretrain` has left: what network it is for, and whether this training suits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..contract import Dataset, GeoSegError, Problem, TrainJob
from ..models.saved import read_saved
from .finetune import adopted

KIND = "encoder"


def with_encoder(job: TrainJob, dataset: Dataset, folder: Path) -> tuple[TrainJob, list[Problem]]:
    """The job with the size of the pretrained network where it left that open, and what to be warned of.

    Args:
        job: its `weights` may name a file of ours, one of others or none.
        dataset: with the bands that are used.
        folder: paths of the job are relative to it.

    Raises:
        GeoSegError: `weights` for an encoder of another architecture.
    """
    saved = _read(folder / job.weights) if job.weights else None
    if saved is None:
        return job, []
    architecture, name = saved["architecture"], Path(job.weights).name
    if architecture["name"] != job.architecture:
        raise GeoSegError(
            "weights",
            f"{name} is the encoder of a {architecture['name']}, but a {job.architecture} is to be trained.",
            f"Choose the architecture {architecture['name']}, or pretrain a {job.architecture}.",
        )
    return adopted(job, architecture), [*_other_bands(saved, dataset, name), *_seen(saved, dataset, name)]


def _read(path: Path) -> dict[str, Any] | None:
    """Content of encoder.pt; None for other files, which `models.load_encoder` judges."""
    try:
        saved = read_saved(path)
    except (OSError, ValueError):
        return None
    return saved if isinstance(saved, dict) and saved.get("kind") == KIND else None


def _other_bands(saved: dict[str, Any], dataset: Dataset, name: str) -> list[Problem]:
    bands = [band.name for band in dataset.recipe.bands]
    if bands == list(saved["bands"]):
        return []
    return [
        Problem(
            "weights_other_bands",
            f"{name} has learned the bands {', '.join(saved['bands'])}; these are {', '.join(bands)}. Its first "
            "convolution means other values here.",
            "Train on the bands of the pretraining, or pretrain on these.",
            "warning",
        )
    ]


def _seen(saved: dict[str, Any], dataset: Dataset, name: str) -> list[Problem]:
    """A warning where ground that is held out now may have been looked at."""
    if saved.get("fingerprint", "") == dataset.fingerprint:
        return []
    return [
        Problem(
            "weights_other_split",
            f"{name} was pretrained on another making of labels and split: it may have seen ground, without its "
            "labels, that is held out now, and scores may be a little too good.",
            "Pretrain on this dataset where scores are to be published.",
            "warning",
        )
    ]
