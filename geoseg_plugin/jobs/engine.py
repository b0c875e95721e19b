"""Questions to the engine itself."""

from __future__ import annotations

from pathlib import Path

from ..contract import DescribeJob, ProbeJob
from .submission import Submission


def probe(folder: Path) -> Submission:
    """Ask what the engine environment can do."""
    return Submission(ProbeJob(), folder, "Check the engine")


def describe(folder: Path, model: Path) -> Submission:
    """Read a model's metadata."""
    return Submission(DescribeJob(str(model)), folder, "Read the model")
