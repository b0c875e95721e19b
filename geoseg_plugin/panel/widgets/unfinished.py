"""A line that offers to resume an interrupted job."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QGridLayout, QPushButton, QWidget

from ...jobs.choices import NamedPath
from ..texts import tr
from .notes import small_label
from .page import lets_shrink

STATE = Qt.ItemDataRole.UserRole + 1


class Unfinished(QWidget):
    """Interrupted jobs with a button; hidden while there are none.

    Signals:
        resume_requested: resume the job of this folder.
        attach_requested: follow the engine that works in this folder.
    """

    resume_requested = pyqtSignal(str)
    attach_requested = pyqtSignal(str)

    def __init__(self, name: str, sentence: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entries = QComboBox()
        self.entries.setAccessibleName(name)
        lets_shrink(self.entries)
        self.button = QPushButton(tr("&Resume"))
        self.button.setAccessibleDescription(sentence)
        self.button.clicked.connect(self._on_clicked)
        self.entries.currentIndexChanged.connect(self._on_chosen)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(small_label(sentence), 0, 0, 1, 2)
        grid.addWidget(self.entries, 1, 0)
        grid.addWidget(self.button, 1, 1)
        grid.setColumnStretch(0, 1)
        self.hide()

    def set_entries(self, entries: Sequence[NamedPath]) -> None:
        """Show folders of interrupted jobs; `note` is "running" where the engine is still alive."""
        with QSignalBlocker(self.entries):
            self.entries.clear()
            for entry in entries:
                self.entries.addItem(entry.title, entry.path)
                self.entries.setItemData(self.entries.count() - 1, entry.note, STATE)
        self.setVisible(bool(entries))
        self._on_chosen()

    def _running(self) -> bool:
        return bool(self.entries.currentData(STATE) == "running")

    def _on_clicked(self) -> None:
        (self.attach_requested if self._running() else self.resume_requested).emit(self.entries.currentData())

    def _on_chosen(self, *_index: int) -> None:
        self.button.setText(tr("Re-&attach") if self._running() else tr("&Resume"))
