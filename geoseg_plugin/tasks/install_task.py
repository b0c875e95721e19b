"""QGIS tasks around functions that report progress: an installation, a look at this computer, a kit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from qgis.core import QgsTask

from .guarded import GuardedTask


class Reporting(Protocol):
    """What a function in a task uses to report how it goes."""

    def on_progress(self, step: str, fraction: float) -> None:
        """Report the step and the fraction of the whole, 0 to 1; negative if it is not known."""

    def on_line(self, line: str) -> None:
        """Add a line to the log."""

    def isCanceled(self) -> bool:
        """Return whether it must stop."""


Work = Callable[[Reporting], dict[str, Any]]
"""Runs in a task thread; what it returns is the result."""


class WorkTask(GuardedTask):
    """Runs a function in the task thread.

    Args:
        title: what the user reads.
        work: the function.
        folder: that it works on.
        silent: QGIS neither lists it nor announces its end.
    """

    def __init__(self, title: str, work: Work, folder: Path | str = "", silent: bool = False) -> None:
        flags = QgsTask.Flag.CanCancel
        if silent:
            flags |= QgsTask.Flag.Hidden | QgsTask.Flag.Silent
        super().__init__(title, flags)
        self.ending.folder = str(folder)
        self._do = work

    def _work(self) -> None:
        self.ending.result = self._do(self)

    def on_progress(self, step: str, fraction: float) -> None:
        """Forward the step and the fraction of the whole."""
        total = 1.0 if fraction >= 0 else 0.0
        event = {"type": "progress", "phase": step, "done": fraction, "total": total, "t": time.time()}
        self._on_events([event])

    def on_line(self, line: str) -> None:
        """Forward a line for the log."""
        self._on_events([{"type": "log", "level": "output", "text": line, "t": time.time()}])
