"""geoseg:pretrain"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
)

from ...contract import ARCHITECTURES, Cancelled, PretrainJob, Problem
from ...jobs import train
from ..base import GeoSegAlgorithm
from ..parameters import (
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
    text,
    tr,
    whole,
)
from ..trainoptions import band_names, bands


class Pretrain(GeoSegAlgorithm):
    """Teaches an encoder from rasters alone, without labels."""

    ID = "pretrain"
    TITLE = "Pretrain encoder without labels"
    GROUP = "training"
    TAGS = ("self-supervised", "masked", "encoder", "weights")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        self.addParameter(
            choice("ARCHITECTURE", tr("Architecture that will begin from it"), ARCHITECTURES, "unet")
        )
        self.addParameter(bands())
        self.addParameter(whole("EPOCHS", tr("Epochs"), 20, 1))
        self.addParameter(real("MAX_MINUTES", tr("Minutes at most (0: no limit)"), 0.0))
        for parameter in (
            text("ENCODER", tr("Encoder: resnet18 or resnet50 of deeplabv3plus")),
            whole("WIDTH", tr("Channels of the first level (0: automatic)"), 0, 0),
            whole("LEVELS", tr("Levels of the network (0: automatic)"), 0, 0, 6),
            real("MASK_SHARE", tr("Share of the image that is hidden"), 0.6, 0.05, 0.95),
        ):
            self.addParameter(advanced(parameter))
        self.addParameter(seed())
        self.addParameter(device())
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Run folder")))
        self.addOutput(QgsProcessingOutputFile("WEIGHTS", tr("Encoder weights")))
        self.addOutput(QgsProcessingOutputNumber("LOSS", tr("Loss on hidden parts")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        settings = self._settings(parameters, context)
        return [
            *dataset_problems(given),
            *device_problems(settings["device"]),
            *PretrainJob(given, **settings).problems(),
        ]

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        numbers = ("EPOCHS", "WIDTH", "LEVELS", "SEED")
        return {
            **{key.lower(): self.parameterAsInt(parameters, key, context) for key in numbers},
            "max_minutes": self.parameterAsDouble(parameters, "MAX_MINUTES", context),
            "mask_share": self.parameterAsDouble(parameters, "MASK_SHARE", context),
            "architecture": self.parameterAsEnumString(parameters, "ARCHITECTURE", context),
            "encoder": self.parameterAsString(parameters, "ENCODER", context),
            "bands": band_names(self.parameterAsString(parameters, "BANDS", context)),
            "device": self.parameterAsString(parameters, "DEVICE", context),
        }

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        try:
            result = self.run_engine(
                [train.pretrain(folder, source, **self._settings(parameters, context))], feedback
            )
        except Cancelled:
            kept = folder / train.ENCODER
            if not kept.exists():
                raise
            feedback.pushWarning(tr("Cancelled; the best weights so far are kept: {}").format(kept))
            return {"OUTPUT": str(folder), "WEIGHTS": str(kept)}
        return {
            "OUTPUT": str(folder),
            "WEIGHTS": str(folder / str(result.get("encoder") or train.ENCODER)),
            "LOSS": result.get("loss"),
        }
