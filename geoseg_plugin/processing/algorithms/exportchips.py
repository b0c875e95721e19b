"""geoseg:exportchips"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFolderDestination,
)

from ...contract import SPLITS, ExportChipsJob, Problem
from ...jobs.submission import Submission
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, advanced, choice, dataset, dataset_folder, dataset_problems, tr


class ExportChips(GeoSegAlgorithm):
    """Writes the tiles of a dataset as image and mask files for other programs."""

    ID = "exportchips"
    TITLE = "Export chips"
    TAGS = ("tiles", "images", "masks", "classified tiles", "png", "deep learning")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        self.addParameter(choice("LAYOUT", tr("Layout of the folder"), ("pairs", "arcgis"), "pairs"))
        self.addParameter(choice("FORMAT", tr("Format of the images"), ("auto", "tif", "png"), "auto"))
        self.addParameter(advanced(choice("SPLITS", tr("Splits"), SPLITS, list(SPLITS), several=True)))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the chips")))
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of chips")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = dataset_problems(self.parameterAsString(parameters, "DATASET", context))
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context) or "chips")
        if folder.is_dir() and any(folder.iterdir()):
            said = tr("The folder {} is not empty.").format(folder)
            found.append(Problem("not_empty", said, tr("Choose a new or empty folder.")))
        return found

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        layout: Any = self.parameterAsEnumString(parameters, "LAYOUT", context)
        image_format: Any = self.parameterAsEnumString(parameters, "FORMAT", context)
        job = ExportChipsJob(
            str(dataset_folder(self.parameterAsString(parameters, "DATASET", context))),
            layout,
            image_format,
            tuple(self.parameterAsEnumStrings(parameters, "SPLITS", context)),
            str(folder),
        )
        result = self.run_engine([Submission(job, self.job_folder(), tr("Export chips"))], feedback)
        feedback.pushInfo(str(result.get("sentence", "")))
        return {"OUTPUT": str(folder), "COUNT": result.get("count")}
