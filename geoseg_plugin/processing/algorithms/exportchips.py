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

from ...contract import ExportChipsJob, Problem
from ...forms.parameters import add_fields, fields_from
from ...jobs.submission import Submission
from ..base import GeoSegAlgorithm
from ..parameters import Parameters, dataset, dataset_folder, dataset_problems, tr

MAIN = ("layout", "image_format")


class ExportChips(GeoSegAlgorithm):
    """Writes the tiles of a dataset as image and mask files for other programs."""

    ID = "exportchips"
    TITLE = "Export chips"
    TAGS = ("tiles", "images", "masks", "classified tiles", "png", "deep learning")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(dataset())
        add_fields(self, ExportChipsJob, MAIN)
        add_fields(self, ExportChipsJob, ("splits",), advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of the chips")))
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of chips")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = dataset_problems(self.parameterAsString(parameters, "DATASET", context))
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context) or "chips")
        if folder.is_dir() and any(folder.iterdir()):
            message = tr("The folder {} is not empty.").format(folder)
            found.append(Problem("not_empty", message, tr("Choose a new or empty folder.")))
        return found

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        source = dataset_folder(self.parameterAsString(parameters, "DATASET", context))
        settings = fields_from(self, parameters, context, ExportChipsJob, (*MAIN, "splits"))
        job = ExportChipsJob(str(source), output=str(folder), **settings)
        result = self.run_engine([Submission(job, self.job_folder(), tr("Export chips"))], feedback)
        feedback.pushInfo(str(result.get("sentence", "")))
        return {"OUTPUT": str(folder), "COUNT": result.get("count")}
