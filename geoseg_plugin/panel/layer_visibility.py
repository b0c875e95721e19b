"""Bring a result's layer to light."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject

from ..contract import split_address


def show_layer_of(path: str, project: QgsProject) -> bool:
    """Tick the layer of a file and its group. Returns whether it is in the project."""
    for node in project.layerTreeRoot().findLayers() if path else []:
        layer = node.layer()
        if layer is not None and Path(split_address(layer.source())[0]) == Path(path).resolve():
            node.setItemVisibilityCheckedParentRecursive(True)
            return True
    return False
