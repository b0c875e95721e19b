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

from ...contract import Area, Cleaning, Outlines, PredictJob, Problem, params_of
from ...forms.fields import grouped
from ...forms.parameters import add_fields, fields_from, key_of
from ...jobs.inputs import unbound_sources
from ...jobs.submission import Submission
from ...layers.inputs.areas import AreaSnapshot
from ...layers.inputs.folder import InputFolder
from ...layers.inputs.model_inputs import channel_sources
from ...layers.inputs.rasters import raster_snapshot
from ...layers.notes import prediction_notes, runtime_text
from ...layers.publish import classes_from, prediction_items
from ...layers.snapshot import crs_text, file_of
from ...records.predictions import with_facts
from ..base import GeoSegAlgorithm
from ..inputs.labels import polygon_area
from ..inputs.problems import layer_problems
from ..parameters import (
    Parameters,
    advanced,
    file,
    listed_bands,
    missing_file_problems,
    polygon_layer,
    polygons,
    rasters,
    text,
    tr,
)

RASTERS = ("output", "confidence", "entropy", "margin", "disagreement", "beyond", "probability")
"""Fields of rasters to write, in the order of the dialog."""
UPPERMOST_FIRST = (
    *("polygons", "beyond", "output", "confidence"),
    *("margin", "entropy", "disagreement", "probability"),
)
OUTPUTS = {key_of(PredictJob, name): name for name in UPPERMOST_FIRST}
"""Parameter -> field of the job and of its result, in the order of the layers."""
MAIN = ("tta",)
CLEANING, BOUNDARIES = grouped(Cleaning), grouped(Outlines)
ADVANCED = (*grouped(PredictJob, *MAIN), "shard")


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
        add_fields(self, PredictJob, MAIN)
        add_fields(self, Cleaning, CLEANING, advanced=True)
        add_fields(self, Outlines, BOUNDARIES, advanced=True)
        add_fields(self, PredictJob, ADVANCED, advanced=True)
        self.addParameter(
            advanced(
                text(
                    "BANDS",
                    tr("Bands of a third-party model, in the order of its channels, as optical:3,2,1"),
                )
            )
        )
        self._add_outputs()

    def _add_outputs(self) -> None:
        declared = params_of(PredictJob)
        for name in RASTERS:
            key, title = key_of(PredictJob, name), tr(declared[name].title)
            optional, wanted = name != "output", name in ("output", "confidence")
            output = QgsProcessingParameterRasterDestination(key, title, None, optional, wanted)
            output.setHelp(tr(declared[name].about))
            self.addParameter(output)
        self.addParameter(
            QgsProcessingParameterVectorDestination(
                "OUTPUT_POLYGONS", tr("Polygons"), Qgis.ProcessingSourceType.VectorPolygon, None, True, False
            )
        )

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
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
            *PredictJob(model, **self._settings(parameters, context)).problems(),
        ]

    def _settings(self, parameters: Parameters, context: QgsProcessingContext) -> dict[str, Any]:
        """Fields of the job but those of layers and files."""
        return {
            **fields_from(self, parameters, context, PredictJob, (*MAIN, *ADVANCED)),
            "cleaning": Cleaning(**fields_from(self, parameters, context, Cleaning, CLEANING)),
            "outlines": Outlines(**fields_from(self, parameters, context, Outlines, BOUNDARIES)),
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

        result = with_facts(folder, self.run_with_inputs(located, folder, feedback))
        shard = result.get("shard") or {}
        if shard and not shard.get("complete"):
            feedback.pushInfo(tr("The other parts are still to be done; the last one puts the map together."))
            keep_from_loading(outputs, context)
            return {}
        feedback.pushInfo(tr("Runtime: {}").format(runtime_text(result)))
        self._style(outputs, result, model)
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

    def _style(self, outputs: dict[str, str], result: dict[str, Any], model: str) -> None:
        items = {item.path.name: item for item in prediction_items(classes_from(result))}
        notes = prediction_notes(Path(outputs["OUTPUT"]).parent, {"model": model, **result})
        for key, path in outputs.items():
            if path:
                self.style_later(dataclasses.replace(items[OUTPUTS[key]], path=Path(path)), notes)

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
