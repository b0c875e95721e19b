"""geoseg:crossvalidate"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
)

from ...contract import CrossValidateJob, Problem, TrainJob
from ...forms.parameters import add_fields, fields_from
from ...jobs import experiments
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, dataset, dataset_folder, dataset_problems, tr
from ..training_fields import add_training, training_file_problems, training_settings


class CrossValidate(GeoSegAlgorithm):
    """Trains once for every fold of a dataset and judges on the ground that each fold leaves out."""

    ID = "crossvalidate"
    TITLE = "Cross-validate"
    GROUP = "training"
    TAGS = ("k-fold", "folds", "ensemble", "uncertainty")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        add_fields(self, CrossValidateJob, ("ensemble",))
        add_training(self)
        add_fields(self, CrossValidateJob, ("resume",), advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of all folds")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Model of all folds")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("MIOU_LOW", tr("Lower end of its 95 % interval")))
        self.addOutput(QgsProcessingOutputNumber("MIOU_HIGH", tr("Upper end of its 95 % interval")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        settings = training_settings(self, parameters, context)
        missing = dataset_problems(given)
        if not missing and not experiments.fold_count(dataset_folder(given)):
            missing = [
                Problem(
                    "no_folds",
                    tr("The dataset '{}' has no folds.").format(given),
                    tr("Run geoseg:maketiles with FOLDS 5."),
                )
            ]
        return [
            *missing,
            *training_file_problems(settings),
            *TrainJob(given, **settings).problems(),
        ]

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        training = TrainJob(str(source), **training_settings(self, parameters, context))
        submission = experiments.cross_validate(
            folder,
            training,
            **fields_from(self, parameters, context, CrossValidateJob, ("ensemble", "resume")),
        )
        result = self.run_engine([submission], feedback)
        for row in result.get("folds") or []:
            feedback.pushInfo(tr("Fold {}: mean IoU {}").format(row.get("fold"), row.get("miou")))
        low, high = (result.get("intervals") or {}).get("miou") or (None, None)
        return {
            "OUTPUT": str(folder),
            "MODEL": result.get("model"),
            "MIOU": result.get("miou"),
            "MIOU_LOW": low,
            "MIOU_HIGH": high,
            "REPORT": str(folder / "report.html"),
        }
