"""geoseg:trainmodel"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
)

from ..contract import Cancelled, Problem, TrainJob
from ..jobs import train
from .base import GeoSegAlgorithm
from .parameters import (
    Parameters,
    advanced,
    choice,
    dataset,
    dataset_folder,
    dataset_problems,
    device,
    device_problems,
    real,
    seed,
    tr,
    whole,
)

LOSSES = ("ce+lovasz", "ce+dice", "ce")
MODEL = "model.onnx"


class TrainModel(GeoSegAlgorithm):
    """Trains a segmentation model on a dataset."""

    ID = "trainmodel"
    TITLE = "Train model"
    GROUP = "training"
    TAGS = ("unet", "neural network", "fit", "resume")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        self.addParameter(choice("ARCHITECTURE", tr("Architecture"), ("unet",), "unet"))
        self.addParameter(whole("EPOCHS", tr("Epochs at most"), 60, 1))
        self.addParameter(whole("PATIENCE", tr("Stop after so many epochs without gain (0: never)"), 12, 0))
        self.addParameter(real("MAX_MINUTES", tr("Minutes at most (0: no limit)"), 0.0))
        self.addParameter(QgsProcessingParameterBoolean("RESUME", tr("Go on with the run in OUTPUT"), False))
        for parameter in (
            whole("BATCH_SIZE", tr("Tiles a step (0: automatic)"), 0, 0),
            real("LEARNING_RATE", tr("Learning rate"), 0.001),
            choice("LOSS", tr("Loss"), LOSSES, LOSSES[0]),
            whole("WIDTH", tr("Channels of the first level (0: automatic)"), 0, 0),
            whole("LEVELS", tr("Levels of the network"), 3, 1, 6),
            real("DROPOUT", tr("Dropout in the deepest levels"), 0.1, 0, 0.95),
            whole("STEPS_PER_EPOCH", tr("Steps an epoch (0: automatic)"), 0, 0),
            QgsProcessingParameterBoolean("AUGMENT", tr("Turn, flip and vary the training tiles"), True),
            choice("PRECISION", tr("Precision"), ("auto", "float32", "bf16"), "auto"),
        ):
            self.addParameter(advanced(parameter))
        self.addParameter(seed())
        self.addParameter(device())
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Run folder")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Model")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU on validation blocks")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        text = self.parameterAsString(parameters, "DATASET", context)
        return [
            *dataset_problems(text),
            *device_problems(self.parameterAsString(parameters, "DEVICE", context)),
            *TrainJob(text, **self._settings(parameters, context)).problems(),
        ]

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        for key in ("EPOCHS", "PATIENCE", "BATCH_SIZE", "WIDTH", "LEVELS", "STEPS_PER_EPOCH", "SEED"):
            settings[key.lower()] = self.parameterAsInt(parameters, key, context)
        for key in ("LEARNING_RATE", "DROPOUT", "MAX_MINUTES"):
            settings[key.lower()] = self.parameterAsDouble(parameters, key, context)
        for key in ("ARCHITECTURE", "LOSS", "PRECISION"):
            settings[key.lower()] = self.parameterAsEnumString(parameters, key, context)
        for key in ("AUGMENT", "RESUME"):
            settings[key.lower()] = self.parameterAsBoolean(parameters, key, context)
        settings["device"] = self.parameterAsString(parameters, "DEVICE", context)
        return settings

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context)).resolve()
        submission = train.train(folder, source, **self._settings(parameters, context))
        try:
            result = self.run_engine([submission], feedback)
        except Cancelled:
            kept = folder / MODEL
            if not kept.exists():
                raise
            feedback.pushWarning(tr("Cancelled; the best model so far is kept: {}").format(kept))
            return {"OUTPUT": str(folder), "MODEL": str(kept)}
        feedback.pushInfo(
            tr("Best epoch {} of {}, mean IoU {:.3f} on validation blocks, {}").format(
                result.get("best_epoch"),
                result.get("epochs_run"),
                result.get("miou") or 0.0,
                result.get("device", ""),
            )
        )
        return {
            "OUTPUT": str(folder),
            "MODEL": str(folder / str(result["model"])),
            "MIOU": result.get("miou"),
        }
