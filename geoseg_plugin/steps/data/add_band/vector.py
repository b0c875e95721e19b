"""Add bands from a vector layer: a number field, a class as yes or no, or the distance to its features."""

from __future__ import annotations

from qgis.core import Qgis, QgsVectorLayer
from qgis.gui import QgsDoubleSpinBox, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QListWidget, QListWidgetItem, QWidget

from ....contract import Band
from ....jobs.additions import Addition
from ....layers.classes import class_fields, in_order, values_of
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from ....panel.widgets.page import lets_shrink
from .dialog import AddDialog

MAX_VALUES = 60
LIMIT_M = 1000.0


class VectorDialog(AddDialog):
    """One-hot makes a band of every ticked value; the others make one band."""

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Soil, lithology, roads or streams as bands.")
        super().__init__(tr("Add a vector layer"), intro, parent)
        self.layer = QgsMapLayerComboBox()
        self.layer.setFilters(Qgis.LayerFilter.HasGeometry)
        lets_shrink(self.layer)
        self.mode = QComboBox()
        self.mode.addItem(tr("Distance to the features"), "distance")
        self.mode.addItem(tr("A class: one band per value"), "onehot")
        self.mode.addItem(tr("A number field of the polygons"), "burn")
        self.why = small_label("")
        self.field = QComboBox()
        self._field_label = QLabel(tr("Field"))
        self.values = QListWidget()
        self.values.setFixedHeight(round(self.fontMetrics().height() * 1.4 * 7))
        self.limit = QgsDoubleSpinBox()
        self.limit.setDecimals(0)
        self.limit.setRange(1, 1e6)
        self.limit.setValue(LIMIT_M)
        self.limit.setClearValue(LIMIT_M)
        self.limit.setSuffix(" m")
        self._limit_label = QLabel(tr("Maximum"))
        self.form.addRow(tr("Layer"), self.layer)
        self.form.addRow(tr("Value"), self.mode)
        self.form.addRow(self.why)
        self.form.addRow(self._field_label, self.field)
        self.form.addRow(self.values)
        self.form.addRow(self._limit_label, self.limit)
        self.layer.layerChanged.connect(self._on_layer_changed)
        self.mode.currentIndexChanged.connect(self._on_layer_changed)
        self.field.currentIndexChanged.connect(self._on_field_changed)
        self.values.itemChanged.connect(self.check)
        self._on_layer_changed()

    def _on_layer_changed(self, *_value: object) -> None:
        mode, layer = self.mode.currentData(), self.layer.currentLayer()
        whys = {
            "distance": tr("Metres to the nearest feature, up to a limit."),
            "onehot": tr("1 inside polygons of the value, 0 elsewhere: for categories such as soil types."),
            "burn": tr("The value of the field inside polygons, no value elsewhere."),
        }
        self.why.setText(whys[mode])
        before = self.field.currentData()
        self.field.blockSignals(True)
        self.field.clear()
        for name in fields_for(mode, layer):
            self.field.addItem(name, name)
        self.field.setCurrentIndex(max(self.field.findData(before), 0))
        self.field.blockSignals(False)
        for widget in (self.field, self._field_label):
            widget.setVisible(mode != "distance")
        self.values.setVisible(mode == "onehot")
        for widget in (self.limit, self._limit_label):
            widget.setVisible(mode == "distance")
        self._on_field_changed()

    def _on_field_changed(self, *_index: int) -> None:
        self.values.blockSignals(True)
        self.values.clear()
        layer, name = self.layer.currentLayer(), self.field.currentData()
        if self.mode.currentData() == "onehot" and layer is not None and name:
            for value in in_order(values_of(layer, layer.fields().lookupField(name)))[:MAX_VALUES]:
                item = QListWidgetItem(value)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(Qt.CheckState.Checked)
                self.values.addItem(item)
        self.values.blockSignals(False)
        self.check()

    def complaint(self) -> str:
        mode, layer = self.mode.currentData(), self.layer.currentLayer()
        if layer is None:
            return tr("Choose a vector layer.")
        if mode != "distance" and layer.geometryType() != Qgis.GeometryType.Polygon:
            return tr("This needs polygons: choose the distance, or a polygon layer.")
        if mode != "distance" and not self.field.currentData():
            return tr("The layer has no field of that kind.")
        if mode == "onehot" and not self._ticked():
            return tr("Tick at least one value.")
        return ""

    def addition(self) -> Addition:
        layer, mode = self.layer.currentLayer(), self.mode.currentData()
        field = self.field.currentData() or ""
        if mode == "distance":
            name = tr("Distance to {}").format(layer.name())
            bands = [Band(name, derive=mode, parameters={"limit_m": self.limit.value()})]
        elif mode == "burn":
            bands = [Band(f"{layer.name()}: {field}", derive=mode, parameters={"field": field})]
        else:
            bands = [
                Band(f"{layer.name()}: {value}", derive=mode, parameters={"field": field, "value": value})
                for value in self._ticked()
            ]
        title = (
            bands[0].name
            if len(bands) == 1
            else tr("{}: {} bands of “{}”").format(layer.name(), len(bands), field)
        )
        fields = (field,) if mode != "distance" else ()
        return Addition(title, tuple(bands), "vector", layer.id(), fields=fields)

    def _ticked(self) -> list[str]:
        items = [self.values.item(row) for row in range(self.values.count())]
        return [item.text() for item in items if item.checkState() == Qt.CheckState.Checked]


def fields_for(mode: str, layer: QgsVectorLayer | None) -> list[str]:
    """Return the fields that suit a kind of band."""
    if layer is None or mode == "distance":
        return []
    if mode == "burn":
        return [field.name() for field in layer.fields() if field.isNumeric()]
    return class_fields(layer)
