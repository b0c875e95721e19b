"""The ranked table of a comparison and its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QByteArray, QRectF, QSignalBlocker, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QPainter, QPaintEvent
from qgis.PyQt.QtSvg import QSvgRenderer
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from ....panel.texts import duration, interval_text, pixels, share, tr

SORT = Qt.ItemDataRole.UserRole
ROW = Qt.ItemDataRole.UserRole + 1
LAST = float("inf")
"""Cells without a number are sorted below all others."""


class SortedItem(QTableWidgetItem):
    """A cell that is ordered by its number, not by its text."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        mine, its = self.data(SORT), other.data(SORT)
        if isinstance(mine, (int, float)) and isinstance(its, (int, float)):
            return bool(mine < its)
        return bool(self.text() < other.text())


class RankingTable(QTableWidget):
    """One row a model and band set; a click on a column's head sorts by it.

    Signals:
        row_chosen: another row, or none, is selected.
    """

    row_chosen = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[dict[str, Any]] = []
        self.setAccessibleName(tr("Models, ranked"))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(round(1.6 * self.fontMetrics().height()))
        self.itemSelectionChanged.connect(self.row_chosen)

    def chosen(self) -> dict[str, Any] | None:
        """Return the row that is selected."""
        found = self.selectionModel().selectedRows()
        return self._rows[self.item(found[0].row(), 0).data(ROW)] if found else None

    def show_rows(self, rows: Sequence[Mapping[str, Any]], score: str) -> None:
        """Show the rows of a comparison; `score` is what they are ranked by. What was selected stays so."""
        before = self.chosen()
        names = [str(item.get("name")) for item in rows[0].get("per_class") or []] if rows else []
        self._rows = [dict(row) for row in rows]
        with QSignalBlocker(self):
            self.setSortingEnabled(False)
            self.clear()
            heads = headings(score, names if len(names) > 1 else [])
            self.setColumnCount(len(heads))
            self.setHorizontalHeaderLabels(heads)
            self.setRowCount(len(rows))
            for line, row in enumerate(self._rows):
                for column, (text, value) in enumerate(cells(row, len(names) > 1)):
                    item = SortedItem(text)
                    item.setToolTip("\n".join(row.get("warnings") or []) or text)
                    if isinstance(value, (int, float)):
                        item.setData(SORT, value)
                        side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                        item.setTextAlignment(side)
                    item.setData(ROW, line)
                    self.setItem(line, column, item)
            self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
            self.horizontalHeader().setStretchLastSection(True)
            self.setSortingEnabled(True)
            self.sortItems(0, Qt.SortOrder.AscendingOrder)
            self._choose(key_of(before) if before else None)
        self.row_chosen.emit()

    def _choose(self, key: tuple[Any, Any] | None) -> None:
        for line in range(self.rowCount()):
            row = self._rows[self.item(line, 0).data(ROW)]
            if key is None or key_of(row) == key:
                self.selectRow(line)
                return


class Figure(QWidget):
    """An SVG, as wide as there is room and no wider than it was drawn, on white paper."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._drawing = QSvgRenderer(self)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.hide()

    def sizeHint(self) -> QSize:
        size = self._drawing.defaultSize()
        return size if self._drawing.isValid() else QSize(0, 0)

    def show_file(self, path: Path) -> None:
        """Show a file; none hides the figure."""
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        valid = bool(content) and self._drawing.load(QByteArray(content))
        self.setVisible(valid)
        self.updateGeometry()
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._drawing.isValid():
            return
        size = self._drawing.defaultSize()
        scale = min(self.width() / size.width(), self.height() / size.height(), 1.3)
        box = QRectF(0, 0, size.width() * scale, size.height() * scale)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._drawing.render(painter, box)


def headings(score: str, names: Sequence[str]) -> list[str]:
    """Columns; one more for each class where there are several."""
    first = tr("IoU") if score == "foreground_iou" else tr("Mean IoU")
    return [
        tr("Rank"),
        tr("Model"),
        tr("Bands"),
        first,
        tr("95 % interval"),
        tr("Spread"),
        tr("Kappa"),
        tr("Training"),
        tr("Prediction"),
        tr("Size"),
        tr("Parameters"),
        tr("Runs"),
        *(tr("IoU of {}").format(name) for name in names),
    ]


def cells(row: Mapping[str, Any], with_classes: bool) -> list[tuple[str, Any]]:
    """Return (text, value to sort by) of each column; scores sort from high to low at the first click."""
    interval = row.get("interval")
    size, weights = row.get("size_mb"), row.get("parameters")
    found: list[tuple[str, Any]] = [
        (str(row.get("rank", "")), row.get("rank", LAST)),
        (str(row.get("model", "")), None),
        (str(row.get("bands", "")), None),
        (share(row.get("iou")), best_first(row.get("iou"))),
        (interval_text(interval) or "–", best_first(interval[0] if interval else None)),
        (share(row.get("spread")), ascending(row.get("spread"))),
        (share(row.get("kappa")), best_first(row.get("kappa"))),
        (seconds_text(row.get("train_s")), ascending(row.get("train_s"))),
        (seconds_text(row.get("predict_s")), ascending(row.get("predict_s"))),
        ("–" if size is None else tr("{:.1f} MB").format(size), ascending(size)),
        ("–" if weights is None else pixels(weights), ascending(weights)),
        (str(len(row.get("seeds") or [])), len(row.get("seeds") or [])),
    ]
    if with_classes:
        found += [
            (share(item.get("iou")), best_first(item.get("iou"))) for item in row.get("per_class") or []
        ]
    return found


def best_first(value: float | None) -> float:
    """Return a key that sorts scores from high to low."""
    return LAST if value is None else -value


def ascending(value: float | None) -> float:
    """Return a key that sorts costs from low to high."""
    return LAST if value is None else value


def seconds_text(value: float | None) -> str:
    """Return a duration, with tenths below ten seconds."""
    if value is None:
        return "–"
    return tr("{:.1f} s").format(value) if value < 10 else duration(value)


def key_of(row: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return what makes a row the same in the next reading."""
    return row.get("model"), row.get("bands")
