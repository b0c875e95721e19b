"""Relative paths among parameters: they mean the folder that QGIS or `qgis_process` was started in.

The engine works in the folder of its job, so nothing relative may reach it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsProperty,
)

from ...contract import file_exists, split_address

INPUTS = ("raster", "vector", "layer", "source", "multilayer", "file")
"""Kinds of parameters that may name files."""
OF_A_PROVIDER = re.compile(r"^\w{2,}:")
"""`memory:`, `ogr:dbname=…`: no path."""


def with_whole_paths(
    algorithm: QgsProcessingAlgorithm, parameters: Mapping[str, Any], context: QgsProcessingContext
) -> dict[str, Any]:
    """Return the parameters with whole paths for files that exist and for those that will be written. Main thread.

    An input that is no file from here, such as the name of a layer in the project, stays as it is.

    Args:
        algorithm: that has the parameters.
        parameters: their values.
        context: with the project.
    """
    project = context.project() or QgsProject.instance()

    def found(text: str) -> str:
        known = project.mapLayer(text) is not None or bool(project.mapLayersByName(text))
        return text if known else whole_source(text)

    whole = dict(parameters)
    for definition in algorithm.parameterDefinitions():
        value = whole.get(definition.name())
        if value is None:
            continue
        if definition.isDestination():
            whole[definition.name()] = changed(value, whole_output)
        elif definition.type() in INPUTS:
            whole[definition.name()] = changed(value, found)
    return whole


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """Return the value of a parameter with each text in it changed.

    Args:
        value: text, list, or definition of an output or a source.
        change: text -> text.
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, (list, tuple)):
        return [changed(item, change) for item in value]
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        copy = QgsProcessingOutputLayerDefinition(value)
        copy.sink = changed_property(value.sink, change)
        return copy
    if isinstance(value, QgsProcessingFeatureSourceDefinition):
        source = QgsProcessingFeatureSourceDefinition(value)
        source.source = changed_property(value.source, change)
        return source
    return value


def changed_property(value: QgsProperty, change: Callable[[str], str]) -> QgsProperty:
    """Return a property with its text changed; one that is computed stays as it is.

    Args:
        value: of a definition.
        change: text -> text.
    """
    static = value.staticValue()
    return QgsProperty.fromValue(change(static)) if isinstance(static, str) else value


def whole_source(text: str) -> str:
    """`in/a.gpkg|layername=x` from the root, if the file is there; of several between semicolons each."""
    path, _ = split_address(text)
    if file_exists(path):
        return f"{Path(path).absolute()}{text[len(path) :]}"
    return ";".join(map(whole_source, text.split(";"))) if ";" in text else text


def whole_output(text: str) -> str:
    """The path from the root; what is no path stays as it is."""
    no_path = not text or text == QgsProcessing.TEMPORARY_OUTPUT or OF_A_PROVIDER.match(text)
    return text if no_path else str(Path(text).absolute())
