"""Messages above all pages: errors, notes, and offers with a button; their lines wrap."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from ...paths import icon
from ..texts import tr
from .notes import Note, ProblemList, wrap

NOTE_MS = 8000
MAX_LINES = 8


class Messages(QFrame):
    """One message at a time below the step bar; a newer one takes its place. Hidden without one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._error = ProblemList(MAX_LINES)
        self._picture, self._note = QLabel(), wrap(Note())
        side = round(self.fontMetrics().height() * 1.1)
        self._picture.setPixmap(QIcon(icon("geoseg.svg")).pixmap(side, side))
        self.button = QPushButton()
        self._action: Callable[[], None] | None = None
        self.button.clicked.connect(self._on_clicked)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip(tr("Close this message"))
        close.setAccessibleName(close.toolTip())
        close.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        close.clicked.connect(self.clear)
        column = QVBoxLayout()
        column.addWidget(self._error)
        row = QHBoxLayout()
        row.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._note, 1)
        column.addLayout(row)
        column.addWidget(self.button)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 4, 4, 4)
        layout.addLayout(column, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(NOTE_MS)
        self._timer.timeout.connect(self.clear)
        self.clear()

    def show_error(self, message: str, hint: str) -> None:
        """Say what went wrong and what to do; stays until it is closed or the next job starts."""
        self._show()
        self._error.set_problems([{"severity": "error", "message": message, "hint": hint}])

    def show_note(self, text: str) -> None:
        """Say something for a while."""
        self._show(text)
        self._timer.start()

    def offer(self, text: str, button_text: str, action: Callable[[], None]) -> None:
        """Say something with a button beside it; stays until it is closed or the next job starts."""
        self._show(text, button_text, action)

    def clear(self, *_args: object) -> None:
        """Say nothing."""
        self._timer.stop()
        self._action = None
        self.hide()

    def text(self) -> str:
        """Return the message that is shown; empty without one."""
        return "" if self.isHidden() else " ".join([*self._error.texts(), self._note.text()]).strip()

    def _show(self, text: str = "", button_text: str = "", action: Callable[[], None] | None = None) -> None:
        self._timer.stop()
        self._action = action
        self._error.set_problems([])
        self._note.setText(text)
        self.button.setText(button_text)
        for widget in (self._note, self._picture):
            widget.setVisible(bool(text))
        self.button.setVisible(bool(button_text))
        self.setAccessibleDescription(text)
        self.show()

    def _on_clicked(self) -> None:
        action = self._action
        self.clear()
        if action is not None:
            action()
