"""The user's jobs: one runs at a time, and the panel shows how it goes and ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..contract import PHASES, GeoSegError
from ..jobs.submission import Submission
from ..records.workspace import Workspace, discard
from ..tasks.runner import TaskRunner
from .dock import GeoSegDock
from .errors import ErrorReport
from .texts import tr

Done = Callable[[dict[str, Any], Path], None]
"""Gets the last result and its folder."""
Failed = Callable[[dict[str, Any]], None]
"""Gets the problem."""


class JobRuns(QObject):
    """Runs the jobs that the steps request.

    Signals:
        busy_changed: a job was started (True), or the runner is idle again (False).
        ended: a job has ended in any way, and the function of its step has been called.
    """

    busy_changed = pyqtSignal(bool)
    ended = pyqtSignal()

    def __init__(
        self, runner: TaskRunner, dock: GeoSegDock, errors: ErrorReport, workspace: Callable[[], Workspace]
    ) -> None:
        super().__init__(dock)
        self.runner, self._dock, self._errors, self._workspace = runner, dock, errors, workspace
        self._on_done: Done | None = None
        self._on_failed: Failed | None = None
        self._made: Path | None = None
        self._afterwards: list[Callable[[], None]] = []
        dock.footer.cancel_requested.connect(runner.cancel)
        runner.started.connect(self._on_started)
        runner.progressed.connect(self._on_progressed)
        runner.log_added.connect(dock.footer.add_log)
        runner.finished.connect(self._on_runner_finished)
        runner.failed.connect(self._on_runner_failed)
        runner.cancelled.connect(self._on_runner_cancelled)
        runner.idle.connect(self._on_idle)

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return bool(self.runner.busy)

    def start(
        self,
        title: str,
        exports: Sequence[Callable[[], None]],
        submissions: Sequence[Submission],
        on_done: Done,
        on_failed: Failed | None = None,
        made: Path | None = None,
    ) -> bool:
        """Run jobs, one after the other.

        Args:
            title: shown while they run.
            exports: write the inputs, in the task, before the engine starts.
            submissions: the jobs with their folders.
            on_done: called when all have finished.
            on_failed: called if one fails.
            made: folder that was made for these jobs; deleted if they leave no result in it.

        Returns:
            Whether they were started; if not, the error is shown.
        """
        try:
            self.check_writable()
            self.runner.start(title, list(exports), list(submissions))
        except GeoSegError as error:
            if made is not None:
                discard(made)
            self._errors.show(error)
            return False
        self._on_done, self._on_failed, self._made = on_done, on_failed, made
        return True

    def follow(self, begin: Callable[[], None], on_done: Done, on_failed: Failed | None = None) -> bool:
        """Let the runner do something else than jobs: attach to a running engine, or install one.

        Args:
            begin: starts it.
            on_done: called when it has finished.
            on_failed: called if it fails.

        Returns:
            Whether it was started; if not, the error is shown.
        """
        try:
            begin()
        except GeoSegError as error:
            self._errors.show(error)
            return False
        self._on_done, self._on_failed, self._made = on_done, on_failed, None
        return True

    def afterwards(self, action: Callable[[], None]) -> None:
        """Call `action` once the runner is idle again."""
        self._afterwards.append(action)

    def check_writable(self) -> None:
        """Check that results can be written.

        Raises:
            GeoSegError: the first error of the workspace folder.
        """
        for problem in self._workspace().problems():
            if problem.severity == "error":
                raise GeoSegError(problem.code, problem.message, problem.hint)

    def _on_started(self, title: str) -> None:
        self._dock.messages.clear()
        self._dock.footer.show_running(title)
        self.busy_changed.emit(True)

    def _on_progressed(self, phase: str, fraction: float, seconds_left: float) -> None:
        text = PHASES.get(phase, phase)
        self._dock.footer.show_progress(tr(text), fraction, seconds_left)

    def _on_runner_finished(self, title: str, result: dict[str, Any], folder: str) -> None:
        self._dock.footer.show_idle(tr("{}: done").format(title))
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            try:
                on_done(result, Path(folder))
            except GeoSegError as error:
                self._errors.show(error)
        self.ended.emit()

    def _on_runner_failed(self, problem: dict[str, Any]) -> None:
        self._dock.footer.show_idle(tr("Failed"))
        self._discard_made()
        on_failed, self._on_failed = self._on_failed, None
        self._errors.show_problem(problem)
        if on_failed is not None:
            on_failed(problem)
        self.ended.emit()

    def _on_runner_cancelled(self) -> None:
        self._dock.footer.show_idle(tr("Cancelled"))
        self._discard_made()
        self._dock.footer.add_log("info", tr("Cancelled"))
        self.ended.emit()

    def _discard_made(self) -> None:
        """A job that ended without a result leaves no empty folder."""
        made, self._made = self._made, None
        if made is not None:
            discard(made)

    def _on_idle(self) -> None:
        if self.runner.busy:
            return
        self.busy_changed.emit(False)
        if self._afterwards:
            self._afterwards.pop(0)()
