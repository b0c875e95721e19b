"""geoseg:trainforest"""

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

from ...contract import ForestJob, Problem
from ...forms.fields import grouped
from ...forms.parameters import add_fields, fields_from, listed
from ...jobs import train
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, dataset, dataset_folder, dataset_problems, tr

MAIN = ("method", "bands", "search")
ADVANCED = (*grouped(ForestJob, *MAIN), "calibrate")


class TrainForest(GeoSegAlgorithm):
    """Trains a random forest, or another baseline, on a dataset."""

    ID = "trainforest"
    TITLE = "Train random forest or spectral baseline"
    GROUP = "training"
    TAGS = ("random forest", "baseline", "maximum likelihood", "spectral angle", "classifier")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        add_fields(self, ForestJob, MAIN)
        add_fields(self, ForestJob, ADVANCED, advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Run folder")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Model")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU on validation blocks")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        texture = self.parameterAsString(parameters, "TEXTURE", context)
        wrong = [part for part in listed(texture) if not part.isdigit()]
        settings = self._settings(parameters, context)
        return [
            *dataset_problems(given),
            *(Problem("texture_px", tr("TEXTURE: '{}' is no window.").format(part), tr("Write 3,7 or leave it empty."))
              for part in wrong),
            *ForestJob(given, **settings).problems(),
        ]  # fmt: skip

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        return fields_from(self, parameters, context, ForestJob, (*MAIN, *ADVANCED))

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        submission = train.forest(folder, source, **self._settings(parameters, context))
        result = self.run_engine([submission], feedback)
        if isinstance(result.get("miou"), (int, float)):
            feedback.pushInfo(tr("Mean IoU {:.3f} on validation blocks.").format(result["miou"]))
        return {
            "OUTPUT": str(folder),
            "MODEL": str(folder / str(result.get("model") or train.MODEL)),
            "MIOU": result.get("miou"),
        }
