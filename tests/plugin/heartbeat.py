"""How long the main thread is held by what runs on it, whatever else the computer does."""

from __future__ import annotations

import time
from pathlib import Path

from qgis.PyQt.QtCore import Qt, QTimer

BEAT_S = 0.010


class Heartbeat:
    """Beats every 10 ms on the main thread.

    Attributes:
        gaps_s: how long each beat let wait, less the time in which the thread was ready and another had the processor.
    """

    def __init__(self) -> None:
        self.gaps_s: list[float] = []
        self._last_s, self._waited_s = time.perf_counter(), waited_s()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_timeout)
        self._timer.start(round(BEAT_S * 1000))

    def _on_timeout(self) -> None:
        now_s, waited = time.perf_counter(), waited_s()
        self.gaps_s.append(now_s - self._last_s - (waited - self._waited_s))
        self._last_s, self._waited_s = now_s, waited

    @property
    def longest_s(self) -> float:
        """The longest wait until now; 0 before the first beat."""
        return max(self.gaps_s, default=0.0)

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()


def waited_s() -> float:
    """Seconds that this thread has been ready to run while others ran; 0 where the system does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
