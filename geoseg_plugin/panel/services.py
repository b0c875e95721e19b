"""The services that all steps share; they import no step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..records.workspace import Workspace
from ..tasks.runner import TaskRunner
from . import settings
from .background_queries import BackgroundQueries
from .dock import GeoSegDock
from .errors import ErrorReport
from .freshness import Freshness
from .job_runs import JobRuns
from .project_state import ProjectState
from .result_queue import ResultQueue
from .workspace_view import WorkspaceView


class PanelServices(QObject):
    """What a step's controller may use, and the signals by which steps reach one another.

    Args:
        dock: the panel's window.
        iface: QGIS's interface, for the map canvas; None without one.
        runner: runs the user's jobs; made here unless given.
        queries: runs queries in the background; made here unless given.

    Attributes:
        jobs: runs the user's jobs.
        queries: runs dry runs and other small jobs in the background.
        errors: shows errors.
        state: the dataset and the run that are worked on, kept in the project.
        view: the workspace as lists.
        result_queue: brings result layers to the map.
        freshness: whether results are up to date.

    Signals:
        workspace_changed: the workspace or what is worked on has changed: read it again.
        states_wanted: find out again which steps are done.
        step_wanted: show the page of this step.
        engine_probed: the engine has reported what it can do.
        run_trained: this run has a new model, which is still to be evaluated.
        run_chosen: the user chose to see this run, which is now the current one.
        run_scored: this run has scores, with a sentence about them.
        map_made: this folder holds a new map.
    """

    workspace_changed = pyqtSignal()
    states_wanted = pyqtSignal()
    step_wanted = pyqtSignal(str)
    engine_probed = pyqtSignal()
    run_trained = pyqtSignal(object)
    run_chosen = pyqtSignal(object)
    run_scored = pyqtSignal(object, str)
    map_made = pyqtSignal(object)

    def __init__(
        self,
        dock: GeoSegDock,
        iface: Any,
        runner: TaskRunner | None = None,
        queries: TaskRunner | None = None,
    ) -> None:
        super().__init__(dock)
        self.dock, self.iface = dock, iface
        self.canvas = iface.mapCanvas() if iface is not None else None
        self.project = QgsProject.instance()
        self.view = WorkspaceView(settings.workspace_folder)
        self.errors = ErrorReport(dock)
        self.jobs = JobRuns(runner or TaskRunner(self), dock, self.errors, lambda: self.workspace)
        self.queries = BackgroundQueries(queries or TaskRunner(self, silent=True), self)
        self.state = ProjectState(self.project, dock.pages, self)
        self.result_queue = ResultQueue(self)
        self.freshness = Freshness(dock, self.project, self.state, self.view, self)
        self.result_queue.emptied.connect(self.freshness.watch.touch)
        self.step_wanted.connect(dock.show_step)

    @property
    def workspace(self) -> Workspace:
        """The folder of results."""
        return self.view.workspace

    def refresh(self) -> None:
        """Let all steps read the workspace again."""
        self.workspace_changed.emit()

    def mark_step(self, key: str, text: str) -> None:
        """Show the state of a step in the step bar and on its page.

        Args:
            key: of the step.
            text: shown unless its result is out of date.
        """
        self.freshness.show(key, text, self.jobs.busy)

    def choose_run(self, run: Path) -> None:
        """Work on this run, and show it."""
        self.state.run = run
        self.refresh()
        self.run_chosen.emit(run)

    def close(self) -> None:
        """Let go of QGIS and end the runners."""
        self.state.close()
        self.result_queue.close()
        self.freshness.close()
        self.queries.close()
        self.jobs.runner.shutdown()
