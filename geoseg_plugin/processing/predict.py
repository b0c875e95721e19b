"""geoseg:predict"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
)

from ..contract import PredictJob, Problem
from ..jobs.inputs import RasterInput, unbound_sources
from ..jobs.submission import Submission
from ..layers.notes import prediction_notes
from ..layers.publish import classes_from, prediction_items
from ..layers.snapshot import crs_text
from .base import GeoSegAlgorithm
from .gather import gather_rasters, layer_problems
from .parameters import (
    Parameters,
    advanced,
    choice,
    device,
    device_problems,
    file,
    missing_file_problems,
    rasters,
    tr,
    whole,
)

OUTPUTS = {
    "OUTPUT": "output",
    "OUTPUT_CONFIDENCE": "confidence",
    "OUTPUT_ENTROPY": "entropy",
    "OUTPUT_PROBABILITY": "probability",
    "OUTPUT_POLYGONS": "polygons",
}
"""Parameter -> field of the job and of its result."""

ORDER = ("OUTPUT_POLYGONS", "OUTPUT", "OUTPUT_CONFIDENCE", "OUTPUT_ENTROPY", "OUTPUT_PROBABILITY")
"""From the uppermost layer down."""


class Predict(GeoSegAlgorithm):
    """Classifies rasters with a trained model."""

    ID = "predict"
    TITLE = "Predict"
    GROUP = "map"
    TAGS = ("inference", "apply", "classify", "onnx")
    LOGS_WARNINGS = True

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(file("MODEL", tr("Model (.onnx)"), "onnx"))
        self.addParameter(rasters(optional=True))
        self.addParameter(QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True))
        self.addParameter(advanced(whole("MIN_AREA", tr("Leave out polygons smaller than (pixels)"), 4, 0)))
        self.addParameter(advanced(choice("RUNTIME", tr("Runtime"), ("auto", "torch", "onnx"), "auto")))
        self.addParameter(device())
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Classes")))
        for key, title in (
            ("OUTPUT_CONFIDENCE", tr("Confidence")),
            ("OUTPUT_ENTROPY", tr("Entropy")),
            ("OUTPUT_PROBABILITY", tr("Class probabilities")),
        ):
            wanted = key == "OUTPUT_CONFIDENCE"
            self.addParameter(QgsProcessingParameterRasterDestination(key, title, None, True, wanted))
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                "OUTPUT_POLYGONS", tr("Polygons"), Qgis.ProcessingSourceType.VectorPolygon, None, True, False
            )
        )

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        model = self.parameterAsString(parameters, "MODEL", context)
        return [
            *missing_file_problems(model, tr("Model")),
            *layer_problems(self, parameters, context, ("LAYERS",)),
            *device_problems(self.parameterAsString(parameters, "DEVICE", context)),
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.rasters = gather_rasters(self.parameterAsLayerList(parameters, "LAYERS", context))
        extent = self.parameterAsExtent(parameters, "EXTENT", context)
        given = not extent.isNull() and not extent.isEmpty()
        corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
        self.extent = corners if given else None
        self.extent_crs = crs_text(self.parameterAsExtentCrs(parameters, "EXTENT", context)) if given else ""

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = {key: self.parameterAsOutputLayer(parameters, key, context) or "" for key in OUTPUTS}
        model = str(Path(self.parameterAsString(parameters, "MODEL", context)).resolve())
        job = PredictJob(
            model=model,
            extent=self.extent,
            extent_crs=self.extent_crs,
            min_area_px=self.parameterAsInt(parameters, "MIN_AREA", context),
            device=self.parameterAsString(parameters, "DEVICE", context),
            runtime=self.parameterAsEnumString(parameters, "RUNTIME", context),
        )
        files: dict[str, Any] = {OUTPUTS[key]: path for key, path in outputs.items()}
        job = dataclasses.replace(job, **files)
        folder = self.job_folder()

        def submission(inputs: list[RasterInput]) -> Submission:
            return Submission(
                dataclasses.replace(job, sources=unbound_sources(inputs)), folder, tr("Predict")
            )

        result = self.run_rasters(submission, feedback, folder)
        self._dress(outputs, result, model)
        self._group(outputs, context, Path(model))
        return {key: path for key, path in outputs.items() if path}

    def _dress(self, outputs: dict[str, str], result: dict[str, Any], model: str) -> None:
        items = {item.path.name: item for item in prediction_items(classes_from(result))}
        notes = prediction_notes(Path(outputs["OUTPUT"]).parent, {"model": model, **result})
        for key, path in outputs.items():
            if path:
                self.dress_later(dataclasses.replace(items[OUTPUTS[key]], path=Path(path)), notes)

    def _group(self, outputs: dict[str, str], context: QgsProcessingContext, model: Path) -> None:
        """What is loaded afterwards comes as one group, polygons uppermost."""
        title = tr("Prediction {}").format(model.parent.name or model.stem)
        for height, key in enumerate(reversed(ORDER)):
            if outputs[key] and context.willLoadLayerOnCompletion(outputs[key]):
                details = context.layerToLoadOnCompletionDetails(outputs[key])
                details.groupName = title
                details.layerSortKey = height
