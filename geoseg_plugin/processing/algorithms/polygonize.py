"""geoseg:polygonize"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
    QgsRasterLayer,
)

from ...contract import LabelClass, Outlines, PolygonizeJob, Problem
from ...forms.fields import grouped
from ...forms.parameters import add_fields, fields_from
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.inputs.folder import InputFolder
from ...layers.publish import Item
from ..base import GeoSegAlgorithm
from ..inputs.classrasters import class_raster, optional_raster
from ..inputs.problems import layer_problems
from ..parameters import Parameters, tr

BOUNDARIES = grouped(Outlines)


class Polygonize(GeoSegAlgorithm):
    """Turns a class raster into polygons with class, score and area."""

    ID = "polygonize"
    TITLE = "Polygonize classes"
    GROUP = "map"
    TAGS = ("vectorize", "polygons", "area")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Class raster")))
        self.addParameter(
            QgsProcessingParameterRasterLayer("CONFIDENCE", tr("Confidence, for the score"), None, True)
        )
        add_fields(self, PolygonizeJob, ("min_area_px",))
        self.addParameter(
            QgsProcessingParameterBoolean(
                "SKIP_BACKGROUND", tr("Leave out the background, if there is one"), True
            )
        )
        add_fields(self, Outlines, BOUNDARIES)
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                "OUTPUT", tr("Polygons"), Qgis.ProcessingSourceType.VectorPolygon
            )
        )
        self.addOutput(QgsProcessingOutputNumber("COUNT", tr("Number of polygons")))
        self.addOutput(QgsProcessingOutputNumber("AREA", tr("Total area in square metres")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return [
            *layer_problems(self, parameters, context, ("INPUT", "CONFIDENCE")),
            *self._boundaries(parameters, context).problems(),
        ]

    def _boundaries(self, parameters: Parameters, context: QgsProcessingContext) -> Outlines:
        return Outlines(**fields_from(self, parameters, context, Outlines, BOUNDARIES))

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layer, self.raster = class_raster(self, parameters, "INPUT", context)
        self.classes = legend_of(layer)
        self.confidence = optional_raster(self, parameters, "CONFIDENCE", context)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        folder = self.job_folder()
        job = PolygonizeJob(
            "",
            skip_background=None
            if self.parameterAsBoolean(parameters, "SKIP_BACKGROUND", context)
            else False,
            **fields_from(self, parameters, context, PolygonizeJob, ("min_area_px",)),
            output=str(output),
            outlines=self._boundaries(parameters, context),
        )

        def located(inputs: InputFolder) -> list[Submission]:
            confidence = self.confidence.located(inputs).path if self.confidence is not None else ""
            classes = self.raster.located(inputs).path
            job_here = dataclasses.replace(job, classes=classes, confidence=confidence)
            return [Submission(job_here, folder, tr("Polygonize"))]

        result = self.run_with_inputs(located, folder, feedback)
        feedback.pushInfo(tr("{} polygons").format(result.get("count", 0)))
        classes = self.classes
        notes = {tr("Made by"): tr("GeoSeg, polygons"), tr("Class raster"): self.raster.raster.path}
        item = Item(output, tr("Polygons"), lambda layer: styles.style_polygons(layer, classes), "polygons")
        if classes:
            self.style_later(item, notes)
        return {"OUTPUT": str(output), "COUNT": result.get("count"), "AREA": result.get("area_m2")}


def legend_of(layer: QgsRasterLayer) -> tuple[LabelClass, ...]:
    """The classes that a paletted class raster shows."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsPalettedRasterRenderer):
        return ()
    return tuple(
        LabelClass(
            int(item.value), item.label, "" if item.label == "background" else item.label, item.color.name()
        )
        for item in renderer.classes()
        if int(item.value) != 255
    )
