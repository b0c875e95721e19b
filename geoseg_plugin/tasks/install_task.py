"""The QGIS task that sets up the engine environment."""

from __future__ import annotations

import time

from ..engine.installer import Installation, Plan
from .guarded import GuardedTask


class InstallTask(GuardedTask):
    """Runs an installation; the result is {"python": path of the interpreter}."""

    def __init__(self, title: str, plan: Plan) -> None:
        super().__init__(title)
        self.ending.folder = str(plan.root)
        self._plan = plan

    def _work(self) -> None:
        installation = Installation(self._plan, self._on_progress, self._on_line, self.isCanceled)
        self.ending.result = {"python": str(installation.run().python)}

    def _on_progress(self, step: str, fraction: float) -> None:
        event = {"type": "progress", "phase": step, "done": fraction, "total": 1.0, "t": time.time()}
        self._on_events([event])

    def _on_line(self, text: str) -> None:
        self._on_events([{"type": "log", "level": "output", "text": text, "t": time.time()}])
