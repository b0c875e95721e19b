"""How the values of one band are spread, with what is clipped marked."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ....panel.texts import number_text, tr
from ....panel.widgets.shades import faint, ink, paper

BARS, CLIPPED, LIMIT = "#56b4e9", "#9a9a9a", "#e69f00"


class Histogram(QWidget):
    """Draws a band of a summary; bars outside the clip limits are grey."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._band: dict[str, Any] = {}
        self._clip: tuple[float, float] | None = None
        self._waiting = tr("The values of a band appear here")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(tr("Histogram"))

    def sizeHint(self) -> QSize:
        return QSize(320, round(self.fontMetrics().height() * 9))

    def minimumSizeHint(self) -> QSize:
        return QSize(160, self.sizeHint().height())

    def show_band(self, band: dict[str, Any], clip: tuple[float, float] | None = None) -> None:
        """Draw a band of the job `summarize`; `clip` are the values of the percentiles."""
        self._band, self._clip = band, clip
        self.setAccessibleDescription(self.describe())
        self.update()

    def show_text(self, text: str) -> None:
        """Say why nothing is drawn."""
        self._band, self._clip, self._waiting = {}, None, text
        self.update()

    def describe(self) -> str:
        """Return the band as text."""
        if not self._band:
            return self._waiting
        return tr("{}: {} to {}, mean {}").format(
            self._band.get("name", ""), *(number_text(self._band.get(key)) for key in ("min", "max", "mean"))
        )

    def counts(self) -> list[float]:
        """Return the heights of the bars."""
        histogram = self._band.get("histogram") or {}
        return [float(item) for item in histogram.get("counts") or []]

    def _edges(self) -> list[float]:
        histogram = self._band.get("histogram") or {}
        return [float(item) for item in histogram.get("edges") or []]

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), paper(self))
        counts, edges = self.counts(), self._edges()
        if not any(counts) or len(edges) != len(counts) + 1 or edges[-1] <= edges[0]:
            painter.setPen(faint(self, paper(self)))
            text = tr("All values are the same") if counts else self._waiting
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, text)
            return
        line = self.fontMetrics().height()
        panel = QRectF(8, line * 0.6, self.width() - 16, self.height() - line * 2.1)
        self._draw_bars(painter, panel, counts, edges)
        self._draw_limits(painter, panel, edges)
        self._draw_scale(painter, panel, edges)

    def _draw_bars(self, painter: QPainter, panel: QRectF, counts: list[float], edges: list[float]) -> None:
        low, high = self._clip or (edges[0], edges[-1])
        top = max(counts)
        painter.setPen(Qt.PenStyle.NoPen)
        for place, count in enumerate(counts):
            left, right = self._x(panel, edges, edges[place]), self._x(panel, edges, edges[place + 1])
            middle = (edges[place] + edges[place + 1]) / 2
            height = panel.height() * count / top
            painter.setBrush(QColor(BARS if low <= middle <= high else CLIPPED))
            painter.drawRect(QRectF(left, panel.bottom() - height, max(right - left - 0.5, 0.8), height))

    def _draw_limits(self, painter: QPainter, panel: QRectF, edges: list[float]) -> None:
        painter.setPen(QPen(QColor(LIMIT), 2, Qt.PenStyle.DashLine))
        for value in self._clip or ():
            if edges[0] <= value <= edges[-1]:
                x = self._x(panel, edges, value)
                painter.drawLine(QPointF(x, panel.top()), QPointF(x, panel.bottom()))

    def _draw_scale(self, painter: QPainter, panel: QRectF, edges: list[float]) -> None:
        painter.setPen(QPen(faint(self, paper(self), 0.4), 1))
        painter.drawLine(panel.bottomLeft(), panel.bottomRight())
        painter.setPen(ink(self, paper(self)))
        box = QRectF(panel.left(), panel.bottom() + 3, panel.width(), self.fontMetrics().height())
        middle = (edges[0] + edges[-1]) / 2
        for value, side in (
            (edges[0], Qt.AlignmentFlag.AlignLeft),
            (middle, Qt.AlignmentFlag.AlignHCenter),
            (edges[-1], Qt.AlignmentFlag.AlignRight),
        ):
            painter.drawText(box, side, number_text(value))

    def _x(self, panel: QRectF, edges: list[float], value: float) -> float:
        return panel.left() + panel.width() * (value - edges[0]) / (edges[-1] - edges[0])
