"""Every change of the project's layers that an input depends on, reported once the changes have come to rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from qgis.core import QgsMapLayer, QgsProject
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

WAIT_MS = 300
MAX_MS = 1500
"""After the last change, and at most after the first one of a long series."""

OF_ANY_LAYER = (
    *("nameChanged", "crsChanged", "dataSourceChanged", "dataChanged"),
    *("rendererChanged", "styleChanged", "repaintRequested"),
)
OF_VECTORS = (
    *("featureAdded", "featuresDeleted", "geometryChanged", "attributeValueChanged"),
    *("updatedFields", "subsetStringChanged", "editingStarted", "editingStopped"),
    *("afterCommitChanges", "afterRollBack", "layerModified"),
)
"""Signals of layers; undo and redo come as changes of features."""


class LayerWatch(QObject):
    """Follows all layers of the project.

    Signals:
        settled: something has changed, and nothing more since WAIT_MS.
    """

    settled = pyqtSignal()

    def __init__(self, project: QgsProject, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project = project
        self._revisions: dict[str, int] = {}
        self._followed: dict[str, tuple[QgsMapLayer, list[tuple[str, Callable[..., None]]]]] = {}
        self._first_s = 0.0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self.settled)
        project.layersAdded.connect(self._on_added)
        project.layersWillBeRemoved.connect(self._on_removed)
        project.layersRemoved.connect(self.touch)
        project.crsChanged.connect(self.touch)
        project.layerTreeRoot().layerOrderChanged.connect(self.touch)
        self._on_added(project.mapLayers().values())

    def close(self) -> None:
        """Let go of the project and its layers."""
        self._timer.stop()
        self._on_removed(list(self._followed))
        self._project.layersAdded.disconnect(self._on_added)
        self._project.layersWillBeRemoved.disconnect(self._on_removed)
        self._project.layersRemoved.disconnect(self.touch)
        self._project.crsChanged.disconnect(self.touch)
        self._project.layerTreeRoot().layerOrderChanged.disconnect(self.touch)

    def revision(self, layer_id: str) -> int:
        """Return a number that grows whenever this layer changes."""
        return self._revisions.get(layer_id, 0)

    def touch(self, *_what: object) -> None:
        """Something has changed."""
        if not self._timer.isActive():
            self._first_s = time.monotonic()
        left_ms = MAX_MS - round(1000 * (time.monotonic() - self._first_s))
        self._timer.start(max(0, min(WAIT_MS, left_ms)))

    def _on_added(self, layers: Iterable[QgsMapLayer]) -> None:
        for layer in layers:
            self._follow(layer)
        self.touch()

    def _follow(self, layer: QgsMapLayer) -> None:
        layer_id = layer.id()
        if layer_id in self._followed:
            return

        def on_changed(*_what: object) -> None:
            self._revisions[layer_id] = self._revisions.get(layer_id, 0) + 1
            self.touch()

        names = [name for name in (*OF_ANY_LAYER, *OF_VECTORS) if hasattr(layer, name)]
        for name in names:
            getattr(layer, name).connect(on_changed)
        self._followed[layer_id] = (layer, [(name, on_changed) for name in names])

    def _on_removed(self, layer_ids: Iterable[str]) -> None:
        for layer_id in layer_ids:
            layer, slots = self._followed.pop(layer_id, (None, []))
            self._revisions[layer_id] = self._revisions.get(layer_id, 0) + 1
            for name, slot in slots:
                disconnect(layer, name, slot)


def disconnect(sender: Any, name: str, slot: Callable[..., None]) -> None:
    """Take a connection back, if its sender still exists."""
    if not sip.isdeleted(sender):
        getattr(sender, name).disconnect(slot)
