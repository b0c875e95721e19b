"""Parameters that every algorithm with label polygons has, and how they are read."""

from __future__ import annotations

from typing import Any, Literal, cast

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProcessingParameterExtent

from ..contract import Area, AreaKind, Problem, Unlabelled
from ..layers.snapshot import crs_text
from .gather import GatheredArea, GatheredLabels, gather_area, gather_labels, layer_problems
from .parameters import Parameters, advanced, choice, field, polygon_layer, polygons, real, tr

AREAS: tuple[AreaKind, ...] = ("concave_hull", "convex_hull", "bounds", "extent", "rasters")
UNLABELLED: tuple[Unlabelled, ...] = ("background", "unknown")


def add_labels(algorithm: QgsProcessingAlgorithm, with_layer: bool = True) -> None:
    """LABELS (unless the algorithm has its own), CLASS_FIELD, LABELLED_AREA, AREA, EXTENT, UNLABELLED."""
    if with_layer:
        algorithm.addParameter(polygons("LABELS", tr("Label polygons")))
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


def label_problems(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> list[Problem]:
    """Complaints about the label and area parameters."""
    found = layer_problems(algorithm, parameters, context, (), ("LABELS", "LABELLED_AREA"))
    kind = algorithm.parameterAsEnumString(parameters, "AREA", context)
    extent = algorithm.parameterAsExtent(parameters, "EXTENT", context)
    if kind == "extent" and extent.isNull() and not parameters.get("LABELLED_AREA"):
        found.append(Problem("no_extent", tr("The area is an extent, but none is given."), tr("Set EXTENT.")))
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


def read_labels(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> GatheredLabels:
    """The label polygons as they are now."""
    layer, selected_only = polygon_layer(algorithm, parameters, "LABELS", context)
    unlabelled = cast(
        Literal["background", "unknown"], algorithm.parameterAsEnumString(parameters, "UNLABELLED", context)
    )
    return gather_labels(layer, class_field(algorithm, parameters, context), unlabelled, selected_only)


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
