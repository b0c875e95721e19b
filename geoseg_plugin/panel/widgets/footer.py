"""Always visible below the pages: the running job, its progress, the device, Cancel and the log."""

from __future__ import annotations

import time

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPainter, QPaintEvent
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...paths import icon
from ..texts import duration, tr
from .shades import ink, window_color

LOG_LINES = 2000


class ElidedLabel(QLabel):
    """A line that ends in dots where it does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def paintEvent(self, _event: QPaintEvent) -> None:
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter = QPainter(self)
        painter.setPen(ink(self, window_color(self)))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignVCenter, text)


class Footer(QFrame):
    """Shows what runs and on which device.

    Signals:
        cancel_requested: the running job is to be cancelled.
        device_clicked: the badge of the device was pressed.
    """

    cancel_requested = pyqtSignal()
    device_clicked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._running = ""
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 5, 8, 6)
        layout.setSpacing(4)
        layout.addLayout(self._first_row())
        layout.addLayout(self._second_row())
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(LOG_LINES)
        self.log.setMinimumHeight(3 * self.log.fontMetrics().lineSpacing())
        self.log.setMaximumHeight(220)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.log.setAccessibleName(tr("Log"))
        self.log.hide()
        layout.addWidget(self.log)
        self.show_idle()

    def _first_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self._title = ElidedLabel()
        self._time_left = QLabel()
        self._badge = QToolButton()
        self._badge.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._badge.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._badge.clicked.connect(self.device_clicked)
        row.addWidget(self._title, 1)
        row.addWidget(self._time_left)
        row.addWidget(self._badge)
        return row

    def _second_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self._progress = QProgressBar()
        self._progress.setRange(0, 1000)
        self._progress.setAccessibleName(tr("Progress of the running job"))
        self._cancel = QPushButton(tr("Ca&ncel"))
        self._cancel.clicked.connect(self._on_cancel_clicked)
        self._unfold = QToolButton()
        self._unfold.setText(tr("Lo&g"))
        self._unfold.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._unfold.setArrowType(Qt.ArrowType.UpArrow)
        self._unfold.setAutoRaise(True)
        self._unfold.setCheckable(True)
        self._unfold.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._unfold.toggled.connect(self._on_log_toggled)
        row.addWidget(self._progress, 1)
        row.addWidget(self._cancel)
        row.addWidget(self._unfold)
        return row

    def show_idle(self, text: str = "") -> None:
        """Show that no job runs; `text` is how the last one ended."""
        self._title.setText(text or tr("Nothing is running"))
        self._title.setToolTip(self._title.text())
        self._time_left.clear()
        self._progress.setRange(0, 1000)
        self._progress.setValue(0)
        self._progress.setTextVisible(False)
        self._progress.setEnabled(False)
        self._cancel.setEnabled(False)

    def show_running(self, title: str) -> None:
        """Show that a job has started, without progress."""
        self._running = title
        self._title.setText(title)
        self._title.setToolTip(title)
        self._progress.setEnabled(True)
        self._progress.setRange(0, 0)
        self._progress.setTextVisible(True)
        self._progress.setFormat("%p%")
        self._cancel.setEnabled(True)
        self.add_log("info", title)

    def show_progress(self, phase: str, fraction: float, seconds_left: float) -> None:
        """Progress 0 to 1 of a phase, which is named beside the job; negative seconds: the time left is not known."""
        if fraction < 0:
            self._progress.setRange(0, 0)
        else:
            self._progress.setRange(0, 1000)
            self._progress.setValue(round(min(fraction, 1.0) * 1000))
        self._title.setText(f"{self._running}: {phase}" if phase else self._running)
        self._title.setToolTip(self._title.text())
        left = duration(seconds_left)
        self._time_left.setText(tr("{} left").format(left) if left else "")

    def show_stopping(self) -> None:
        """Show that the job was cancelled and the engine is saving."""
        self._cancel.setEnabled(False)
        self._time_left.setText(tr("stopping…"))

    def set_device(self, name: str, tooltip: str = "", warning: str = "") -> None:
        """Show the badge; it stays until it is set again.

        Args:
            name: of a GPU, or CPU; empty hides the badge.
            tooltip: more of the device.
            warning: why a card is not used, and the next step; the badge is marked with it.
        """
        self._badge.setText(name)
        self._badge.setIcon(QIcon(icon("warning.svg")) if warning else QIcon())
        self._badge.setToolTip(warning or tooltip or name)
        title = tr("Device: {}, with a warning") if warning else tr("Device: {}")
        self._badge.setAccessibleName(title.format(name))
        self._badge.setAccessibleDescription(self._badge.toolTip())
        self._badge.setVisible(bool(name))

    def device(self) -> str:
        """Return the text of the badge."""
        return self._badge.text()

    def device_warning(self) -> str:
        """Return the warning of the badge; empty without one."""
        return "" if self._badge.icon().isNull() else self._badge.toolTip()

    def title(self) -> str:
        """Return the text of the first line."""
        return self._title.text()

    def add_log(self, level: str, text: str) -> None:
        """Append a line with the time; warnings and errors are marked."""
        mark = {"warning": "! ", "error": "!! "}.get(level, "")
        self.log.appendPlainText(f"{time.strftime('%H:%M:%S')}  {mark}{text}")

    def _on_cancel_clicked(self) -> None:
        self.show_stopping()
        self.cancel_requested.emit()

    def _on_log_toggled(self, shown: bool) -> None:
        self.log.setVisible(shown)
        self._unfold.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.UpArrow)
