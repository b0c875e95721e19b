"""Parameters that tell a training what to do, and reading them back as fields of TrainJob."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
)

from ..contract import (
    ARCHITECTURES,
    AUGMENTATIONS,
    CLASS_WEIGHTS,
    LOSSES,
    MONITORS,
    PRESETS,
    Problem,
)
from .parameters import Parameters, advanced, choice, file, real, text, tr, whole

AUTO, NONE = "auto", "none"
SUMS = ("ce+lovasz", "ce+dice", "ce", AUTO)
"""The first entries of LOSS keep their numbers, by which batch tables may name them."""
WHOLE = (
    *("EPOCHS", "BATCH_SIZE", "WIDTH", "LEVELS", "STEPS_PER_EPOCH", "FREEZE_EPOCHS", "SEED"),
    "CROP_SIZE",
)
REAL = ("LEARNING_RATE", "WEIGHT_DECAY", "MAX_MINUTES")
OPTIONAL = ("PATIENCE", "DROPOUT", "BY_CLASS", "AVERAGE")
NAMES = ("PRESET", "ARCHITECTURE", "NORM", "CLASS_WEIGHTS", "OPTIMISER", "SCHEDULE", "MONITOR", "PRECISION")
TEXTS = ("ENCODER", "DECODER", "WEIGHTS", "START_FROM", "DEVICE")
TICKS = ("FIND_RATE", "CALIBRATE", "TENSORBOARD")
FIELDS = {"CROP_SIZE": "crop_px", "FIND_RATE": "lr_range_test", "AVERAGE": "ema_decay"}
"""Keys whose field is not called like them."""


def add_main_options(algorithm: QgsProcessingAlgorithm) -> None:
    """What matters most: goal, model, bands, time."""
    algorithm.addParameter(choice("PRESET", tr("Goal"), PRESETS, "balanced"))
    algorithm.addParameter(choice("ARCHITECTURE", tr("Architecture"), ARCHITECTURES, "unet"))
    algorithm.addParameter(bands())
    algorithm.addParameter(whole("EPOCHS", tr("Epochs at most (0: automatic)"), 0, 0))
    algorithm.addParameter(
        whole("PATIENCE", tr("Stop after so many epochs without gain (0: never, empty: automatic)"), None, 0)
    )
    algorithm.addParameter(real("MAX_MINUTES", tr("Minutes at most (0: as the goal says)"), 0.0))


def add_training_options(algorithm: QgsProcessingAlgorithm) -> None:
    """The folded part: recipe, network, beginning, descent."""
    for parameter in (*recipe_options(), *network_options(), *start_options(), *descent_options()):
        algorithm.addParameter(advanced(parameter))


def bands() -> QgsProcessingParameterDefinition:
    """BANDS: names of the dataset's bands; empty is all."""
    return text("BANDS", tr("Bands to use, by name, with commas (empty: all)"))


def recipe_options() -> list[QgsProcessingParameterDefinition]:
    """What counts as wrong, and what is looked at."""
    losses = (*SUMS, *(name for name in LOSSES if name not in SUMS))
    return [
        choice("LOSS", tr("Loss; several are summed"), losses, [AUTO], several=True),
        choice("CLASS_WEIGHTS", tr("Class weights"), (AUTO, *CLASS_WEIGHTS), AUTO),
        choice("AUGMENT", tr("Augmentation"), (AUTO, NONE, *AUGMENTATIONS), [AUTO], several=True),
        real(
            "BY_CLASS", tr("Share of crops drawn class first (empty: automatic)"), None, 0, 1, optional=True
        ),
        whole("BATCH_SIZE", tr("Crops a step (0: automatic)"), 0, 0),
        whole("CROP_SIZE", tr("Side of a crop in pixels (0: automatic)"), 0, 0),
        whole("STEPS_PER_EPOCH", tr("Steps an epoch (0: automatic)"), 0, 0),
    ]


