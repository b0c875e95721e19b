"""Jobs that make and use a model, as plain data."""

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
class TrainJob(Job):
    """Train a segmentation model; leaves model.onnx, checkpoint.pt, history.json, metrics.json.

    Attributes:
        dataset: dataset.json or its folder.
        architecture: `unet`.
        width: channels of the first level; 0 chooses by device.
        levels: downsamplings; the model needs windows that are multiples of 2**levels.
        dropout: probability in the deepest levels, 0..1.
        loss: `ce_lovasz`, `ce_dice` or `ce`.
        augment: turn, scale and brighten crops where labelled pixels are few; False never.
        epochs, patience: at most / without improvement of validation IoU; patience 0 never stops early.
        steps_per_epoch, batch_size: 0 finds one.
        crop_px: side of a training crop; 0 finds one from the dataset's tile size.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto` times float32 against bf16 and takes the faster.
        max_minutes: stop in time to end by then; 0 sets no limit.
        resume: continue from checkpoint.pt of the output folder.
    """

    kind: ClassVar[str] = "train"
    dataset: str
    architecture: str = "unet"
    width: int = 0
    levels: int = 3
    dropout: float = 0.1
    loss: str = "ce_lovasz"
    epochs: int = 60
    patience: int = 12
    steps_per_epoch: int = 0
    batch_size: int = 0
    crop_px: int = 0
    learning_rate: float = 1e-3
    augment: bool = True
    seed: int = 42
    device: str = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    max_minutes: float = 0.0
    resume: bool = False
    output: str = "."

    def problems(self) -> list[Problem]:
        losses = ("ce_lovasz", "ce_dice", "ce")
        return [
            *when(
                self.epochs < 1, "epochs", f"{self.epochs} epochs cannot train anything.", "Choose 1 or more."
            ),
            *when(
                self.learning_rate <= 0,
                "learning_rate",
                f"The learning rate {self.learning_rate:g} is not positive.",
                "0.001 is a good start.",
            ),
            *when(
                not 0 <= self.dropout < 1,
                "dropout",
                f"Dropout {self.dropout:g} is not a probability below 1.",
                "Choose 0 to 0.5.",
            ),
            *when(
                self.architecture != "unet",
                "architecture",
                f"Unknown architecture '{self.architecture}'.",
                "Choose unet.",
            ),
            *when(
                self.loss not in losses,
                "loss",
                f"Unknown loss '{self.loss}'.",
                f"Choose from: {', '.join(losses)}.",
            ),
            *when(
                not 1 <= self.levels <= 6,
                "levels",
                f"{self.levels} levels are not possible.",
                "Choose 1 to 6.",
            ),
        ]


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
