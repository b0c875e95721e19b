"""Jobs that measure how good a map is, and how much of each class there is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .checks import label_problems, when
from .data import SPLITS, Area, Labels
from .errors import Problem
from .job import DEVICE, POLYGONS, SEED, Job
from .parameter import Param
from .prediction_jobs import ClassRaster, TestTimeAugmentation
from .run_files import MODEL_FILE

AUTO_MIN_POINTS = -1
"""Points of a rare class that follow from the number of all points."""


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Compare a model, or any map of classes, with labels.

    Against the held-out labels of a dataset, or, where `truth` is given, against any labels. Leaves metrics.json,
    confusion.csv, areas.csv, errors.tif (1 true positive, 2 false positive, 3 false negative; with more than two
    classes 1 right, 2 wrong) and report.html in `output`.
    """

    kind: ClassVar[str] = "evaluate"
    worker: ClassVar[str] = "evaluation.evaluate"
    title: ClassVar[str] = "Evaluate"
    phases: ClassVar[dict[str, str]] = {"evaluate": "Evaluating"}
    leaves: ClassVar[tuple[str, ...]] = ("errors.tif",)

    dataset: Annotated[
        str, Param("Dataset", "dataset.json or its folder; empty where labels are given.", reads=True)
    ] = ""
    model: Annotated[
        str,
        Param("Model", "The model that is evaluated; or a map.", reads=True, in_folder=MODEL_FILE),
    ] = ""
    prediction: Annotated[
        str,
        Param(
            "Map",
            "A class raster, or polygons where their field or layer is given.",
            reads=True,
        ),
    ] = ""
    split: Annotated[str, Param("Split", "Part of the dataset that is evaluated.", options=SPLITS)] = "test"
    device: DEVICE = "auto"
    output: Annotated[str, Param("Evaluation folder", "Folder of the results.")] = "."
    prediction_layer: Annotated[str, Param("Layer of the map", "Layer of its polygons.")] = ""
    prediction_field: Annotated[
        str, Param("Class field of the map", "Field of its polygons with the names of the classes.")
    ] = ""
    truth: Annotated[
        Labels | None,
        Param(
            "Labels",
            "Polygons or a raster. Pixels without label are not evaluated if unlabelled is unknown, or if the labels "
            "are a raster with a class background.",
        ),
    ] = None
    area: Annotated[Area, Param("Area", "Where the labels are complete.")] = field(default_factory=Area)
    pixel_size: Annotated[
        float,
        Param(
            "Pixel size",
            "Where polygons are compared with polygons, in units of the CRS of the map; a tenth of the width of a "
            "usual polygon if it is automatic. Anything with a raster is compared on its pixels.",
            low=0,
            step=1,
            auto="automatic",
        ),
    ] = 0.0
    tta: TestTimeAugmentation = "none"
    made_by: Annotated[
        str,
        Param(
            "Model of the map",
            "If it is known: labels that it was trained on are then reported.",
        ),
    ] = ""

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *super().problems(),
            *(label_problems(self.truth) if self.truth is not None else ()),
            *when(
                bool(self.model) == bool(self.prediction),
                "nothing_to_evaluate",
                "Give either a model or a map to evaluate.",
                "Choose one of the two.",
            ),
            *when(
                bool(self.dataset) == (self.truth is not None),
                "no_truth",
                "Give either a dataset or labels to compare with.",
                "Choose one of the two.",
            ),
            *when(
                bool(self.model) and self.truth is not None,
                "model_and_truth",
                "A model is compared with a dataset's labels, not with other labels.",
                "Predict first, then evaluate the class raster.",
            ),
            *when(
                self.split not in SPLITS,
                "split",
                f"Unknown split '{self.split}'.",
                f"Choose from: {', '.join(SPLITS)}.",
            ),
        ]


