"""Class rasters of parameters, with the colours and names that are beside them. Main thread."""

from __future__ import annotations

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProject, QgsRasterLayer

from ...layers.inputs.folder import RasterSnapshot
from ...layers.inputs.rasters import class_raster_snapshot
from ...layers.styles import hide_background
from ..parameters import Parameters


def class_raster(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, key: str, context: QgsProcessingContext
) -> tuple[QgsRasterLayer, RasterSnapshot]:
    """Return the class raster of a parameter: the layer for its legend, and what a job reads.

    A layer that Processing opened from a file, without its style, gets the style.

    Args:
        algorithm: that has the parameter.
        parameters: values of its parameters.
        key: of the parameter.
        context: of the run.
    """
    layer = algorithm.parameterAsRasterLayer(dict(parameters), key, context)
    project = context.project() or QgsProject.instance()
    if project.mapLayer(layer.id()) is None:
        _message, styled = layer.loadDefaultStyle()
        if not styled:
            hide_background(layer)
    return layer, class_raster_snapshot(layer)


def optional_raster(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, key: str, context: QgsProcessingContext
) -> RasterSnapshot | None:
    """Return what a job reads of the raster of an optional parameter; None without one.

    Args:
        algorithm: that has the parameter.
        parameters: values of its parameters.
        key: of the parameter.
        context: of the run.
    """
    layer = algorithm.parameterAsRasterLayer(dict(parameters), key, context)
    return None if layer is None else class_raster_snapshot(layer)
