"""A layer of the project, or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsProject
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QWidget

from .page import lets_shrink


class LayerBox(QgsMapLayerComboBox):
    """Empty at first, and again when the chosen layer leaves the project: QGIS's own box would choose another one.

    Args:
        kinds: of `Qgis.LayerFilter`.
        nothing: what is shown while no layer is chosen.
    """

    def __init__(self, kinds: Any, nothing: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._chosen = ""
        self.setFilters(Qgis.LayerFilters(kinds))
        self.setAllowEmptyLayer(True, nothing)
        self.setLayer(None)
        lets_shrink(self)
        self.layerChanged.connect(self._on_layer_changed)
        QgsProject.instance().layersRemoved.connect(self._on_layers_removed)

    def layer_id(self) -> str:
        """Id of the chosen layer; empty without one."""
        layer = self.currentLayer()
        return str(layer.id()) if layer is not None else ""

    def _on_layer_changed(self, layer: QgsMapLayer | None) -> None:
        self._chosen = layer.id() if layer is not None else ""

    def _on_layers_removed(self, layer_ids: Iterable[str]) -> None:
        if self._chosen in layer_ids:
            self.setLayer(None)
