"""geoseg:trainforest"""

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

from ...contract import BASELINES, ForestJob, Problem
from ...jobs import train
from ..base import GeoSegAlgorithm
from ..parameters import (
    Parameters,
    advanced,
    choice,
    dataset,
    dataset_folder,
    dataset_problems,
    seed,
    text,
    tr,
    whole,
)
from ..trainoptions import band_names, bands


class TrainForest(GeoSegAlgorithm):
    """Trains a random forest, or another baseline, on a dataset."""

    ID = "trainforest"
    TITLE = "Train random forest or spectral baseline"
    GROUP = "training"
    TAGS = ("random forest", "baseline", "maximum likelihood", "spectral angle", "classifier")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        self.addParameter(choice("METHOD", tr("Method"), BASELINES, "forest"))
        self.addParameter(bands())
        self.addParameter(
            QgsProcessingParameterBoolean("SEARCH", tr("Search leaf size and features first"), True)
        )
        for parameter in (
            whole("TREES", tr("Trees (0: automatic)"), 0, 0),
            whole("DEPTH", tr("Depth of a tree (0: no limit)"), 0, 0),
            whole("FEATURES", tr("Features tried at a branch (0: square root of all)"), 0, 0),
            text("TEXTURE", tr("Sides of texture windows in pixels, as 3,7 (empty: none)")),
            whole("PIXELS", tr("Training pixels at most"), 200_000, 100),
            QgsProcessingParameterBoolean("CALIBRATE", tr("Calibrate on validation ground"), True),
        ):
            self.addParameter(advanced(parameter))
        self.addParameter(seed())
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Run folder")))
        self.addOutput(QgsProcessingOutputFile("MODEL", tr("Model")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU on validation blocks")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        texture = self.parameterAsString(parameters, "TEXTURE", context)
        wrong = [part for part in band_names(texture) if not part.isdigit()]
        settings = self._settings(parameters, context)
        return [
            *dataset_problems(given),
            *(Problem("texture_px", tr("TEXTURE: '{}' is no window.").format(part), tr("Write 3,7 or leave it empty."))
              for part in wrong),
            *ForestJob(given, **settings).problems(),
        ]  # fmt: skip

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        texture = self.parameterAsString(parameters, "TEXTURE", context)
        numbers = ("TREES", "DEPTH", "FEATURES", "PIXELS", "SEED")
        return {
            **{key.lower(): self.parameterAsInt(parameters, key, context) for key in numbers},
            "method": self.parameterAsEnumString(parameters, "METHOD", context),
            "bands": band_names(self.parameterAsString(parameters, "BANDS", context)),
            "texture_px": tuple(int(part) for part in band_names(texture) if part.isdigit()),
            "search": self.parameterAsBoolean(parameters, "SEARCH", context),
            "calibrate": self.parameterAsBoolean(parameters, "CALIBRATE", context),
        }

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
