"""Class rasters of parameters, with the colours and names that lie beside them."""

from __future__ import annotations

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProject, QgsRasterLayer

from ...layers.styles import hide_background
from ..parameters import Parameters


def class_raster(
    algorithm: QgsProcessingAlgorithm, parameters: Parameters, key: str, context: QgsProcessingContext
) -> QgsRasterLayer:
    """The raster of a parameter; one that Processing opened from a file, without its style, is given it."""
    layer = algorithm.parameterAsRasterLayer(dict(parameters), key, context)
    project = context.project() or QgsProject.instance()
    if project.mapLayer(layer.id()) is None:
        _said, styled = layer.loadDefaultStyle()
        if not styled:
            hide_background(layer)
    return layer
