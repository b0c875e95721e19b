"""Jobs that make a model, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from .complaints import when
from .errors import Problem
from .job import Job

ARCHITECTURES = (
    "unet",
    "attention_resunet",
    "resunet_a",
    "segnet",
    "deeplabv3plus",
    "patchcnn",
    "zoo",
)
"""Networks; `zoo` is any of segmentation-models-pytorch and needs the engine's extra of that name."""
ENCODERS = ("resnet18", "resnet50")
"""Backbones of deeplabv3plus; the zoo has its own."""
BASELINES = ("forest", "maximum_likelihood", "spectral_angle")
LOSSES = (
    "ce",
    "bce",
    "dice",
    "dice_wang",
    "focal",
    "tversky",
    "unified_focal",
    "unified_focal_asymmetric",
    "lovasz",
)
"""Losses; several are summed: `ce+lovasz`."""
CLASS_WEIGHTS = ("none", "inverse", "sqrt", "median", "effective")
AUGMENTATIONS = (
    "flip",
    "turn",
    "rotate",
    "scale",
    "shift",
    "brightness",
    "noise",
    "band_dropout",
    "cutmix",
    "copy_paste",
)
MONITORS = ("miou", "foreground_iou", "f1", "loss")
PRESETS = ("quick", "balanced", "best")
AUTO, NONE = "auto", "none"


@dataclass(frozen=True)
class TrainJob(Job):
    """Train a segmentation model; leaves model.onnx, checkpoint.pt, history.json, metrics.json, plan.json.

    What is left at `auto`, at 0 or unset follows from the data and the device; plan.json says what was
    chosen and why.

    Attributes:
        dataset: dataset.json or its folder.
        bands: names of the bands to use, of those that the dataset has; empty takes all.
        preset: `quick` (a usable map in 5 minutes), `balanced`, `best` (overnight); `max_minutes` overrules its time.
        architecture: of ARCHITECTURES.
        encoder: backbone of `deeplabv3plus` (of ENCODERS) and of `zoo` (a name that segmentation-models-pytorch knows).
        decoder: of `zoo`, e.g. `unet`, `unetplusplus`, `segformer`.
        weights: file with weights of an encoder, in torchvision's names or from the job `pretrain`; `imagenet` asks
            the zoo to fetch them; empty begins at random.
        width: channels of the first level.
        levels: downsamplings; the model needs windows that are multiples of 2**levels.
        dropout: probability in the deepest levels, 0..1.
        norm: normalisation; only `batch` allows prediction by windows that is exact.
        loss: of LOSSES, joined by `+`, or `auto`.
        class_weights: of CLASS_WEIGHTS, or `auto`.
        augment: of AUGMENTATIONS; `auto` finds them; empty or `none` is none.
        by_class: share of crops drawn class first, then polygon, then pixel, 0..1; the others are drawn evenly.
        optimiser: how weights are changed.
        schedule: of the learning rate: `cosine` falls by epochs, `plateau` where the validation score no longer rises.
        learning_rate: at the height of the schedule; 0 takes the plan's.
        weight_decay: pull of all weights towards zero.
        find_rate: try rising learning rates first and take the best.
        average: decay of the running mean of the weights, 0..1; 0 takes the weights as they are.
        monitor: validation score that decides which epoch is kept.
        epochs: at most so many.
        patience: epochs without a better `monitor` after which training ends; 0 never ends early.
        steps_per_epoch: batches between two looks at validation.
        batch_size: crops of a step.
        crop_px: side of a crop.
        start_from: model.onnx to begin from: weights whose bands, classes and shapes fit are kept.
        freeze_epochs: epochs in which the encoder is left as it is; -1 is all.
        calibrate: find temperature, bias and class weights on the validation pixels after training.
        tensorboard: also write logs for TensorBoard.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto` times float32 against bf16 and takes the faster.
        max_minutes: stop in time to end by then; 0 leaves it to the preset.
        resume: continue from checkpoint.pt of the output folder.
        dry_run: only plan: what would be done, why, and how long it takes.
    """

    kind: ClassVar[str] = "train"
    dataset: str
    bands: tuple[str, ...] = ()
    preset: Literal["quick", "balanced", "best"] = "balanced"
    architecture: str = "unet"
    encoder: str = ""
    decoder: str = ""
    weights: str = ""
    width: int = 0
    levels: int = 0
    dropout: float | None = None
    norm: Literal["batch", "group", "instance"] = "batch"
    loss: str = AUTO
    class_weights: Literal["auto", "none", "inverse", "sqrt", "median", "effective"] = "auto"
    augment: tuple[str, ...] = (AUTO,)
    by_class: float | None = None
    optimiser: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "plateau"] = "cosine"
    learning_rate: float = 0.0
    find_rate: bool = False
    weight_decay: float = 0.01
    average: float | None = None
    monitor: Literal["miou", "foreground_iou", "f1", "loss"] = "miou"
    epochs: int = 0
    patience: int | None = None
    steps_per_epoch: int = 0
    batch_size: int = 0
    crop_px: int = 0
    start_from: str = ""
    freeze_epochs: int = 0
    calibrate: bool = True
    tensorboard: bool = True
    seed: int = 42
    device: str = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    max_minutes: float = 0.0
    resume: bool = False
    dry_run: bool = False
    output: str = "."

    def problems(self) -> list[Problem]:
        return [
            *unknown("architecture", [self.architecture], ARCHITECTURES),
            *unknown("loss", self.loss.split("+"), (AUTO, *LOSSES)),
            *when(
                AUTO in self.loss.split("+")[1:] or self.loss.startswith(f"{AUTO}+"),
                "loss",
                f"'{self.loss}' adds a loss to the automatic one.",
                "Choose auto alone, or name the losses.",
            ),
            *unknown("augment", self.augment, (AUTO, NONE, *AUGMENTATIONS)),
            *when(
                self.architecture == "deeplabv3plus" and self.encoder not in ("", *ENCODERS),
                "encoder",
                f"deeplabv3plus has no encoder '{self.encoder}'.",
                f"Choose from: {', '.join(ENCODERS)}.",
            ),
            *when(
                self.epochs < 0 or (self.patience or 0) < 0 or self.steps_per_epoch < 0,
                "epochs",
                f"Epochs ({self.epochs}), patience ({self.patience}) or steps ({self.steps_per_epoch}) are negative.",
                "Choose 0 for automatic, or more.",
            ),
            *when(
                self.learning_rate < 0 or self.weight_decay < 0,
                "learning_rate",
                f"The learning rate {self.learning_rate:g} or weight decay {self.weight_decay:g} is negative.",
                "0.001 and 0.01 are good starts.",
            ),
            *shares(("dropout", self.dropout), ("by_class", self.by_class), ("average", self.average)),
            *when(
                not 0 <= self.levels <= 6,
                "levels",
                f"{self.levels} levels are not possible.",
                "Choose 1 to 6, or 0 for automatic.",
            ),
        ]


