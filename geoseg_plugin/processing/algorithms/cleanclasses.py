"""geoseg:cleanclasses"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)

from ...contract import Cleaning, CleanJob, Problem, default_of
from ...forms.fields import grouped
from ...forms.parameters import add_fields, fields_from
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.inputs.folder import InputFolder
from ...layers.notes import areas_text, cleaning_text
from ...layers.notes import tr as noted
from ...layers.publish import Item, classes_from
from ...layers.sheet import facts_of
from ..base import GeoSegAlgorithm
from ..inputs.classrasters import class_raster
from ..inputs.problems import layer_problems
from ..parameters import Parameters, tr
from .polygonize import legend_of

STEPS = grouped(Cleaning)


class CleanClasses(GeoSegAlgorithm):
    """Removes speckle from a class raster: majority, opening, closing, holes, least area."""

    ID = "cleanclasses"
    TITLE = "Clean classes"
    GROUP = "map"
    TAGS = ("sieve", "majority", "filter", "holes", "morphology", "generalise")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Class raster")))
        add_fields(self, Cleaning, STEPS, owner=default_of(CleanJob, "cleaning"))
        add_fields(self, CleanJob, ("background",))
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Cleaned classes")))
        self.addOutput(QgsProcessingOutputNumber("CHANGED", tr("Pixels that changed class")))
        self.addOutput(QgsProcessingOutputNumber("PATCHES", tr("Patches that were removed")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        job = CleanJob(".", self._cleaning(parameters, context), 0, ".")
        return [*layer_problems(self, parameters, context, ("INPUT",)), *job.problems()]

    def _cleaning(self, parameters: Parameters, context: QgsProcessingContext) -> Cleaning:
        return Cleaning(**fields_from(self, parameters, context, Cleaning, STEPS))

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer, self.raster = class_raster(self, parameters, "INPUT", context)
        self.classes = legend_of(layer)
        self.facts = facts_of(layer)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        cleaning = self._cleaning(parameters, context)
        background = fields_from(self, parameters, context, CleanJob, ("background",))["background"]
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            job = CleanJob(self.raster.located(inputs).path, cleaning, background, str(output))
            return [Submission(job, folder, tr("Clean classes"))]

        result = self.run_with_inputs(located, folder, feedback)
        feedback.pushInfo(tr("{} pixels changed class.").format(result.get("changed_px", 0)))
        classes = classes_from(result) or self.classes
        done = {"cleaning": vars(cleaning), "cleaned": result}
        before = self.facts.get(noted("Cleaned"), "")
        notes = {
            **self.facts,
            noted("Made by"): tr("GeoSeg, cleaning"),
            noted("Class raster"): self.raster.raster.path,
            noted("Cleaned"): "; ".join(filter(None, (before, cleaning_text(done)))),
            noted("Area"): areas_text(result),
        }
        item = Item(output, tr("Cleaned classes"), lambda layer: styles.style_classes(layer, classes))
        if classes:
            self.style_later(item, {name: text for name, text in notes.items() if text})
        return {
            "OUTPUT": str(output),
            "CHANGED": result.get("changed_px"),
            "PATCHES": result.get("patches"),
        }
