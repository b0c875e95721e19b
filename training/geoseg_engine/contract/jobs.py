"""Jobs: what can be asked of the engine, as plain data.

`problems()` of a job returns every complaint that can be known without opening a file, all at once.
"""

from __future__ import annotations

import functools
import importlib

from .data import Source
from .job import Job
from .parameter import params_of

MODULES = (
    "data_jobs",
    "training_jobs",
    "baseline_jobs",
    "experiment_jobs",
    "prediction_jobs",
    "evaluation_jobs",
    "map_jobs",
    "model_jobs",
)
"""Modules that declare jobs, in the order of the shell's list."""


def jobs_of(module: str) -> list[type[Job]]:
    """Return the jobs that a module of the contract declares, in the order of its text.

    Args:
        module: its name.
    """
    found = importlib.import_module(f"{__package__}.{module}")
    classes = [item for item in vars(found).values() if isinstance(item, type) and issubclass(item, Job)]
    return [job for job in classes if job.__module__ == found.__name__]


JOBS: dict[str, type[Job]] = {job.kind: job for module in MODULES for job in jobs_of(module)}
"""Kind of a job -> its class."""

PHASES = {phase: text for job in JOBS.values() for phase, text in job.phases.items()}
"""Phase of a progress event -> what is shown while it lasts."""


@functools.cache
def names_input(field: str, kind: str = "") -> bool:
    """Return whether a field of that name holds a file to read.

    Args:
        field: of a job, or of what a job is made of.
        kind: of the job; empty looks at all.
    """
    classes: tuple[type, ...] = (JOBS[kind],) if kind in JOBS else (*JOBS.values(), Source)
    return any(field in params_of(cls) and params_of(cls)[field].reads for cls in classes)
