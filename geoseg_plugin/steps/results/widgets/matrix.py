"""A confusion matrix drawn with colours: rows are the truth, columns what was predicted."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from qgis.PyQt.QtWidgets import QSizePolicy, QToolTip, QWidget

from ....panel.texts import pixels, tr
from ....panel.widgets.shades import blended, ink, paper, window_color

RIGHT, WRONG = "#2aa876", "#e08214"


class ConfusionMatrix(QWidget):
    """Cells show the share of their row; the tooltip shows the pixels."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: list[str] = []
        self._rows: list[list[int]] = []
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Confusion matrix"))
        self.hide()

    def set_matrix(self, names: Sequence[str], rows: Sequence[Sequence[int]]) -> None:
        """Show a matrix of pixels; `rows[truth][predicted]`."""
        self._names, self._rows = list(names), [list(row) for row in rows]
        self.setVisible(bool(rows))
        self.setAccessibleDescription("; ".join(
            self._describe(row, column) for row in range(len(rows)) for column in range(len(rows))
        ))  # fmt: skip
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        cell = round(self.fontMetrics().height() * 2.1)
        return QSize(300, cell * max(len(self._rows), 1) + round(self.fontMetrics().height() * 2.6) + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        if not self._rows:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(ink(self, window_color(self)))
        area = self._area()
        metrics = self.fontMetrics()
        line = metrics.height()
        top = QRectF(area.left(), 0, area.width(), line)
        painter.drawText(top, Qt.AlignmentFlag.AlignCenter, tr("predicted as"))
        count = len(self._rows)
        width, height = area.width() / count, area.height() / count
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for index, (name, number) in enumerate(self._labels(width)):
            box = QRectF(area.left() + index * width, line * 1.1, width, line * 1.2)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, number or name)
            side = QRectF(0, area.top() + index * height, area.left() - 6, height)
            text = f"{name}  {number}" if number else name
            painter.drawText(side, int(right | Qt.TextFlag.TextWordWrap), text)
        for row in range(count):
            for column in range(count):
                box = QRectF(area.left() + column * width, area.top() + row * height, width, height)
                self._draw_cell(painter, box, row, column)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        area, count = self._area(), len(self._rows)
        if not count or not area.contains(event.pos().x(), event.pos().y()):
            return
        row = min(int((event.pos().y() - area.top()) / area.height() * count), count - 1)
        column = min(int((event.pos().x() - area.left()) / area.width() * count), count - 1)
        QToolTip.showText(self.mapToGlobal(event.pos()), self._describe(row, column), self)

    def _labels(self, width: float) -> list[tuple[str, str]]:
        """Name and number of each class; columns have numbers where a name is wider than `width`, in pixels."""
        fits = all(self.fontMetrics().horizontalAdvance(name) < width - 4 for name in self._names)
        return [(name, "" if fits else str(number)) for number, name in enumerate(self._names, 1)]

    def _area(self) -> QRectF:
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(f"{name}  9") for name in self._names), default=0)
        left = min(widest + 10, self.width() * 0.42)
        top = metrics.height() * 2.4
        return QRectF(left, top, self.width() - left - 1, self.height() - top - 3)

    def _draw_cell(self, painter: QPainter, box: QRectF, row: int, column: int) -> None:
        value = self._share(row, column)
        base = paper(self)
        color = blended(base, QColor(RIGHT if row == column else WRONG), 0.08 + 0.82 * value)
        painter.fillRect(box.adjusted(1, 1, -1, -1), color)
        painter.setPen(QColor("#000000") if color.lightnessF() > 0.5 else QColor("#ffffff"))
        if box.width() > self.fontMetrics().horizontalAdvance("100 %"):
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, percent(value))

    def _share(self, row: int, column: int) -> float:
        total = sum(self._rows[row])
        return self._rows[row][column] / total if total else 0.0

    def _describe(self, row: int, column: int) -> str:
        return tr("{} predicted as {}: {} px, {}").format(
            self._names[row],
            self._names[column],
            pixels(self._rows[row][column]),
            percent(self._share(row, column)),
        )


def percent(value: float) -> str:
    """Return a share in percent; traces are not rounded to nothing."""
    return "<1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"
