"""geoseg:samplepoints"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ...contract import Problem, SampleJob
from ...forms.parameters import add_fields, fields_from
from ...jobs.listtext import entries
from ...jobs.submission import Submission
from ...layers import sample
from ...layers.inputs.folder import InputFolder
from ...layers.rasterclasses import raster_classes
from ..base import GeoSegAlgorithm
from ..inputs.classrasters import class_raster
from ..inputs.problems import layer_problems
from ..parameters import Parameters, advanced, text, tr

MAIN = ("count", "standard_error", "expected_else", "allocation")
ADVANCED = ("min_points", "max_points", "seed")


class SamplePoints(GeoSegAlgorithm):
    """Creates random points in each class of a map, to be interpreted by people."""

    ID = "samplepoints"
    TITLE = "Create a reference sample"
    GROUP = "map"
    TAGS = ("random points", "stratified", "accuracy assessment", "validation", "Olofsson")

    def __init__(self) -> None:
        super().__init__()
        self.points = ""

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Class raster")))
        add_fields(self, SampleJob, MAIN)
        self.addParameter(
            advanced(
                text("EXPECTED_BY_CLASS", tr("Classes that differ, one per line: class=0.9"), lines=True)
            )
        )
        add_fields(self, SampleJob, ADVANCED, advanced=True)
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                "OUTPUT", tr("Sample points"), Qgis.ProcessingSourceType.VectorPoint
            )
        )
        self.addOutput(QgsProcessingOutputNumber("POINTS", tr("Number of points")))
        self.addOutput(QgsProcessingOutputNumber("ERROR", tr("Expected standard error")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = layer_problems(self, parameters, context, ("INPUT",))
        lines = entries(self.parameterAsString(dict(parameters), "EXPECTED_BY_CLASS", context))
        wrong = [line for line in lines if share_of(line) is None]
        if wrong:
            message = tr("EXPECTED_BY_CLASS: '{}' is not 'class=share'.").format(wrong[0])
            found.append(Problem("expected", message, tr("Write for example: water=0.95; forest=0.8")))
        return found

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer, self.raster = class_raster(self, parameters, "INPUT", context)
        self.legend = raster_classes(layer)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        lines = entries(self.parameterAsString(parameters, "EXPECTED_BY_CLASS", context))
        job = SampleJob(
            classes="",
            expected={line.rpartition("=")[0].strip(): share_of(line) or 0.8 for line in lines},
            **fields_from(self, parameters, context, SampleJob, (*MAIN, *ADVANCED)),
            output=str(output),
        )
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            job_here = dataclasses.replace(job, classes=self.raster.located(inputs).path)
            return [Submission(job_here, folder, tr("Reference sample"))]

        result = self.run_with_inputs(located, folder, feedback)
        for row in result.get("rows", ()):
            feedback.pushInfo(tr("{}: {} points").format(row.get("name"), row.get("points")))
        notes = {tr("Made by"): tr("GeoSeg, reference sample"), tr("Class raster"): self.raster.raster.path}
        classes = sample.sample_classes(result.get("rows") or (), self.legend)
        self.style_later(sample.sample_item(output, classes, tr("Reference sample")), notes)
        self.points = str(output)
        return {
            "OUTPUT": str(output),
            "POINTS": result.get("count"),
            "ERROR": result.get("standard_error"),
        }

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Give the layer a name that no other has: two samples of one name cannot be told apart."""
        waiting = context.layersToLoadOnCompletion()
        if self.points in waiting and context.project() is not None:
            details = waiting[self.points]
            details.name = sample.free_name(context.project())
            context.setLayersToLoadOnCompletion(waiting)
        return super().postProcessAlgorithm(context, feedback)


def share_of(line: str) -> float | None:
    """The number of `class=0.9`; None if there is none between 0 and 1."""
    name, _, number = line.rpartition("=")
    try:
        value = float(number)
    except ValueError:
        return None
    return value if name.strip() and 0 < value < 1 else None
