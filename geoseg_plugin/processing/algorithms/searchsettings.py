"""geoseg:searchsettings"""

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

from ...contract import SEARCHED, Cancelled, Problem, SearchJob, TrainJob
from ...jobs import experiments
from ...jobs.submission import Submission
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
    tr,
    whole,
)
from ..trainoptions import add_main_options, add_training_options, mixed_problems, training_settings

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
        usual = list(SearchJob.parameters)
        self.addParameter(choice("PARAMETERS", tr("Settings to search"), SEARCHED, usual, several=True))
        self.addParameter(whole("TRIALS", tr("Trials"), 20, 1))
        self.addParameter(real("SEARCH_MINUTES", tr("Minutes of the whole search (0: no limit)"), 0.0))
        add_main_options(self)
        add_training_options(self)
        self.addParameter(seed())
        self.addParameter(device())
        resume = QgsProcessingParameterBoolean("RESUME", tr("Go on with the trials in OUTPUT"), True)
        self.addParameter(advanced(resume))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the search")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Best model")))
        self.addOutput(QgsProcessingOutputFile("TABLE", tr("Table of the trials (CSV)")))
        self.addOutput(QgsProcessingOutputFile("SETTINGS", tr("Best settings (job.json)")))
        self.addOutput(QgsProcessingOutputNumber("SCORE", tr("Score of the best trial")))
        self.addOutput(QgsProcessingOutputNumber("AUTOMATIC", tr("Score of the automatic settings")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        settings = training_settings(self, parameters, context)
        return [
            *dataset_problems(self.parameterAsString(parameters, "DATASET", context)),
            *device_problems(settings["device"]),
            *mixed_problems(settings),
            *self._submission(parameters, context).job.problems(),
        ]

    def _submission(self, parameters: Parameters, context: QgsProcessingContext) -> Submission:
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        return experiments.search(
            Path(self.parameterAsString(parameters, "OUTPUT", context)),
            TrainJob(str(source), **training_settings(self, parameters, context)),
            parameters=tuple(self.parameterAsEnumStrings(parameters, "PARAMETERS", context)),
            trials=self.parameterAsInt(parameters, "TRIALS", context),
            max_minutes=self.parameterAsDouble(parameters, "SEARCH_MINUTES", context),
            resume=self.parameterAsBoolean(parameters, "RESUME", context),
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
            feedback.pushWarning(tr("Cancelled; the best trial so far is kept. Run it again to go on."))
            return dict(files)
        feedback.pushInfo(
            tr("Trial {} is best: {} against {} of the automatic settings").format(
                result.get("best_trial"), result.get("score"), result.get("automatic")
            )
        )
        return {**files, "SCORE": result.get("score"), "AUTOMATIC": result.get("automatic")}