@dataclass(frozen=True)
class ForestJob(Job):
    """Train a baseline on the same pixels: random forest, maximum likelihood or spectral angle; leaves model.onnx.

    Attributes:
        dataset: dataset.json or its folder.
        bands: names of the bands to use; empty takes all.
        method: of BASELINES.
        trees: of the forest; 0 takes 100.
        depth: of a tree; 0 is no limit.
        features: looked at for a split; 0 takes the square root of their number.
        texture_px: windows, odd numbers, of which mean and deviation of every band are further features.
        search: find leaf size and features on the validation pixels first, from a few trees of each.
        pixels: at most so many training pixels, evenly over the classes.
        dry_run: only say what would be done.
    """

    kind: ClassVar[str] = "trainforest"
    dataset: str
    bands: tuple[str, ...] = ()
    method: Literal["forest", "maximum_likelihood", "spectral_angle"] = "forest"
    trees: int = 0
    depth: int = 0
    features: int = 0
    texture_px: tuple[int, ...] = ()
    search: bool = True
    calibrate: bool = True
    pixels: int = 200_000
    seed: int = 42
    dry_run: bool = False
    output: str = "."

    def problems(self) -> list[Problem]:
        bad = [size for size in self.texture_px if size < 3 or size % 2 == 0 or size > 31]
        return [
            *when(
                bool(bad),
                "texture_px",
                f"Texture windows of {', '.join(map(str, bad))} px are not possible.",
                "Choose odd numbers from 3 to 31.",
            ),
            *when(
                min(self.trees, self.depth, self.features) < 0 or self.pixels < 100,
                "forest",
                f"Trees ({self.trees}), depth ({self.depth}), features ({self.features}) or pixels ({self.pixels}) "
                "are too few.",
                "Choose 0 for automatic; 100 pixels or more.",
            ),
        ]


@dataclass(frozen=True)
class PretrainJob(Job):
    """Teach an encoder to fill in hidden parts of the stack, without labels; leaves encoder.pt for `weights`.

    Attributes:
        dataset: whose whole stack is looked at, but for the ground of its test split.
        bands, architecture, encoder, width, levels: of the network that will start from it, as in `train`.
        mask_share: share of the image that is hidden, 0..1.
        epochs: at most so many; 0 finds them.
        max_minutes: stop in time to end by then; 0 is no limit.
    """

    kind: ClassVar[str] = "pretrain"
    dataset: str
    bands: tuple[str, ...] = ()
    architecture: str = "unet"
    encoder: str = ""
    width: int = 0
    levels: int = 0
    mask_share: float = 0.6
    epochs: int = 20
    max_minutes: float = 0.0
    seed: int = 42
    device: str = "auto"
    output: str = "."

    def problems(self) -> list[Problem]:
        return [
            *unknown("architecture", [self.architecture], ARCHITECTURES),
            *when(
                not 0 < self.mask_share < 1,
                "mask_share",
                f"A share of {self.mask_share:g} cannot be hidden.",
                "0.6 is a good start.",
            ),
            *when(
                self.epochs < 1, "epochs", f"{self.epochs} epochs cannot train anything.", "Choose 1 or more."
            ),
        ]


@dataclass(frozen=True)
class PreviewJob(Job):
    """Show what training would look at: crops as they are and as augmented; leaves preview.png and preview.json.

    Attributes:
        training: the job whose sampling and augmentation are shown.
        tiles: crops to show.
    """

    kind: ClassVar[str] = "preview"
    training: TrainJob
    tiles: int = 6
    output: str = "."

    def problems(self) -> list[Problem]:
        return [
            *self.training.problems(),
            *when(
                not 1 <= self.tiles <= 24,
                "tiles",
                f"{self.tiles} tiles cannot be shown.",
                "Choose 1 to 24.",
            ),
        ]


def unknown(field: str, given: tuple[str, ...] | list[str], known: tuple[str, ...]) -> list[Problem]:
    """A complaint about each name that is not known."""
    return [
        Problem(field, f"Unknown {field} '{name}'.", f"Choose from: {', '.join(known)}.")
        for name in given
        if name not in known
    ]


def shares(*named: tuple[str, float | None]) -> list[Problem]:
    """A complaint about each value that is no share from 0 to below 1, or 1 for `by_class`."""
    return [
        Problem(name, f"{name} {value:g} is not between 0 and 1.", "Leave it out to have it found.")
        for name, value in named
        if value is not None and not (0 <= value < 1 or (value == 1 and name == "by_class"))
    ]
