"""The classes of the labels: which count, and which of them count as the same."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtGui import QResizeEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from ....contract import LabelClass
from ....jobs.choices import LabelEdits
from ....panel.texts import tr
from ....panel.widgets.page import lets_shrink
from ....panel.widgets.remembered import WheelGuard
from ....panel.widgets.tables import swatch

MAX_ROWS = 7
VALUE = Qt.ItemDataRole.UserRole
TICKED, UNTICKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked


class ClassTable(QTableWidget):
    """Emits `edited` when the user leaves a class out or merges it; hides itself without classes.

    What was chosen for a value stays when the layer changes and comes back.
    """

    edited = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._classes: tuple[LabelClass, ...] = ()
        self._same_as: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._guard = WheelGuard(self)
        self.setColumnCount(2)
        self.setHorizontalHeaderLabels([tr("Class"), tr("counts as")])
        self.setAccessibleName(tr("Classes"))
        self.setToolTip(
            tr("Untick a class to ignore its pixels; choose another class to merge it into that one.")
        )
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        self.horizontalHeader().setMinimumSectionSize(20)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(self._on_item_changed)
        self.hide()

    def set_classes(self, classes: Sequence[LabelClass]) -> None:
        """Show classes; one class alone can be neither merged nor left out. The same again change nothing."""
        if tuple(classes) != self._classes:
            self._classes = tuple(classes)
            self._fill()

    def _fill(self) -> None:
        with QSignalBlocker(self):
            self.setRowCount(len(self._classes))
            for row, item in enumerate(self._classes):
                self._fill_row(row, item)
        self.setColumnHidden(1, len(self._classes) < 2)
        self.setVisible(bool(self._classes))
        self._fit_height()

    def edits(self) -> LabelEdits:
        """Return what was chosen for the classes that are shown."""
        values = {item.value for item in self._classes}
        same = {value: other for value, other in self._same_as.items() if {value, other} <= values}
        left_out = tuple(item.value for item in self._classes if item.value in self._left_out)
        return LabelEdits(same, left_out)

    def set_edits(self, edits: LabelEdits) -> None:
        """Choose these."""
        self._same_as, self._left_out = dict(edits.same_as), set(edits.left_out)
        self._fill()

    def names(self) -> list[str]:
        """Return the names of the classes shown."""
        return [item.name for item in self._classes]

    def _fill_row(self, row: int, item: LabelClass) -> None:
        cell = QTableWidgetItem(swatch(item.color), item.name)
        cell.setData(VALUE, item.value)
        cell.setToolTip(item.name if item.value in ("", item.name) else f"{item.name} = {item.value}")
        if len(self._classes) > 1:
            cell.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            cell.setCheckState(UNTICKED if item.value in self._left_out else TICKED)
        self.setItem(row, 0, cell)
        combo = QComboBox()
        combo.addItem(tr("itself"), "")
        for other in self._classes:
            if other.value != item.value:
                combo.addItem(swatch(other.color), tr("same as {}").format(other.name), other.value)
        combo.setCurrentIndex(max(combo.findData(self._same_as.get(item.value, "")), 0))
        combo.setFrame(False)
        combo.setAccessibleName(tr("{} counts as").format(item.name))
        combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        combo.installEventFilter(self._guard)
        lets_shrink(combo)
        combo.currentIndexChanged.connect(
            lambda _index, value=item.value, box=combo: self._on_merged(value, box.currentData())
        )
        self.setCellWidget(row, 1, combo)

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        value = str(item.data(VALUE))
        if item.checkState() == TICKED:
            self._left_out.discard(value)
        else:
            self._left_out.add(value)
        self.edited.emit()

    def _on_merged(self, value: str, other: str) -> None:
        self._same_as.pop(value, None)
        if other:
            self._same_as[value] = other
        self.edited.emit()

    def _fit_height(self) -> None:
        line = round(self.fontMetrics().height() * 1.6)
        self.setColumnWidth(1, min(round(self.viewport().width() * 0.45), line * 5))
        heights = []
        for row in range(self.rowCount()):
            heights.append(max(line, self.sizeHintForRow(row)))
            self.setRowHeight(row, heights[-1])
        self.horizontalHeader().setFixedHeight(line)
        self.setFixedHeight(line + sum(heights[:MAX_ROWS]) + 2 * self.frameWidth())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit_height()
