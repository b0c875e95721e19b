"""The frame of a page: title, intro, sections, advanced group, sentence, problems, one primary button."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QObject, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QFormLayout,
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ...forms.rows import row_of
from ..texts import tr
from .notes import NextStep, ProblemList, Sentence, small_label
from .remembered import WheelGuard, changed_signal, set_value, takes_wheel, value_of

MIN_PX, NAMES_PX, BUTTONS_PX = 60, 150, 44
"""Smallest width of a control; that of a list of names or a line of text; that of the buttons of a number box."""
MIN_LINES = 4
"""Smallest height of what scrolls, in lines."""
MAX_SHARE_OF_PAGE = 0.25
"""Largest share of the page's height that the list of problems takes."""


class Page(QWidget):
    """A scrolling page with its button pinned below, whose registered inputs are remembered.

    Signals:
        changed: the user changed any registered input.
        guide_requested: a section of the guide, by its anchor.
    """

    changed = pyqtSignal()
    guide_requested = pyqtSignal(str)

    def __init__(self, title: str, intro: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._inputs: dict[str, QObject] = {}
        self._restoring = True
        self._busy, self._ready = False, True
        self.primary: Any = None
        self.next_step = NextStep(self)
        self._wheel_guard = WheelGuard(self)
        content = Content()
        self.body = QVBoxLayout(content)
        self.body.setContentsMargins(9, 6, 9, 9)
        self.body.setSpacing(8)
        self.foot = QVBoxLayout()
        self.foot.setContentsMargins(9, 6, 9, 8)
        self.foot.setSpacing(6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scrolling(content), 1)
        layout.addLayout(self.foot)
        self.title = title
        self.setAccessibleName(title)
        self.body.addWidget(small_label(intro))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.primary is not None and self.foot.indexOf(self.problem_list) >= 0:
            self.problem_list.set_limit(round(MAX_SHARE_OF_PAGE * self.height()))

    def section(self, title: str) -> QFormLayout:
        """Add a titled block; return its form, to which rows are added."""
        self.body.addSpacing(2)
        self.body.addWidget(heading(title))
        form = narrow_form()
        self.body.addLayout(form)
        return form

    def add_group(self, group: AdvancedGroup) -> None:
        """Add a collapsed group of choices that rarely need changing."""
        group.link_activated.connect(self.guide_requested)
        group.collapsedStateChanged.connect(lambda _collapsed: self.on_inputs_changed())
        self.body.addWidget(group)

    def finish(self, button_text: str) -> None:
        """Pin problems, sentence, what was done, and the primary button below the page."""
        self.body.addStretch(1)
        self.problem_list = ProblemList()
        self.sentence = Sentence()
        self.primary = primary_button(button_text)
        for widget in (self.problem_list, self.next_step, self.sentence, self.primary):
            self.foot.addWidget(widget)
        self.settle()

    def show_outdated(self, why: str) -> None:
        """Show why the result of this page is out of date; an empty text hides it."""
        self.next_step.show_outdated(why)

    def settle(self) -> None:
        """Send `changed` from now on: all widgets are there."""
        self._restoring = False

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        self._busy = busy
        self._enable_primary()

    def set_ready(self, ready: bool) -> None:
        """Set whether the page has what its primary button needs."""
        self._ready = ready
        self._enable_primary()

    def _enable_primary(self) -> None:
        if self.primary is not None:
            self.primary.setEnabled(self._ready and not self._busy)

    def remember(self, key: str, widget: QObject, in_project: bool = True) -> Any:
        """Watch an input; with `in_project` its value is part of `values()`. Returns the widget."""
        if in_project:
            self._inputs[key] = widget
        changed_signal(widget).connect(self._on_input_changed)
        for box in (widget, *widget.findChildren(QComboBox)):
            if takes_wheel(box):
                box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # type: ignore[attr-defined]
                box.installEventFilter(self._wheel_guard)
        if isinstance(widget, QWidget):
            lets_shrink(widget)
        return widget

    def spin_box(
        self, key: str, low: int, high: int, value: int, special: str = "", suffix: str = ""
    ) -> QSpinBox:
        """Return a remembered box for a whole number; `special` is shown in place of the smallest one."""
        box = QSpinBox()
        self.remember(key, box)
        box.setRange(low, high)
        box.setValue(value)
        box.setSpecialValueText(special)
        box.setSuffix(suffix)
        return box

    def combo(self, key: str, entries: Mapping[str, str]) -> QComboBox:
        """Return a remembered list of named values."""
        box: QComboBox = self.remember(key, QComboBox())
        for value, name in entries.items():
            box.addItem(name, value)
        return box

    def tick(self, key: str, text: str, checked: bool = False) -> QCheckBox:
        """Return a remembered tick."""
        box: QCheckBox = self.remember(key, QCheckBox(text))
        box.setChecked(checked)
        return box

    def values(self) -> dict[str, Any]:
        """Return the values of the remembered inputs, as JSON-able data."""
        return {key: value_of(widget) for key, widget in self._inputs.items()}

    def restore(self, values: dict[str, Any]) -> None:
        """Put remembered values back; unknown keys are passed over, and `changed` is sent once."""
        self._restoring = True
        try:
            for key, widget in self._inputs.items():
                if values.get(key) is not None:
                    set_value(widget, values[key])
        finally:
            self._restoring = False
        self.on_inputs_changed()
        self.changed.emit()

    def on_inputs_changed(self) -> None:
        """Adapt enabled states and live sentences to the inputs."""

    def _on_input_changed(self, *_values: object) -> None:
        if not self._restoring:
            self.on_inputs_changed()
            self.changed.emit()


class Content(QWidget):
    """What scrolls: as high as its lines need at the width it has."""

    def minimumSizeHint(self) -> QSize:
        return QSize(super().minimumSizeHint().width(), 0)


class AdvancedGroup(QgsCollapsibleGroupBox):
    """Choices with a one-line reason each and a link into the guide."""

    link_activated = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Advanced"), parent)
        self.setSaveCollapsedState(False)
        self.setCollapsed(True)
        self.setScrollOnExpand(True)
        self.form = narrow_form()
        self.form.setContentsMargins(8, 4, 8, 6)
        self.setLayout(self.form)

    def add_fields(
        self,
        page: Page,
        cls: type,
        names: Sequence[str],
        percent: Collection[str] = (),
        controls: Mapping[str, QWidget] | None = None,
    ) -> dict[str, Any]:
        """Add the rows of declared fields, by group, with headings where there are several groups.

        Args:
            page: remembers their values.
            cls: dataclass that declares the fields.
            names: of the fields.
            percent: shares that are shown as percent.
            controls: other controls than the declaration gives, by field.

        Returns:
            The control of each field.
        """
        found: dict[str, Any] = {}
        rows = {name: row_of(cls, name, name in percent) for name in names}
        groups = dict.fromkeys(row.group for row in rows.values())
        for group in groups:
            if len(groups) > 1:
                self.form.addRow(heading(group))
            form = narrow_form()
            self.form.addRow(form)
            for name in (name for name, row in rows.items() if row.group == group):
                row, control = rows[name], (controls or {}).get(name, rows[name].control)
                found[name] = page.remember(row.key, control)
                self.add_choice(row.title, control, row.about, row.guide, form)
        return found

    def add_choice(
        self, label: str, widget: QWidget, why: str, anchor: str, form: QFormLayout | None = None
    ) -> None:
        """Add a control, and below it what it does with a link into the guide.

        Args:
            label: beside the control; empty for one that shows its own.
            widget: the control.
            why: what it does and when to change it.
            anchor: section of the guide.
            form: gets the row; None is that of the group.
        """
        form = form or self.form
        widget.setMinimumWidth(needed_px(widget))
        if label:
            form.addRow(label, widget)
        else:
            form.addRow(widget)
        widget.setToolTip(why)
        widget.setAccessibleDescription(why)
        note = small_label(f'{html.escape(why)} <a href="{anchor}">{tr("Guide")}</a>')
        note.linkActivated.connect(self.link_activated)
        form.addRow(note)


def needed_px(widget: QWidget) -> int:
    """Return the width at which a control shows its text; in a narrow panel a wide one goes below its label."""
    if isinstance(widget, QAbstractSpinBox):
        return int(widget.fontMetrics().horizontalAdvance(widget.text())) + BUTTONS_PX
    return MIN_PX if isinstance(widget, QCheckBox) else NAMES_PX


def heading(title: str) -> QLabel:
    """Return the title of a block."""
    label = QLabel(title)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


def scrolling(content: QWidget) -> QScrollArea:
    """Return a vertical scroll area around a page's content."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setMinimumHeight(MIN_LINES * area.fontMetrics().height())
    area.setWidget(content)
    return area


def narrow_form() -> QFormLayout:
    """Return a form that puts long fields under their labels when the dock is narrow."""
    form = QFormLayout()
    form.setContentsMargins(0, 0, 0, 0)
    form.setHorizontalSpacing(8)
    form.setVerticalSpacing(5)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return form


def primary_button(text: str) -> QPushButton:
    """Return the one button of a page that does the step."""
    button = QPushButton(text)
    font = button.font()
    font.setBold(True)
    button.setFont(font)
    button.setMinimumHeight(round(button.sizeHint().height() * 1.2))
    button.setAccessibleName(text.replace("&", ""))
    return button


def lets_shrink(widget: QWidget) -> None:
    """Allow a widget to become narrower than its longest entry."""
    policy = widget.sizePolicy()
    if policy.horizontalPolicy() not in (QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Maximum):
        policy.setHorizontalPolicy(QSizePolicy.Policy.Expanding)
        widget.setSizePolicy(policy)
    widget.setMinimumWidth(MIN_PX)
