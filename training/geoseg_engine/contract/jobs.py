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
from .model_jobs import (
    DescribeJob,
    EvaluateJob,
    PolygonizeJob,
    PredictJob,
    ProbeJob,
)
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
        PolygonizeJob,
        DescribeJob,
        ProbeJob,
    )
}
