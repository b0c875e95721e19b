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
    QgsProviderRegistry,
    QgsVectorLayer,
)

from ...contract import PRECISIONS, RUNTIMES, VIEWS, Area, PredictJob, Problem
from ...jobs import predict
from ...jobs.inputs import unbound_sources
from ...jobs.submission import Submission
from ...layers.inputs.areas import AreaSnapshot
from ...layers.inputs.folder import InputFolder
from ...layers.inputs.model_inputs import channel_sources
from ...layers.inputs.rasters import raster_snapshot
from ...layers.notes import prediction_notes, runtime_text
from ...layers.publish import classes_from, prediction_items
from ...layers.snapshot import crs_text, file_of
from ..base import GeoSegAlgorithm
from ..inputs.labels import polygon_area
from ..inputs.problems import layer_problems
from ..mapoptions import cleaning_of, cleaning_options, outline_options, outlines_of
from ..parameters import (
    Parameters,
    advanced,
    choice,
    device,
    device_problems,
    file,
    listed_bands,
    missing_file_problems,
    polygon_layer,
    polygons,
    rasters,
    real,
    text,
    tr,
    whole,
)

OUTPUTS = {
    "OUTPUT_POLYGONS": "polygons",
    "OUTPUT_BEYOND": "beyond",
    "OUTPUT": "output",
    "OUTPUT_CONFIDENCE": "confidence",
    "OUTPUT_MARGIN": "margin",
    "OUTPUT_ENTROPY": "entropy",
    "OUTPUT_DISAGREEMENT": "disagreement",
    "OUTPUT_PROBABILITY": "probability",
}
"""Parameter -> field of the job and of its result; from the uppermost layer down."""


