"""geoseg:classareas"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
)

from ...contract import AreasJob, Problem
from ...forms.parameters import add_fields, fields_from
from ...jobs.submission import Submission
from ...layers.areas import area_sentences
from ...layers.exports import LABEL_LAYER, PolygonExport
from ...layers.inputs.folder import NOWHERE, InputFolder
from ...layers.inputs.rasters import class_raster_snapshot
from ...layers.sample import REFERENCE_FIELD, sample_snapshot
from ..base import GeoSegAlgorithm
from ..inputs.problems import COPIES, field_problems, layer_problems
from ..parameters import Parameters, field, polygon_layer, tr


class ClassAreas(GeoSegAlgorithm):
    """Measures how much ground each class has; with a reference sample, how much there really is."""

    ID = "classareas"
    TITLE = "Areas of the classes"
    GROUP = "map"
    TAGS = ("area", "hectares", "statistics", "error-adjusted", "confidence interval", "Olofsson")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", tr("Class raster")))
        self.addParameter(
            QgsProcessingParameterFeatureSource(
                "SAMPLE",
                tr("Reference sample: points whose true class is known"),
                [Qgis.ProcessingSourceType.VectorPoint],
                None,
                True,
            )
        )
        reference = field("REFERENCE_FIELD", tr("Field with the true class"), "SAMPLE")
        reference.setDefaultValue(REFERENCE_FIELD)
        self.addParameter(reference)
        add_fields(self, AreasJob, ("confidence_level",))
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder for the areas")))
        self.addOutput(QgsProcessingOutputFile("TABLE", tr("Table (CSV)")))
        self.addOutput(QgsProcessingOutputFile("CHART", tr("Chart (SVG)")))
        self.addOutput(QgsProcessingOutputFile("AREAS", tr("Areas (JSON)")))
        self.addOutput(QgsProcessingOutputNumber("TOTAL", tr("Total area in square metres")))
        self.addOutput(QgsProcessingOutputNumber("ACCURACY", tr("Overall accuracy by the sample")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        found = layer_problems(self, parameters, context, ("INPUT",))
        if parameters.get("SAMPLE"):
            named = {**parameters, "REFERENCE_FIELD": self._reference(parameters, context)}
            found += field_problems(self, named, "REFERENCE_FIELD", "SAMPLE", context)
        return found

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.raster = class_raster_snapshot(self.parameterAsRasterLayer(parameters, "INPUT", context))
        sample, selected_only = polygon_layer(self, parameters, "SAMPLE", context)
        self.sample: PolygonExport | None = None
        self.sample_name = ""
        if sample is not None:
            self.sample_name = sample.name()
            self.sample = sample_snapshot(sample, NOWHERE / "sample.gpkg", selected_only)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        job = AreasJob(
            classes="",
            sample_layer=LABEL_LAYER if self.sample is not None else "",
            sample_name=self.sample_name,
            reference_field=self._reference(parameters, context),
            **fields_from(self, parameters, context, AreasJob, ("confidence_level",)),
        )

        def located(inputs: InputFolder) -> list[Submission]:
            sample = inputs.add(self.sample, "sample.gpkg") if self.sample is not None else ""
            job_here = dataclasses.replace(job, classes=self.raster.located(inputs).path, sample=sample)
            return [Submission(job_here, folder, tr("Areas of the classes"))]

        result = self.run_with_inputs(located, folder / COPIES, feedback)
        for sentence in area_sentences(result):
            feedback.pushInfo(sentence)
        overall = result.get("overall") or {}
        return {
            "OUTPUT": str(folder),
            "TABLE": str(folder / str(result["table"])),
            "CHART": str(folder / str(result["chart"])),
            "AREAS": str(folder / str(result["json"])),
            "TOTAL": result.get("total_m2"),
            "ACCURACY": overall.get("accuracy"),
        }

    def _reference(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        names = self.parameterAsStrings(dict(parameters), "REFERENCE_FIELD", context)
        return (names or [""])[0] or REFERENCE_FIELD
