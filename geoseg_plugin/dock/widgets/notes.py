"""Text that explains: small notes, the live sentence of a page, and problems with their cures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

ICONS = {"error": "/mIconCritical.svg", "warning": "/mIconWarning.svg"}


def small_label(text: str) -> QLabel:
    """A wrapping label in a slightly smaller font; links open by mouse and keyboard."""
    label = QLabel(text)
    font = label.font()
    if font.pointSizeF() > 0:
        font.setPointSizeF(font.pointSizeF() * 0.92)
    label.setFont(font)
    wrap(label)
    return label


def wrap(label: QLabel) -> QLabel:
    """Let a label break its lines and take only the height it needs."""
    label.setWordWrap(True)
    label.setMinimumWidth(40)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return label


class Sentence(QFrame):
    """What will happen, in plain words, on a quiet background."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        self._label = wrap(QLabel())
        layout.addWidget(self._label)
        self.hide()

    def text(self) -> str:
        """The sentence as shown."""
        return self._label.text()

    def set_text(self, text: str) -> None:
        """Show a sentence; an empty one hides the box."""
        self._label.setText(text)
        self._label.setAccessibleName(text)
        self.setVisible(bool(text))


class ProblemList(QWidget):
    """Every complaint at once, each with its cure."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        layout.addLayout(self._grid)
        self._problems: tuple[tuple[str, str, str], ...] = ()
        self.hide()

    def texts(self) -> list[str]:
        """The messages shown."""
        return [message for _severity, message, _hint in self._problems]

    def set_problems(self, problems: Sequence[Any]) -> None:
        """Show problems of the contract, as objects or as the mappings that results carry."""
        rows = tuple(dict.fromkeys(sorted((as_row(item) for item in problems), key=lambda row: row[0])))
        if rows == self._problems:
            return
        self._problems = rows
        while self._grid.count():
            self._grid.takeAt(0).widget().deleteLater()
        for row, (severity, message, hint) in enumerate(rows):
            icon = QLabel()
            side = round(self.fontMetrics().height() * 1.1)
            icon.setPixmap(QgsApplication.getThemeIcon(ICONS[severity]).pixmap(side, side))
            icon.setAccessibleName(severity)
            self._grid.addWidget(icon, row, 0, Qt.AlignmentFlag.AlignTop)
            text = html.escape(message)
            text += f" <i>{html.escape(hint)}</i>" if hint else ""
            self._grid.addWidget(small_label(text), row, 1)
        self.setVisible(bool(rows))


def as_row(problem: Any) -> tuple[str, str, str]:
    """(severity, message, hint) of a problem object or mapping."""
    if isinstance(problem, dict):
        severity = str(problem.get("severity", "error"))
        return severity, str(problem.get("message", "")), str(problem.get("hint", ""))
    return str(problem.severity), str(problem.message), str(problem.hint)


class NextStep(QLabel):
    """A line that says what was done and links to the next step."""

    step_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        wrap(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.linkActivated.connect(self.step_requested)
        self.hide()

    def show_done(self, text: str, link: str = "", step: str = "") -> None:
        """Say what was done; an empty text hides the line."""
        anchor = f' <a href="{step}">{html.escape(link)}</a>' if link else ""
        self.setText(f"✓ {html.escape(text)}{anchor}" if text else "")
        self.setVisible(bool(text))
