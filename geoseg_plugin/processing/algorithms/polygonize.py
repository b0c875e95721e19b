"""geoseg:polygonize"""

from __future__ import annotations

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
from ...forms.parameters import add_fields, fields_from, grouped
from ...jobs import predict
from ...layers import styles
from ...layers.publish import Item
from ..base import GeoSegAlgorithm
from ..inputs.classrasters import class_raster
from ..inputs.gather import layer_problems
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

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        return [
            *layer_problems(self, parameters, context, ("INPUT", "CONFIDENCE")),
            *self._boundaries(parameters, context).problems(),
        ]

    def _boundaries(self, parameters: Parameters, context: QgsProcessingContext) -> Outlines:
        return Outlines(**fields_from(self, parameters, context, Outlines, BOUNDARIES))

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        raster = class_raster(self, parameters, "INPUT", context)
        confidence = self.parameterAsRasterLayer(parameters, "CONFIDENCE", context)
        self.classes = legend_of(raster)
        self.raster = Path(raster.source())
        self.confidence = Path(confidence.source()) if confidence is not None else None

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = Path(self.parameterAsOutputLayer(parameters, "OUTPUT", context))
        submission = predict.polygonize(
            self.job_folder(),
            self.raster,
            self.confidence,
            fields_from(self, parameters, context, PolygonizeJob, ("min_area_px",))["min_area_px"],
            None if self.parameterAsBoolean(parameters, "SKIP_BACKGROUND", context) else False,
            output,
            self._boundaries(parameters, context),
        )
        result = self.run_engine([submission], feedback)
        feedback.pushInfo(tr("{} polygons").format(result.get("count", 0)))
        classes = self.classes
        notes = {tr("Made by"): tr("GeoSeg, polygons"), tr("Class raster"): str(self.raster)}
        item = Item(output, tr("Polygons"), lambda layer: styles.style_polygons(layer, classes), "polygons")
        if classes:
            self.dress_later(item, notes)
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