@dataclass(frozen=True)
class AreasJob(Job):
    """Measure the area of each class on a map; with a reference sample also estimate the true area with its interval.

    Leaves areas.json, areas.csv and areas.svg in `output`.
    """

    kind: ClassVar[str] = "areas"
    worker: ClassVar[str] = "evaluation.areas"
    title: ClassVar[str] = "Class areas"
    phases: ClassVar[dict[str, str]] = {"areas": "Measuring areas"}
    leaves: ClassVar[tuple[str, ...]] = ("areas.json", "areas.csv", "areas.svg")

    classes: ClassRaster
    sample: Annotated[
        str,
        Param(
            "Reference sample",
            "Points with the true class of each, as samplepoints creates them; a class that the map does not have "
            "counts as wrong.",
            reads=True,
        ),
    ] = ""
    sample_layer: Annotated[str, Param("Layer of the sample")] = ""
    reference_field: Annotated[
        str,
        Param(
            "Reference field", "Field with the true class, by name or id; points without one are left out."
        ),
    ] = "reference"
    confidence_level: Annotated[
        float,
        Param("Confidence level", "Of the intervals; usually 0.95.", low=0.5, high=0.9999, step=0.01),
    ] = 0.95
    output: Annotated[str, Param("Folder", "Folder of the results.")] = "."
    sample_name: Annotated[
        str, Param("Name of the sample", "As the user calls it; without it, the layer's name.")
    ] = ""


@dataclass(frozen=True)
class SampleJob(Job):
    """Create a stratified random sample of a map, to be interpreted by people (Olofsson et al. 2014).

    Leaves points with point_id, class_id, class_name (of the map), weight and an empty field `reference`. A dry run
    only reports how many points there would be, and how exact the estimates would be.
    """

    kind: ClassVar[str] = "samplepoints"
    worker: ClassVar[str] = "evaluation.sampling"
    title: ClassVar[str] = "Create a reference sample"
    phases: ClassVar[dict[str, str]] = {"count": "Counting the classes", "draw": "Creating sample points"}
    layers: ClassVar[dict[str, str]] = {"sample": "point_id"}

    classes: ClassRaster
    count: Annotated[
        int,
        Param(
            "Total number of points",
            "Without it, as many as the standard error needs.",
            low=0,
            high=1e8,
            auto="as the standard error needs",
        ),
    ] = 0
    standard_error: Annotated[
        float,
        Param(
            "Target standard error",
            "Of the overall accuracy; 0.05 is ± 10 % and needs 60 to 100 points, 0.01 some 1,600.",
            low=0.001,
            high=0.4,
            step=0.01,
            decimals=3,
        ),
    ] = 0.05
    expected: Annotated[
        dict[str, float],
        Param("Expected accuracy per class", "Class name and user's accuracy, of classes that differ."),
    ] = field(default_factory=dict)
    expected_else: Annotated[
        float,
        Param(
            "Expected user's accuracy",
            "Of the classes that are not named.",
            low=0.01,
            high=0.99,
            step=0.05,
            key="EXPECTED",
        ),
    ] = 0.8
    allocation: Annotated[
        Literal["proportional", "equal", "mixed"],
        Param(
            "Allocation",
            "How points are shared among the classes: by area; the same number per class; or by area with a minimum "
            "per class.",
            labels={
                "proportional": "proportional to area",
                "equal": "equal per class",
                "mixed": "proportional, with a minimum per class",
            },
        ),
    ] = "mixed"
    min_points: Annotated[
        int,
        Param(
            "Minimum points per class",
            "With the allocation mixed; automatic is a tenth of all points, from 10 to 50.",
            low=-1,
            high=1e8,
            auto="automatic",
            key="LEAST",
            was=("least",),
        ),
    ] = AUTO_MIN_POINTS
    seed: SEED = 42
    output: Annotated[str, Param("Sample points", "GeoPackage.", writes=POLYGONS)] = "sample.gpkg"
    max_points: Annotated[
        int,
        Param(
            "Maximum number of points",
            "Limit of the points that the standard error may need; 0 sets none.",
            low=0,
            high=1e8,
            key="MOST_POINTS",
            was=("most",),
        ),
    ] = 500
    dry_run: Annotated[bool, Param("Dry run", "Count, but write nothing.")] = False

    def problems(self) -> list[Problem]:
        """See `Job`."""
        wrong = [
            f"{name}: {value}"
            for name, value in self.expected.items()
            if not (isinstance(value, (int, float)) and 0 < value < 1)
        ]
        return [
            *super().problems(),
            *when(
                bool(wrong),
                "expected",
                f"Expected accuracies must be between 0 and 1 ({', '.join(wrong)}).",
                "Write 0.8 for 80 %.",
            ),
        ]
