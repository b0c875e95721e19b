"""Jobs that make maps from models, and what is done to a map afterwards, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .complaints import when
from .data import Area, Band, Source
from .errors import Problem
from .job import Job

Connectivity = Literal[4, 8]
Views = Literal["none", "flips", "all"]
VIEWS: tuple[Views, ...] = ("none", "flips", "all")
"""Test-time augmentation: the image as it is; and its three mirror images; and all eight turns and mirror images."""
LEAST_CORE_PX = 16
RUNTIMES = ("auto", "torch", "onnx", "openvino")
PRECISIONS = ("auto", "float32", "bf16", "fp16", "int8")


@dataclass(frozen=True)
class Cleaning:
    """What is done to a class raster, in the order of the fields; all zero leaves it as it is.

    Pixels without class stay so and give no class to others.

    Attributes:
        majority_px: side of the window whose most frequent class a pixel takes, odd; 0 is none. A tie keeps the class.
        opening_px: radius of the disc by which each class but the background is opened; what it loses becomes the
            most frequent class around it.
        closing_px: radius of the disc by which each class but the background is closed.
        fill_holes_px: a patch of fewer pixels that touches one other class only, and no edge of the map, takes it.
        least_area_px: any other patch of fewer pixels takes the class of its largest neighbour.
        connectivity: whether pixels that touch at a corner only are of one patch (8) or not (4).
    """

    majority_px: int = 0
    opening_px: int = 0
    closing_px: int = 0
    fill_holes_px: int = 0
    least_area_px: int = 0
    connectivity: Connectivity = 4

    @property
    def anything(self) -> bool:
        """Whether any step is asked for."""
        return any(
            (self.majority_px, self.opening_px, self.closing_px, self.fill_holes_px, self.least_area_px)
        )

    def problems(self) -> list[Problem]:
        """What is wrong with the numbers."""
        lengths = {
            "majority_px": self.majority_px,
            "opening_px": self.opening_px,
            "closing_px": self.closing_px,
            "fill_holes_px": self.fill_holes_px,
            "least_area_px": self.least_area_px,
        }
        negative = [f"{name} is {value}" for name, value in lengths.items() if value < 0]
        return [
            *when(bool(negative), "cleaning", f"{', '.join(negative)}.", "Give 0 or more pixels."),
            *when(
                self.majority_px > 0 and self.majority_px % 2 == 0,
                "majority_px",
                f"The window of the majority filter is {self.majority_px} pixels wide.",
                "Choose an odd number, such as 3 or 5.",
            ),
        ]


@dataclass(frozen=True)
class Outlines:
    """How the outlines of polygons are drawn. Neighbours keep their common border, except with `right_angles`.

    Attributes:
        connectivity: whether pixels that touch at a corner only are of one polygon (8) or not (4).
        simplify_m: how far an outline may move, in metres on the ground; 0 keeps the edges of the pixels.
        smooth: rounds of cutting corners (Chaikin), 0 to 5.
        right_angles: polygons become upright along their own main direction, as buildings are; not with `smooth`.
    """

    connectivity: Connectivity = 4
    simplify_m: float = 0.0
    smooth: int = 0
    right_angles: bool = False

    def problems(self) -> list[Problem]:
        """What is wrong with the numbers."""
        return [
            *when(
                self.simplify_m < 0,
                "simplify_m",
                f"The tolerance of outlines is {self.simplify_m:g} m.",
                "Give 0 or more metres.",
            ),
            *when(
                not 0 <= self.smooth <= 5,
                "smooth",
                f"{self.smooth} rounds of smoothing.",
                "Choose 0 to 5.",
            ),
            *when(
                self.right_angles and self.smooth > 0,
                "right_angles",
                "Right angles and smoothing are both asked for.",
                "Choose one of the two.",
            ),
        ]


@dataclass(frozen=True)
class PredictJob(Job):
    """Classify rasters with a trained model.

    Attributes:
        model: model.onnx, ours or of Deepness.
        sources: rasters to use. A source whose key is one of the model's fills that slot; the others are
            matched by name and band count. Empty uses the files the model was trained on.
        extent: part to predict (west, south, east, north); left out, all that the rasters share.
        extent_crs: of `extent`; empty is that of the map.
        output: class raster. The others are written when their path is not empty.
        confidence: calibrated probability of the class given.
        entropy: of the calibrated probabilities, 0 certain to 1 undecided.
        probability: calibrated probabilities, one band a class.
        polygons: GeoPackage with class_id, class_name, score, area_m2, perimeter_m.
        min_area_px: polygons smaller than this are left out.
        core_px: side of the part of a window that is kept, 16 or more; 0 finds one from memory.
        dry_run: only match bands and say what would be done.
        margin: probability of the most likely class minus that of the second.
        disagreement: share of the uncertainty on which views, members or passes disagree (mutual information over
            the largest entropy, 0 to 1); needs more than one of them.
        beyond: number of bands whose value lies outside what training saw, uint8.
        area: polygons outside which nothing is predicted.
        tta: of VIEWS; turns that a band with a direction does not allow are left out.
        dropout_passes: Monte Carlo dropout: so many passes with dropout on are averaged; 0 is none.
        runtime, precision: how the model is run; `auto` takes the fastest that gives the classes of float32.
        int8_loss: mean IoU that int8 may lose on validation blocks; with more, it is not used.
        shard: `i/n`: do only the i-th of n parts; the last part to end puts the files together. Empty does all.
        resume: go on where the same job was interrupted in the same folder.
        cleaning: done to the class raster before polygons are made.
        outlines: of the polygons.
        foreign_bands: what the channels of a foreign model read, in order; empty takes the first bands of the first
            source. Not for our own models, which know it.
    """

    kind: ClassVar[str] = "predict"
    model: str
    sources: tuple[Source, ...] = ()
    extent: tuple[float, float, float, float] | None = None
    extent_crs: str = ""
    output: str = "classes.tif"
    confidence: str = ""
    entropy: str = ""
    probability: str = ""
    polygons: str = ""
    min_area_px: int = 4
    core_px: int = 0
    device: str = "auto"
    runtime: Literal["auto", "torch", "onnx", "openvino"] = "auto"
    dry_run: bool = False
    margin: str = ""
    disagreement: str = ""
    beyond: str = ""
    area: Area | None = None
    tta: Views = "none"
    dropout_passes: int = 0
    precision: Literal["auto", "float32", "bf16", "fp16", "int8"] = "auto"
    int8_loss: float = 0.005
    shard: str = ""
    resume: bool = True
    cleaning: Cleaning = field(default_factory=Cleaning)
    outlines: Outlines = field(default_factory=Outlines)
    foreign_bands: tuple[Band, ...] = ()

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *self.cleaning.problems(),
            *self.outlines.problems(),
            *when(
                self.core_px != 0 and self.core_px < LEAST_CORE_PX,
                "core_px",
                f"The part of a window that is kept is {self.core_px} pixels wide.",
                f"Give {LEAST_CORE_PX} or more, or 0 to have one found.",
            ),
            *when(
                self.dropout_passes < 0,
                "dropout_passes",
                f"{self.dropout_passes} passes of dropout.",
                "Give 0 for none, or some ten.",
            ),
            *when(
                bool(self.shard) and shard_of(self.shard) is None,
                "shard",
                f"The shard '{self.shard}' is not of the form i/n with 1 ≤ i ≤ n.",
                "Write e.g. 2/8 for the second of eight parts.",
            ),
            *when(
                self.precision == "int8" and self.runtime == "torch",
                "int8_torch",
                "int8 is asked of torch, which does not run it here.",
                "Choose the runtime auto, onnx or openvino.",
            ),
        ]


@dataclass(frozen=True)
class CleanJob(Job):
    """Clean a class raster. The result has its colours and names.

    Attributes:
        classes: class raster.
        cleaning: the steps that are done; by default only small patches are removed.
        background: id of the class that is not opened or closed; -1 is none. Left out, 0 unless the file's class names
            make it a class like the others.
        output: the cleaned raster.
    """

    kind: ClassVar[str] = "clean"
    classes: str
    cleaning: Cleaning = field(default_factory=lambda: Cleaning(least_area_px=4))
    background: int | None = None
    output: str = "cleaned.tif"

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *self.cleaning.problems(),
            *when(
                not self.cleaning.anything,
                "nothing_to_clean",
                "No step of cleaning is asked for.",
                "Give at least one of them a number above 0.",
            ),
        ]


@dataclass(frozen=True)
class PolygonizeJob(Job):
    """Class raster to polygons.

    Attributes:
        classes: class raster.
        confidence: raster on the same pixels that gives the score.
        skip_background: leave out the class with id 0. Neither on nor off, it is left out unless the file's class names
            make it a class like the others.
        min_area_px: polygons smaller than this are left out.
        output: GeoPackage with class_id, class_name, score, area_m2, perimeter_m.
    """

    kind: ClassVar[str] = "polygonize"
    classes: str
    confidence: str = ""
    skip_background: bool | None = None
    min_area_px: int = 4
    output: str = "polygons.gpkg"
    outlines: Outlines = field(default_factory=Outlines)

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return self.outlines.problems()


def shard_of(text: str) -> tuple[int, int] | None:
    """`2/8` as (2, 8); None if it is no such text."""
    first, _, second = text.partition("/")
    if not (first.isascii() and first.isdigit() and second.isascii() and second.isdigit()):
        return None
    index, count = int(first), int(second)
    return (index, count) if 1 <= index <= count else None
