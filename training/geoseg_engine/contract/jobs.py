"""Jobs: what can be asked of the engine, as plain data.

`problems()` of a job returns every complaint that can be known without opening a file, all at once.
"""

from __future__ import annotations

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
from .experiment_jobs import CompareJob, CrossValidateJob, SearchJob
from .job import Job
from .judging_jobs import AreasJob, EvaluateJob, SampleJob
from .model_jobs import DescribeJob, ProbeJob
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

INPUTS = (
    "stack",
    "labels",
    "classes",
    "model",
    "dataset",
    "prediction",
    "path",
    "start_from",
    "weights",
    "sample",
)
"""Fields that hold the name of a file to read, at any depth of a job."""


def names_input(field: str, kind: str = "") -> bool:
    """Whether a field of that name holds a file to read, in a job of that kind or in what a job is made of."""
    return field in INPUTS or (kind, field) == ("polygonize", "confidence")
