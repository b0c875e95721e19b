"""The calibration curve: accuracy of the map against its confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QToolTip, QWidget

from ....panel.texts import pixels, share, tr
from ....panel.widgets.shades import blended, draw_levels, faint, ink, paper

CURVE, BARS = "#2aa876", "#56b4e9"


class ReliabilityChart(QWidget):
    """Confidence to the right, accuracy upwards; on the diagonal confidence can be believed.

    Bars below show how many pixels have which confidence: points above small bars mean little.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bins: list[dict[str, Any]] = []
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Calibration curve"))
        self.hide()

    def set_bins(self, bins: Sequence[Mapping[str, Any]]) -> None:
        """Show bins of confidence: low, high, confidence, accuracy, pixels; those without pixels are left out."""
        self._bins = [dict(item) for item in bins if item.get("pixels") and item.get("accuracy") is not None]
        self.setAccessibleDescription("; ".join(describe(item) for item in self._bins))
        self.setVisible(bool(self._bins))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, round(self.fontMetrics().height() * 10))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        behind = paper(self)
        painter.fillRect(self.rect(), behind)
        area = self._area()
        self._draw_axes(painter, area)
        largest = max((int(item["pixels"]) for item in self._bins), default=1)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(blended(behind, QColor(BARS), 0.35))
        for item in self._bins:
            left, right = self._x(area, item["low"]), self._x(area, item["high"])
            height = 0.35 * area.height() * int(item["pixels"]) / largest
            painter.drawRect(QRectF(left + 0.5, area.bottom() - height, max(right - left - 1, 1), height))
        points = [self._point(area, item) for item in self._bins]
        painter.setPen(QPen(QColor(CURVE), 2))
        painter.setBrush(QColor(CURVE))
        if len(points) > 1:
            painter.drawPolyline(QPolygonF(points))
        for point in points:
            painter.drawEllipse(point, 3.0, 3.0)

    def _draw_axes(self, painter: QPainter, area: QRectF) -> None:
        draw_levels(self, painter, area)
        behind, line = paper(self), self.fontMetrics().height()
        painter.setPen(QPen(faint(self, behind, 0.5), 1, Qt.PenStyle.DashLine))
        first = self._first()
        start = QPointF(area.left(), area.bottom() - area.height() * first)
        painter.drawLine(start, QPointF(area.right(), area.top()))
        painter.setPen(ink(self, behind))
        box = QRectF(area.left(), area.bottom() + 2, area.width(), line)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, f"{first:.1f}")
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, tr("confidence"))
        painter.drawText(box, Qt.AlignmentFlag.AlignRight, "1.0")
        painter.drawText(
            QRectF(area.left() + 4, area.top() + 1, area.width(), line),
            Qt.AlignmentFlag.AlignLeft,
            tr("accuracy"),
        )

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._bins:
            area, x = self._area(), event.pos().x()
            nearest = min(self._bins, key=lambda item: abs(self._point(area, item).x() - x))
            QToolTip.showText(self.mapToGlobal(event.pos()), describe(nearest), self)

    def _area(self) -> QRectF:
        line = self.fontMetrics().height()
        left = self.fontMetrics().horizontalAdvance("0.00") + 8
        return QRectF(left, line * 0.6, self.width() - left - 10, self.height() - line * 2.0)

    def _first(self) -> float:
        """Where the axis of confidence begins: no class can win with less than one over their number."""
        lowest = min((float(item["low"]) for item in self._bins), default=0.0)
        return 0.5 if lowest >= 0.5 else 0.0

    def _x(self, area: QRectF, confidence: float) -> float:
        first = self._first()
        return area.left() + area.width() * max((confidence - first) / (1 - first), 0.0)

    def _point(self, area: QRectF, item: Mapping[str, Any]) -> QPointF:
        return QPointF(
            self._x(area, float(item["confidence"])), area.bottom() - area.height() * float(item["accuracy"])
        )


def describe(item: Mapping[str, Any]) -> str:
    """Return a bin as text."""
    return tr("Where the confidence is {}, {} of {} pixels are correct").format(
        share(item["confidence"]), share(item["accuracy"]), pixels(item["pixels"])
    )


def calibration_sentence(ece: float | None) -> str:
    """Return the expected calibration error as text; empty if there is none."""
    if ece is None:
        return ""
    return tr("On average confidence and accuracy differ by {:.1f} percent (calibration error).").format(
        100 * ece
    )
