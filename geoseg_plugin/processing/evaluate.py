"""geoseg:evaluate"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
)

from ..contract import SPLITS, EvaluateJob, Problem
from ..jobs.submission import Submission
from ..layers import styles
from ..layers.notes import evaluation_notes
from ..layers.publish import Item
from .base import GeoSegAlgorithm
from .gather import layer_problems
from .parameters import (
    Parameters,
    choice,
    dataset,
    dataset_folder,
    dataset_problems,
    device,
    device_problems,
    file,
    missing_file_problems,
    tr,
)


class Evaluate(GeoSegAlgorithm):
    """Compares a model or a class raster with held-out labels."""

    ID = "evaluate"
    TITLE = "Evaluate"
    GROUP = "training"
    TAGS = ("accuracy", "confusion matrix", "iou", "f1", "test")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        self.addParameter(file("MODEL", tr("Model (.onnx), or"), "onnx", optional=True))
        self.addParameter(
            QgsProcessingParameterRasterLayer(
                "PREDICTION", tr("Class raster on the dataset's grid"), None, True
            )
        )
        self.addParameter(choice("SPLIT", tr("Blocks to compare on"), SPLITS, "test"))
        self.addParameter(device())
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Evaluation folder")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("ACCURACY", tr("Overall accuracy")))
        self.addOutput(QgsProcessingOutputRasterLayer("ERRORS", tr("Errors")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))

    def _job(self, parameters: Parameters, context: QgsProcessingContext) -> EvaluateJob:
        raster = self.parameterAsRasterLayer(parameters, "PREDICTION", context)
        model = self.parameterAsString(parameters, "MODEL", context)
        return EvaluateJob(
            dataset=str(dataset_folder(self.parameterAsString(parameters, "DATASET", context)).resolve()),
            model=str(Path(model).resolve()) if model else "",
            prediction=raster.source() if raster is not None else "",
            split=self.parameterAsEnumString(parameters, "SPLIT", context),
            device=self.parameterAsString(parameters, "DEVICE", context),
        )

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return [
            *dataset_problems(self.parameterAsString(parameters, "DATASET", context)),
            *missing_file_problems(self.parameterAsString(parameters, "MODEL", context), tr("Model")),
            *layer_problems(self, parameters, context, ("PREDICTION",)),
            *device_problems(self.parameterAsString(parameters, "DEVICE", context)),
            *self._job(parameters, context).problems(),
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.job = self._job(parameters, context)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context)).resolve()
        result = self.run_engine([Submission(self.job, folder, tr("Evaluate"))], feedback)
        notes = evaluation_notes(folder, result)
        for name, text in notes.items():
            feedback.pushInfo(f"{name}: {text}")
        errors = folder / str(result["errors"])
        kind = str(result.get("errors_kind", ""))
        self.dress_later(Item(errors, tr("Errors"), lambda layer: styles.style_errors(layer, kind)), notes)
        details = QgsProcessingContext.LayerDetails(tr("Errors"), context.project(), "ERRORS")
        context.addLayerToLoadOnCompletion(str(errors), details)
        return {
            "OUTPUT": str(folder),
            "MIOU": result.get("miou"),
            "ACCURACY": result.get("accuracy"),
            "ERRORS": str(errors),
            "REPORT": str(folder / "report.html"),
        }
