"""Parameters that every algorithm with label polygons has, and how they are read."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, cast

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
    QgsVectorLayer,
)

from ...contract import Area, AreaKind, LabelLayer, Labels, Problem, Unlabelled
from ...layers.classes import classes_of, single_color
from ...layers.exports import LABEL_LAYER, PolygonExport
from ...layers.legendclasses import LEGEND_FIELD, has_legend_classes
from ...layers.rasterclasses import raster_classes
from ...layers.snapshot import crs_text, labels_of, polygon_snapshot
from ..labeloptions import add_options, option_problems, with_options
from ..parameters import Parameters, advanced, choice, field, polygon_layer, polygons, real, tr
from .gather import NOWHERE, GatheredArea, GatheredLabels, gather_area, layer_problems

AREAS: tuple[AreaKind, ...] = ("concave_hull", "convex_hull", "bounds", "extent", "rasters")
UNLABELLED: tuple[Unlabelled, ...] = ("background", "unknown")


def add_labels(algorithm: QgsProcessingAlgorithm, with_layer: bool = True) -> None:
    """LABELS and LABEL_RASTER (unless the algorithm has its own), CLASS_FIELD, area, UNLABELLED and options."""
    if with_layer:
        algorithm.addParameter(polygons("LABELS", tr("Label polygons"), optional=True))
        raster = QgsProcessingParameterRasterLayer("LABEL_RASTER", tr("Or a raster of classes"), None, True)
        algorithm.addParameter(advanced(raster))
    algorithm.addParameter(field("CLASS_FIELD", tr("Field with the class (empty: one class)"), "LABELS"))
    algorithm.addParameter(
        polygons("LABELLED_AREA", tr("Area in which labels are complete (polygons)"), optional=True)
    )
    algorithm.addParameter(
        choice("AREA", tr("Area without such polygons: of the labels, or"), AREAS, "concave_hull")
    )
    algorithm.addParameter(
        choice("UNLABELLED", tr("Ground without polygon inside the area is"), UNLABELLED, "background")
    )
    algorithm.addParameter(
        advanced(real("HULL_RATIO", tr("Tightness of the concave hull (0 tight, 1 convex)"), 0.3, 0, 1))
    )
    algorithm.addParameter(
        advanced(QgsProcessingParameterExtent("EXTENT", tr("Extent, for the area 'extent'"), None, True))
    )
    add_options(algorithm)


def label_problems(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> list[Problem]:
    """Complaints about the label and area parameters."""
    found = layer_problems(algorithm, parameters, context, (), ("LABELS", "LABELLED_AREA"))
    if algorithm.parameterDefinition("LABEL_RASTER") is not None:
        found += layer_problems(algorithm, parameters, context, ("LABEL_RASTER",))
        given = [key for key in ("LABELS", "LABEL_RASTER") if parameters.get(key)]
        if len(given) != 1:
            found.append(
                Problem(
                    "no_labels",
                    tr("Labels are polygons or a raster; {} are given.").format(
                        tr("both") if given else tr("none")
                    ),
                    tr("Set LABELS or LABEL_RASTER."),
                )
            )
    kind = algorithm.parameterAsEnumString(parameters, "AREA", context)
    extent = algorithm.parameterAsExtent(parameters, "EXTENT", context)
    if kind == "extent" and extent.isNull() and not parameters.get("LABELLED_AREA"):
        found.append(Problem("no_extent", tr("The area is an extent, but none is given."), tr("Set EXTENT.")))
    found += option_problems(algorithm, parameters, context)
    return found + field_problems(algorithm, parameters, "CLASS_FIELD", "LABELS", context)


def field_problems(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    key: str,
    layer_key: str,
    context: QgsProcessingContext,
) -> list[Problem]:
    """Complaint about a field that the layer does not have; the layer's fields are the cure."""
    layer, _ = polygon_layer(algorithm, parameters, layer_key, context)
    known = [] if layer is None else layer.fields().names()
    if layer is not None and key == "CLASS_FIELD" and has_legend_classes(layer):
        known.append(LEGEND_FIELD)
    wrong = [name for name in algorithm.parameterAsStrings(parameters, key, context) if name not in known]
    if layer is None or not any(wrong):
        return []
    return [
        Problem(
            "no_field",
            tr("Layer '{}' has no field '{}'.").format(layer.name(), ", ".join(wrong)),
            tr("Its fields are: {}. Choose one for {}.").format(", ".join(known), key),
        )
    ]


def label_layer(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> QgsMapLayer | None:
    """The layer of LABELS, or of LABEL_RASTER."""
    layer, _selected_only = polygon_layer(algorithm, parameters, "LABELS", context)
    if layer is not None:
        return layer
    raster: QgsMapLayer | None = algorithm.parameterAsRasterLayer(dict(parameters), "LABEL_RASTER", context)
    return raster


def read_labels(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> GatheredLabels:
    """The labels as they are now: polygons of one or more layers, or a raster, with their options."""
    layer, selected_only = polygon_layer(algorithm, parameters, "LABELS", context)
    unlabelled = cast(
        Literal["background", "unknown"], algorithm.parameterAsEnumString(parameters, "UNLABELLED", context)
    )
    name = class_field(algorithm, parameters, context)
    exports = []
    if layer is None:
        raster = algorithm.parameterAsRasterLayer(parameters, "LABEL_RASTER", context)
        path, classes = raster.source(), raster_classes(raster)
        labels = Labels(path, "", raster.name(), "", classes, unlabelled, kind="raster")
    else:
        labels = labels_of(layer, NOWHERE, name, classes_of(layer, name), unlabelled)
        exports.append(polygon_snapshot(layer, NOWHERE, (name,), selected_only))
    more = algorithm.parameterAsLayerList(parameters, "MORE_LABELS", context)
    further = [further_layer(item, name) for item in more]
    exports += [export for _, export in further]
    labels = dataclasses.replace(labels, more=tuple(item for item, _ in further))
    return GatheredLabels(with_options(labels, algorithm, parameters, context), tuple(exports))


def further_layer(layer: QgsVectorLayer, class_field: str) -> tuple[LabelLayer, PolygonExport]:
    """A layer of MORE_LABELS: by the class field if it has it, else a class of its own."""
    name = class_field if layer.fields().lookupField(class_field) >= 0 else ""
    found = LabelLayer(str(NOWHERE), LABEL_LAYER, layer.name(), name, single_color(layer))
    return found, polygon_snapshot(layer, NOWHERE, (name,))


def read_area(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    context: QgsProcessingContext,
    split_field: str = "",
) -> GatheredArea:
    """LABELLED_AREA if it is given, else what AREA says."""
    kind = cast(Any, algorithm.parameterAsEnumString(parameters, "AREA", context))
    extent = algorithm.parameterAsExtent(parameters, "EXTENT", context)
    corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    otherwise = Area(
        kind,
        ratio=algorithm.parameterAsDouble(parameters, "HULL_RATIO", context),
        extent=corners if kind == "extent" else None,
        extent_crs=crs_text(algorithm.parameterAsExtentCrs(parameters, "EXTENT", context))
        if kind == "extent"
        else "",
    )
    return gather_area(algorithm, parameters, context, "LABELLED_AREA", split_field, otherwise)


def class_field(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> str:
    """CLASS_FIELD; empty for one class."""
    return (algorithm.parameterAsStrings(parameters, "CLASS_FIELD", context) or [""])[0]
