"""Areas of the classes as bars: those of the map, and the estimates of the sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QToolTip, QWidget

from ....layers.areas import area_text, interval_of, largest_area, unit_of
from ....panel.texts import tr
from ....panel.widgets.shades import faint, ink, paper

MAX_BARS = 24


class AreaBars(QWidget):
    """One bar per class; with a sample a dot at its area and a line over the interval."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[dict[str, Any]] = []
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Areas of the classes"))
        self.hide()

    def set_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Show the rows of an areas result; the largest where there are too many."""
        largest = sorted(rows, key=lambda row: -largest_area(row))[:MAX_BARS]
        self._rows = [dict(row) for row in rows if row in largest]
        self.setAccessibleDescription("; ".join(map(self._describe, self._rows)))
        self.setVisible(bool(self._rows))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, round(self._pitch() * len(self._rows)) + 8)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        behind = paper(self)
        painter.fillRect(self.rect(), behind)
        area, largest = self._area(), self._largest()
        painter.setPen(QPen(faint(self, behind, 0.3), 1))
        painter.drawLine(area.topLeft(), area.bottomLeft())
        for number, row in enumerate(self._rows):
            self._draw(painter, row, area, number, largest)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        number = int((event.pos().y() - 4) / self._pitch())
        if 0 <= number < len(self._rows):
            QToolTip.showText(self.mapToGlobal(event.pos()), self._describe(self._rows[number]), self)

    def _draw(
        self, painter: QPainter, row: Mapping[str, Any], area: QRectF, number: int, largest: float
    ) -> None:
        behind, pitch = paper(self), self._pitch()
        middle = area.top() + (number + 0.5) * pitch
        painter.setPen(ink(self, behind))
        box = QRectF(0, middle - pitch / 2, area.left() - 6, pitch)
        name = self.fontMetrics().elidedText(
            str(row.get("name")), Qt.TextElideMode.ElideRight, int(box.width()) - 4
        )
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, name)
        length = area.width() * (row.get("area_m2") or 0.0) / largest
        bar = QRectF(area.left(), middle - pitch * 0.32, max(length, 1.0), pitch * 0.64)
        painter.setPen(QPen(faint(self, behind, 0.35), 0.8))
        painter.setBrush(QColor(str(row.get("color") or "#808080")))
        painter.drawRect(bar)
        best, low, high = (row.get(key) for key in ("adjusted_m2", "low_m2", "high_m2"))
        if best is None:
            return
        places = [area.left() + area.width() * value / largest for value in (low, high) if value is not None]
        dot = QPointF(area.left() + area.width() * best / largest, middle)
        for color, width in ((behind, 4.0), (ink(self, behind), 1.6)):
            painter.setPen(QPen(color, width))
            painter.setBrush(color)
            if len(places) == 2:
                painter.drawLine(QPointF(places[0], middle), QPointF(places[1], middle))
            painter.drawEllipse(dot, 2.6, 2.6)

    def _area(self) -> QRectF:
        metrics = self.fontMetrics()
        widest = max((metrics.horizontalAdvance(str(row.get("name"))) for row in self._rows), default=0)
        left = min(widest + 14, self.width() * 0.35)
        return QRectF(left, 4, self.width() - left - 8, self._pitch() * len(self._rows))

    def _pitch(self) -> float:
        return self.fontMetrics().height() * 1.35

    def _largest(self) -> float:
        keys = ("area_m2", "adjusted_m2", "high_m2")
        return max((row.get(key) or 0.0 for row in self._rows for key in keys), default=0.0) or 1.0

    def _describe(self, row: Mapping[str, Any]) -> str:
        unit, unit_m2 = unit_of(item.get("area_m2") or 0.0 for item in self._rows)
        text = tr("{}: {} {} on the map").format(
            row.get("name"), area_text(row.get("area_m2"), unit_m2), unit
        )
        if row.get("adjusted_m2") is None:
            return text
        best, ends = area_text(row["adjusted_m2"], unit_m2), interval_of(row, unit_m2)
        return tr("{}, {} {} estimated by the sample ({})").format(text, best, unit, ends or "–")
