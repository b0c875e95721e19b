"""geoseg:evaluate"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

from qgis.core import (
    Qgis,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsVectorLayer,
)

from ...contract import Area, EvaluateJob, Labels, Problem, Unlabelled, split_address
from ...forms.parameters import add_fields, fields_from
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.classes import classes_of
from ...layers.exports import LABEL_LAYER
from ...layers.notes import evaluation_notes
from ...layers.notes import tr as noted
from ...layers.publish import Item
from ...layers.rasterclasses import raster_classes
from ...layers.sheet import model_of
from ...layers.snapshot import labels_of, polygon_snapshot, problems
from ..base import GeoSegAlgorithm
from ..inputs.gather import COPIES, NOWHERE, gather_area, layer_problems
from ..inputs.labelling import UNLABELLED, class_field, field_problems
from ..parameters import (
    Parameters,
    advanced,
    choice,
    dataset,
    dataset_folder,
    dataset_problems,
    field,
    file,
    missing_file_problems,
    polygons,
    tr,
)

ADVANCED = ("pixel_size", "tta", "device")


class Evaluate(GeoSegAlgorithm):
    """Compares a model with held-out labels, or any map with any labels."""

    ID = "evaluate"
    TITLE = "Evaluate"
    GROUP = "training"
    TAGS = ("accuracy", "confusion matrix", "iou", "f1", "test", "compare with labels")

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        optional = Qgis.ProcessingParameterFlag.Optional
        held_out = dataset()
        held_out.setFlags(held_out.flags() | optional)
        self.addParameter(held_out)
        self.addParameter(file("MODEL", tr("Model (.onnx), or"), "onnx", optional=True))
        self.addParameter(layer_of_classes("PREDICTION", tr("Map: class raster or polygons")))
        add_fields(self, EvaluateJob, ("split",))
        self.addParameter(
            advanced(
                field("PREDICTION_FIELD", tr("Field with the class of the map's polygons"), "PREDICTION")
            )
        )
        self.addParameter(
            layer_of_classes("TRUTH", tr("Instead of a dataset: labels, as polygons or a class raster"))
        )
        self.addParameter(field("CLASS_FIELD", tr("Field with the class of the labels"), "TRUTH"))
        self.addParameter(
            polygons("AREA", tr("Area in which labels are looked at (polygons)"), optional=True)
        )
        self.addParameter(
            advanced(choice("UNLABELLED", tr("Ground without label is"), UNLABELLED, "unknown"))
        )
        add_fields(self, EvaluateJob, ADVANCED, advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Evaluation folder")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("ACCURACY", tr("Overall accuracy")))
        self.addOutput(QgsProcessingOutputRasterLayer("ERRORS", tr("Errors")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))

    def _job(self, parameters: Parameters, context: QgsProcessingContext) -> EvaluateJob:
        """The job as far as it is known before layers are written; paths of copies are not."""
        given = self.parameterAsString(parameters, "DATASET", context)
        prediction = self.parameterAsLayer(parameters, "PREDICTION", context)
        truth = self.parameterAsLayer(parameters, "TRUTH", context)
        model = self.parameterAsString(parameters, "MODEL", context)
        of_polygons = isinstance(prediction, QgsVectorLayer)
        return EvaluateJob(
            dataset=str(dataset_folder(given)) if given else "",
            model=model,
            prediction="" if prediction is None else str(NOWHERE) if of_polygons else file_of(prediction),
            prediction_layer=LABEL_LAYER if of_polygons else "",
            prediction_field=self._prediction_field(parameters, context) if of_polygons else "",
            **fields_from(self, parameters, context, EvaluateJob, ("split", *ADVANCED)),
            truth=None if truth is None else self._truth(truth, parameters, context),
            made_by="" if prediction is None else model_of(prediction),
        )

    def _prediction_field(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        names = self.parameterAsStrings(dict(parameters), "PREDICTION_FIELD", context)
        return (names or [""])[0] or "class_name"

    def _truth(self, layer: QgsMapLayer, parameters: Parameters, context: QgsProcessingContext) -> Labels:
        unlabelled = cast(Unlabelled, self.parameterAsEnumString(parameters, "UNLABELLED", context))
        if isinstance(layer, QgsVectorLayer):
            name = class_field(self, parameters, context)
            return labels_of(layer, NOWHERE, name, classes_of(layer, name), unlabelled)
        classes = raster_classes(layer)
        return Labels(file_of(layer), "", layer.name(), "", classes, unlabelled, kind="raster")

    def complaints(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        layers = [self.parameterAsLayer(dict(parameters), key, context) for key in ("PREDICTION", "TRUTH")]
        fields = {**parameters, "PREDICTION_FIELD": self._prediction_field(parameters, context)}
        return [
            *(dataset_problems(given) if given else []),
            *missing_file_problems(self.parameterAsString(parameters, "MODEL", context), tr("Model")),
            *(item for layer in layers if layer is not None for item in problems(layer)),
            *layer_problems(self, parameters, context, (), ("AREA",)),
            *field_problems(self, fields, "PREDICTION_FIELD", "PREDICTION", context),
            *field_problems(self, parameters, "CLASS_FIELD", "TRUTH", context),
            *self._job(parameters, context).problems(),
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context)) / COPIES
        self.job = self._job(parameters, context)
        changes: dict[str, Any] = {}
        prediction = self.parameterAsLayer(parameters, "PREDICTION", context)
        if isinstance(prediction, QgsVectorLayer):
            path = folder / "map_polygons.gpkg"
            self.exports.append(polygon_snapshot(prediction, path, (self.job.prediction_field,)))
            changes["prediction"] = str(path)
        truth = self.parameterAsLayer(parameters, "TRUTH", context)
        if isinstance(truth, QgsVectorLayer) and self.job.truth is not None:
            path = folder / "label_polygons.gpkg"
            self.exports.append(polygon_snapshot(truth, path, (self.job.truth.class_field,)))
            changes["truth"] = dataclasses.replace(self.job.truth, path=str(path))
        area, exports = gather_area(self, parameters, context, "AREA", "", Area()).located(folder)
        self.exports += exports
        self.job = dataclasses.replace(self.job, area=area, **changes)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        result = self.run_engine([Submission(self.job, folder, tr("Evaluate"))], feedback)
        notes = evaluation_notes(folder, result)
        for name, text in notes.items():
            if name != noted("Warnings"):  # they are said already
                feedback.pushInfo(f"{name}: {text}")
        errors = folder / str(result["errors"])
        kind = str(result.get("errors_kind", ""))
        self.dress_later(Item(errors, tr("Errors"), lambda layer: styles.style_errors(layer, kind)), notes)
        details = QgsProcessingContext.LayerDetails(tr("Errors"), context.project(), "ERRORS")
        context.addLayerToLoadOnCompletion(str(errors), details)
        return {
            "OUTPUT": str(folder),
            "MIOU": result.get("miou"),
            "ACCURACY": result.get("accuracy"),
            "ERRORS": str(errors),
            "REPORT": str(folder / "report.html"),
        }


def layer_of_classes(key: str, title: str) -> QgsProcessingParameterDefinition:
    """An optional class raster or polygon layer."""
    kinds = [Qgis.ProcessingSourceType.Raster, Qgis.ProcessingSourceType.VectorPolygon]
    return QgsProcessingParameterMapLayer(key, title, None, True, kinds)


def file_of(layer: QgsMapLayer) -> str:
    """The file of a raster layer."""
    return split_address(layer.source())[0]
