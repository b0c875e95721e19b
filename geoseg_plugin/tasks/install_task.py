"""QGIS tasks around functions that report progress: an installation, a look at this computer, a kit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from qgis.core import QgsTask

from ..engine.setup.plan import Listener, Network
from .guarded import GuardedTask
from .network import qgis_network

Work = Callable[[Listener, Network], dict[str, Any]]
"""Runs in a task thread; what it returns is the result."""


class WorkTask(GuardedTask):
    """Runs a function in the task thread.

    Args:
        title: what the user reads.
        work: the function.
        folder: that it works on.
        silent: QGIS neither lists it nor announces its end.
    """

    def __init__(self, title: str, work: Work, folder: str = "", silent: bool = False) -> None:
        flags = QgsTask.Flag.CanCancel
        if silent:
            flags |= QgsTask.Flag.Hidden | QgsTask.Flag.Silent
        super().__init__(title, flags)
        self.ending.folder = folder
        self._do = work

    def _work(self) -> None:
        listener = Listener(self._on_progress, self._on_line, self.isCanceled)
        self.ending.result = self._do(listener, qgis_network())

    def _on_progress(self, step: str, fraction: float) -> None:
        total = 1.0 if fraction >= 0 else 0.0
        event = {"type": "progress", "phase": step, "done": fraction, "total": total, "t": time.time()}
        self._on_events([event])

    def _on_line(self, text: str) -> None:
        self._on_events([{"type": "log", "level": "output", "text": text, "t": time.time()}])
