"""Jobs that say how good a map is, and how much of each class there is, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .complaints import when
from .data import SPLITS, Area, Labels
from .errors import Problem
from .job import Job
from .prediction_jobs import Views

ALLOCATIONS = ("proportional", "equal", "mixed")
"""How sample points go to classes: by area; the same number each; by area, but rare classes no fewer than asked."""

AUTO_LEAST = -1
"""Points of a rare class that follow from the number of all points."""


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Compare a model, or any map of classes, with labels.

    Against the held-out labels of a dataset, or, where `truth` is given, against any labels. Leaves metrics.json,
    confusion.csv, areas.csv, errors.tif (1 true positive, 2 false positive, 3 false negative; with more than two
    classes 1 right, 2 wrong) and report.html in `output`.

    Attributes:
        dataset: dataset.json or its folder; empty with `truth`.
        model: what is judged, or else `prediction`.
        prediction: a map: a class raster, or polygons where `prediction_field` or `prediction_layer` says so.
        prediction_layer, prediction_field: of polygons; the field holds the names of the classes.
        split: of the dataset.
        truth: polygons or a raster; ground that they do not label is not judged if `truth.unlabelled` is unknown, or
            if they are a raster with a class `background`.
        area: where truth is looked at.
        pixel_size: of polygons compared with polygons, in units of the CRS of `prediction`; 0 takes a tenth of the
            breadth of a usual polygon. Whatever has a raster is compared on its pixels.
        tta: test-time augmentation of a model, of VIEWS: what is judged should be what is predicted.
        made_by: the model that made `prediction`, if known: where `truth` is ground that it has seen, that is said.
    """

    kind: ClassVar[str] = "evaluate"
    dataset: str = ""
    model: str = ""
    prediction: str = ""
    split: str = "test"
    device: str = "auto"
    output: str = "."
    prediction_layer: str = ""
    prediction_field: str = ""
    truth: Labels | None = None
    area: Area = field(default_factory=Area)
    pixel_size: float = 0.0
    tta: Views = "none"
    made_by: str = ""

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *when(
                self.pixel_size < 0,
                "pixel_size",
                f"The pixel size {self.pixel_size:g} is below 0.",
                "Leave it at 0, or give one in units of the map's CRS.",
            ),
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
    """Area of each class on a map; with a reference sample also the area there really is, with its interval.

    Leaves areas.json, areas.csv and areas.svg in `output`.

    Attributes:
        classes: class raster.
        sample: points with the true class of each, as `samplepoints` lays them out; a class that the map does not have
            counts as wrong; empty is none.
        sample_layer: layer of it.
        sample_name: what the user calls it; empty takes the layer's name.
        reference_field: field with the true class, by name or id; points without one are left out.
        confidence_level: of the intervals.
    """

    kind: ClassVar[str] = "areas"
    classes: str
    sample: str = ""
    sample_layer: str = ""
    reference_field: str = "reference"
    confidence_level: float = 0.95
    output: str = "."
    sample_name: str = ""

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return when(
            not 0.5 <= self.confidence_level < 1,
            "confidence_level",
            f"The confidence level is {self.confidence_level:g}.",
            "Choose one from 0.5 to below 1, usually 0.95.",
        )


@dataclass(frozen=True)
class SampleJob(Job):
    """Create a stratified random sample of a map, to be interpreted by people (Olofsson et al. 2014).

    Leaves points with point_id, class_id, class_name (of the map), weight and an empty field `reference`. A dry run
    only tells how many points there would be, and what they would tell.

    Attributes:
        classes: class raster; its classes are the strata.
        count: points in all; 0 finds them from `standard_error`.
        standard_error: that the overall accuracy shall have; a 95 % interval is 1.96 times as wide to either side.
        expected: class name -> user's accuracy that is expected; of those not named `expected_else`.
        allocation: of ALLOCATIONS.
        least: points of a class with `mixed`; -1 takes a tenth of all points, from 10 to 50.
        output: GeoPackage.
        most: limit of the points that `standard_error` may ask for; 0 is none.
        dry_run: count, but write nothing.
    """

    kind: ClassVar[str] = "samplepoints"
    classes: str
    count: int = 0
    standard_error: float = 0.05
    expected: dict[str, float] = field(default_factory=dict)
    expected_else: float = 0.8
    allocation: Literal["proportional", "equal", "mixed"] = "mixed"
    least: int = AUTO_LEAST
    seed: int = 42
    output: str = "sample.gpkg"
    most: int = 0
    dry_run: bool = False

    def problems(self) -> list[Problem]:
        """See `Job`."""
        shares: dict[str, object] = {**self.expected, "others": self.expected_else}
        wrong = [
            f"{name}: {value}"
            for name, value in shares.items()
            if not (isinstance(value, (int, float)) and 0 < value < 1)
        ]
        return [
            *when(
                self.count < 0 or self.most < 0 or self.least < AUTO_LEAST,
                "count",
                f"{min(self.count, self.most, self.least)} points.",
                "Give 0 or more.",
            ),
            *when(self.seed < 0, "seed", f"The seed is {self.seed}.", "Give 0 or more."),
            *when(
                not 0 < self.standard_error < 0.5,
                "standard_error",
                f"The standard error is {self.standard_error:g}.",
                "Choose one between 0 and 0.5, usually 0.05; 0.01 asks for some 1,600 points.",
            ),
            *when(
                bool(wrong),
                "expected",
                f"Expected accuracies must lie between 0 and 1 ({', '.join(wrong)}).",
                "Write 0.8 for 80 %.",
            ),
        ]
