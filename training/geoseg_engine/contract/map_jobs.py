"""The job that makes a map of layers and polygons, and makes it again where something has changed, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from .baseline_jobs import ForestJob
from .catalogue import CATALOGUE, FAST_MODEL
from .checks import label_problems, when
from .data import Area, GridRequest
from .data_jobs import (
    AllBands,
    Intermediates,
    LabelledArea,
    LabelSource,
    Sources,
    StackJob,
    TargetGrid,
    TileJob,
)
from .errors import Problem
from .evaluation_jobs import EvaluateJob
from .job import DEVICE, Job
from .parameter import Param, unknown
from .prediction_jobs import PredictJob
from .run_files import MODEL_FILE
from .training_jobs import TrainJob

RECORD_FILE = "map.json"
FEW_PIXELS = 20_000
"""Labelled pixels of the rarest class below which the final model learns from all labels unless the user chooses."""
MAP_GROUP = "Map"


@dataclass(frozen=True)
class MapJob(Job):
    """Make a map from rasters and labels: stack, labels, split, model, map and accuracy, in one folder.

    Run again with the same output folder, it does only what is out of date. The split stays as it was drawn, so that
    scores before and after a correction are of the same test areas. Leaves classes.tif, confidence.tif, polygons.gpkg
    and map.json, which states what everything was made from.
    """

    kind: ClassVar[str] = "map"
    worker: ClassVar[str] = "mapmaking.update"
    title: ClassVar[str] = "Map from layers"
    phases: ClassVar[dict[str, str]] = {"map": "Making the map", "keeping": "Finding what is out of date"}

    sources: Sources
    labels: LabelSource
    class_field: Annotated[
        str, Param("Class field", "Field of the polygons with the class; without it they are one class.")
    ] = ""
    bands: AllBands = ()
    intermediates: Intermediates = ()
    grid: TargetGrid = GridRequest()
    area: LabelledArea = Area("concave_hull")
    model: Annotated[
        str,
        Param(
            "Model",
            "What is trained. The fast model takes seconds; a network takes minutes and sees shapes.",
            options=tuple(CATALOGUE),
            labels={key: model.name for key, model in CATALOGUE.items()},
        ),
    ] = FAST_MODEL
    model_file: Annotated[
        str,
        Param(
            "Existing model",
            "Nothing is trained; this model makes the map.",
            reads=True,
            in_folder=MODEL_FILE,
        ),
    ] = ""
    minutes: Annotated[
        float,
        Param(
            "Time limit",
            "Of the training of a network.",
            unit="min",
            low=0,
            high=1e7,
            decimals=1,
            auto="as the goal states",
            key="MAX_MINUTES",
        ),
    ] = 0.0
    final_model: Annotated[
        Literal["auto", "all", "training"],
        Param(
            "Final model",
            "All labels: after validation the model of the map is trained once more, with the settings and the length "
            "that were found, on the test areas too. The score is that of the model that left them out.",
            labels={
                "auto": f"all labels where a class has under {FEW_PIXELS:,} pixels",
                "all": "all labels",
                "training": "training areas only",
            },
            group=MAP_GROUP,
            guide="final-model",
        ),
    ] = "auto"
    new_split: Annotated[
        bool,
        Param(
            "New split",
            "Draws the test areas anew; the score is then not comparable with the one before.",
            group=MAP_GROUP,
            guide="test-areas-that-stay",
        ),
    ] = False
    device: DEVICE = "auto"
    split: Annotated[TileJob, Param("Split", "Settings of the split and the tiles.")] = field(
        default_factory=lambda: TileJob("", "")
    )
    baseline: Annotated[ForestJob, Param("Baseline", "Settings of a model that is no network.")] = field(
        default_factory=lambda: ForestJob("")
    )
    network: Annotated[TrainJob, Param("Network", "Settings of a network.")] = field(
        default_factory=lambda: TrainJob("")
    )
    prediction: Annotated[PredictJob, Param("Prediction", "What is written, and how.")] = field(
        default_factory=lambda: PredictJob("", confidence="confidence.tif", polygons="polygons.gpkg")
    )
    output: Annotated[str, Param("Output folder", "Folder of the map; the same folder again updates it.")] = (
        "."
    )

    def __post_init__(self) -> None:
        named = replace(self.labels, class_field=self.class_field) if self.class_field else self.labels
        object.__setattr__(self, "labels", named)
        object.__setattr__(self, "class_field", named.class_field)

    def problems(self) -> list[Problem]:
        """See `Job`."""
        inner = (self.split, self.baseline, self.network, self.prediction)
        stack = StackJob(
            self.sources, self.bands, self.grid, self.area, self.labels, intermediates=self.intermediates
        )
        return [
            *super().problems(),
            *stack.problems(),
            *label_problems(self.labels),
            *(problem for job in inner for problem in job.problems()),
            *unknown("model", [self.model], tuple(CATALOGUE)),
            *when(
                bool(self.prediction.shard),
                "shard",
                f"A map that is kept up to date has no parts such as {self.prediction.shard}.",
                "Predict with geoseg predict to share the work.",
            ),
        ]


def evaluation_of(job: MapJob, dataset: str, model: str) -> EvaluateJob:
    """Return the job that scores a model on the test areas.

    Args:
        job: whose views are used.
        dataset: its folder.
        model: its file.
    """
    return EvaluateJob(dataset, model, device=job.device, tta=job.prediction.tta)
