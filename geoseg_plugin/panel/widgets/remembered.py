"""Values of input widgets as plain data, so that a page can be remembered and restored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qgis.core import QgsCoordinateReferenceSystem, QgsProject
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox, QgsProjectionSelectionWidget
from qgis.PyQt.QtCore import QEvent, QObject
from qgis.PyQt.QtWidgets import (
    QAbstractSpinBox,
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSpinBox,
)

from ...forms.ticks import AutoTicks, TickList


@dataclass(frozen=True)
class Kind:
    """How widgets of one type are read, set, and which signal they send when they change."""

    type: type
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]
    changed: str


def value_of(widget: QObject) -> Any:
    """Return the value of an input widget as text, number or truth value."""
    return kind_of(widget).read(widget)


def set_value(widget: QObject, value: Any) -> None:
    """Set the value of an input widget; one that no longer exists leaves it as it is."""
    kind_of(widget).write(widget, value)


def changed_signal(widget: QObject) -> Any:
    """Return the signal that an input widget sends when its value changes."""
    return getattr(widget, kind_of(widget).changed)


def takes_wheel(widget: QObject) -> bool:
    """Return whether the wheel changes this widget's value."""
    return isinstance(widget, (QComboBox, QAbstractSpinBox))


class WheelGuard(QObject):
    """Lets the wheel scroll the page instead of changing a box that has no focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():  # type: ignore[attr-defined]
            event.ignore()
            return True
        return False


def kind_of(widget: QObject) -> Kind:
    """Return how a widget is read, set and watched.

    Raises:
        TypeError: for a widget that is no input.
    """
    for kind in KINDS:
        if isinstance(widget, kind.type):
            return kind
    raise TypeError(f"{type(widget).__name__} is not an input widget")


def _layer_id(combo: QgsMapLayerComboBox) -> str:
    layer = combo.currentLayer()
    return str(layer.id()) if layer is not None else ""


def _set_layer(combo: QgsMapLayerComboBox, layer_id: Any) -> None:
    layer = QgsProject.instance().mapLayer(str(layer_id))
    if layer is not None or combo.allowEmptyLayer():
        combo.setLayer(layer)


def _crs(widget: QgsProjectionSelectionWidget) -> str:
    crs = widget.crs()
    return (crs.authid() or crs.toWkt()) if crs.isValid() else ""


def _set_crs(widget: QgsProjectionSelectionWidget, text: Any) -> None:
    widget.setCrs(QgsCoordinateReferenceSystem(str(text)))


def _set_entry(combo: QComboBox, value: Any) -> None:
    index = combo.findData(value)
    if index >= 0:
        combo.setCurrentIndex(index)


def _checked_value(group: QButtonGroup) -> Any:
    button = group.checkedButton()
    return button.property("value") if button is not None else ""


def _check_value(group: QButtonGroup, value: Any) -> None:
    for button in group.buttons():
        if button.property("value") == value:
            button.setChecked(True)


KINDS = (
    Kind(
        TickList,
        lambda widget: widget.left_out(),
        lambda widget, value: widget.leave_out(value),
        "ticks_changed",
    ),
    Kind(
        AutoTicks,
        lambda widget: widget.value(),
        lambda widget, value: widget.set_value(value),
        "value_changed",
    ),
    Kind(QgsMapLayerComboBox, _layer_id, _set_layer, "layerChanged"),
    Kind(QgsProjectionSelectionWidget, _crs, _set_crs, "crsChanged"),
    Kind(
        QgsFileWidget,
        lambda widget: widget.filePath(),
        lambda widget, value: widget.setFilePath(str(value)),
        "fileChanged",
    ),
    Kind(QComboBox, lambda widget: widget.currentData(), _set_entry, "currentIndexChanged"),
    Kind(QButtonGroup, _checked_value, _check_value, "buttonToggled"),
    Kind(
        QDoubleSpinBox,
        lambda widget: widget.value(),
        lambda widget, value: widget.setValue(float(value)),
        "valueChanged",
    ),
    Kind(
        QSpinBox,
        lambda widget: widget.value(),
        lambda widget, value: widget.setValue(int(value)),
        "valueChanged",
    ),
    Kind(
        QCheckBox,
        lambda widget: widget.isChecked(),
        lambda widget, value: widget.setChecked(bool(value)),
        "toggled",
    ),
    Kind(
        QLineEdit,
        lambda widget: widget.text(),
        lambda widget, value: widget.setText(str(value)),
        "textChanged",
    ),
)
"""Special types before the general ones that they derive from."""
