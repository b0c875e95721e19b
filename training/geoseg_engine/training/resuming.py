"""The checkpoint that a run goes on from, and whether it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..channel import Channel
from ..contract import Dataset, GeoSegError, Problem, TrainJob, decode
from ..modelfile.stats import Statistics
from . import checkpoint
from .scene import Measured


def saved_state(job: TrainJob, dataset: Dataset, output: Path, channel: Channel) -> dict[str, Any]:
    """The checkpoint to resume from; empty to begin anew.

    Raises:
        GeoSegError: `resume_mismatch` if it was trained on other bands or classes, or on another split.
    """
    if not job.resume:
        return {}
    if not (output / checkpoint.FILE).exists():
        channel.log("There is no checkpoint to resume from yet: training begins anew.", "warning")
        return {}
    saved = checkpoint.load(output / checkpoint.FILE)
    for what, names in (
        ("bands", [band.name for band in dataset.recipe.bands]),
        ("classes", [item.name for item in dataset.classes]),
    ):
        if saved[what] != names:
            raise GeoSegError(
                "resume_mismatch",
                f"The checkpoint has the {what} {', '.join(saved[what])}; the dataset has {', '.join(names)}.",
                "Train anew without resume, or choose the dataset of the first run.",
            )
    if saved.get("fingerprint", "") != dataset.fingerprint:
        raise GeoSegError(
            "resume_mismatch",
            f"Labels or split of dataset '{dataset.name}' were made anew since the checkpoint was written: pixels "
            "that are held out now may have been trained on.",
            "Train anew without resume, or choose the dataset of the first run.",
        )
    return saved


def measured_before(saved: dict[str, Any]) -> Measured | None:
    """Statistics of the bands in a checkpoint, with what was wrong with bands; None without a checkpoint."""
    if not saved:
        return None
    statistics = decode(Statistics, saved["statistics"])
    return statistics, [decode(Problem, item) for item in saved.get("found", ())]
