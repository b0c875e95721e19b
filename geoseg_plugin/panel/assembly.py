"""The panel with its steps: the one module that imports all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, QTimer
from qgis.PyQt.QtWidgets import QWidget

from ..steps.data.controller import DataController
from ..steps.data.page import DataPage
from ..steps.engine.controller import EngineController
from ..steps.engine.page import EnginePage
from ..steps.predict.controller import PredictController
from ..steps.predict.page import PredictPage
from ..steps.results.controller import ResultsController
from ..steps.results.page import ResultsPage
from ..steps.split.controller import SplitController
from ..steps.split.page import SplitPage
from ..steps.train.controller import TrainController
from ..steps.train.page import TrainPage
from ..tasks.runner import TaskRunner
from .dock import GeoSegDock
from .services import PanelServices
from .step import StepController
from .widgets.page import Page


@dataclass(frozen=True)
class Pages:
    """The page of every step."""

    data: DataPage = field(default_factory=DataPage)
    split: SplitPage = field(default_factory=SplitPage)
    train: TrainPage = field(default_factory=TrainPage)
    predict: PredictPage = field(default_factory=PredictPage)
    results: ResultsPage = field(default_factory=ResultsPage)
    engine: EnginePage = field(default_factory=EnginePage)

    def by_key(self) -> dict[str, Page]:
        """Return the pages in the order of the step bar, by the keys of their values in the project."""
        return {
            "data": self.data,
            "tiles": self.split,
            "train": self.train,
            "predict": self.predict,
            "results": self.results,
            "engine": self.engine,
        }


class GeoSegPanel(QObject):
    """Builds pages, services and controllers, and lets the steps refresh themselves.

    Args:
        guide: the guide as Markdown.
        iface: QGIS's interface, for the map canvas; None without one.
        parent: QGIS's main window.
        runner: runs the user's jobs; made here unless given.
        queries: runs queries in the background; made here unless given.
    """

    def __init__(
        self,
        guide: Path,
        iface: Any,
        parent: QWidget | None = None,
        runner: TaskRunner | None = None,
        queries: TaskRunner | None = None,
    ) -> None:
        pages = Pages()
        dock = GeoSegDock(guide, pages.by_key(), parent)
        super().__init__(dock)
        self.pages, self.dock = pages, dock
        self.services = PanelServices(dock, iface, runner, queries)
        self.engine = EngineController(self.services, pages.engine)
        self.data = DataController(self.services, pages.data, lambda: pages.split.choices().tile_px)
        self.split = SplitController(self.services, pages.split)
        self.train = TrainController(self.services, pages.train)
        self.predict = PredictController(self.services, pages.predict)
        self.results = ResultsController(self.services, pages.results)
        self.steps: tuple[StepController, ...] = (
            self.engine,
            self.data,
            self.split,
            self.train,
            self.predict,
            self.results,
        )
        self._connect()
        self.restore()

    def _connect(self) -> None:
        services, project = self.services, self.services.project
        services.workspace_changed.connect(self._on_workspace_changed)
        services.states_wanted.connect(self._on_states_wanted)
        services.jobs.ended.connect(services.refresh)
        services.jobs.busy_changed.connect(self.dock.set_busy)
        self.dock.step_shown.connect(self._on_step_shown)
        for page in self.dock.pages.values():
            page.changed.connect(self._on_page_changed)
        project.readProject.connect(self._on_project_read)
        project.writeProject.connect(self._on_project_written)
        project.cleared.connect(self._on_project_cleared)

    def begin(self) -> None:
        """Run the queries that were waiting, and probe the engine: the panel is shown for the first time."""
        self.services.queries.wake()
        self.engine.begin()

    def restore(self) -> None:
        """Put the project's values into the pages."""
        self.services.state.restore()
        self.data.refresh_layers()
        self.services.state.restore_pages()
        self.services.refresh()

    def close(self) -> None:
        """Let go of QGIS and end the runners."""
        for step in self.steps:
            step.close()
        project = self.services.project
        project.readProject.disconnect(self._on_project_read)
        project.writeProject.disconnect(self._on_project_written)
        project.cleared.disconnect(self._on_project_cleared)
        self.services.close()

    def _on_workspace_changed(self) -> None:
        for step in self.steps:
            step.refresh()
        self._on_states_wanted()

    def _on_states_wanted(self) -> None:
        self.services.freshness.refresh()
        for step in self.steps:
            step.show_state()

    def _on_step_shown(self, _step: str) -> None:
        self._on_states_wanted()

    def _on_page_changed(self) -> None:
        if self.dock.has_focus():
            self.services.state.save_soon()
            if not self.services.jobs.busy:
                self.dock.footer.show_idle()

    def _on_project_read(self, *_document: object) -> None:
        QTimer.singleShot(0, self.restore)

    def _on_project_written(self, *_document: object) -> None:
        self.services.state.save()

    def _on_project_cleared(self) -> None:
        self.pages.data.forget()
        self.dock.messages.clear()
        if not self.services.jobs.busy:
            self.dock.footer.show_idle()
        self.services.state.forget()
        self.services.refresh()
