"""Parameters that every algorithm with label polygons has, and how they are read."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterExtent,
    QgsProcessingParameterRasterLayer,
    QgsVectorLayer,
)

from ...contract import AUTO_UNLABELLED, Area, AreaKind, Problem, Unlabelled
from ...layers.inputs.areas import AreaSnapshot, area_snapshot
from ...layers.inputs.labels import LabelSnapshot, all_classes, label_snapshot
from ...layers.snapshot import crs_text
from ..labeloptions import add_options, option_problems, with_options
from ..parameters import Parameters, advanced, choice, drawn, field, polygon_layer, polygons, real, tr
from .problems import field_problems, layer_problems

AREAS: tuple[AreaKind, ...] = ("concave_hull", "convex_hull", "bounds", "extent", "rasters")
UNLABELLED = ("background", "unknown", AUTO_UNLABELLED)


def add_labels(algorithm: QgsProcessingAlgorithm, with_layer: bool = True) -> None:
    """Add LABELS, LABEL_RASTER, CLASS_FIELD, the area, UNLABELLED and the options of labels.

    Args:
        algorithm: in its `initAlgorithm`.
        with_layer: whether LABELS and LABEL_RASTER are among them.
    """
    if with_layer:
        algorithm.addParameter(drawn("LABELS", tr("Labels (polygons, lines or points)"), optional=True))
        raster = QgsProcessingParameterRasterLayer("LABEL_RASTER", tr("Or a class raster"), None, True)
        algorithm.addParameter(advanced(raster))
    algorithm.addParameter(field("CLASS_FIELD", tr("Field with the class (empty: one class)"), "LABELS"))
    algorithm.addParameter(
        polygons("LABELLED_AREA", tr("Area in which labels are complete (polygons)"), optional=True)
    )
    algorithm.addParameter(choice("AREA", tr("Area without such polygons"), AREAS, "concave_hull"))
    algorithm.addParameter(
        choice("UNLABELLED", tr("Unlabelled pixels inside the area"), UNLABELLED, AUTO_UNLABELLED)
    )
    algorithm.addParameter(
        advanced(real("HULL_RATIO", tr("Looseness of the concave hull (0: tightest, 1: convex)"), 0.3, 0, 1))
    )
    algorithm.addParameter(
        advanced(QgsProcessingParameterExtent("EXTENT", tr("Extent, for the area 'extent'"), None, True))
    )
    add_options(algorithm)


def label_problems(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> list[Problem]:
    """Return the problems of the label and area parameters. Main thread.

    Args:
        algorithm: that has the parameters of `add_labels`.
        parameters: their values.
        context: of the run.
    """
    found = layer_problems(algorithm, parameters, context, (), ("LABELLED_AREA",), ("LABELS",))
    if algorithm.parameterDefinition("LABEL_RASTER") is not None:
        found += layer_problems(algorithm, parameters, context, ("LABEL_RASTER",))
        given = [key for key in ("LABELS", "LABEL_RASTER") if parameters.get(key)]
        if len(given) != 1:
            found.append(
                Problem(
                    "no_labels",
                    tr("Labels are a vector layer or a raster; {} are given.").format(
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


def label_layer(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> QgsMapLayer | None:
    """Return the layer of LABELS, or of LABEL_RASTER. Main thread.

    Args:
        algorithm: that has the parameters.
        parameters: their values.
        context: of the run.
    """
    layer, _selected_only = polygon_layer(algorithm, parameters, "LABELS", context)
    if layer is not None:
        return layer
    raster: QgsMapLayer | None = algorithm.parameterAsRasterLayer(dict(parameters), "LABEL_RASTER", context)
    return raster


def read_labels(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> LabelSnapshot:
    """Return the labels as they are now: polygons of one or more layers, or a raster of classes. Main thread.

    Args:
        algorithm: that has the parameters of `add_labels`.
        parameters: their values.
        context: of the run.
    """
    layer, selected_only = polygon_layer(algorithm, parameters, "LABELS", context)
    name = class_field(algorithm, parameters, context)
    further = further_layers(algorithm, parameters, context)
    if layer is None:
        layer = algorithm.parameterAsRasterLayer(parameters, "LABEL_RASTER", context)
    found = label_snapshot(layer, name, further, selected_only)
    labels = dataclasses.replace(found.labels, unlabelled=unlabelled_of(algorithm, parameters, context))
    if edits_classes(parameters):
        labels = dataclasses.replace(labels, classes=all_classes(layer, name, further, selected_only))
    return dataclasses.replace(found, labels=with_options(labels, algorithm, parameters, context))


def edits_classes(parameters: Parameters) -> bool:
    """Whether classes are merged or excluded: then those of further layers are listed too."""
    return any(str(parameters.get(key) or "").strip() for key in ("MERGE", "EXCLUDED"))


def further_layers(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> list[tuple[QgsVectorLayer, str]]:
    """Return the layers of MORE_LABELS with their class field: CLASS_FIELD, or none if they do not have it.

    Args:
        algorithm: that has the parameters.
        parameters: their values.
        context: of the run.
    """
    name = class_field(algorithm, parameters, context)
    layers = algorithm.parameterAsLayerList(dict(parameters), "MORE_LABELS", context)
    return [(layer, name if layer.fields().lookupField(name) >= 0 else "") for layer in layers]


def unlabelled_of(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> Unlabelled:
    """Return UNLABELLED: what pixels without label are.

    Args:
        algorithm: that has the parameter.
        parameters: values of its parameters.
        context: of the run.
    """
    return cast(Unlabelled, algorithm.parameterAsEnumString(parameters, "UNLABELLED", context))


def read_area(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    context: QgsProcessingContext,
    split_field: str = "",
) -> AreaSnapshot:
    """Return LABELLED_AREA if it is given, else as AREA states. Main thread.

    Args:
        algorithm: that has the parameters of `add_labels`.
        parameters: their values.
        context: of the run.
        split_field: field of the area that names train, validation and test.
    """
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
    return polygon_area(algorithm, parameters, context, "LABELLED_AREA", split_field, otherwise)


def polygon_area(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    context: QgsProcessingContext,
    key: str,
    split_field: str = "",
    otherwise: Area | None = None,
) -> AreaSnapshot:
    """Return the polygons of an optional parameter as area. Main thread.

    Args:
        algorithm: that has the parameter.
        parameters: values of its parameters.
        context: of the run.
        key: of the parameter.
        split_field: field of the polygons that names train, validation and test.
        otherwise: the area if there are no polygons.
    """
    layer, selected_only = polygon_layer(algorithm, parameters, key, context)
    if layer is None:
        return AreaSnapshot(otherwise or Area())
    return area_snapshot(layer, split_field, selected_only)


def class_field(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> str:
    """Return CLASS_FIELD; empty for one class.

    Args:
        algorithm: that has the parameter.
        parameters: values of its parameters.
        context: of the run.
    """
    return (algorithm.parameterAsStrings(parameters, "CLASS_FIELD", context) or [""])[0]
