"""The row of a declared setting in the panel: a control of its type and range, its title, reason and guide link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLineEdit, QSpinBox, QWidget

from ..contract import choices_of, default_of, params_of
from .fields import MAX_WHOLE, kind_of, lowest, row_key, step_of, to_stored, values_of
from .texts import choice_names, tr
from .texts import title as title_of
from .ticks import AUTO, NONE, AutoTicks

MAX_DECIMAL = 1e9


@dataclass(frozen=True)
class Row:
    """A control and what stands beside it.

    Attributes:
        key: under which pages store its value.
        title: empty for a tick box, which shows its own.
        control: input widget with the field's default.
        about: what the setting does and when to change it.
        guide: section of the guide, as an anchor.
        group: heading of the rows it belongs to.
    """

    key: str
    title: str
    control: QWidget
    about: str
    guide: str
    group: str


def row_of(cls: type, name: str, percent: bool = False) -> Row:
    """Return the row of a declared field.

    Args:
        cls: dataclass that declares it.
        name: of the field.
        percent: show a share as percent.

    Raises:
        TypeError: for a field of a type that no row holds, such as bands.
    """
    param, kind = params_of(cls)[name], kind_of(cls, name)
    control = percent_box(cls, name) if percent else CONTROLS[kind](cls, name)
    title = title_of(param)
    control.setAccessibleName(title)
    shown = "" if kind == "tick" else title
    return Row(row_key(cls, name), shown, control, tr(param.about), param.guide, tr(param.group))


def whole_box(cls: type, name: str) -> QSpinBox:
    """Return a box for a whole number."""
    box = QSpinBox()
    _set_range(box, cls, name, int, MAX_WHOLE)
    return box


def decimal_box(cls: type, name: str) -> QgsDoubleSpinBox:
    """Return a box for a number with decimals, with a button that puts the default back."""
    box = QgsDoubleSpinBox()
    box.setDecimals(params_of(cls)[name].decimals)
    _set_range(box, cls, name, float, MAX_DECIMAL)
    box.setClearValue(box.value())
    return box


def percent_box(cls: type, name: str) -> QSpinBox:
    """Return a box for a share in percent."""
    param = params_of(cls)[name]
    box = QSpinBox()
    box.setRange(round(100 * (param.low or 0)), round(100 * (1 if param.high is None else param.high)))
    box.setSingleStep(round(100 * step_of(cls, name)) if param.step else 1)
    box.setValue(to_stored(cls, name, default_of(cls, name), percent=True))
    box.setSuffix(" %")
    return box


def choice_box(cls: type, name: str) -> QComboBox:
    """Return a list of the named values of a field."""
    box, names = QComboBox(), choice_names(cls, name)
    for value in values_of(cls, name):
        box.addItem(names.get(value, str(value)), value)
    box.setCurrentIndex(box.findData(default_of(cls, name)))
    return box


def tick_box(cls: type, name: str) -> QCheckBox:
    """Return a tick box with the title of the field."""
    box = QCheckBox(title_of(params_of(cls)[name]))
    box.setChecked(to_stored(cls, name, default_of(cls, name)))
    return box


def text_line(cls: type, name: str) -> QLineEdit:
    """Return a line for a text, or for numbers with commas between them."""
    line = QLineEdit(str(to_stored(cls, name, default_of(cls, name))))
    line.setPlaceholderText(tr(params_of(cls)[name].auto))
    return line


def tick_list(cls: type, name: str) -> AutoTicks:
    """Return the named values of a field to tick, or automatic, or none where that is a choice."""
    names = choice_names(cls, name)
    with_none = NONE in choices_of(cls, name)
    entries = {value: text for value, text in names.items() if value not in (AUTO, NONE)}
    found = AutoTicks(title_of(params_of(cls)[name]), entries, with_none=with_none)
    found.set_value(to_stored(cls, name, default_of(cls, name)))
    return found


CONTROLS: dict[str, Callable[[type, str], Any]] = {
    "several": tick_list,
    "tick": tick_box,
    "choice": choice_box,
    "whole": whole_box,
    "decimal": decimal_box,
    "numbers": text_line,
    "text": text_line,
}
"""How each kind of field is shown."""


def _set_range(box: Any, cls: type, name: str, number: type, maximum: float) -> None:
    """Give a number box the range, step, unit and default of a field; its first value may stand for automatic."""
    param, default = params_of(cls)[name], default_of(cls, name)
    low = lowest(cls, name)
    high = maximum if param.high is None else min(param.high, maximum)
    box.setRange(number(low), number(high))
    box.setSingleStep(number(step_of(cls, name)))
    box.setValue(number(low if default is None else default))
    if param.auto and (default is None or default == low):
        box.setSpecialValueText(tr(param.auto))
    if param.unit:
        box.setSuffix(f" {tr(param.unit)}")
