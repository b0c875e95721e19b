"""The register: a window with every run of the workspace, how the selected ones differ, and their curves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ...panel.texts import duration, interval_text, share, state_names, tr
from ...panel.widgets.notes import small_label
from ...records.runs import Run
from .widgets.overlay import Overlay
from .widgets.ranking import ROW, SORT, SortedItem, ascending, best_first

SIZE = (1040, 680)
MAX_COMPARED = 6
"""So many runs are laid over one another."""


class RunsWindow(QDialog):
    """Not modal. Several rows can be selected.

    Signals:
        selection_changed: other runs are selected.
        action_requested: what is to be done (`use`, `folder`, `report`, `repeat`, `delete`) with the selected runs.
    """

    selection_changed = pyqtSignal()
    action_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("All runs"))
        self.setModal(False)
        self.resize(*SIZE)
        self._runs: list[Run] = []
        self._busy = False
        self.table = plain_table(tr("All runs"))
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.diff_note = small_label("")
        self.diff = plain_table(tr("Settings that differ"))
        self.diff.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.curves = Overlay()
        self.buttons: dict[str, QPushButton] = {}
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.diff_note)
        column.addWidget(self.diff, 1)
        lower = QSplitter(Qt.Orientation.Horizontal)
        lower.addWidget(left)
        lower.addWidget(self.curves)
        lower.setSizes([SIZE[0] // 2, SIZE[0] // 2])
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(lower)
        split.setSizes([SIZE[1] // 2, SIZE[1] // 2])
        layout = QVBoxLayout(self)
        layout.addWidget(split, 1)
        layout.addLayout(self._button_row())
        self.show_differences([], [])

    def _button_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for key, text in action_names().items():
            button = QPushButton(text)
            button.setAutoDefault(False)
            button.clicked.connect(lambda _checked=False, what=key: self.action_requested.emit(what))
            self.buttons[key] = button
            row.addWidget(button)
        row.insertStretch(len(self.buttons) - 1, 1)
        return row

    def set_runs(self, runs: Sequence[Run]) -> None:
        """Show runs; those that were selected stay so."""
        before = {run.entry.folder for run in self.selected()}
        self._runs = list(runs)
        with QSignalBlocker(self.table):
            self.table.setSortingEnabled(False)
            self.table.clear()
            heads = headings()
            self.table.setColumnCount(len(heads))
            self.table.setHorizontalHeaderLabels(heads)
            self.table.setRowCount(len(self._runs))
            for line, run in enumerate(self._runs):
                for column, (text, value) in enumerate(cells(run)):
                    item = SortedItem(text)
                    item.setToolTip(str(run.entry.folder) if column == 0 else text)
                    if value is not None:
                        item.setData(SORT, value)
                    item.setData(ROW, line)
                    self.table.setItem(line, column, item)
            fit_columns(self.table)
            self.table.setSortingEnabled(True)
            self.table.sortItems(heads.index(tr("Date")), Qt.SortOrder.AscendingOrder)
            for line in range(self.table.rowCount()):
                if self._runs[self.table.item(line, 0).data(ROW)].entry.folder in before:
                    for column in range(self.table.columnCount()):
                        self.table.item(line, column).setSelected(True)
        self._on_selected()

    def selected(self) -> list[Run]:
        """Return the selected runs, from the top."""
        lines = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [self._runs[self.table.item(line, 0).data(ROW)] for line in lines]

    def show_differences(self, names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Show settings with one column a run."""
        self.diff.clear()
        self.diff.setColumnCount(len(names) + 1 if names else 0)
        self.diff.setHorizontalHeaderLabels([tr("Setting"), *names] if names else [])
        self.diff.setRowCount(len(rows))
        for line, (key, values) in enumerate(rows):
            for column, text in enumerate((key.replace("_", " "), *values)):
                item = QTableWidgetItem(text)
                item.setToolTip(text)
                self.diff.setItem(line, column, item)
        fit_columns(self.diff)
        if not names:
            note = tr("Select a run to see its settings; two or more (Ctrl) to see how they differ.")
        elif len(names) == 1:
            note = tr("All settings of this run:")
        else:
            note = tr("Only what differs:") if rows else tr("These runs have the same settings.")
        self.diff_note.setText(note)

    def show_curves(self, runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
        """Draw runs over one another."""
        self.curves.show_runs(runs)

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        self._busy = busy
        self._enable()

    def _on_selected(self) -> None:
        self._enable()
        self.selection_changed.emit()

    def _enable(self) -> None:
        runs = self.selected()
        one = runs[0] if len(runs) == 1 else None
        self.buttons["use"].setEnabled(one is not None and one.entry.finished)
        self.buttons["folder"].setEnabled(one is not None)
        self.buttons["report"].setEnabled(one is not None and (one.tested or one.entry.finished))
        self.buttons["repeat"].setEnabled(one is not None and bool(one.model) and not self._busy)
        self.buttons["delete"].setEnabled(bool(runs))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        else:
            super().keyPressEvent(event)


def plain_table(name: str) -> QTableWidget:
    """Return a table of texts."""
    table = QTableWidget()
    table.setTabKeyNavigation(False)
    table.setAccessibleName(name)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setAlternatingRowColors(True)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(round(1.6 * table.fontMetrics().height()))
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return table


def fit_columns(table: QTableWidget) -> None:
    """Make columns as wide as their texts, up to a limit; then the user can change them."""
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    table.resizeColumnsToContents()
    widest = 15 * table.fontMetrics().height()
    for column in range(table.columnCount()):
        if table.columnWidth(column) > widest:
            table.setColumnWidth(column, widest)
    header.setStretchLastSection(True)


def action_names() -> dict[str, str]:
    """Return what can be done with runs; the last one is set apart."""
    return {
        "use": tr("&Use this model"),
        "report": tr("Open &report"),
        "folder": tr("Open &folder"),
        "repeat": tr("Train a&gain"),
        "delete": tr("&Delete…"),
    }


def headings() -> list[str]:
    """Return the columns of the register."""
    return [
        tr("Run"),
        tr("Model"),
        tr("Dataset"),
        tr("Bands"),
        tr("Date"),
        tr("IoU"),
        tr("95 % interval"),
        tr("Split"),
        tr("Time"),
        tr("Device"),
        tr("State"),
    ]


def cells(run: Run) -> list[tuple[str, float | None]]:
    """Return (text, value to sort by) of each column; newest and best come first at the first click."""
    states = {**{key: text.strip("()") for key, text in state_names().items()}, "done": tr("done")}
    measured = tr("test") if run.tested else tr("validation")
    interval = run.interval
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.entry.when))
    return [
        (run.name, None),
        (run.model or "–", None),
        (run.dataset or "–", None),
        (tr("all") if not run.bands else str(run.bands), float(run.bands)),
        (when, -run.entry.when),
        (share(run.score), best_first(run.score)),
        (interval_text(interval) or "–", best_first(interval[0] if interval else None)),
        (measured if run.score is not None else "–", None),
        ("–" if run.minutes is None else duration(60 * run.minutes), ascending(run.minutes)),
        (run.device or "–", None),
        (states.get(run.entry.state, "–"), None),
    ]
