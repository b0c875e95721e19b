"""Wires the dock to the world: one runner for jobs, one for questions, and a controller a step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qgis.core import QgsLayerTree, QgsProject
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer
from qgis.PyQt.QtWidgets import QApplication, QWidget

from ..contract import GeoSegError, Problem
from ..jobs.freshness import Step
from ..jobs.submission import Submission
from ..jobs.workspace import Workspace, discard
from ..layers.results import SHOWN, result_kind
from ..steps.data.controller import DataController
from ..steps.engine.controller import EngineController
from ..steps.predict.controller import PredictController
from ..steps.results.controller import ResultsController
from ..steps.split.controller import TilesController
from ..steps.train.comparison import CompareController
from ..steps.train.controller import TrainController
from ..steps.train.experiments import ExperimentsController
from ..steps.train.runs import RunsController
from ..tasks.runner import TaskRunner
from . import settings
from .background_queries import Answer, Question, Questions
from .dock import GeoSegDock
from .freshness import FreshnessController
from .texts import STEPS, phase_names, tr
from .workspace_view import WorkspaceView

SAVE_MS = 500
SOON_MS = 20

Done = Callable[[dict[str, Any], Path], None]


class Controller(QObject):
    """Runs what pages ask for and tells them what came of it.

    Args:
        dock: the panel.
        iface: QGIS's interface, for the map canvas.
        runner, questions: task runners; made here unless given.
    """

    def __init__(
        self,
        dock: GeoSegDock,
        iface: Any,
        runner: TaskRunner | None = None,
        questions: TaskRunner | None = None,
    ) -> None:
        super().__init__(dock)
        self.dock, self.iface = dock, iface
        self.project = QgsProject.instance()
        self.runner = runner or TaskRunner(self)
        self.questions = Questions(questions or TaskRunner(self, silent=True), self)
        self.view = WorkspaceView(settings.workspace_folder)
        self.dataset: Path | None = None
        self.run: Path | None = None
        self._on_done: Done | None = None
        self._on_failed: Answer | None = None
        self._made: Path | None = None
        self._focused: QWidget | None = None
        self._then: list[Callable[[], None]] = []
        self._soon: deque[Callable[[], None]] = deque()
        self._soon_timer = QTimer(self)
        self._soon_timer.setInterval(SOON_MS)
        self._soon_timer.timeout.connect(self._on_soon)
        self._save_timer = QTimer(self)
        self._save_timer.setSingleShot(True)
        self._save_timer.setInterval(SAVE_MS)
        self._save_timer.timeout.connect(self.save)
        self.fresh = FreshnessController(self)
        self.states: dict[str, Step] = {}
        self.engine = EngineController(self)
        self.data = DataController(self)
        self.tiles = TilesController(self)
        self.train = TrainController(self)
        self.predict = PredictController(self)
        self.results = ResultsController(self)
        self.compare = CompareController(self)
        self.runs = RunsController(self)
        self.experiments = ExperimentsController(self)
        self._connect()
        self.restore()

    @property
    def workspace(self) -> Workspace:
        """The folder of results."""
        return self.view.workspace

    def _connect(self) -> None:
        footer, runner = self.dock.footer, self.runner
        footer.cancel_requested.connect(runner.cancel)
        runner.started.connect(self._on_started)
        runner.progressed.connect(self._on_progressed)
        runner.log_added.connect(footer.add_log)
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self._on_failed_job)
        runner.cancelled.connect(self._on_cancelled)
        runner.idle.connect(self._on_idle)
        for step in STEPS:
            self.dock.page(step).changed.connect(self._on_page_changed)
            self.dock.page(step).next_step.step_requested.connect(self.dock.show_step)
        self.dock.step_shown.connect(lambda _step: self.show_states())
        self.project.readProject.connect(self._on_project_read)
        self.project.writeProject.connect(self._on_project_written)
        self.project.cleared.connect(self._on_project_cleared)

    def begin(self) -> None:
        """The panel is shown for the first time: ask what was waiting, and look at the engine."""
        self.questions.wake()
        self.engine.begin()

    def close(self) -> None:
        """Let go of QGIS: disconnect from the project and end the runners."""
        self._save_timer.stop()
        self._soon_timer.stop()
        self.fresh.close()
        self.data.close()
        self.train.close()
        self.predict.close()
        self.compare.close()
        self.runs.close()
        self.experiments.close()
        self.project.readProject.disconnect(self._on_project_read)
        self.project.writeProject.disconnect(self._on_project_written)
        self.project.cleared.disconnect(self._on_project_cleared)
        self.questions.close()
        self.runner.shutdown()

    # jobs

    def start(
        self,
        title: str,
        exports: Sequence[Callable[[], None]],
        submissions: Sequence[Submission],
        on_done: Done,
        on_failed: Answer | None = None,
        made: Path | None = None,
    ) -> bool:
        """Run jobs. Returns whether they were started.

        Args:
            on_done: gets the last result and its folder.
            on_failed: gets the problem.
            made: a folder that was made for these jobs: without a result in it, it goes again.
        """
        try:
            self.refuse_unwritable()
            self.runner.start(title, list(exports), list(submissions))
        except GeoSegError as error:
            if made is not None:
                discard(made)
            self.report(error)
            return False
        self._on_done, self._on_failed, self._made = on_done, on_failed, made
        return True

    def follow(self, begin: Callable[[], None], on_done: Done) -> bool:
        """Begin something else of the runner (attach, install). Returns whether it was started."""
        try:
            begin()
        except GeoSegError as error:
            self.report(error)
            return False
        self._on_done, self._on_failed, self._made = on_done, None, None
        return True

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do something once the runner is idle again."""
        self._then.append(action)

    def refuse_unwritable(self) -> None:
        """Raise the first error of the workspace folder."""
        for problem in self.workspace.problems():
            if problem.severity == "error":
                raise GeoSegError(problem.code, problem.message, problem.hint)

    def ask(self, question: Question) -> None:
        """Ask the engine in the background."""
        self.questions.ask(question)

    def forget(self, key: str) -> None:
        """Take a question back."""
        self.questions.forget(key)

    # messages

    def report(self, error: GeoSegError) -> None:
        """Show an error where all errors are shown, with its details in the log."""
        self.show_problem(
            {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}
        )

    def show_problem(self, problem: dict[str, Any]) -> None:
        """Show a failure as the runner tells it."""
        message, hint = str(problem.get("message", "")), str(problem.get("hint", ""))
        self.dock.show_error(message, hint)
        self.log_problem(Problem(str(problem.get("code", "")), message, hint))
        for line in str(problem.get("details") or "").splitlines():
            self.dock.footer.add_log("debug", line)

    def log_problem(self, problem: Problem) -> None:
        """Write a problem into the log, where its page shows it already."""
        self.dock.footer.add_log("error", f"{problem.message} {problem.hint}".strip())

    def show_states(self) -> None:
        """Ticks and tooltips of the step bar."""
        self.states = self.fresh.steps()
        self.engine.show_state()
        self.data.show_state()
        self.tiles.show_state()
        self.train.show_state()
        self.predict.show_state()
        self.results.show_state()

    # remembered values

    def restore(self) -> None:
        """Take the pages' values from the project."""
        state = settings.read_page("state", self.project)
        self.dataset = existing(state.get("dataset"))
        self.run = existing(state.get("run"))
        self.data.refresh_layers()
        for step in STEPS:
            values = settings.read_page(step, self.project)
            if values:
                self.dock.page(step).restore(values)
        self.refresh()

    def refresh(self) -> None:
        """Read the workspace again: lists of datasets, runs and models, and the step bar."""
        self.tiles.refresh()
        self.train.refresh()
        self.predict.refresh()
        self.results.refresh()
        self.compare.refresh()
        self.runs.refresh()
        self.show_states()

    def save(self) -> None:
        """Put the pages' values into the project."""
        for step in STEPS:
            values = self.dock.page(step).values()
            if values:
                settings.write_page(step, values, self.project)
        state = {"dataset": str(self.dataset or ""), "run": str(self.run or "")}
        if any(state.values()):
            settings.write_page("state", state, self.project)

    def soon(self, action: Callable[[], None]) -> None:
        """Run an action when the main thread has time, in order, and let QGIS breathe between two of them."""
        self._soon.append(action)
        if not self._soon_timer.isActive():
            self._soon_timer.start()

    @property
    def publishing(self) -> bool:
        """Whether result layers are still on their way to the map."""
        return bool(self._soon)

    def _on_soon(self) -> None:
        if self._soon:
            self._soon.popleft()()
        if not self._soon:
            self._soon_timer.stop()
            self.fresh.watch.touch()

    def step_back(self) -> None:
        """Untick and fold the groups of earlier results, so that they do not cover the next one."""
        for node in self.project.layerTreeRoot().children():
            layers = [item.layer() for item in node.findLayers()] if QgsLayerTree.isGroup(node) else []
            if layers and all(layer is not None and result_kind(layer) == SHOWN for layer in layers):
                node.setItemVisibilityChecked(False)
                node.setExpanded(False)

    def _on_page_changed(self) -> None:
        focused = QApplication.focusWidget()
        if focused is not None and self.dock.isAncestorOf(focused):
            self._save_timer.start()
            if not self.runner.busy:
                self.dock.footer.show_idle()

    def _on_project_read(self, *_document: object) -> None:
        QTimer.singleShot(0, self.restore)

    def _on_project_written(self, *_document: object) -> None:
        self.save()

    def _on_project_cleared(self) -> None:
        self.dock.data.forget()
        self.dock.messages.clear()
        if not self.runner.busy:
            self.dock.footer.show_idle()
        self.dataset = self.run = None
        self.refresh()

    # the runner's signals

    def _on_started(self, title: str) -> None:
        self.dock.messages.clear()
        self.dock.footer.show_running(title)
        self._set_busy(True)

    def _on_progressed(self, phase: str, fraction: float, seconds_left: float) -> None:
        self.dock.footer.show_progress(phase_names().get(phase, phase), fraction, seconds_left)

    def _on_finished(self, title: str, result: dict[str, Any], folder: str) -> None:
        self.dock.footer.show_idle(tr("{}: done").format(title))
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            try:
                on_done(result, Path(folder))
            except GeoSegError as error:
                self.report(error)
        self.refresh()

    def _on_failed_job(self, problem: dict[str, Any]) -> None:
        self.dock.footer.show_idle(tr("Failed"))
        self._discard_made()
        on_failed, self._on_failed = self._on_failed, None
        self.show_problem(problem)
        if on_failed is not None:
            on_failed(problem)
        self.refresh()

    def _on_cancelled(self) -> None:
        self.dock.footer.show_idle(tr("Cancelled"))
        self._discard_made()
        self.dock.footer.add_log("info", tr("Cancelled"))
        self.refresh()

    def _discard_made(self) -> None:
        """A job that ended without a result leaves no empty folder."""
        made, self._made = self._made, None
        if made is not None:
            discard(made)

    def _on_idle(self) -> None:
        if self.runner.busy:
            return
        self._set_busy(False)
        if self._then:
            self._then.pop(0)()

    def _set_busy(self, busy: bool) -> None:
        """Let nothing else be started while a job runs."""
        focused = QApplication.focusWidget()
        for step in STEPS:
            self.dock.page(step).set_busy(busy)
        self.compare.set_busy(busy)
        self.runs.set_busy(busy)
        self._keep_focus(busy, focused)

    def _keep_focus(self, busy: bool, focused: QWidget | None) -> None:
        """A button that is disabled gives its focus to the page, not to a field where the next key would write."""
        page = self.dock.page(self.dock.current_step())
        if busy and focused is not None and self.dock.isAncestorOf(focused) and not focused.isEnabled():
            self._focused = focused
            page.setFocus()
        elif not busy and self._focused is not None:
            waiting, self._focused = self._focused, None
            if page.hasFocus() and not sip.isdeleted(waiting) and waiting.isVisible():
                waiting.setFocus()


def existing(folder: Any) -> Path | None:
    """The folder if it is still there."""
    path = Path(str(folder)) if folder else None
    return path if path is not None and path.is_dir() else None
