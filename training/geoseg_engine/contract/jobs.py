"""Jobs: what can be asked of the engine, as plain data.

`problems()` of a job returns every complaint that can be known without opening a file, all at once.
"""

from __future__ import annotations

from .data import Source
from .data_jobs import (
    CheckJob,
    ExportChipsJob,
    InspectJob,
    RasterizeJob,
    StackJob,
    SummarizeJob,
    TerrainJob,
    TileJob,
)
from .evaluation_jobs import AreasJob, EvaluateJob, SampleJob
from .experiment_jobs import CompareJob, CrossValidateJob, SearchJob
from .job import Job
from .model_jobs import DescribeJob, ProbeJob
from .parameter import params_of
from .prediction_jobs import CleanJob, PolygonizeJob, PredictJob
from .training_jobs import ForestJob, PretrainJob, PreviewJob, TrainJob

JOBS: dict[str, type[Job]] = {
    job.kind: job
    for job in (
        StackJob,
        TerrainJob,
        RasterizeJob,
        TileJob,
        CheckJob,
        SummarizeJob,
        InspectJob,
        ExportChipsJob,
        TrainJob,
        ForestJob,
        PretrainJob,
        PreviewJob,
        CrossValidateJob,
        SearchJob,
        CompareJob,
        PredictJob,
        EvaluateJob,
        CleanJob,
        PolygonizeJob,
        AreasJob,
        SampleJob,
        DescribeJob,
        ProbeJob,
    )
}

PHASES = {phase: text for job in JOBS.values() for phase, text in job.phases.items()}
"""Phase of a progress event -> what is shown while it lasts."""


def names_input(field: str, kind: str = "") -> bool:
    """Return whether a field of that name holds a file to read.

    Args:
        field: of a job, or of what a job is made of.
        kind: of the job; empty looks at all.
    """
    classes: tuple[type, ...] = (JOBS[kind],) if kind in JOBS else (*JOBS.values(), Source)
    return any(field in params_of(cls) and params_of(cls)[field].reads for cls in classes)
