"""The panel: step bar, messages, pages and footer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from qgis.gui import QgsDockWidget
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QSize, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication, QStackedWidget, QVBoxLayout, QWidget

from ..paths import icon
from .texts import tr
from .widgets.footer import Footer
from .widgets.guide import GuideWindow
from .widgets.messages import Messages
from .widgets.page import Page
from .widgets.step_bar import StepBar

WIDTH_PX = 380


class GeoSegDock(QgsDockWidget):
    """The window of the panel.

    Args:
        guide: the guide as Markdown.
        pages: by step, in the order of the step bar; the first is shown.
        parent: QGIS's main window.

    Signals:
        step_shown: the step whose page is shown now.
    """

    step_shown = pyqtSignal(str)

    def __init__(self, guide: Path, pages: Mapping[str, Page], parent: QWidget | None = None) -> None:
        super().__init__(tr("GeoSeg"), parent)
        self.setObjectName("GeoSegDock")
        self._guide_file = guide
        self._guide: GuideWindow | None = None
        self._focused: QWidget | None = None
        self.pages, self._keys = dict(pages), list(pages)
        self.steps = StepBar(icon, {key: page.title for key, page in pages.items()})
        self.messages = Messages()
        self.footer = Footer()
        self._stack = QStackedWidget()
        for page in pages.values():
            self._stack.addWidget(page)
            page.guide_requested.connect(self.open_guide)
            page.next_step.step_requested.connect(self.show_step)
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
        self.show_step(self._keys[0])

    def page(self, step: str) -> Page:
        """Return the page of a step."""
        return self.pages[step]

    def current_step(self) -> str:
        """Return the step whose page is shown."""
        return self._keys[self._stack.currentIndex()]

    def show_step(self, step: str) -> None:
        """Show the page of a step."""
        self._stack.setCurrentIndex(self._keys.index(step))
        self.steps.set_current(step)
        self.step_shown.emit(step)

    def set_busy(self, busy: bool) -> None:
        """Let nothing else be started while a job runs."""
        focused = QApplication.focusWidget()
        for page in self.pages.values():
            page.set_busy(busy)
        self._keep_focus(busy, focused)

    def has_focus(self) -> bool:
        """Return whether the user works in the panel."""
        focused = QApplication.focusWidget()
        return focused is not None and self.isAncestorOf(focused)

    def _keep_focus(self, busy: bool, focused: QWidget | None) -> None:
        """A button that is disabled gives its focus to the page, not to a field where the next key would write."""
        page = self.page(self.current_step())
        if busy and focused is not None and self.isAncestorOf(focused) and not focused.isEnabled():
            self._focused = focused
            page.setFocus()
        elif not busy and self._focused is not None:
            waiting, self._focused = self._focused, None
            if page.hasFocus() and not sip.isdeleted(waiting) and waiting.isVisible():
                waiting.setFocus()

    def open_guide(self, anchor: str) -> None:
        """Open the guide at a section, in a window that is not modal."""
        if self._guide is None:
            self._guide = GuideWindow(self._guide_file, self)
        self._guide.open_at(anchor)

    def show_error(self, message: str, hint: str) -> None:
        """Show an error until it is closed or the next job starts."""
        self.messages.show_error(message, hint)

    def show_note(self, text: str) -> None:
        """Show a note for a while."""
        self.messages.show_note(text)

    def offer(self, text: str, button_text: str, action: Callable[[], None]) -> None:
        """Show a message with a button, e.g. to attach to a running training."""
        self.messages.offer(text, button_text, action)


class DockContent(QWidget):
    """Asks for a comfortable width but can be made as narrow as the step bar."""

    def sizeHint(self) -> QSize:
        return QSize(WIDTH_PX, 760)
