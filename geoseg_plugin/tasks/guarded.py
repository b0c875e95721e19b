"""The border between QGIS's task manager and our code: every failure inside is kept and reported."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any

from qgis.core import QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ..contract import Cancelled, GeoSegError
from ..engine.session import Event, as_problem
from .stream import EventStream


@dataclass
class Ending:
    """What a task leaves: `problem` of a failure, `cancelled`, `detached`, else the last result."""

    title: str
    result: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    problem: dict[str, str] | None = None
    cancelled: bool = False
    detached: bool = False


class GuardedTask(QgsTask):
    """Base of our tasks; subclasses do their work in `_work` and put the result into `ending`.

    Signals (what is emitted in the task thread arrives queued on the main thread):
        batch_ready: list of events, at most ten per second.
        job_ended: kind, result, folder of a job that is done, or cancelled with a result.
        ended: an `Ending`, on the main thread, exactly once.
    """

    batch_ready = pyqtSignal(object)
    job_ended = pyqtSignal(str, object, str)
    ended = pyqtSignal(object)

    def __init__(self, title: str, flags: QgsTask.Flag = QgsTask.Flag.CanCancel) -> None:
        super().__init__(title, flags)
        self.ending = Ending(title)
        self._stream = EventStream()

    def run(self) -> bool:
        """In the task thread. False on failure and on cancel."""
        try:
            self._work()
        except Cancelled:
            self.ending.cancelled = True
        except GeoSegError as error:
            self.ending.problem = as_problem(error)
        except OSError as error:
            self.ending.problem = _problem("not_writable", str(error), "Is the folder there, and not full?")
        except Exception as error:  # noqa: BLE001  (the border)
            hint = "This is a fault of GeoSeg: please report it with the details."
            self.ending.problem = _problem("internal", f"{type(error).__name__}: {error}", hint)
        return self.ending.problem is None and not self.ending.cancelled

    def finished(self, result: bool) -> None:
        """On the main thread, also for a task that was cancelled before it began."""
        if not result and self.ending.problem is None:
            self.ending.cancelled = True
        self.ended.emit(self.ending)

    def stop(self) -> None:
        """Cancel for certain; `cancel` is what QGIS calls, and may mean something else."""
        QgsTask.cancel(self)

    def _work(self) -> None:
        raise NotImplementedError

    def _on_events(self, events: list[Event]) -> None:
        self._stream.add(events)
        batch = self._stream.batch()
        if not batch:
            return
        self.batch_ready.emit(batch)
        last = batch[-1]
        if last["type"] == "progress" and last.get("total"):
            self.setProgress(100.0 * min(1.0, max(0.0, last["done"] / last["total"])))


def _problem(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint, "details": traceback.format_exc()}
