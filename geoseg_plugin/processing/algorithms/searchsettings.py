"""geoseg:searchsettings"""

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

from ...contract import Cancelled, Problem, SearchJob, TrainJob
from ...forms.parameters import add_fields, fields_from
from ...jobs import experiments
from ...jobs.submission import Submission
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, dataset, dataset_folder, dataset_problems, tr
from ..training_fields import add_training, training_file_problems, training_settings

MAIN = ("parameters", "trials", "max_minutes")

MODEL, TABLE, SETTINGS = "model.onnx", "trials.csv", "best.json"


class SearchSettings(GeoSegAlgorithm):
    """Tries settings of a training and keeps the best model."""

    ID = "searchsettings"
    TITLE = "Search settings"
    GROUP = "training"
    TAGS = ("hyper-parameters", "optuna", "tuning", "trials")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        add_fields(self, SearchJob, MAIN)
        add_training(self)
        add_fields(self, SearchJob, ("resume",), advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the search")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Best model")))
        self.addOutput(QgsProcessingOutputFile("TABLE", tr("Table of the trials (CSV)")))
        self.addOutput(QgsProcessingOutputFile("SETTINGS", tr("Best settings (job.json)")))
        self.addOutput(QgsProcessingOutputNumber("SCORE", tr("Score of the best trial")))
        self.addOutput(QgsProcessingOutputNumber("AUTOMATIC", tr("Score of the automatic settings")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        settings = training_settings(self, parameters, context)
        return [
            *dataset_problems(self.parameterAsString(parameters, "DATASET", context)),
            *training_file_problems(settings),
            *self._submission(parameters, context).job.problems(),
        ]

    def _submission(self, parameters: Parameters, context: QgsProcessingContext) -> Submission:
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        return experiments.search(
            Path(self.parameterAsString(parameters, "OUTPUT", context)),
            TrainJob(str(source), **training_settings(self, parameters, context)),
            **fields_from(self, parameters, context, SearchJob, (*MAIN, "resume")),
        )

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        submission = self._submission(parameters, context)
        folder = submission.folder
        files = {
            "OUTPUT": str(folder),
            "MODEL": str(folder / MODEL),
            "TABLE": str(folder / TABLE),
            "SETTINGS": str(folder / SETTINGS),
        }
        try:
            result = self.run_engine([submission], feedback)
        except Cancelled:
            if not (folder / MODEL).exists():
                raise
            feedback.pushWarning(tr("Cancelled; the best trial so far is kept. Run it again to resume."))
            return dict(files)
        feedback.pushInfo(
            tr("Trial {} is best: {} against {} of the automatic settings").format(
                result.get("best_trial"), result.get("score"), result.get("automatic")
            )
        )
        return {**files, "SCORE": result.get("score"), "AUTOMATIC": result.get("automatic")}
