"""Problems of the layers that parameters name, known before the start. Main thread."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsRasterLayer,
)

from ...contract import Problem
from ...layers.legendclasses import LEGEND_FIELD, has_legend_classes
from ...layers.snapshot import problems
from ..parameters import Parameters, polygon_layer, tr

COPIES = "inputs"
"""Folder for copies of layers inside a folder that the user chose, where files of the user's own may be."""


def layer_problems(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    context: QgsProcessingContext,
    rasters: Iterable[str] = (),
    polygons: Iterable[str] = (),
    drawn: Iterable[str] = (),
) -> list[Problem]:
    """Return the problems of the layers of these parameters; optional ones may be empty.

    Args:
        algorithm: that has the parameters.
        parameters: their values.
        context: of the run.
        rasters: keys of parameters with one or more rasters.
        polygons: keys of parameters with a layer of polygons.
        drawn: keys of parameters with a layer of labels: polygons, lines or points.
    """
    layers: list[QgsMapLayer] = []
    found: list[Problem] = []
    for key in rasters:
        definition = algorithm.parameterDefinition(key)
        if definition.type() == "multilayer":
            listed = algorithm.parameterAsLayerList(dict(parameters), key, context)
            found += [no_raster(layer, key) for layer in listed if not isinstance(layer, QgsRasterLayer)]
            layers += [layer for layer in listed if isinstance(layer, QgsRasterLayer)]
        else:
            layers.append(algorithm.parameterAsRasterLayer(dict(parameters), key, context))
    polygons, drawn = tuple(polygons), tuple(drawn)
    for key in polygons:
        layers.append(polygon_layer(algorithm, parameters, key, context)[0])
    found += [unused_filter(key) for key in (*polygons, *drawn) if has_filter(parameters.get(key))]
    labels = [polygon_layer(algorithm, parameters, key, context)[0] for key in drawn]
    return [
        *found,
        *(item for layer in labels if layer is not None for item in problems(layer, labels=True)),
        *(item for layer in layers if layer is not None for item in problems(layer)),
    ]


def has_filter(value: object) -> bool:
    """Return whether a value of a layer parameter limits its features by an expression or by number."""
    if not isinstance(value, QgsProcessingFeatureSourceDefinition):
        return False
    return bool(value.filterExpression) or value.featureLimit > 0


def unused_filter(key: str) -> Problem:
    """Return the problem of a filter that the dialog of the parameter offers and that is not carried out.

    Args:
        key: of the parameter.
    """
    return Problem(
        "feature_filter",
        tr("{}: the feature filter and the limit of this dialog are not used.").format(key),
        tr("Set the filter of the layer itself, or select the features and use 'Selected features only'."),
    )


def no_raster(layer: QgsMapLayer, key: str) -> Problem:
    """Return the problem of a layer of another kind among rasters.

    Args:
        layer: that is no raster.
        key: of the parameter.
    """
    return Problem(
        "wrong_layer",
        tr("{}: layer '{}' is no raster.").format(key, layer.name()),
        tr("Leave it out: only raster layers can be chosen here."),
    )


def field_problems(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    key: str,
    layer_key: str,
    context: QgsProcessingContext,
) -> list[Problem]:
    """Return the problem of a field that the layer does not have; its hint lists the fields of the layer.

    Args:
        algorithm: that has the parameters.
        parameters: their values.
        key: of the parameter with the field.
        layer_key: of the parameter with the layer.
        context: of the run.
    """
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
