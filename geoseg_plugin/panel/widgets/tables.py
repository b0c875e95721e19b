"""Read-only tables that fit a narrow panel and take the height of their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap, QResizeEvent
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from ..texts import interval_text, pixels, share, split_names, tr
from .notes import SMALLER

SWATCH_PX = 12


class ReadOnlyTable(QTableWidget):
    """A table of texts: the first column to the left, numbers to the right; long names wrap."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        font = self.font()
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * SMALLER)
        self.setFont(font)
        self.horizontalHeader().setFont(font)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.hide()

    def fill_named(
        self,
        headers: Sequence[str],
        names: Sequence[str],
        rows: Sequence[Sequence[str]],
        colors: Sequence[str] = (),
    ) -> None:
        """Show numbers below the name of their row, which has a line of its own: names are never cut."""
        self.clearSpans()
        first = max((line for row in rows for line in row[0].split("\n")), key=len, default="")
        every = [texts for name, row in zip(names, rows, strict=True) for texts in ([name], row)]
        self.fill(headers, every, [color for one in colors for color in (one, "")], stretch_all=True)
        for row in range(0, len(every), 2):
            self.setSpan(row, 0, 1, len(headers))
            self.item(row, 0).setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setAlternatingRowColors(False)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        self.setColumnWidth(0, self.fontMetrics().horizontalAdvance(first) + 18)
        self._fit_height()

    def fill(
        self,
        headers: Sequence[str],
        rows: Sequence[Sequence[str]],
        colors: Sequence[str] = (),
        stretch_all: bool = False,
    ) -> None:
        """Show texts; `colors` are swatches of the rows. Columns are equally wide, or the first fills the rest."""
        self.setColumnCount(len(headers))
        self.setRowCount(len(rows))
        self.setHorizontalHeaderLabels(list(headers))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                left = column == 0 and not stretch_all
                side = Qt.AlignmentFlag.AlignLeft if left else Qt.AlignmentFlag.AlignRight
                item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
                item.setToolTip(text)
                self.setItem(row, column, item)
            if row < len(colors) and colors[row]:
                self.item(row, 0).setIcon(swatch(colors[row]))
        header = self.horizontalHeader()
        header.setMinimumSectionSize(20)
        mode = QHeaderView.ResizeMode
        header.setSectionResizeMode(mode.Stretch if stretch_all else mode.ResizeToContents)
        if headers:
            header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(0 if stretch_all else 1, len(headers)):
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            self.horizontalHeaderItem(column).setTextAlignment(right)
        self.setVisible(bool(rows))
        self._fit_height()

    def _fit_height(self) -> None:
        line = self.fontMetrics().height()
        total = round(line * 1.65)
        self.horizontalHeader().setFixedHeight(total)
        for row in range(self.rowCount()):
            height = round(
                line * (0.5 + max(self._lines(row, column) for column in range(self.columnCount())))
            )
            self.setRowHeight(row, height)
            total += height
        self.setFixedHeight(total + 2 * self.frameWidth())

    def _lines(self, row: int, column: int) -> int:
        """Lines that a cell needs: its own, and those of a name that is longer than the first column is wide."""
        item = self.item(row, column)
        if item is None:
            return 1
        own = int(item.text().count("\n")) + 1
        if column:
            return own
        width = self.viewport().width() if self.columnSpan(row, 0) > 1 else self.columnWidth(0)
        room = max(width - SWATCH_PX - 16, 20)
        box = self.fontMetrics().boundingRect(0, 0, room, 10_000, int(Qt.TextFlag.TextWordWrap), item.text())
        return max(own, round(box.height() / self.fontMetrics().lineSpacing()))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._fit_height()


def fill_counts(table: ReadOnlyTable, classes: Sequence[Any], counts: dict[str, dict[str, int]]) -> None:
    """Labelled pixels per class and split; `counts` is that of the contract's Dataset."""
    splits = list(split_names())
    rows = [
        [item.name, *(pixels(counts.get(split, {}).get(str(item.id), 0)) for split in splits)]
        for item in classes
    ]
    headers = [tr("Pixels per class"), *split_names().values()]
    table.fill(headers, rows, [item.color for item in classes])


def fill_scores(
    table: ReadOnlyTable,
    per_class: Sequence[dict[str, Any]],
    colors: dict[str, str],
    intervals: Sequence[Sequence[float | None] | None] = (),
) -> None:
    """IoU with its interval below it, precision, recall, F1 and support per class; `colors` by class id as text."""
    rows, names = [], []
    for index, item in enumerate(per_class):
        ends = interval_text(intervals[index]) if index < len(intervals) else ""
        iou = share(item.get("iou"))
        names.append(str(item.get("name", item.get("id"))))
        rows.append(
            [
                f"{iou}\n{ends}" if ends else iou,
                *(share(item.get(key)) for key in ("precision", "recall", "f1")),
                pixels(item.get("support_px") or 0),
            ]
        )
    headers = [tr("IoU"), tr("Prec."), tr("Recall"), tr("F1"), tr("Pixels")]
    table.fill_named(headers, names, rows, [colors.get(str(item.get("id")), "") for item in per_class])


def swatch(color: str) -> QIcon:
    """Return a small square of a colour."""
    pixmap = QPixmap(SWATCH_PX, SWATCH_PX)
    pixmap.fill(QColor(color))
    return QIcon(pixmap)
