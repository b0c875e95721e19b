"""Jobs that use a model, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from .complaints import (
    when,
)
from .data import SPLITS, Source
from .errors import Problem
from .job import Job


@dataclass(frozen=True)
class PredictJob(Job):
    """Classify rasters with a trained model.

    Attributes:
        model: model.onnx.
        sources: rasters to use. A source whose key is one of the model's fills that slot; the others are
            matched by name and band count. Empty uses the files the model was trained on.
        extent, extent_crs: part to predict; None is all that the rasters share.
        output: class raster. The others are written when their path is not empty.
        polygons: GeoPackage with class_id, class_name, score, area_m2, perimeter_m.
        min_area_px: polygons smaller than this are left out.
        core_px: side of the part of a window that is kept; 0 finds one from memory.
        dry_run: only match bands and say what would be done.
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
    runtime: Literal["auto", "torch", "onnx"] = "auto"
    dry_run: bool = False


@dataclass(frozen=True)
class EvaluateJob(Job):
    """Compare a model, or a class raster on the dataset's grid, with held-out labels.

    Leaves metrics.json, confusion.csv, errors.tif (1 true positive, 2 false positive, 3 false negative;
    with more than two classes 1 right, 2 wrong) in `output`.
    """

    kind: ClassVar[str] = "evaluate"
    dataset: str
    model: str = ""
    prediction: str = ""
    split: str = "test"
    device: str = "auto"
    output: str = "."

    def problems(self) -> list[Problem]:
        return [
            *when(
                bool(self.model) == bool(self.prediction),
                "nothing_to_evaluate",
                "Give either a model or a class raster to evaluate.",
                "Choose one of the two.",
            ),
            *when(
                self.split not in SPLITS,
                "split",
                f"Unknown split '{self.split}'.",
                f"Choose from: {', '.join(SPLITS)}.",
            ),
        ]


@dataclass(frozen=True)
class PolygonizeJob(Job):
    """Class raster to polygons. `confidence` gives the score; background (id 0) is left out on request."""

    kind: ClassVar[str] = "polygonize"
    classes: str
    confidence: str = ""
    skip_background: bool = True
    min_area_px: int = 4
    output: str = "polygons.gpkg"


@dataclass(frozen=True)
class DescribeJob(Job):
    """Read a model's metadata: classes, recipe, metrics, architecture."""

    kind: ClassVar[str] = "describe"
    model: str


@dataclass(frozen=True)
class ProbeJob(Job):
    """Say what this environment can do: versions, devices, honest ONNX Runtime providers, richdem."""

    kind: ClassVar[str] = "probe"
