"""Further label layers: each a class of its own, or with a field whose values join the classes."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import Qgis, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from ....jobs.choices import MoreLabels
from ....layers.classes import class_fields
from ....panel.texts import tr
from ....panel.widgets.layer_box import LayerBox
from ....panel.widgets.page import lets_shrink

VALUE = Qt.ItemDataRole.UserRole


class MoreLabelLayers(QWidget):
    """Emits `changed` when a layer was added or removed."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer = LayerBox(Qgis.LayerFilter.HasGeometry, tr("choose a vector layer"))
        self.field = QComboBox()
        self.field.setAccessibleName(tr("Field with the class"))
        self.add_button, self.remove_button = QPushButton(tr("Add")), QPushButton(tr("Remove"))
        self.list = QListWidget()
        self.list.setFixedHeight(round(self.fontMetrics().height() * 1.4 * 3))
        self.list.setAccessibleName(tr("Further label layers"))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(self.layer, 0, 0, 1, 2)
        grid.addWidget(self.field, 1, 0)
        grid.addWidget(self.add_button, 1, 1)
        grid.addWidget(self.list, 2, 0)
        grid.addWidget(self.remove_button, 2, 1, Qt.AlignmentFlag.AlignTop)
        grid.setColumnStretch(0, 1)
        lets_shrink(self.field)
        self.layer.layerChanged.connect(self._on_layer_changed)
        self.add_button.clicked.connect(self._on_add)
        self.remove_button.clicked.connect(self._on_remove)
        self._on_layer_changed()

    def layers(self) -> tuple[MoreLabels, ...]:
        """Return the layers of the list that are still in the project."""
        entries = [self.list.item(row).data(VALUE) for row in range(self.list.count())]
        found = [MoreLabels(*entry) for entry in entries]
        return tuple(item for item in found if QgsProject.instance().mapLayer(item.layer_id) is not None)

    def set_layers(self, layers: Sequence[MoreLabels]) -> None:
        """Show these; layers that are not in the project are left out."""
        self.list.clear()
        for item in layers:
            layer = QgsProject.instance().mapLayer(item.layer_id)
            if layer is not None:
                one = tr("one class")
                entry = QListWidgetItem(f"{layer.name()}: {item.class_field or one}")
                entry.setData(VALUE, [item.layer_id, item.class_field])
                self.list.addItem(entry)
        self.list.setVisible(self.list.count() > 0)
        self.remove_button.setVisible(self.list.count() > 0)

    def _on_layer_changed(self, *_layer: object) -> None:
        layer = self.layer.currentLayer()
        self.field.clear()
        self.field.addItem(tr("one class"), "")
        for name in class_fields(layer) if isinstance(layer, QgsVectorLayer) else []:
            self.field.addItem(name, name)
        self.add_button.setEnabled(layer is not None)
        self.list.setVisible(self.list.count() > 0)
        self.remove_button.setVisible(self.list.count() > 0)

    def _on_add(self) -> None:
        added = MoreLabels(self.layer.currentLayer().id(), self.field.currentData() or "")
        self.set_layers([*(item for item in self.layers() if item.layer_id != added.layer_id), added])
        self.layer.setLayer(None)
        self.changed.emit()

    def _on_remove(self) -> None:
        row = max(self.list.currentRow(), 0)
        self.set_layers([item for place, item in enumerate(self.layers()) if place != row])
        self.changed.emit()
