"""Training as it runs: a line of text, which epoch is kept, curves, and the chosen classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction, QMenu, QToolButton, QVBoxLayout, QWidget

from ....panel.texts import duration, share, tr
from ....panel.widgets.notes import Note, wrap
from ....panel.widgets.tables import swatch
from .chart import TrainingChart, number


class Curves(QWidget):
    """Shows epochs as they come; classes can be drawn besides, one by one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.epoch_line, self.kept_line = wrap(Note()), wrap(Note())
        self.chart = TrainingChart()
        self.classes = QToolButton()
        self.classes.setText(tr("&Classes"))
        self.classes.setToolTip(tr("Draw the IoU of single classes"))
        self.classes.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.classes.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self._menu = QMenu(self.classes)
        self.classes.setMenu(self._menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.epoch_line, self.kept_line, self.chart, self.classes):
            layout.addWidget(widget)
        self.set_classes([])
        self.clear()

    def set_classes(self, classes: Sequence[tuple[str, str]]) -> None:
        """Set names and colours of the classes, in the order of their ids."""
        self.chart.set_classes(classes)
        self._menu.clear()
        for index, (name, color) in enumerate(classes):
            action = QAction(swatch(color), name, self._menu)
            action.setCheckable(True)
            action.toggled.connect(lambda on, which=index: self.chart.show_class(which, on))
            self._menu.addAction(action)
        self._show_parts()

    def set_monitor(self, monitor: str, name: str) -> None:
        """Set the score that decides which epoch is kept, and its name."""
        self.chart.set_monitor(monitor, name)

    def add_epoch(self, event: dict[str, Any]) -> None:
        """Add an epoch and show its scores."""
        self.chart.add_epoch(event)
        self.epoch_line.setText(epoch_sentence(event))
        self.kept_line.setText(kept_sentence(self.chart.kept()))
        self._show_parts()

    def show_end(self, kept: str, note: str) -> None:
        """Show which epoch a finished run kept and why, and what its calibration did."""
        self.kept_line.setText(" ".join(filter(None, (kept or self.kept_line.text(), note))))
        self._show_parts()

    def clear(self) -> None:
        """Begin a new run."""
        self.chart.clear()
        self.epoch_line.clear()
        self.kept_line.clear()
        self._show_parts()

    def _show_parts(self) -> None:
        self.epoch_line.setVisible(bool(self.epoch_line.text()))
        self.kept_line.setVisible(bool(self.kept_line.text()))
        self.classes.setVisible(bool(self._menu.actions()) and bool(self.chart.epochs()))


def epoch_sentence(event: dict[str, Any]) -> str:
    """Return an epoch as text: number, score, speed, time left."""
    text = tr("Epoch {} of {}").format(event.get("epoch"), event.get("epochs"))
    if number(event, "miou") is not None:
        text += tr(": validation IoU {}").format(share(number(event, "miou")))
    else:
        text += tr(": loss {}").format(share(number(event, "train_loss")))
    speed, left = number(event, "tiles_per_s"), number(event, "seconds_left")
    if speed:
        text += " · " + tr("{:.3g} tiles/s").format(speed)
    if left:
        text += " · " + tr("{} left").format(duration(left))
    return text


def kept_sentence(event: dict[str, Any] | None) -> str:
    """Return which epoch's weights the model will have."""
    if event is None or number(event, "miou") is None:
        return ""
    score = share(number(event, "miou"))
    return tr("Kept so far: epoch {}, validation IoU {}.").format(event.get("epoch"), score)
