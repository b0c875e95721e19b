"""geoseg:evaluate"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsRasterLayer,
    QgsVectorLayer,
)

from ...contract import EvaluateJob, Labels, Problem
from ...forms.parameters import add_fields, fields_from
from ...jobs.submission import Submission
from ...layers import styles
from ...layers.exports import LABEL_LAYER, PolygonExport
from ...layers.inputs.areas import AreaSnapshot
from ...layers.inputs.folder import NOWHERE, InputFolder, RasterSnapshot
from ...layers.inputs.labels import LabelSnapshot, label_snapshot
from ...layers.inputs.rasters import class_raster_snapshot
from ...layers.notes import evaluation_notes
from ...layers.notes import tr as noted
from ...layers.publish import Item
from ...layers.sheet import model_of
from ...layers.snapshot import polygon_snapshot, problems
from ..base import GeoSegAlgorithm
from ..inputs.labels import UNLABELLED, class_field, polygon_area, unlabelled_of
from ..inputs.problems import COPIES, field_problems, layer_problems
from ..parameters import (
    DRAWN,
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
OF_LABELS = ("point_radius", "line_width", "size_unit")


@dataclasses.dataclass(frozen=True)
class ComparedLayers:
    """Layers of an evaluation at one moment: a map as raster or as polygons, labels, and an area."""

    raster: RasterSnapshot | None
    polygons: PolygonExport | None
    labels: LabelSnapshot | None
    area: AreaSnapshot

    def located(self, job: EvaluateJob, inputs: InputFolder) -> EvaluateJob:
        """Return the job with its layers. Any thread.

        Args:
            job: with all else.
            inputs: gets copies of layers.
        """
        prediction = ""
        if self.raster is not None:
            prediction = self.raster.located(inputs).path
        elif self.polygons is not None:
            prediction = inputs.add(self.polygons, "map_polygons.gpkg")
        return dataclasses.replace(
            job,
            prediction=prediction,
            truth=self.labels.located(inputs) if self.labels is not None else None,
            area=self.area.located(inputs),
        )


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
                field("PREDICTION_FIELD", tr("Field of the map's polygons with the class"), "PREDICTION")
            )
        )
        self.addParameter(
            layer_of_classes("TRUTH", tr("Labels instead of a dataset (vector layer or class raster)"), DRAWN)
        )
        self.addParameter(field("CLASS_FIELD", tr("Field of the labels with the class"), "TRUTH"))
        self.addParameter(polygons("AREA", tr("Area in which labels are compared (polygons)"), optional=True))
        self.addParameter(advanced(choice("UNLABELLED", tr("Unlabelled pixels"), UNLABELLED[:2], "unknown")))
        add_fields(self, Labels, OF_LABELS, advanced=True)
        add_fields(self, EvaluateJob, ADVANCED, advanced=True)
        self.addParameter(QgsProcessingParameterFolderDestination("OUTPUT", tr("Evaluation folder")))
        self.addOutput(QgsProcessingOutputNumber("MIOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("ACCURACY", tr("Overall accuracy")))
        self.addOutput(QgsProcessingOutputRasterLayer("ERRORS", tr("Errors")))
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))

    def _job(self, parameters: Parameters, context: QgsProcessingContext) -> EvaluateJob:
        """The job but for the layers."""
        given = self.parameterAsString(parameters, "DATASET", context)
        prediction = self.parameterAsLayer(parameters, "PREDICTION", context)
        of_polygons = isinstance(prediction, QgsVectorLayer)
        return EvaluateJob(
            dataset=str(dataset_folder(given)) if given else "",
            model=self.parameterAsString(parameters, "MODEL", context),
            prediction_layer=LABEL_LAYER if of_polygons else "",
            prediction_field=self._prediction_field(parameters, context) if of_polygons else "",
            **fields_from(self, parameters, context, EvaluateJob, ("split", *ADVANCED)),
            made_by="" if prediction is None else model_of(prediction),
        )

    def _layers(self, parameters: Parameters, context: QgsProcessingContext) -> ComparedLayers:
        """Map, labels and area as they are now."""
        prediction = self.parameterAsLayer(parameters, "PREDICTION", context)
        truth = self.parameterAsLayer(parameters, "TRUTH", context)
        labels = None
        if truth is not None:
            labels = label_snapshot(truth, class_field(self, parameters, context))
            named = dataclasses.replace(
                labels.labels,
                unlabelled=unlabelled_of(self, parameters, context),
                **fields_from(self, parameters, context, Labels, OF_LABELS),
            )
            labels = dataclasses.replace(labels, labels=named)
        polygons = None
        if isinstance(prediction, QgsVectorLayer):
            polygons = polygon_snapshot(prediction, NOWHERE, (self._prediction_field(parameters, context),))
        return ComparedLayers(
            class_raster_snapshot(prediction) if isinstance(prediction, QgsRasterLayer) else None,
            polygons,
            labels,
            polygon_area(self, parameters, context, "AREA"),
        )

    def _prediction_field(self, parameters: Parameters, context: QgsProcessingContext) -> str:
        names = self.parameterAsStrings(dict(parameters), "PREDICTION_FIELD", context)
        return (names or [""])[0] or "class_name"

    def parameter_problems(self, parameters: Parameters, context: QgsProcessingContext) -> list[Problem]:
        given = self.parameterAsString(parameters, "DATASET", context)
        layers = [self.parameterAsLayer(dict(parameters), key, context) for key in ("PREDICTION", "TRUTH")]
        fields = {**parameters, "PREDICTION_FIELD": self._prediction_field(parameters, context)}
        of_layers = [
            *(item for layer in layers[:1] if layer is not None for item in problems(layer)),
            *(item for layer in layers[1:] if layer is not None for item in problems(layer, labels=True)),
            *layer_problems(self, parameters, context, (), ("AREA",)),
            *field_problems(self, fields, "PREDICTION_FIELD", "PREDICTION", context),
            *field_problems(self, parameters, "CLASS_FIELD", "TRUTH", context),
        ]
        of_job = []
        if not any(item.severity == "error" for item in of_layers):
            job = self._job(parameters, context)
            of_job = self._layers(parameters, context).located(job, InputFolder(NOWHERE)).problems()
        return [
            *(dataset_problems(given) if given else []),
            *missing_file_problems(self.parameterAsString(parameters, "MODEL", context), tr("Model")),
            *of_layers,
            *of_job,
        ]

    def gather(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        self.job = self._job(parameters, context)
        self.layers = self._layers(parameters, context)

    def work(
        self, parameters: Parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        folder = Path(self.parameterAsString(parameters, "OUTPUT", context))
        result = self.run_with_inputs(
            lambda inputs: [Submission(self.layers.located(self.job, inputs), folder, tr("Evaluate"))],
            folder / COPIES,
            feedback,
        )
        notes = evaluation_notes(folder, result)
        for name, text in notes.items():
            if name != noted("Warnings"):  # they are said already
                feedback.pushInfo(f"{name}: {text}")
        errors = folder / str(result["errors"])
        kind = str(result.get("errors_kind", ""))
        self.style_later(Item(errors, tr("Errors"), lambda layer: styles.style_errors(layer, kind)), notes)
        details = QgsProcessingContext.LayerDetails(tr("Errors"), context.project(), "ERRORS")
        context.addLayerToLoadOnCompletion(str(errors), details)
        return {
            "OUTPUT": str(folder),
            "MIOU": result.get("miou"),
            "ACCURACY": result.get("accuracy"),
            "ERRORS": str(errors),
            "REPORT": str(folder / "report.html"),
        }


def layer_of_classes(
    key: str, title: str, features: Sequence[Qgis.ProcessingSourceType] = DRAWN[:1]
) -> QgsProcessingParameterDefinition:
    """An optional class raster, or layer of features of these kinds."""
    return QgsProcessingParameterMapLayer(
        key, title, None, True, [Qgis.ProcessingSourceType.Raster, *features]
    )
