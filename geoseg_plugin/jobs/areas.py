"""How much ground each class of a map has: counted, and corrected by a sample that people looked at."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import Any

from ..contract import SampleJob
from .submission import Submission

SAMPLE_FILE, SAMPLE_LAYER, REFERENCE_FIELD = "sample.gpkg", "sample", "reference"
Z95 = NormalDist().inv_cdf(0.975)
"""Standard errors from an estimate to either end of its 95 % interval."""


def sample_points(folder: Path, classes: str, dry_run: bool = False, **design: Any) -> Submission:
    """Create points to interpret, or only count them; `design` are fields of SampleJob. Writes sample.gpkg."""
    job = SampleJob(classes=classes, output=SAMPLE_FILE, dry_run=dry_run, **design)
    return Submission(job, folder, "Count sample points" if dry_run else "Create a reference sample")
