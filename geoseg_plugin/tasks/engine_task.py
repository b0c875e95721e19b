"""The QGIS task around jobs of the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsTask
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication

from ..contract import Cancelled, present
from ..engine.process import Attached
from ..engine.session import Outcome
from ..jobs.submission import Submission
from .execution import Launch, follow, run_submission
from .guarded import GuardedTask

DOUBT_MS = 1000

Export = Callable[[], None]
Submissions = list[Submission] | Callable[[], list[Submission]]


class EngineTask(GuardedTask):
    """Runs exports and then jobs, in order, in the task thread; the result is the last job's.

    Args:
        title: what the user reads.
        launch: how engines are started; not needed to attach.
        exports: run first; each writes a snapshot of a layer to a file.
        submissions: jobs, or a function that makes them once the exports are written.
        attach: folder of a run whose engine outlived QGIS; instead of exports and submissions.
        silent: a look in the background: QGIS neither lists it nor announces its end.
    """

    def __init__(
        self,
        title: str,
        launch: Launch | None,
        exports: list[Export] | None = None,
        submissions: Submissions | None = None,
        attach: Path | None = None,
        silent: bool = False,
    ) -> None:
        listed = submissions if isinstance(submissions, list) else []
        trains = attach is not None or any(item.job.kind == "train" for item in listed)
        flags = QgsTask.Flag.CanCancel
        if trains:
            flags |= QgsTask.Flag.CancelWithoutPrompt
        if silent:
            flags |= QgsTask.Flag.Hidden | QgsTask.Flag.Silent
        super().__init__(title, flags)
        self._launch = launch
        self._exports = exports or []
        self._submissions = submissions or []
        self._attach = attach
        self._detached = threading.Event()
        self._current_kind = "train" if attach else ""
        self._doubt = QTimer(self)
        self._doubt.setInterval(DOUBT_MS)
        self._doubt.timeout.connect(self._on_doubt_timeout)

    def cancel(self) -> None:
        """Called by QGIS: for its task list, but also for every task when QGIS is about to close.

        A training may outlive QGIS, so it is cancelled only once it is clear that QGIS stays open; if
        it closes, the runner's `shutdown` decides by the user's setting.
        """
        if self._current_kind == "train" and not self._detached.is_set():
            self._doubt.start()
        else:
            self.stop()

    def _on_doubt_timeout(self) -> None:
        if QApplication.activeModalWidget() is not None:
            return  # QGIS may be asking whether to save the project before it closes
        self._doubt.stop()
        if not self._detached.is_set():
            self.stop()

    def detach_if_training(self) -> bool:
        """Let a running training continue without QGIS; returns False if something else runs."""
        if self._current_kind != "train":
            return False
        self._detached.set()
        return True

    def _work(self) -> None:
        if self._attach is not None:
            session = Attached(self._attach)
            session.start()
            outcome = follow(session, self._on_events, self.isCanceled, self._detached.is_set)
            self._close(session.kind, self._attach, outcome)
            return
        for export in self._exports:
            self._stop_if_cancelled()
            export()
        for submission in self._submissions() if callable(self._submissions) else self._submissions:
            self._stop_if_cancelled()
            self._run(submission)
            if self.ending.detached or self.ending.problem or self.ending.cancelled:
                return

    def _run(self, submission: Submission) -> None:
        launch = present(self._launch, "how engines are started")
        self._current_kind = submission.job.kind
        outcome = run_submission(submission, launch, self._on_events, self.isCanceled, self._detached.is_set)
        self._current_kind = ""
        self._close(submission.job.kind, submission.folder, outcome)

    def _stop_if_cancelled(self) -> None:
        if self.isCanceled():
            raise Cancelled

    def _close(self, kind: str, folder: Path, outcome: Outcome | None) -> None:
        """Hand on what still waits, then how the job ended."""
        pause = threading.Event()
        while not self._stream.empty and not self._detached.is_set():
            self._on_events([])
            pause.wait(0.02)
        if outcome is None:
            self.ending.detached = True
            return
        self.ending.folder, self.ending.result = str(folder), outcome.result
        self.ending.problem, self.ending.cancelled = outcome.problem, outcome.kind == "cancelled"
        if outcome.result and outcome.kind != "failed":
            self.job_ended.emit(kind, outcome.result, str(folder))
