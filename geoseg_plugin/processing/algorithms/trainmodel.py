"""geoseg:trainmodel"""

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

from ...contract import Cancelled, Problem, TrainJob
from ...forms.parameters import add_fields, fields_from
from ...jobs import train
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, dataset, dataset_folder, dataset_problems, tr
from ..training_fields import add_training, training_file_problems, training_settings

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
        add_fields(self, TrainJob, ("resume",))
        add_training(self)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Run folder")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Model")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU on validation blocks")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        text = self.parameterAsString(parameters, "DATASET", context)
        settings = self._settings(parameters, context)
        return [
            *dataset_problems(text),
            *training_file_problems(settings),
            *TrainJob(text, **settings).problems(),
        ]

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        resume = fields_from(self, parameters, context, TrainJob, ("resume",))
        return {**training_settings(self, parameters, context), **resume}

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        submission = train.train(folder, source, **self._settings(parameters, context))
        try:
            result = self.run_engine([submission], feedback)
        except Cancelled:
            kept = folder / MODEL
            if not kept.exists():
                raise
            feedback.pushWarning(tr("Cancelled; the model so far is kept: {}").format(kept))
            return {"OUTPUT": str(folder), "MODEL": str(kept)}
        for sentence in ("calibration_sentence", "kept_sentence"):
            if result.get(sentence):
                feedback.pushInfo(str(result[sentence]))
        feedback.pushInfo(
            tr("{} epochs, mean IoU {:.3f} on validation data, {}").format(
                result.get("epochs_run"), result.get("miou") or 0.0, result.get("device", "")
            )
        )
        return {
            "OUTPUT": str(folder),
            "MODEL": str(folder / str(result["model"])),
            "MIOU": result.get("miou"),
        }
