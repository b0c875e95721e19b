"""The contract between QGIS and the engine: jobs, data on disk, events and errors.

Standard library only: this is the one part of the engine that the plugin imports.
"""

from .addresses import file_exists, split_address
from .bandroles import ROLES, RoleGuess, guess_roles
from .baseline_jobs import ForestJob
from .catalogue import (
    ARCHITECTURES,
    BASELINE_MODELS,
    BASELINES,
    CATALOGUE,
    COMPARABLE,
    ENCODERS,
    FAST_MODEL,
    NETWORKS,
    OTHER,
    Model,
    model_name,
)
from .codec import (
    PROTOCOL,
    check_protocol,
    decode,
    encode,
    job_from_json,
    job_to_json,
    read_job,
    read_json,
    write_json,
)
from .data import (
    AUTO_UNLABELLED,
    DATA_OF_KINDS,
    DERIVATIONS,
    DRAWN_GROUP,
    EXPRESSION,
    IGNORE,
    RELIEF_ATTRIBUTES,
    SPECKLE_FILTERS,
    SPLITS,
    TEMPORAL_STATISTICS,
    TERRAIN_ATTRIBUTES,
    TERRAIN_DEFAULTS,
    VECTOR_FEATURES,
    Area,
    AreaKind,
    Band,
    Dataset,
    Grid,
    GridRequest,
    LabelClass,
    LabelLayer,
    Labels,
    Recipe,
    Resampling,
    Scaling,
    Series,
    SizeUnit,
    Source,
    SourceKind,
    Unlabelled,
    default_unlabelled,
    with_unlabelled,
)
from .data_jobs import (
    RECIPE_SUFFIX,
    CheckJob,
    ExportChipsJob,
    InspectJob,
    RasterizeJob,
    StackJob,
    SummarizeJob,
    TerrainJob,
    TileJob,
)
from .environment import is_foreign
from .errors import DISK_FULL, Cancelled, GeoSegError, Problem, counted
from .evaluation_jobs import AUTO_MIN_POINTS, AreasJob, EvaluateJob, SampleJob
from .events import (
    CANCEL_FILE,
    EVENT_FIELDS,
    EVENTS_FILE,
    JOB_FILE,
    LAST_EVENTS,
    LOG_FILE,
    PID_FILE,
    SAVING_PHASE,
    parse_event,
)
from .experiment_jobs import (
    COMPARED,
    COMPARED_PRESET,
    SEARCHED,
    BandSet,
    CompareJob,
    Contender,
    CrossValidateJob,
    SearchJob,
    contender,
)
from .indices import INDICES, SpectralIndex, index_band
from .job import POLYGONS, RASTERS, Job
from .jobs import JOBS, PHASES, names_input
from .map_jobs import MapJob
from .model_jobs import DescribeJob, ProbeJob
from .parameter import Candidates, Param, choices_of, default_of, former_names, params_of, types_of
from .prediction_jobs import (
    VIEWS,
    Cleaning,
    CleanJob,
    Connectivity,
    Outlines,
    PolygonizeJob,
    PredictJob,
    Views,
    shard_of,
)
from .present import present
from .result_fields import known_fields
from .run_files import ENCODER_FILE, MODEL_FILE, file_of_run, with_files_of_runs
from .sidecars import beside, remove_with_sidecars, replace_with_sidecars
from .soundness import check_order, check_sound, decode_all
from .strictjson import kept_json, load_json, parse_json
from .text import file_name, names_only, without_folders
from .training_jobs import (
    AUGMENTATIONS,
    CLASS_WEIGHTS,
    LOSSES,
    PretrainJob,
    PreviewJob,
    TrainJob,
)
