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

from ...contract import CleanJob, Problem
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
from ..mapoptions import cleaning_of, cleaning_options
from ..parameters import Parameters, tr, whole
from .polygonize import legend_of


class CleanClasses(GeoSegAlgorithm):
    """Removes speckle from a class raster: majority, opening, closing, holes, least area."""

    ID = "cleanclasses"
    TITLE = "Clean classes"
    GROUP = "map"
    TAGS = ("sieve", "majority", "filter", "holes", "morphology", "generalise")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Class raster")))
        for parameter in cleaning_options(min_patch_px=4):
            self.addParameter(parameter)
        self.addParameter(
            whole("BACKGROUND", tr("Background class, not opened or closed (-1: none)"), None, -1)
        )
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Cleaned classes")))
        self.addOutput(QgsProcessingOutputNumber("CHANGED", tr("Pixels that changed class")))
        self.addOutput(QgsProcessingOutputNumber("PATCHES", tr("Patches that were removed")))

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        job = CleanJob(".", cleaning_of(self, parameters, context), 0, ".")
        return [*layer_problems(self, parameters, context, ("INPUT",)), *job.problems()]

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
        cleaning = cleaning_of(self, parameters, context)
        given = parameters.get("BACKGROUND") not in (None, "")
        background = self.parameterAsInt(parameters, "BACKGROUND", context) if given else None
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            job = CleanJob(self.raster.located(inputs).path, cleaning, background, str(output))
            return [Submission(job, folder, tr("Clean classes"))]

        result = self.run_with_inputs(located, folder, feedback)
        feedback.pushInfo(tr("{} pixels changed class.").format(result.get("changed_px", 0)))
        classes = classes_from(result) or self.classes
        asked = {"cleaning": vars(cleaning), "cleaned": result}
        before = self.facts.get(noted("Cleaned"), "")
        notes = {
            **self.facts,
            noted("Made by"): tr("GeoSeg, cleaning"),
            noted("Class raster"): self.raster.raster.path,
            noted("Cleaned"): "; ".join(filter(None, (before, cleaning_text(asked)))),
            noted("Area"): areas_text(result),
        }
        item = Item(output, tr("Cleaned classes"), lambda layer: styles.style_classes(layer, classes))
        if classes:
            self.dress_later(item, {name: text for name, text in notes.items() if text})
        return {
            "OUTPUT": str(output),
            "CHANGED": result.get("changed_px"),
            "PATCHES": result.get("patches"),
        }
