"""Jobs that train a network, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .catalogue import ARCHITECTURES, ENCODERS
from .checks import when
from .errors import Problem
from .events import TRAINING_PHASES
from .job import DEVICE, HARDWARE, OTHER, SEED, Job
from .parameter import Candidates, Param, unknown
from .run_files import ENCODER_FILE, MODEL_FILE

AUTO, NONE = "auto", "none"
LOSS_NAMES = {
    "ce": "Cross-entropy",
    "bce": "Binary cross-entropy",
    "dice": "Dice",
    "dice_wang": "Dice, improved (Wang 2020)",
    "focal": "Focal",
    "tversky": "Tversky",
    "unified_focal": "Unified Focal",
    "unified_focal_asymmetric": "Unified Focal, asymmetric",
    "lovasz": "Lovász",
}
LOSSES = tuple(LOSS_NAMES)
"""Losses; several are summed: `ce+lovasz`."""
LOSS_SUMS = ("ce+lovasz", "ce+dice")
AUGMENTATION_NAMES = {
    "flip": "Flip",
    "turn": "Rotate by 90°",
    "rotate": "Rotate by any angle",
    "scale": "Scale",
    "shift": "Shift",
    "brightness": "Brightness and contrast",
    "noise": "Noise",
    "band_dropout": "Band dropout",
    "cutmix": "CutMix",
    "copy_paste": "Copy-paste of rare classes",
}
AUGMENTATIONS = tuple(AUGMENTATION_NAMES)
CLASS_WEIGHT_NAMES = {
    "none": "none: every pixel counts the same",
    "inverse": "inverse frequency",
    "sqrt": "square root of inverse frequency",
    "median": "median frequency",
    "effective": "effective number of samples",
}
CLASS_WEIGHTS = tuple(CLASS_WEIGHT_NAMES)
MONITOR_NAMES = {
    "miou": "Mean IoU of all classes",
    "foreground_iou": "IoU without background",
    "f1": "Mean F1",
    "loss": "Loss",
}
PRESET_NAMES = {
    "quick": "Quick: a first map in 5 minutes",
    "balanced": "Balanced: as long as it improves",
    "best": "Best: overnight",
}

LOSS, OPTIMIZER, LENGTH = "Loss and sampling", "Optimization", "Length"
NETWORK, START = "Network", "Start"

DatasetPath = Annotated[str, Param("Dataset", "dataset.json or its folder.", reads=True)]
Bands = Annotated[tuple[str, ...], Param("Bands", "Names of the bands to use.", auto="all")]
Architecture = Annotated[
    str,
    Param(
        "Architecture",
        "Kind of network.",
        options=ARCHITECTURES,
    ),
]
Encoder = Annotated[
    str,
    Param(
        "Encoder",
        f"Part of the network that extracts features: {' or '.join(ENCODERS)} of deeplabv3plus, any of timm for zoo.",
        group=NETWORK,
        guide="which-model",
    ),
]
Width = Annotated[
    int,
    Param(
        "Base channels",
        "Channels of the first level. A wider network learns more and is slower: double the channels take four times "
        "as long.",
        unit="channels",
        low=0,
        high=1024,
        step=8,
        auto="automatic",
        group=NETWORK,
        guide="width-levels-dropout",
        search=Candidates(values=(8, 16, 24, 32, 48, 64)),
    ),
]
Levels = Annotated[
    int,
    Param(
        "Depth",
        "Number of downsamplings. Each doubles the context that the network sees and slows learning.",
        low=0,
        high=6,
        auto="automatic",
        group=NETWORK,
        guide="width-levels-dropout",
        search=Candidates(below=2, above=1, low=1, high=6),
    ),
]
OutputFolder = Annotated[str, Param("Run folder", "Folder of the results.")]
Resume = Annotated[bool, Param("Resume", "Continue the interrupted run in the output folder.")]
SettingsFrom = Annotated[
    str,
    Param(
        "Validated model",
        "For a training on all labels: the model of a run that left areas out. Its calibration, its scores and what it "
        "found on validation data are kept.",
        reads=True,
        in_folder=MODEL_FILE,
    ),
]
DryRun = Annotated[bool, Param("Dry run", "Only report what would be done.")]


@dataclass(frozen=True)
class TrainJob(Job):
    """Train a segmentation model; leaves model.onnx, checkpoint.pt, history.json, metrics.json, plan.json.

    Settings that are left on automatic are chosen from the data and the device; plan.json states each choice and its
    reason.
    """

    kind: ClassVar[str] = "train"
    worker: ClassVar[str] = "training.fit"
    title: ClassVar[str] = "Train model"
    phases: ClassVar[dict[str, str]] = {"train": "Training", "training": "Training", **TRAINING_PHASES}
    leaves: ClassVar[tuple[str, ...]] = (MODEL_FILE,)

    dataset: DatasetPath
    bands: Bands = ()
    preset: Annotated[
        Literal["quick", "balanced", "best"],
        Param("Goal", "How long training may take; a time limit overrules it.", labels=PRESET_NAMES),
    ] = "balanced"
    architecture: Architecture = "unet"
    encoder: Encoder = ""
    decoder: Annotated[
        str,
        Param(
            "Decoder",
            "Decoder of the architecture zoo, such as unet, unetplusplus or segformer.",
            group=NETWORK,
            guide="which-model",
        ),
    ] = ""
    weights: Annotated[
        str,
        Param(
            "Encoder weights",
            "File of the job pretrain or in torchvision's names; imagenet downloads those of the zoo. Without it, "
            "training starts from random weights.",
            reads=True,
            in_folder=ENCODER_FILE,
            fixed=True,
        ),
    ] = ""
    width: Width = 0
    levels: Levels = 0
    dropout: Annotated[
        float | None,
        Param(
            "Dropout",
            "Share of features that are dropped in the deepest levels. Raise it to 0.3 when validation loss rises "
            "while training loss falls.",
            low=0,
            high=0.95,
            step=0.05,
            auto="automatic",
            group=NETWORK,
            guide="width-levels-dropout",
            search=Candidates(low=0, high=0.6),
        ),
    ] = None
    norm: Annotated[
        Literal["batch", "group", "instance"],
        Param(
            "Normalization",
            "With batch, maps are predicted exactly and without seams; group and instance suit batches of one or two "
            "crops.",
            group=NETWORK,
            guide="width-levels-dropout",
        ),
    ] = "batch"
    loss: Annotated[
        str,
        Param(
            "Loss",
            "What training minimizes; several losses are summed.",
            labels=LOSS_NAMES,
            options=(*LOSS_SUMS, "ce", AUTO, *(name for name in LOSSES if name != "ce")),
            several=True,
            auto="automatic",
            group=LOSS,
            guide="loss",
            search=Candidates(values=("ce", "ce+dice", "ce+lovasz", "focal+dice", "unified_focal")),
        ),
    ] = AUTO
    class_weights: Annotated[
        Literal["auto", "none", "inverse", "sqrt", "median", "effective"],
        Param(
            "Class weights",
            "Weights of the classes in the loss; they keep rare classes from being ignored.",
            labels={AUTO: "automatic", **CLASS_WEIGHT_NAMES},
            group=LOSS,
            guide="class-weights",
        ),
    ] = "auto"
    augment: Annotated[
        tuple[str, ...],
        Param(
            "Augmentation",
            "Random changes of the crops that make up for few labels. Bands with a direction are rotated correctly.",
            labels=AUGMENTATION_NAMES,
            options=(AUTO, NONE, *AUGMENTATIONS),
            several=True,
            auto="automatic",
            group=LOSS,
            guide="augmentation",
            search=Candidates(
                values=(
                    "none",
                    "flip+turn",
                    "flip+turn+scale+brightness+noise",
                    "flip+turn+rotate+scale+shift+brightness+noise",
                )
            ),
        ),
    ] = (AUTO,)
    by_class: Annotated[
        float | None,
        Param(
            "Class-balanced crops",
            "Share of the crops that are drawn around each class in turn; the others are drawn anywhere.",
            low=0,
            high=1,
            step=0.05,
            auto="automatic",
            group=LOSS,
            guide="sampling",
            search=Candidates(low=0, high=1),
        ),
    ] = None
    optimiser: Annotated[
        Literal["adamw", "sgd"],
        Param(
            "Optimizer",
            "AdamW suits most data.",
            labels={"adamw": "AdamW", "sgd": "SGD"},
            group=OPTIMIZER,
            guide="learning-rate-batch-crop",
            fixed=True,
        ),
    ] = "adamw"
    schedule: Annotated[
        Literal["cosine", "plateau"],
        Param(
            "Learning-rate schedule",
            "How the learning rate falls: evenly until the end, or each time the score stops improving.",
            labels={"cosine": "cosine", "plateau": "reduce on plateau"},
            group=OPTIMIZER,
            guide="learning-rate-batch-crop",
            fixed=True,
        ),
    ] = "cosine"
    learning_rate: Annotated[
        float,
        Param(
            "Learning rate",
            "Highest rate of the schedule. Divide it by ten if the loss jumps or becomes NaN.",
            low=0,
            high=10,
            step=0.0001,
            decimals=6,
            auto="automatic",
            group=OPTIMIZER,
            guide="learning-rate-batch-crop",
            search=Candidates(factor=10),
        ),
    ] = 0.0
    lr_range_test: Annotated[
        bool,
        Param(
            "Learning-rate range test",
            "Tries rising rates for some seconds before training and takes the best.",
            group=OPTIMIZER,
            guide="learning-rate-batch-crop",
            key="FIND_RATE",
            row="find_rate",
            was=("find_rate",),
        ),
    ] = False
    weight_decay: Annotated[
        float,
        Param(
            "Weight decay",
            "Keeps weights small. Raise it when the model overfits.",
            low=0,
            high=10,
            step=0.005,
            decimals=4,
            group=OPTIMIZER,
            guide="width-levels-dropout",
            search=Candidates(low=1e-4, high=0.1, log=True),
            fixed=True,
        ),
    ] = 0.01
    ema_decay: Annotated[
        float | None,
        Param(
            "EMA decay",
            "Exponential moving average of the weights, steadier than the latest weights; 0 uses none.",
            low=0,
            high=0.9999,
            step=0.01,
            decimals=4,
            auto="automatic",
            group=OPTIMIZER,
            guide="learning-rate-batch-crop",
            key="AVERAGE",
            row="average",
            was=("average",),
        ),
    ] = None
    monitor: Annotated[
        Literal["miou", "foreground_iou", "f1", "loss"],
        Param(
            "Best by",
            "Validation score that decides which epoch is kept.",
            labels=MONITOR_NAMES,
            group=OPTIMIZER,
            guide="epochs-patience-time",
            fixed=True,
        ),
    ] = "miou"
    epochs: Annotated[
        int,
        Param(
            "Epochs",
            "Maximum number of epochs.",
            low=0,
            high=1_000_000,
            auto="automatic",
            group=LENGTH,
            guide="epochs-patience-time",
        ),
    ] = 0
    patience: Annotated[
        int | None,
        Param(
            "Early stopping",
            "Epochs without improvement after which training stops; 0 never stops early.",
            unit="epochs",
            low=0,
            high=1_000_000,
            auto="automatic",
            group=LENGTH,
            guide="epochs-patience-time",
        ),
    ] = None
    steps_per_epoch: Annotated[
        int,
        Param(
            "Steps per epoch",
            "Batches between two validations. Fewer show results sooner; they also change the length of training.",
            low=0,
            high=1_000_000,
            auto="automatic",
            group=LENGTH,
            guide="epochs-patience-time",
        ),
    ] = 0
    batch_size: Annotated[
        int,
        Param(
            "Batch size",
            "Crops per step. Smaller batches need less memory; larger ones learn more steadily.",
            unit="crops",
            low=0,
            high=65_536,
            auto="automatic",
            group=LENGTH,
            guide="learning-rate-batch-crop",
        ),
    ] = 0
    crop_px: Annotated[
        int,
        Param(
            "Crop size",
            "Side of the image part that the network sees at once; a multiple of 16.",
            unit="px",
            low=0,
            high=65_536,
            step=16,
            auto="automatic",
            group=LENGTH,
            guide="learning-rate-batch-crop",
            key="CROP_SIZE",
        ),
    ] = 0
    start_from: Annotated[
        str,
        Param(
            "Model to start from",
            "Weights whose bands, classes and shapes fit are kept.",
            reads=True,
            in_folder=MODEL_FILE,
            fixed=True,
        ),
    ] = ""
    freeze_epochs: Annotated[
        int,
        Param(
            "Frozen encoder",
            "Epochs in which the encoder is not trained; -1 is all.",
            unit="epochs",
            low=-1,
            high=1_000_000,
            guide="fine-tuning",
            fixed=True,
        ),
    ] = 0
    calibrate: Annotated[
        bool,
        Param(
            "Calibrate on validation data",
            "Makes the confidence a true probability and gives rare classes the threshold that fits best.",
            group=OTHER,
            guide="calibration",
        ),
    ] = True
    tensorboard: Annotated[
        bool,
        Param(
            "Write TensorBoard logs",
            "For curves of many runs side by side.",
            group=OTHER,
            guide="tensorboard",
        ),
    ] = True
    seed: SEED = 42
    device: DEVICE = "auto"
    precision: Annotated[
        Literal["auto", "float32", "bf16"],
        Param(
            "Precision",
            "bfloat16 is up to twice as fast on devices that support it; automatic times both and takes the faster.",
            labels={AUTO: "automatic (timed)", "float32": "float32", "bf16": "bfloat16"},
            group=HARDWARE,
            guide="seed-and-resume",
        ),
    ] = "auto"
    max_minutes: Annotated[
        float,
        Param(
            "Time limit",
            "Training stops in time to end by then.",
            unit="min",
            low=0,
            high=1e7,
            decimals=1,
            auto="as the goal states",
        ),
    ] = 0.0
    resume: Resume = False
    dry_run: DryRun = False
    output: OutputFolder = "."
    settings_from: SettingsFrom = ""

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [
            *super().problems(),
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
                len(self.augment) > 1 and bool({AUTO, NONE} & {*self.augment}),
                "augment",
                f"Augmentation '{'+'.join(self.augment)}' has auto or none beside others.",
                "Choose it alone, or name the kinds.",
            ),
            *when(
                self.architecture == "deeplabv3plus" and self.encoder not in ("", *ENCODERS),
                "encoder",
                f"deeplabv3plus has no encoder '{self.encoder}'.",
                f"Choose from: {', '.join(ENCODERS)}.",
            ),
        ]


@dataclass(frozen=True)
class PretrainJob(Job):
    """Teach an encoder to fill in hidden parts of the stack, without labels; leaves encoder.pt for `weights`.

    The whole stack is used except the test areas.
    """

    kind: ClassVar[str] = "pretrain"
    worker: ClassVar[str] = "training.pretraining.pretrain"
    title: ClassVar[str] = "Pretrain encoder"
    phases: ClassVar[dict[str, str]] = {
        "pretrain": "Pretraining the encoder",
        "pretraining": "Pretraining the encoder",
        **TRAINING_PHASES,
    }
    leaves: ClassVar[tuple[str, ...]] = (ENCODER_FILE,)

    dataset: DatasetPath
    bands: Bands = ()
    architecture: Architecture = "unet"
    encoder: Encoder = ""
    width: Width = 0
    levels: Levels = 0
    mask_share: Annotated[
        float,
        Param(
            "Hidden share", "Share of the image that is hidden and predicted.", low=0.01, high=0.99, step=0.05
        ),
    ] = 0.6
    epochs: Annotated[int, Param("Epochs", "Maximum number of epochs.", low=1, high=1_000_000)] = 20
    max_minutes: Annotated[
        float,
        Param(
            "Time limit",
            "Training stops in time to end by then.",
            unit="min",
            low=0,
            high=1e7,
            decimals=1,
            auto="no limit",
        ),
    ] = 0.0
    seed: SEED = 42
    device: DEVICE = "auto"
    output: OutputFolder = "."

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [*super().problems(), *unknown("architecture", [self.architecture], ARCHITECTURES)]


@dataclass(frozen=True)
class PreviewJob(Job):
    """Show what training would see: crops as they are and as augmented; leaves preview.png and preview.json."""

    kind: ClassVar[str] = "preview"
    worker: ClassVar[str] = "training.preview"
    title: ClassVar[str] = "Preview crops"
    phases: ClassVar[dict[str, str]] = {"preview": "Drawing crops"}

    training: Annotated[TrainJob, Param("Training", "The job whose sampling and augmentation are shown.")]
    tiles: Annotated[int, Param("Crops", "Number of crops to show.", low=1, high=24)] = 6
    output: OutputFolder = "."

    def problems(self) -> list[Problem]:
        """See `Job`."""
        return [*super().problems(), *self.training.problems()]
