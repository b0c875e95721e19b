"""Parameters of how labels become classes: merging, excluding, borders, small pieces, more layers."""

from __future__ import annotations

import dataclasses

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterMultipleLayers,
)

from ..contract import LabelClass, Labels, Problem
from ..forms.parameters import add_fields, fields_from
from ..jobs.listtext import entries, items
from .parameters import Parameters, advanced, text, tr

DECLARED = ("border_px", "all_touched", "min_area_px", "point_radius", "line_width", "size_unit")


def add_options(algorithm: QgsProcessingAlgorithm) -> None:
    """MORE_LABELS, MERGE, EXCLUDED, BORDER, ALL_TOUCHED, MIN_AREA, POINT_RADIUS, LINE_WIDTH, SIZE_UNIT."""
    shapes = Qgis.ProcessingSourceType.VectorAnyGeometry
    for parameter in (
        QgsProcessingParameterMultipleLayers(
            "MORE_LABELS",
            tr("More label layers; each is a class unless it has the class field"),
            shapes,
            None,
            True,
        ),
        text("MERGE", tr("Classes to merge, one per line: value=class"), lines=True),
        text("EXCLUDED", tr("Classes to ignore (a, b)")),
    ):
        algorithm.addParameter(advanced(parameter))
    add_fields(algorithm, Labels, DECLARED, advanced=True)


def option_problems(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> list[Problem]:
    """Problems of lines of MERGE that are not complete."""
    given = algorithm.parameterAsString(dict(parameters), "MERGE", context)
    wrong = [line for line in entries(given) if not all(item.strip() for item in line.partition("="))]
    if not wrong:
        return []
    message = tr("MERGE: '{}' is not 'value=class'.").format(wrong[0])
    return [Problem("merge", message, tr("Write for example: oak=forest; beech=forest"))]


def with_options(
    labels: Labels, algorithm: QgsProcessingAlgorithm, parameters: Parameters, context: QgsProcessingContext
) -> Labels:
    """The labels with the options."""
    given = dict(parameters)
    excluded = tuple(items(algorithm.parameterAsString(given, "EXCLUDED", context)))
    merges = [
        (line.partition("=")[0].strip(), line.partition("=")[2].strip())
        for line in entries(algorithm.parameterAsString(given, "MERGE", context))
    ]
    kept = tuple(item for item in labels.classes if item.value not in excluded and item.name not in excluded)
    values = {item.name: item.value for item in labels.classes}
    return dataclasses.replace(
        labels,
        classes=merged_classes(kept, merges),
        excluded=tuple(values.get(item, item) for item in excluded),
        **fields_from(algorithm, given, context, Labels, DECLARED),
    )


def merged_classes(classes: tuple[LabelClass, ...], merges: list[tuple[str, str]]) -> tuple[LabelClass, ...]:
    """Classes in their order with values moved into others.

    The class is found by name or value. If there is none of that name, the first value moved there takes the name.
    """
    found = list(classes)
    for value, target in merges:
        moved = next((item for item in found if value in (item.value, item.name)), None)
        into = next((item for item in found if target in (item.name, item.value) and item is not moved), None)
        if moved is None:
            continue
        if into is None:
            found[found.index(moved)] = dataclasses.replace(moved, name=target)
            continue
        also = (*into.also, moved.value, *moved.also)
        found[found.index(into)] = dataclasses.replace(into, also=also)
        found.remove(moved)
    return tuple(dataclasses.replace(item, id=number) for number, item in enumerate(found))
