"""Curves of several runs in one chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ....panel.texts import tr
from ....panel.widgets.shades import draw_levels, faint, ink, paper
from .chart import number

COLORS = ("#2aa876", "#e69f00", "#56b4e9", "#cc79a7", "#d55e00", "#8a8a8a")
"""Told apart by colour-blind eyes, on light and on dark paper."""


class Overlay(QWidget):
    """Validation IoU by epoch, one line a run."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: list[tuple[str, list[tuple[int, float]]]] = []
        self.setMinimumHeight(180)
        self.setMinimumWidth(240)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(tr("Validation IoU by epoch"))

    def show_runs(self, runs: Sequence[tuple[str, Sequence[Mapping[str, Any]]]]) -> None:
        """Show runs by name with their epoch events; runs without epochs, such as baselines, are left out."""
        found = []
        for name, epochs in runs:
            points = [(int(item["epoch"]), number(dict(item), "miou")) for item in epochs]
            curve = [(epoch, value) for epoch, value in points if value is not None]
            if curve:
                found.append((name, curve))
        self._curves = found
        self.setAccessibleDescription("; ".join(f"{name}: {curve[-1][1]:.3f}" for name, curve in found))
        self.update()

    def names(self) -> list[str]:
        """Return the runs that are drawn."""
        return [name for name, _curve in self._curves]

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        behind = paper(self)
        painter.fillRect(self.rect(), behind)
        if not self._curves:
            painter.setPen(faint(self, behind))
            text = tr("Select networks to see their curves")
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)
            return
        line = self.fontMetrics().height()
        legend = line * 1.2 * len(self._curves)
        left = self.fontMetrics().horizontalAdvance("0.00") + 8
        area = QRectF(left, line * 0.8, self.width() - left - 10, self.height() - legend - line * 2.8)
        first, last = self._span()
        self._draw_axes(painter, area, first, last)
        for index, (name, curve) in enumerate(self._curves):
            color = QColor(COLORS[index % len(COLORS)])
            style = Qt.PenStyle.SolidLine if index < len(COLORS) else Qt.PenStyle.DashLine
            painter.setPen(QPen(color, 2, style))
            points = [
                QPointF(
                    area.left() + area.width() * (epoch - first) / (last - first),
                    area.bottom() - area.height() * value,
                )
                for epoch, value in curve
            ]
            painter.drawPolyline(QPolygonF(points))
            painter.drawEllipse(points[-1], 2.0, 2.0)
            y = area.bottom() + line * 1.4 + line * 1.2 * (index + 0.5)
            painter.drawLine(QPointF(area.left(), y), QPointF(area.left() + 16, y))
            painter.setPen(ink(self, behind))
            room = QRectF(area.left() + 22, y - line / 2, area.width() - 22, line)
            text = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, round(room.width()))
            painter.drawText(room, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def _span(self) -> tuple[int, int]:
        epochs = [epoch for _name, curve in self._curves for epoch, _value in curve]
        return min(epochs), max(max(epochs), min(epochs) + 4)

    def _draw_axes(self, painter: QPainter, area: QRectF, first: int, last: int) -> None:
        draw_levels(self, painter, area)
        line = self.fontMetrics().height()
        box = QRectF(area.left(), area.bottom() + 2, area.width(), line)
        painter.drawText(box, Qt.AlignmentFlag.AlignLeft, str(first))
        painter.drawText(box, Qt.AlignmentFlag.AlignHCenter, tr("epoch; validation IoU upwards"))
        painter.drawText(box, Qt.AlignmentFlag.AlignRight, str(last))
