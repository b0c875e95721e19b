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
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
)

from ...contract import Problem, TrainJob
from ...jobs import experiments
from ..base import GeoSegAlgorithm
from ..parameters import (
    Parameters,
    advanced,
    dataset,
    dataset_folder,
    dataset_problems,
    device,
    device_problems,
    seed,
    tr,
)
from ..trainoptions import add_main_options, add_training_options, mixed_problems, training_settings


class CrossValidate(GeoSegAlgorithm):
    """Trains once for every fold of a dataset and judges on the ground that each fold leaves out."""

    ID = "crossvalidate"
    TITLE = "Cross-validate"
    GROUP = "training"
    TAGS = ("k-fold", "folds", "ensemble", "uncertainty")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        add_main_options(self)
        self.addParameter(
            QgsProcessingParameterBoolean("ENSEMBLE", tr("Also make one model of all folds"), True)
        )
        add_training_options(self)
        self.addParameter(seed())
        self.addParameter(device())
        resume = QgsProcessingParameterBoolean("RESUME", tr("Keep the finished folds in OUTPUT"), True)
        self.addParameter(advanced(resume))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of all folds")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Model of all folds")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("MIOU_LOW", tr("Lower end of its 95 % interval")))
        self.addOutput(QgsProcessingOutputNumber("MIOU_HIGH", tr("Upper end of its 95 % interval")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
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
            *device_problems(settings["device"]),
            *mixed_problems(settings),
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
            ensemble=self.parameterAsBoolean(parameters, "ENSEMBLE", context),
            resume=self.parameterAsBoolean(parameters, "RESUME", context),
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