def network_options() -> list[QgsProcessingParameterDefinition]:
    """Size and kind of the network."""
    return [
        text("ENCODER", tr("Encoder: resnet18 or resnet50 of deeplabv3plus; any of timm for zoo")),
        text("DECODER", tr("Decoder of zoo, e.g. unetplusplus")),
        whole("WIDTH", tr("Channels of the first level (0: automatic)"), 0, 0),
        whole("LEVELS", tr("Levels of the network (0: automatic)"), 0, 0, 6),
        real("DROPOUT", tr("Dropout in the deepest levels (empty: automatic)"), None, 0, 0.95, optional=True),
        choice("NORM", tr("Normalisation"), ("batch", "group", "instance"), "batch"),
    ]


def start_options() -> list[QgsProcessingParameterDefinition]:
    """What the weights begin as."""
    weights = QgsProcessingParameterFile(
        "WEIGHTS",
        tr("Encoder weights: a file, or imagenet"),
        optional=True,
        fileFilter=tr("Weights (*.pt *.pth *.safetensors);;All files (*)"),
    )
    return [
        file("START_FROM", tr("Model to begin from"), "onnx", optional=True),
        weights,
        whole("FREEZE_EPOCHS", tr("Epochs with a fixed encoder (-1: all)"), 0, -1),
    ]


def descent_options() -> list[QgsProcessingParameterDefinition]:
    """How the weights are changed, and which are kept."""
    return [
        choice("OPTIMISER", tr("Optimiser"), ("adamw", "sgd"), "adamw"),
        choice("SCHEDULE", tr("Schedule of the learning rate"), ("cosine", "plateau"), "cosine"),
        real("LEARNING_RATE", tr("Learning rate (0: automatic)"), 0.0),
        QgsProcessingParameterBoolean("FIND_RATE", tr("Find the learning rate first"), False),
        real("WEIGHT_DECAY", tr("Weight decay"), 0.01),
        real("AVERAGE", tr("Averaging of the weights (empty: automatic, 0: none)"), None, 0, 0.9999, True),
        choice("MONITOR", tr("Score that decides which epoch is kept"), MONITORS, "miou"),
        choice("PRECISION", tr("Precision"), ("auto", "float32", "bf16"), "auto"),
        QgsProcessingParameterBoolean("CALIBRATE", tr("Calibrate on validation ground"), True),
        QgsProcessingParameterBoolean("TENSORBOARD", tr("Write logs for TensorBoard"), True),
    ]


def training_settings(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> dict[str, Any]:
    """All parameters above as fields of TrainJob."""
    given = dict(parameters)
    found: dict[str, Any] = {key: algorithm.parameterAsInt(given, key, context) for key in WHOLE}
    found |= {key: algorithm.parameterAsDouble(given, key, context) for key in REAL}
    found |= {key: algorithm.parameterAsEnumString(given, key, context) for key in NAMES}
    found |= {key: algorithm.parameterAsString(given, key, context) for key in TEXTS}
    found |= {key: algorithm.parameterAsBoolean(given, key, context) for key in TICKS}
    for key in OPTIONAL:
        empty = given.get(key) in (None, "")
        found[key] = None if empty else algorithm.parameterAsDouble(given, key, context)
    if found["PATIENCE"] is not None:
        found["PATIENCE"] = int(found["PATIENCE"])
    settings = {FIELDS.get(key, key.lower()): value for key, value in found.items()}
    losses = algorithm.parameterAsEnumStrings(given, "LOSS", context)
    kinds = algorithm.parameterAsEnumStrings(given, "AUGMENT", context)
    settings["loss"] = "+".join(losses) or AUTO
    settings["augment"] = tuple(kinds) or (AUTO,)
    settings["bands"] = band_names(algorithm.parameterAsString(given, "BANDS", context))
    return settings


def band_names(listed: str) -> tuple[str, ...]:
    """`red, nir` as ("red", "nir")."""
    return tuple(name for name in (part.strip() for part in listed.split(",")) if name)


def mixed_problems(settings: dict[str, Any]) -> list[Problem]:
    """`auto` or `none` beside named kinds of augmentation."""
    kinds = settings["augment"]
    alone = [name for name in (AUTO, NONE) if name in kinds and len(kinds) > 1]
    return [
        Problem(
            "augment",
            tr("AUGMENT has '{}' beside others.").format(name),
            tr("Choose it alone, or name the kinds."),
        )
        for name in alone
    ]
