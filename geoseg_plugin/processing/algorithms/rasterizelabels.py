"""geoseg:rasterizelabels"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...contract import Problem
from ...jobs import prepare
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.inputs.folder import InputFolder
from ...layers.publish import Item, classes_from
from ..base import GeoSegAlgorithm
from ..inputs.labels import add_labels, label_problems, read_area, read_labels
from ..inputs.problems import layer_problems
from ..parameters import Parameters, tr


class RasterizeLabels(GeoSegAlgorithm):
    """Burns label polygons onto the grid of a stack."""

    ID = "rasterizelabels"
    TITLE = "Rasterize labels"
    TAGS = ("burn", "mask", "polygons", "classes")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("STACK", tr("Stack")))
        add_labels(self)
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Labels")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return [
            *layer_problems(self, parameters, context, ("STACK",)),
            *label_problems(self, parameters, context),
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.stack = Path(self.parameterAsRasterLayer(parameters, "STACK", context).source())
        self.labels = read_labels(self, parameters, context)
        self.area = read_area(self, parameters, context)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            labels, area = self.labels.located(inputs), self.area.located(inputs)
            return [prepare.rasterize(folder, labels, area, self.stack, output)]

        result = self.run_with_inputs(located, folder, feedback)
        classes = classes_from(result)
        for item in classes:
            pixels = result.get("counts", {}).get(str(item.id), 0)
            feedback.pushInfo(tr("{}: {} pixels").format(item.name, pixels))
        notes = {tr("Made by"): tr("GeoSeg, labels"), tr("Label layer"): self.labels.labels.name}
        self.style_later(
            Item(output, tr("Labels"), lambda layer: styles.style_classes(layer, classes)), notes
        )
        return {"OUTPUT": str(output)}
