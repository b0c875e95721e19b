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
from .job import Job
from .model_jobs import (
    DescribeJob,
    EvaluateJob,
    PolygonizeJob,
    PredictJob,
    ProbeJob,
    TrainJob,
)

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
        PredictJob,
        EvaluateJob,
        PolygonizeJob,
        DescribeJob,
        ProbeJob,
    )
}
