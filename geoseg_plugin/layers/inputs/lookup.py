"""Layers by their ids: of a project, or of the parameters of an algorithm. Main thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from qgis.core import QgsMapLayer, QgsRasterLayer, QgsVectorLayer

from ...contract import GeoSegError
from ..snapshot import tr

L = TypeVar("L", bound=QgsMapLayer)
LayerOf = Callable[[str], QgsMapLayer | None]
"""Gives the layer with an id; None if there is none."""


def raster_layer(layer_of: LayerOf, layer_id: str) -> QgsRasterLayer:
    """Return a raster layer. Main thread.

    Args:
        layer_of: where layers are looked up.
        layer_id: of the layer.

    Raises:
        GeoSegError: `layer_gone`.
    """
    return _of_type(QgsRasterLayer, layer_of, layer_id)


def vector_layer(layer_of: LayerOf, layer_id: str) -> QgsVectorLayer:
    """Return a vector layer. Main thread.

    Args:
        layer_of: where layers are looked up.
        layer_id: of the layer.

    Raises:
        GeoSegError: `layer_gone`.
    """
    return _of_type(QgsVectorLayer, layer_of, layer_id)


def layer_gone(layer_id: str) -> GeoSegError:
    """Return the error for a layer that was removed in the meantime."""
    return GeoSegError(
        "layer_gone",
        tr("The layer {} is no longer in the project.").format(layer_id),
        tr("Choose another layer."),
    )


def _of_type(kind: type[L], layer_of: LayerOf, layer_id: str) -> L:
    layer = layer_of(layer_id)
    if not isinstance(layer, kind):
        raise layer_gone(layer_id)
    return layer
