"""How much ground each class of a map has: counted, and corrected by a sample that people looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..contract import AreasJob, SampleJob
from .submission import Submission

SAMPLE_FILE, SAMPLE_LAYER, REFERENCE_FIELD = "sample.gpkg", "sample", "reference"


def areas(folder: Path, classes: Path, sample: Path | None = None, sample_layer: str = "") -> Submission:
    """Write areas.json, areas.csv and areas.svg to `folder`."""
    job = AreasJob(str(classes), str(sample or ""), sample_layer)
    return Submission(job, folder, "Areas of the classes")


def sample_points(folder: Path, classes: Path, **design: Any) -> Submission:
    """Lay out points to look at; `design` are fields of SampleJob. Writes sample.gpkg to `folder`."""
    job = SampleJob(classes=str(classes), output=SAMPLE_FILE, **design)
    return Submission(job, folder, "Lay out a reference sample")