class Predict(GeoSegAlgorithm):
    """Classifies rasters with a trained model."""

    ID = "predict"
    TITLE = "Predict"
    GROUP = "map"
    TAGS = ("inference", "apply", "classify", "onnx")
    LOGS_WARNINGS = True

    area: AreaSnapshot | None = None
    plain_area: Area | None = None

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(file("MODEL", tr("Model (.onnx)"), "onnx"))
        self.addParameter(rasters(optional=True))
        self.addParameter(QgsProcessingParameterExtent("EXTENT", tr("Extent"), None, True))
        self.addParameter(polygons("AREA", tr("Only inside these polygons"), optional=True))
        self.addParameter(choice("TTA", tr("Views of each pixel (test-time augmentation)"), VIEWS, "none"))
        for parameter in (
            whole("DROPOUT_PASSES", tr("Passes of Monte Carlo dropout (0: none)"), 0, 0, 200),
            *cleaning_options(),
            whole("MIN_AREA", tr("Leave out polygons smaller than (pixels)"), 4, 0),
            *outline_options(),
            choice("RUNTIME", tr("Runtime"), RUNTIMES, "auto"),
            choice("PRECISION", tr("Precision"), PRECISIONS, "auto"),
            real("ALLOWED_LOSS", tr("int8: mean IoU that it may lose on validation ground"), 0.005, 0, 1),
            text("BANDS", tr("Model of another program: bands for its channels, as optical:3,2,1")),
            text("SHARD", tr("Part of an array job, as 2/8 (empty: all)")),
        ):
            self.addParameter(advanced(parameter))
        self.addParameter(device())
        self._add_outputs()

    def _add_outputs(self) -> None:
        self.addParameter(QgsProcessingParameterRasterDestination("OUTPUT", tr("Classes")))
        for key, title in (
            ("OUTPUT_CONFIDENCE", tr("Confidence")),
            ("OUTPUT_ENTROPY", tr("Entropy")),
            ("OUTPUT_MARGIN", tr("Margin to the second class")),
            ("OUTPUT_DISAGREEMENT", tr("Disagreement of the views")),
            ("OUTPUT_BEYOND", tr("Bands beyond the range of training")),
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
        found = layer_problems(self, parameters, context, ("LAYERS",), ("AREA",))
        if not found:
            try:
                self._channels(parameters, context)
            except ValueError as error:
                found = [Problem("bands", str(error), tr("Write for example optical:3,2,1."))]
        return [
            *found,
            *missing_file_problems(model, tr("Model")),
            *device_problems(self.parameterAsString(parameters, "DEVICE", context)),
            *PredictJob(model, **self._settings(parameters, context)).problems(),
        ]

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        """Fields of the job but those of layers and files."""
        return {
            "tta": self.parameterAsEnumString(parameters, "TTA", context),
            "dropout_passes": self.parameterAsInt(parameters, "DROPOUT_PASSES", context),
            "min_area_px": self.parameterAsInt(parameters, "MIN_AREA", context),
            "device": self.parameterAsString(parameters, "DEVICE", context),
            "runtime": self.parameterAsEnumString(parameters, "RUNTIME", context),
            "precision": self.parameterAsEnumString(parameters, "PRECISION", context),
            "int8_loss": self.parameterAsDouble(parameters, "ALLOWED_LOSS", context),
            "shard": self.parameterAsString(parameters, "SHARD", context).strip(),
            "cleaning": cleaning_of(self, parameters, context),
            "outlines": outlines_of(self, parameters, context),
        }

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        layers = self.parameterAsLayerList(parameters, "LAYERS", context)
        self.rasters = {layer.id(): raster_snapshot(layer) for layer in layers}
        extent = self.parameterAsExtent(parameters, "EXTENT", context)
        given = not extent.isNull() and not extent.isEmpty()
        corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
        self.extent = corners if given else None
        self.extent_crs = crs_text(self.parameterAsExtentCrs(parameters, "EXTENT", context)) if given else ""
        layer, selected_only = polygon_layer(self, parameters, "AREA", context)
        self.plain_area = None if layer is None or selected_only else file_area(layer)
        self.area = polygon_area(self, parameters, context, "AREA") if layer is not None else None
        self.channels = self._channels(parameters, context)

    def _channels(self, parameters: Parameters, context: QgsProcessingContext) -> list[tuple[str, int]]:
        """Layer id and band of each channel of a third-party model.

        Raises:
            ValueError: as `listed_bands`.
        """
        layers = self.parameterAsLayerList(parameters, "LAYERS", context)
        listed = listed_bands(self.parameterAsString(parameters, "BANDS", context), layers)
        return [(layer_id, band) for layer_id, numbers in listed for band in numbers]

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        outputs = {key: self.parameterAsOutputLayer(parameters, key, context) or "" for key in OUTPUTS}
        model = self.parameterAsString(parameters, "MODEL", context)
        folder = self.job_folder()
        files: dict[str, Any] = {OUTPUTS[key]: path for key, path in outputs.items()}
        job = PredictJob(
            model=model,
            extent=self.extent,
            extent_crs=self.extent_crs,
            **files,
            **self._settings(parameters, context),
        )

        def located(inputs: InputFolder) -> list[Submission]:
            job_here = dataclasses.replace(job, area=self._area(inputs), **self._sources(inputs))
            return [Submission(job_here, folder, tr("Predict"))]

        result = predict.told(folder, self.run_with_inputs(located, folder, feedback))
        shard = result.get("shard") or {}
        if shard and not shard.get("complete"):
            feedback.pushInfo(tr("The other parts are still to be done; the last one puts the map together."))
            keep_from_loading(outputs, context)
            return {}
        feedback.pushInfo(tr("Runtime: {}").format(runtime_text(result)))
        self._dress(outputs, result, model)
        self._group(outputs, context, Path(model))
        return {key: path for key, path in outputs.items() if path}

    def _area(self, inputs: InputFolder) -> Area | None:
        if self.plain_area is not None or self.area is None:
            return self.plain_area
        return self.area.located(inputs)

    def _sources(self, inputs: InputFolder) -> dict[str, Any]:
        """Fields of the job: rasters that the engine matches, or the channels of a third-party model."""
        if not self.channels:
            return {"sources": unbound_sources([item.located(inputs) for item in self.rasters.values()])}
        channels = [(self.rasters[layer_id], band) for layer_id, band in self.channels]
        names = [f"channel {number}" for number in range(1, len(channels) + 1)]
        sources, bands = channel_sources(channels, names, inputs)
        return {"sources": sources, "foreign_bands": bands}

    def _dress(self, outputs: dict[str, str], result: dict[str, Any], model: str) -> None:
        items = {item.path.name: item for item in prediction_items(classes_from(result))}
        notes = prediction_notes(Path(outputs["OUTPUT"]).parent, {"model": model, **result})
        for key, path in outputs.items():
            if path:
                self.dress_later(dataclasses.replace(items[OUTPUTS[key]], path=Path(path)), notes)

    def _group(self, outputs: dict[str, str], context: QgsProcessingContext, model: Path) -> None:
        """What is loaded afterwards comes as one group, polygons uppermost."""
        title = tr("Prediction {}").format(model.parent.name or model.stem)
        for height, key in enumerate(reversed(OUTPUTS)):
            if outputs[key] and context.willLoadLayerOnCompletion(outputs[key]):
                details = context.layerToLoadOnCompletionDetails(outputs[key])
                details.groupName = title
                details.layerSortKey = height


def file_area(layer: QgsVectorLayer) -> Area | None:
    """The file of a layer that is used as it is: parts of an array job then know that it is the same area.

    None if the layer is edited, filtered, of another CRS than its file's, no file, or a layer inside one without name.
    """
    path, provider = file_of(layer), layer.dataProvider()
    if path is None or layer.isModified() or layer.subsetString() or provider.crs() != layer.crs():
        return None
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    name = parts.get("layerName")
    if not name and parts.get("layerId") not in (None, 0):
        return None
    return Area("polygons", str(path), str(name or ""))


def keep_from_loading(outputs: dict[str, str], context: QgsProcessingContext) -> None:
    """Files that are not there yet are not put on the map."""
    waiting = context.layersToLoadOnCompletion()
    context.setLayersToLoadOnCompletion(
        {path: details for path, details in waiting.items() if path not in outputs.values()}
    )
