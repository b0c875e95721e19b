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

from ...contract import Cancelled, PretrainJob, Problem
from ...forms.fields import grouped
from ...forms.parameters import add_fields, fields_from
from ...jobs import train
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, dataset, dataset_folder, dataset_problems, tr

MAIN = ("architecture", "bands", "epochs", "max_minutes")
ADVANCED = (*grouped(PretrainJob, *MAIN), "mask_share")


class Pretrain(GeoSegAlgorithm):
    """Teaches an encoder from rasters alone, without labels."""

    ID = "pretrain"
    TITLE = "Pretrain encoder without labels"
    GROUP = "training"
    TAGS = ("self-supervised", "masked", "encoder", "weights")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        add_fields(self, PretrainJob, MAIN)
        add_fields(self, PretrainJob, ADVANCED, advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Run folder")))
        self.addOutput(QgsProcessingOutputFile("WEIGHTS", tr("Encoder weights")))
        self.addOutput(QgsProcessingOutputNumber("LOSS", tr("Loss on hidden parts")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        settings = self._settings(parameters, context)
        return [
            *dataset_problems(given),
            *PretrainJob(given, **settings).problems(),
        ]

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        return fields_from(self, parameters, context, PretrainJob, (*MAIN, *ADVANCED))

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
