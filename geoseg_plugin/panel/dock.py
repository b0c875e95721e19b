"""The panel: step bar, messages, pages and footer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.gui import QgsDockWidget
from qgis.PyQt.QtCore import QSize, pyqtSignal
from qgis.PyQt.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from ..paths import icon
from ..steps.data.page import DataPage
from ..steps.engine.page import EnginePage
from ..steps.predict.page import PredictPage
from ..steps.results.page import ResultsPage
from ..steps.split.page import TilesPage
from ..steps.train.page import TrainPage
from .texts import STEPS, tr
from .widgets.footer import Footer
from .widgets.guide import GuideWindow
from .widgets.messages import Messages
from .widgets.page import Page
from .widgets.step_bar import StepBar

WIDTH_PX = 380


class GeoSegDock(QgsDockWidget):
    """Holds the widgets; `step_shown` tells which page the user looks at."""

    step_shown = pyqtSignal(str)

    def __init__(self, guide: Path, parent: QWidget | None = None) -> None:
        super().__init__(tr("GeoSeg"), parent)
        self.setObjectName("GeoSegDock")
        self._guide_file = guide
        self._guide: GuideWindow | None = None
        self.data, self.tiles, self.train = DataPage(), TilesPage(), TrainPage()
        self.predict, self.results, self.engine = PredictPage(), ResultsPage(), EnginePage()
        self.steps = StepBar(icon)
        self.messages = Messages()
        self.footer = Footer()
        self._stack = QStackedWidget()
        for step in STEPS:
            self._stack.addWidget(self.page(step))
            self.page(step).guide_requested.connect(self.open_guide)
        content = DockContent()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.steps)
        layout.addWidget(self.messages)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self.footer)
        self.setWidget(content)
        self.steps.step_chosen.connect(self.show_step)
        self.show_step("data")

    def page(self, step: str) -> Page:
        """The page of a step."""
        page: Page = getattr(self, step)
        return page

    def current_step(self) -> str:
        """The step whose page is shown."""
        return STEPS[self._stack.currentIndex()]

    def show_step(self, step: str) -> None:
        """Show the page of a step."""
        self._stack.setCurrentIndex(STEPS.index(step))
        self.steps.set_current(step)
        self.step_shown.emit(step)

    def open_guide(self, anchor: str) -> None:
        """Open the guide at a section, in a window that is not modal."""
        if self._guide is None:
            self._guide = GuideWindow(self._guide_file, self)
        self._guide.open_at(anchor)

    def show_error(self, message: str, hint: str) -> None:
        """The one place where errors are shown; stays until it is closed or the next job starts."""
        self.messages.show_error(message, hint)

    def show_note(self, text: str) -> None:
        """A passing note."""
        self.messages.show_note(text)

    def offer(self, text: str, button_text: str, action: Callable[[], None]) -> None:
        """A message with a button, e.g. to attach to a run that is still alive."""
        self.messages.offer(text, button_text, action)


class DockContent(QWidget):
    """Asks for a comfortable width but can be made as narrow as the step bar."""

    def sizeHint(self) -> QSize:
        return QSize(WIDTH_PX, 760)
