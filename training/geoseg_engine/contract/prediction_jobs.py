"""Jobs that make maps from models, and what is done to a map afterwards, as plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from .checks import when
from .data import Area, Band, Source
from .errors import Problem
from .job import DEVICE, POLYGONS, RASTERS, Job
from .parameter import Param, range_problems
from .run_files import MODEL_FILE

Connectivity = Literal[4, 8]
Views = Literal["none", "flips", "all"]
VIEWS: tuple[Views, ...] = ("none", "flips", "all")
"""Test-time augmentation: the image as it is; and its three mirror images; and all eight rotations and flips."""
MIN_CORE_PX = 16

CLEANING, BOUNDARIES, QUALITY, SPEED = "Post-processing", "Polygons", "Quality", "Speed"

ClassRaster = Annotated[str, Param("Class raster", reads=True)]
TestTimeAugmentation = Annotated[
    Views,
    Param(
        "Test-time augmentation",
        "Averages predictions over mirror images and rotations by 90°; usually a little better and several times "
        "slower.",
        labels={
            "none": "none",
            "flips": "flips (4 predictions)",
            "all": "flips and rotations (8 predictions)",
        },
        group=QUALITY,
        guide="views-and-dropout",
    ),
]
MinPolygon = Annotated[
    int,
    Param(
        "Minimum polygon size",
        "Smaller polygons are left out; the class raster keeps them.",
        unit="px",
        low=0,
        high=1e9,
        group=BOUNDARIES,
        guide="outlines",
        key="MIN_AREA",
    ),
]
_PATCHES = "Pixels that touch only at a corner belong to one patch (8-connectedness)."
_POLYGONS = "Fewer and larger polygons, which may touch themselves at a point (8-connectedness)."
CONNECTIVITY = {"4": "4", "8": "8"}


@dataclass(frozen=True)
class Cleaning:
    """Post-processing of a class raster, in the order of the fields; all zero leaves it as it is.

    Pixels without class stay so and give no class to others. Ties of the majority keep the class.
    """

    majority_px: Annotated[
        int,
        Param(
            "Majority filter",
            "Each pixel takes the most frequent class in a window of this side; removes speckle, then thin objects.",
            unit="px",
            low=0,
            high=4095,
            auto="none",
            group=CLEANING,
            guide="cleaning",
            key="MAJORITY",
            row="majority",
        ),
    ] = 0
    opening_px: Annotated[
        int,
        Param(
            "Opening",
            "Radius in which spikes, and bridges between two objects, are removed.",
            unit="px",
            low=0,
            high=4095,
            auto="none",
            group=CLEANING,
            guide="cleaning",
            key="OPENING",
            row="opening",
        ),
    ] = 0
    closing_px: Annotated[
        int,
        Param(
            "Closing",
            "Radius in which gaps and notches within one object are filled.",
            unit="px",
            low=0,
            high=4095,
            auto="none",
            group=CLEANING,
            guide="cleaning",
            key="CLOSING",
            row="closing",
        ),
    ] = 0
    fill_holes_px: Annotated[
        int,
        Param(
            "Fill holes",
            "A patch of fewer pixels that is surrounded by one class takes that class.",
            unit="px",
            low=0,
            high=1e9,
            auto="none",
            group=CLEANING,
            guide="cleaning",
            key="FILL_HOLES",
            row="holes",
        ),
    ] = 0
    min_patch_px: Annotated[
        int,
        Param(
            "Minimum patch size",
            "A patch of fewer pixels takes the class of its largest neighbour: the smallest object you would draw.",
            unit="px",
            low=0,
            high=1e9,
            auto="none",
            group=CLEANING,
            guide="cleaning",
            key="LEAST_AREA",
            row="least_area",
            was=("least_area_px",),
        ),
    ] = 0
    connectivity: Annotated[
        Connectivity,
        Param(
            "8-connectedness of patches",
            _PATCHES,
            group=CLEANING,
            guide="cleaning",
            key="PATCH_CONNECTIVITY",
            row="clean_corners",
            labels=CONNECTIVITY,
        ),
    ] = 4

    @property
    def anything(self) -> bool:
        """Whether any step is set."""
        return dataclasses.replace(self, connectivity=4) != Cleaning()

    def problems(self) -> list[Problem]:
        """List what is wrong with the numbers."""
        return [
            *range_problems(self),
            *when(
                self.majority_px > 0 and self.majority_px % 2 == 0,
                "majority_px",
                f"The window of the majority filter is {self.majority_px} pixels wide.",
                "Choose an odd number, such as 3 or 5.",
            ),
        ]


@dataclass(frozen=True)
class Outlines:
    """How the boundaries of polygons are drawn. Neighbours keep their common boundary, except with `right_angles`."""

    connectivity: Annotated[
        Connectivity,
        Param(
            "8-connectedness of polygons",
            _POLYGONS,
            group=BOUNDARIES,
            guide="outlines",
            row="outline_corners",
            labels=CONNECTIVITY,
        ),
    ] = 4
    simplify_m: Annotated[
        float,
        Param(
            "Simplify",
            "How far a boundary may move; half a pixel removes the steps. Neighbours keep their common boundary.",
            unit="m",
            low=0,
            high=1e6,
            step=1,
            auto="none",
            group=BOUNDARIES,
            guide="outlines",
            key="SIMPLIFY",
        ),
    ] = 0.0
    smooth: Annotated[
        int,
        Param(
            "Smooth",
            "Rounds of corner cutting (Chaikin), for natural shapes; 2 are enough.",
            unit="rounds",
            low=0,
            high=5,
            auto="none",
            group=BOUNDARIES,
            guide="outlines",
        ),
    ] = 0
    right_angles: Annotated[
        bool,
        Param(
            "Orthogonalize",
            "For buildings: right angles along the main direction of each polygon; not with smoothing.",
            group=BOUNDARIES,
            guide="outlines",
        ),
    ] = False

    def problems(self) -> list[Problem]:
        """List what is wrong with the numbers."""
        return [
            *range_problems(self),
            *when(
                self.right_angles and self.smooth > 0,
                "right_angles",
                "Orthogonalize and Smooth are both set.",
                "Choose one of the two.",
            ),
        ]


CleaningSteps = Annotated[Cleaning, Param("Post-processing", "Steps that are done to the class raster.")]
Boundaries = Annotated[Outlines, Param("Polygon boundaries", "How the boundaries of polygons are drawn.")]
CLEANING_PHASES = {
    "smoothing": "Smoothing the classes",
    "filling holes": "Filling holes",
    "removing small patches": "Removing small patches",
    "finishing the file": "Finishing the file",
}
POLYGON_PHASES = {"polygonize": "Drawing polygons"}


@dataclass(frozen=True)
class PredictJob(Job):
    """Classify rasters with a trained model."""

    kind: ClassVar[str] = "predict"
    worker: ClassVar[str] = "prediction.predict"
    title: ClassVar[str] = "Predict"
    phases: ClassVar[dict[str, str]] = {
        "predict": "Predicting",
        "write": "Writing the map",
        **CLEANING_PHASES,
        **POLYGON_PHASES,
    }
    layers: ClassVar[dict[str, str]] = {"polygons": "perimeter_m"}

    model: Annotated[
        str, Param("Model", "model.onnx, ours or of Deepness.", reads=True, in_folder=MODEL_FILE)
    ]
    sources: Annotated[
        tuple[Source, ...],
        Param(
            "Rasters",
            "A source whose key is one of the model's fills that input; the others are matched by name and bands. "
            "Without any, the files that the model was trained on are used.",
        ),
    ] = ()
    extent: Annotated[
        tuple[float, float, float, float] | None,
        Param("Extent", "Part to predict: west, south, east, north. Without it, all that the rasters share."),
    ] = None
    extent_crs: Annotated[str, Param("CRS of the extent", "Without it, that of the map.")] = ""
    output: Annotated[str, Param("Classes", "The class raster.", key="OUTPUT", writes=RASTERS)] = (
        "classes.tif"
    )
    confidence: Annotated[
        str,
        Param(
            "Confidence",
            "Calibrated probability of the class on the map.",
            key="OUTPUT_CONFIDENCE",
            writes=RASTERS,
        ),
    ] = ""
    entropy: Annotated[
        str,
        Param(
            "Entropy",
            "How undecided the model is between all classes, 0 to 1: draw labels there next.",
            key="OUTPUT_ENTROPY",
            guide="layers-of-a-prediction",
            writes=RASTERS,
        ),
    ] = ""
    probability: Annotated[
        str,
        Param(
            "Class probabilities",
            "One band per class, for thresholds of your own; large.",
            key="OUTPUT_PROBABILITY",
            guide="layers-of-a-prediction",
            writes=RASTERS,
        ),
    ] = ""
    polygons: Annotated[
        str,
        Param(
            "Polygons",
            "GeoPackage with class_id, class_name, score, area_m2, perimeter_m.",
            key="OUTPUT_POLYGONS",
            writes=POLYGONS,
        ),
    ] = ""
    min_area_px: MinPolygon = 4
    core_px: Annotated[
        int,
        Param(
            "Window core",
            f"Side of the part of a window that is kept, {MIN_CORE_PX} or more.",
            unit="px",
            low=MIN_CORE_PX,
            high=65_536,
            auto="automatic, from memory",
        ),
    ] = 0
    device: DEVICE = "auto"
    runtime: Annotated[
        Literal["auto", "torch", "onnx", "openvino"],
        Param(
            "Runtime",
            "Automatic takes the fastest that gives the classes of float32; the result states which.",
            labels={"auto": "automatic", "torch": "PyTorch", "onnx": "ONNX Runtime", "openvino": "OpenVINO"},
            group=SPEED,
            guide="runtime-and-precision",
        ),
    ] = "auto"
    dry_run: Annotated[bool, Param("Dry run", "Only match bands and report what would be done.")] = False
    margin: Annotated[
        str,
        Param(
            "Margin",
            "Probability of the first class minus that of the second: small along uncertain boundaries.",
            key="OUTPUT_MARGIN",
            guide="layers-of-a-prediction",
            writes=RASTERS,
        ),
    ] = ""
    disagreement: Annotated[
        str,
        Param(
            "Disagreement",
            "Share of the uncertainty on which augmented views, dropout samples or ensemble members disagree, 0 to 1; "
            "needs more than one of them.",
            key="OUTPUT_DISAGREEMENT",
            guide="layers-of-a-prediction",
            writes=RASTERS,
        ),
    ] = ""
    beyond: Annotated[
        str,
        Param(
            "Out-of-range input",
            "Number of bands with values that do not occur in the training data: there the model extrapolates.",
            key="OUTPUT_BEYOND",
            guide="layers-of-a-prediction",
            writes=RASTERS,
        ),
    ] = ""
    area: Annotated[Area | None, Param("Area", "Polygons outside which nothing is predicted.")] = None
    tta: TestTimeAugmentation = "none"
    dropout_passes: Annotated[
        int,
        Param(
            "MC dropout samples",
            "Repeats the prediction with random dropout to show where the model is uncertain.",
            unit="samples",
            low=0,
            high=10_000,
            auto="none",
            group=QUALITY,
            guide="views-and-dropout",
        ),
    ] = 0
    precision: Annotated[
        Literal["auto", "float32", "bf16", "fp16", "int8"],
        Param(
            "Precision",
            "int8 is the fastest on many processors; it is tried on validation data first.",
            labels={
                "auto": "automatic",
                "float32": "float32",
                "bf16": "bfloat16",
                "fp16": "float16 (GPU)",
                "int8": "int8",
            },
            group=SPEED,
            guide="runtime-and-precision",
        ),
    ] = "auto"
    int8_loss: Annotated[
        float,
        Param(
            "Allowed loss of int8",
            "Mean IoU on validation data that int8 may lose; if it loses more, it is not used.",
            low=0,
            high=1,
            step=0.001,
            decimals=3,
            group=SPEED,
            guide="runtime-and-precision",
            key="ALLOWED_LOSS",
        ),
    ] = 0.005
    shard: Annotated[
        str,
        Param(
            "Part of an array job",
            "Predicts only the i-th of n parts, written as i/n; the last part to end puts the files together.",
        ),
    ] = ""
    resume: Annotated[
        bool, Param("Resume", "Continue where the same job was interrupted in the same folder.")
    ] = True
    cleaning: CleaningSteps = field(default_factory=Cleaning)
    outlines: Boundaries = field(default_factory=Outlines)
    foreign_bands: Annotated[
        tuple[Band, ...],
        Param(
            "Bands of a third-party model",
            "What its channels read, in order; without any, the first bands of the first source.",
        ),
    ] = ()

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *super().problems(),
            *self.cleaning.problems(),
            *self.outlines.problems(),
            *when(
                bool(self.shard) and shard_of(self.shard) is None,
                "shard",
                f"The shard '{self.shard}' is not of the form i/n with 1 ≤ i ≤ n.",
                "Write e.g. 2/8 for the second of eight parts.",
            ),
            *when(
                self.precision == "int8" and self.runtime == "torch",
                "int8_torch",
                "Precision int8 is not available with the runtime torch.",
                "Choose the runtime auto, onnx or openvino.",
            ),
        ]


@dataclass(frozen=True)
class CleanJob(Job):
    """Post-process a class raster. The result has its colours and names."""

    kind: ClassVar[str] = "clean"
    worker: ClassVar[str] = "postprocess.cleaning.clean"
    title: ClassVar[str] = "Post-process classes"
    phases: ClassVar[dict[str, str]] = CLEANING_PHASES

    classes: ClassRaster
    cleaning: CleaningSteps = field(default_factory=lambda: Cleaning(min_patch_px=4))
    background: Annotated[
        int | None,
        Param(
            "Background class",
            "Id of the class that is not opened or closed; -1 is none. Automatic is 0, unless the class names of the "
            "file make that a class like the others.",
            auto="automatic",
        ),
    ] = None
    output: Annotated[str, Param("Post-processed classes", writes=RASTERS)] = "cleaned.tif"

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *super().problems(),
            *self.cleaning.problems(),
            *when(
                not self.cleaning.anything,
                "nothing_to_clean",
                "No step of post-processing is set.",
                "Give at least one of them a number above 0.",
            ),
        ]


@dataclass(frozen=True)
class PolygonizeJob(Job):
    """Convert a class raster to polygons."""

    kind: ClassVar[str] = "polygonize"
    worker: ClassVar[str] = "postprocess.polygons.polygonize"
    title: ClassVar[str] = "Polygonize classes"
    phases: ClassVar[dict[str, str]] = POLYGON_PHASES
    layers: ClassVar[dict[str, str]] = {"polygons": "perimeter_m"}

    classes: ClassRaster
    confidence: Annotated[
        str, Param("Confidence", "Raster on the same pixels that gives the score.", reads=True)
    ] = ""
    skip_background: Annotated[
        bool | None,
        Param(
            "Skip background",
            "Leaves out the class with id 0. Without a choice, it is left out unless the class names of the file make "
            "it a class like the others.",
        ),
    ] = None
    min_area_px: MinPolygon = 4
    output: Annotated[
        str,
        Param(
            "Polygons",
            "GeoPackage with class_id, class_name, score, area_m2, perimeter_m.",
            writes=POLYGONS,
        ),
    ] = "polygons.gpkg"
    outlines: Boundaries = field(default_factory=Outlines)

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [*super().problems(), *self.outlines.problems()]


def shard_of(text: str) -> tuple[int, int] | None:
    """Return `2/8` as (2, 8); None for a text of another form."""
    first, _, second = text.partition("/")
    if not (first.isascii() and first.isdigit() and second.isascii() and second.isdigit()):
        return None
    index, count = int(first), int(second)
    return (index, count) if 1 <= index <= count else None
