"""Result layers come to the map one after another, and QGIS stays responsive between two of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

PAUSE_MS = 20


class ResultQueue(QObject):
    """Actions of the main thread, run in order, one per pass of the event loop.

    Signals:
        emptied: the last action has run.
    """

    emptied = pyqtSignal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer = QTimer(self)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self.run_next)

    @property
    def busy(self) -> bool:
        """Whether actions are waiting."""
        return bool(self._waiting)

    def add(self, action: Callable[[], None]) -> None:
        """Run an action when the main thread has time."""
        self._waiting.append(action)
        if not self._timer.isActive():
            self._timer.start()

    def run_next(self) -> None:
        """Run the action that waits longest."""
        if self._waiting:
            self._waiting.popleft()()
        if not self._waiting:
            self._timer.stop()
            self.emptied.emit()

    def close(self) -> None:
        """Run nothing more."""
        self._timer.stop()
