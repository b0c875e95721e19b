"""geoseg:checklabels"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterVectorDestination,
    QgsVectorLayer,
)

from ...contract import CheckJob, Labels, Problem
from ...forms.parameters import add_fields
from ...jobs import prepare
from ...jobs.submission import Submission
from ...layers.findings import LAYER as FINDINGS_LAYER
from ...layers.findings import parts_of, shape_name, style_findings
from ...layers.inputs.folder import InputFolder
from ...layers.inputs.rasters import raster_snapshot
from ...layers.publish import Item
from ..base import GeoSegAlgorithm
from ..inputs.labels import add_labels, label_layer, label_problems, read_area, read_labels
from ..inputs.problems import layer_problems
from ..parameters import Parameters, rasters, tr
from ..reports import checks_html


class CheckLabels(GeoSegAlgorithm):
    """Lists what would spoil training, each with its cure."""

    ID = "checklabels"
    TITLE = "Check labels"
    TAGS = ("quality", "geometry", "invalid", "classes")

    def __init__(self) -> None:
        super().__init__()
        self.mixed: Path | None = None

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(rasters())
        add_labels(self)
        add_fields(self, CheckJob, ("tile_px",), advanced=True)
        anything = Qgis.ProcessingSourceType.VectorAnyGeometry
        self.addParameter(
            QgsProcessingParameterVectorDestination("OUTPUT", tr("Findings"), anything, None, True)
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(
                "REPORT", tr("Report"), "HTML (*.html);;JSON (*.json)", None, True
            )
        )
        self.addOutput(QgsProcessingOutputNumber("PROBLEMS", tr("Number of errors")))
        self.addOutput(QgsProcessingOutputNumber("WARNINGS", tr("Number of warnings")))

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        tile_px = self.parameterAsInt(parameters, "TILE_SIZE", context)
        return [
            *layer_problems(self, parameters, context, ("LAYERS",)),
            *label_problems(self, parameters, context),
            *[
                item
                for item in CheckJob((), Labels(""), tile_px=tile_px).problems()
                if item.code == "tile_px"
            ],
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layers = self.parameterAsLayerList(parameters, "LAYERS", context)
        labels = label_layer(self, parameters, context)
        crs = labels.crs() if labels is not None else None
        self.rasters = [raster_snapshot(layer, labels_crs=crs) for layer in layers]
        self.labels = read_labels(self, parameters, context)
        self.area = read_area(self, parameters, context)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        output = self.parameterAsOutputLayer(parameters, "OUTPUT", context) or ""
        report = self.parameterAsFileOutput(parameters, "REPORT", context)
        findings = Path(output) if output else None
        tile_px = self.parameterAsInt(parameters, "TILE_SIZE", context)
        folder = self.job_folder()

        def located(inputs: InputFolder) -> list[Submission]:
            rasters = [item.located(inputs) for item in self.rasters]
            labels, area = self.labels.located(inputs), self.area.located(inputs)
            return [prepare.check(folder, rasters, labels, area, tile_px=tile_px, findings=findings)]

        result = self.run_with_inputs(located, folder, feedback)
        found = list(result.get("problems", ()))
        errors = [item for item in found if item.get("severity") != "warning"]
        for item in found:
            push = feedback.pushInfo if item not in errors else feedback.reportError
            push(f"{item.get('message', '')} {item.get('hint', '')}")
        if not found:
            feedback.pushInfo(tr("Nothing to complain about."))
        if findings is not None and findings.exists():
            self._show(findings, context)
        if report:
            as_json = Path(report).suffix.lower() == ".json"
            text = json.dumps(result, indent=1, ensure_ascii=False) if as_json else checks_html(result)
            Path(report).write_text(text, encoding="utf-8")
        numbers = {"PROBLEMS": len(errors), "WARNINGS": len(found) - len(errors)}
        return {"OUTPUT": output, "REPORT": report, **numbers}

    def _show(self, findings: Path, context: QgsProcessingContext) -> None:
        """Style the findings; a file with points and polygons comes as a layer of each, as a layer draws one kind."""
        if len(parts_of(findings)) < 2:
            self.style_later(Item(findings, tr("Findings"), style_findings, FINDINGS_LAYER), {})
        elif context.willLoadLayerOnCompletion(str(findings)):
            self.mixed = findings

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        if self.mixed is not None:
            others = context.layersToLoadOnCompletion()
            others.pop(str(self.mixed), None)
            context.setLayersToLoadOnCompletion(others)
            for kind in parts_of(self.mixed):
                self._load(kind, context)
        return super().postProcessAlgorithm(context, feedback)

    def _load(self, kind: str, context: QgsProcessingContext) -> None:
        """Hand a styled layer of one kind of geometry over; the file can keep only one style for all of them."""
        name = shape_name(kind)
        part = f"{self.mixed}|layername={FINDINGS_LAYER}|geometrytype={kind}"
        layer = QgsVectorLayer(part, name, "ogr")
        style_findings(layer)
        context.temporaryLayerStore().addMapLayer(layer)
        details = QgsProcessingContext.LayerDetails(name, context.project(), "OUTPUT")
        context.addLayerToLoadOnCompletion(layer.id(), details)
