"""Show and hide layers of results in the layer tree."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsLayerTree, QgsProject

from ..contract import split_address
from ..layers.results import SHOWN, result_kind


def show_layer_of(path: str, project: QgsProject) -> bool:
    """Tick the layer of a file and its group. Returns whether it is in the project."""
    for node in project.layerTreeRoot().findLayers() if path else []:
        layer = node.layer()
        if layer is not None and Path(split_address(layer.source())[0]) == Path(path).resolve():
            node.setItemVisibilityCheckedParentRecursive(True)
            return True
    return False


def hide_earlier_results(project: QgsProject) -> None:
    """Untick and fold the groups of earlier results, so that they do not cover the next one."""
    for node in project.layerTreeRoot().children():
        layers = [item.layer() for item in node.findLayers()] if QgsLayerTree.isGroup(node) else []
        if layers and all(layer is not None and result_kind(layer) == SHOWN for layer in layers):
            node.setItemVisibilityChecked(False)
            node.setExpanded(False)
