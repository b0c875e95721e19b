"""Timers that wait until the user has stopped changing things."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import QObject, QTimer

PLAN_MS = 600
"""Time without a change after which the engine works out a plan."""


def single_shot(parent: QObject, milliseconds: int, action: Callable[[], None]) -> QTimer:
    """Return a timer that calls `action` once, some time after its last start."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(action)
    return timer
