"""Colours for what is painted by hand, legible in every theme.

Some dark themes of QGIS style widgets by a style sheet and leave half of the palette light, so no single
role can be trusted: text gets the role with the highest contrast.
"""

from __future__ import annotations

from qgis.PyQt.QtCore import QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPalette, QPen
from qgis.PyQt.QtWidgets import QWidget


def window_color(widget: QWidget) -> QColor:
    """Return the colour behind plain widgets."""
    return widget.palette().color(QPalette.ColorRole.Window)


def paper(widget: QWidget) -> QColor:
    """Return the colour behind lists, text and charts."""
    return widget.palette().color(QPalette.ColorRole.Base)


def ink(widget: QWidget, on: QColor) -> QColor:
    """Return the text colour of the palette with the highest contrast to `on`."""
    palette = widget.palette()
    roles = (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText)
    colors = [palette.color(role) for role in roles]
    return max(colors, key=lambda color: abs(color.lightnessF() - on.lightnessF()))


def faint(widget: QWidget, on: QColor, amount: float = 0.5) -> QColor:
    """Return the text colour, blended with `on`: 1 is the full colour, 0 invisible."""
    return blended(on, ink(widget, on), amount)


def blended(base: QColor, color: QColor, amount: float) -> QColor:
    """Return `color` laid over `base` with opacity 0 to 1."""
    parts = zip(base.getRgb()[:3], color.getRgb()[:3], strict=True)
    red, green, blue = (round(below + (above - below) * amount) for below, above in parts)
    return QColor(red, green, blue)


def draw_levels(widget: QWidget, painter: QPainter, area: QRectF) -> None:
    """Faint lines at 0, 0.5 and 1 of a chart's height, with their numbers to the left of it."""
    behind, line = paper(widget), widget.fontMetrics().height()
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    for step in (0.0, 0.5, 1.0):
        y = area.bottom() - area.height() * step
        painter.setPen(QPen(faint(widget, behind, 0.18), 1))
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(ink(widget, behind))
        painter.drawText(QRectF(0, y - line / 2, area.left() - 5, line), right, f"{step:.1f}")
