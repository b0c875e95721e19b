"""Parameters of what is done to a map after prediction: cleaning the classes, drawing outlines."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
)

from ..contract import Cleaning, Outlines
from .parameters import Parameters, choice, real, tr, whole

CONNECTIVITY = ("4", "8")


def cleaning_options(min_patch_px: int = 0) -> list[QgsProcessingParameterDefinition]:
    """MAJORITY, OPENING, CLOSING, FILL_HOLES, LEAST_AREA, PATCH_CONNECTIVITY; 0 leaves a step out."""
    return [
        whole("MAJORITY", tr("Majority: side of the window in pixels, odd (0: none)"), 0, 0),
        whole("OPENING", tr("Opening: radius in pixels (0: none)"), 0, 0),
        whole("CLOSING", tr("Closing: radius in pixels (0: none)"), 0, 0),
        whole("FILL_HOLES", tr("Fill holes smaller than (pixels, 0: none)"), 0, 0),
        whole("LEAST_AREA", tr("Remove patches smaller than (pixels, 0: none)"), min_patch_px, 0),
        choice("PATCH_CONNECTIVITY", tr("Patches join at 4 edges, or at 8 neighbours"), CONNECTIVITY, "4"),
    ]


def cleaning_of(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> Cleaning:
    """The cleaning that the parameters above ask for."""
    given = dict(parameters)
    joined = algorithm.parameterAsEnumString(given, "PATCH_CONNECTIVITY", context)
    return Cleaning(
        majority_px=algorithm.parameterAsInt(given, "MAJORITY", context),
        opening_px=algorithm.parameterAsInt(given, "OPENING", context),
        closing_px=algorithm.parameterAsInt(given, "CLOSING", context),
        fill_holes_px=algorithm.parameterAsInt(given, "FILL_HOLES", context),
        min_patch_px=algorithm.parameterAsInt(given, "LEAST_AREA", context),
        connectivity=8 if joined == "8" else 4,
    )


def outline_options() -> list[QgsProcessingParameterDefinition]:
    """CONNECTIVITY, SIMPLIFY, SMOOTH, RIGHT_ANGLES."""
    return [
        choice("CONNECTIVITY", tr("Polygons join at 4 edges, or at 8 neighbours"), CONNECTIVITY, "4"),
        real("SIMPLIFY", tr("Simplify outlines: tolerance in metres (0: none)"), 0.0),
        whole("SMOOTH", tr("Smooth outlines: rounds of cutting corners (0: none)"), 0, 0, 5),
        QgsProcessingParameterBoolean("RIGHT_ANGLES", tr("Right angles, for buildings"), False),
    ]


def outlines_of(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> Outlines:
    """The outlines that the parameters above ask for."""
    given = dict(parameters)
    joined = algorithm.parameterAsEnumString(given, "CONNECTIVITY", context)
    return Outlines(
        connectivity=8 if joined == "8" else 4,
        simplify_m=algorithm.parameterAsDouble(given, "SIMPLIFY", context),
        smooth=algorithm.parameterAsInt(given, "SMOOTH", context),
        right_angles=algorithm.parameterAsBoolean(given, "RIGHT_ANGLES", context),
    )
