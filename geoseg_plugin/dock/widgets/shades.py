"""Colours for what is painted by hand, legible in every theme.

Some dark themes of QGIS style widgets by a style sheet and leave half of the palette light, so no single
role can be trusted: the ink is the role that stands out most from the ground.
"""

from __future__ import annotations

from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import QWidget


def ground(widget: QWidget) -> QColor:
    """What lies behind plain widgets."""
    return widget.palette().color(QPalette.ColorRole.Window)


def paper(widget: QWidget) -> QColor:
    """What lies behind lists, text and charts."""
    return widget.palette().color(QPalette.ColorRole.Base)


def ink(widget: QWidget, on: QColor) -> QColor:
    """The palette's text colour that stands out most from `on`."""
    palette = widget.palette()
    roles = (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText)
    colors = [palette.color(role) for role in roles]
    return max(colors, key=lambda color: abs(color.lightnessF() - on.lightnessF()))


def faint(widget: QWidget, on: QColor, amount: float = 0.5) -> QColor:
    """Ink thinned with its ground: 1 is full ink, 0 invisible."""
    return blended(on, ink(widget, on), amount)


def blended(base: QColor, color: QColor, amount: float) -> QColor:
    """`color` laid over `base` with opacity 0 to 1."""
    parts = zip(base.getRgb()[:3], color.getRgb()[:3], strict=True)
    red, green, blue = (round(below + (above - below) * amount) for below, above in parts)
    return QColor(red, green, blue)
