"""The contract between QGIS and the engine: jobs, data on disk, events and errors.

Standard library only: this is the one part of the engine that the plugin imports.
"""

from .codec import (
    PROTOCOL,
    check_protocol,
    decode,
    encode,
    job_from_json,
    job_to_json,
    read_json,
    write_json,
)
from .data import (
    IGNORE,
    SPLITS,
    TERRAIN_ATTRIBUTES,
    Area,
    AreaKind,
    Band,
    Dataset,
    Grid,
    GridRequest,
    LabelClass,
    Labels,
    Recipe,
    Resampling,
    Source,
    Unlabelled,
)
from .errors import Cancelled, GeoSegError, Problem
from .events import CANCEL_FILE, EVENT_FIELDS, EVENTS_FILE, JOB_FILE, LAST_EVENTS, LOG_FILE, PID_FILE
from .jobs import (
    JOBS,
    CheckJob,
    DescribeJob,
    EvaluateJob,
    Job,
    PolygonizeJob,
    PredictJob,
    ProbeJob,
    RasterizeJob,
    StackJob,
    TerrainJob,
    TileJob,
    TrainJob,
)

__all__ = [name for name in dir() if not name.startswith("_")]
