"""Text that explains: small notes, the live sentence of a page, and problems with their cures."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

from qgis.PyQt.QtCore import QRectF, QSize, Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPainter, QPaintEvent, QResizeEvent, QTextDocument
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QTextBrowser, QWidget

from ...paths import icon
from ..words import tr
from .shades import faint, ground

SMALLER = 0.92
USUAL_WIDTH_PX = 340


class Note(QLabel):
    """A wrapping label that keeps the height its text needs; forms forget it when the panel becomes narrower."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def setText(self, text: str) -> None:
        super().setText(text)
        self._fit()

    def _fit(self) -> None:
        if not self.wordWrap():
            return
        self.setMinimumHeight(0)  # or what was needed when it was narrower counts as needed now
        self.setMinimumHeight(max(self.heightForWidth(self.width()), 0))


def small_label(text: str) -> QLabel:
    """A wrapping label in a slightly smaller font; links open by mouse and keyboard."""
    label = Note(text)
    font = label.font()
    if font.pointSizeF() > 0:
        font.setPointSizeF(font.pointSizeF() * SMALLER)
    label.setFont(font)
    wrap(label)
    return label


def wrap(label: QLabel) -> QLabel:
    """Let a label break its lines and take only the height it needs."""
    label.setWordWrap(True)
    label.setMinimumWidth(40)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return label


class Sentence(QWidget):
    """What will happen, in plain words, on a quiet background."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        self._label = wrap(QLabel())
        layout.addWidget(self._label)
        self.hide()

    def sizeHint(self) -> QSize:
        return QSize(USUAL_WIDTH_PX, self.layout().heightForWidth(self.width() or USUAL_WIDTH_PX))

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        behind = ground(self)
        painter.setBrush(faint(self, behind, 0.06))
        painter.setPen(faint(self, behind, 0.25))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)

    def text(self) -> str:
        """The sentence as shown."""
        return self._label.text()

    def set_text(self, text: str) -> None:
        """Show a sentence; an empty one hides the box."""
        self._label.setText(text)
        self._label.setAccessibleName(text)
        self.setVisible(bool(text))


class ProblemList(QTextBrowser):
    """Every complaint at once, each with its cure; as high as its text up to a limit, then it scrolls.

    Args:
        most_lines: the limit in lines.

    Signals:
        place_requested: the code of a problem whose places on the map the user wants to see.
    """

    place_requested = pyqtSignal(str)

    def __init__(self, most_lines: int = 9, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._most_lines = most_lines
        self._problems: tuple[tuple[str, str, str, str], ...] = ()
        self._located: frozenset[str] = frozenset()
        self.setOpenLinks(False)
        self.anchorClicked.connect(lambda url: self.place_requested.emit(url.path()))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setAutoFillBackground(False)
        self.document().setDocumentMargin(0)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(tr("Problems"))
        font = self.font()
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * SMALLER)
        self.setFont(font)
        self.hide()

    def texts(self) -> list[str]:
        """The messages shown."""
        return [message for _severity, message, _hint, _code in self._problems]

    def set_problems(self, problems: Sequence[Any]) -> None:
        """Show problems of the contract, as objects or as the mappings that results carry."""
        rows = tuple(dict.fromkeys(sorted((as_row(item) for item in problems), key=lambda row: row[0])))
        if rows != self._problems:
            self._problems = rows
            self._show()

    def set_located(self, codes: Iterable[str]) -> None:
        """Problems with these codes lie somewhere on the map: they get a link."""
        self._located = frozenset(codes)
        self._show()

    def _show(self) -> None:
        rows = self._problems
        side = round(self.fontMetrics().height() * 1.1)
        cells = []
        for severity, message, hint, code in rows:
            picture = QIcon(icon(f"{severity}.svg")).pixmap(side, side)
            self.document().addResource(
                QTextDocument.ResourceType.ImageResource, QUrl(f"icon:{severity}"), picture
            )
            text = html.escape(message) + (f" <i>{html.escape(hint)}</i>" if hint else "")
            if code in self._located:
                text += f' <a href="{html.escape(code)}">{html.escape(tr("Show on the map"))}</a>'
            cells.append(f'<tr><td><img src="icon:{severity}"></td><td>{text}</td></tr>')
        self.setHtml(f'<table cellspacing="0" cellpadding="3">{"".join(cells)}</table>')
        self.setVisible(bool(rows))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.document().setTextWidth(self.width())
        needed = ceil(self.document().size().height()) + 4
        most = self._most_lines * self.fontMetrics().lineSpacing()
        policy = Qt.ScrollBarPolicy
        if needed > most:
            self.document().setTextWidth(self.width() - self.verticalScrollBar().sizeHint().width())
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if needed > most else policy.ScrollBarAlwaysOff
        )
        self.setFixedHeight(min(needed, most))


def as_row(problem: Any) -> tuple[str, str, str, str]:
    """(severity, message, hint, code) of a problem object or mapping."""
    if isinstance(problem, dict):
        severity = str(problem.get("severity", "error"))
        return (
            severity,
            str(problem.get("message", "")),
            str(problem.get("hint", "")),
            str(problem.get("code", "")),
        )
    return str(problem.severity), str(problem.message), str(problem.hint), str(problem.code)


class NextStep(QLabel):
    """A line that says what was done and links to the next step."""

    step_requested = pyqtSignal(str)

    def sizeHint(self) -> QSize:
        return QSize(USUAL_WIDTH_PX, self.heightForWidth(self.width() or USUAL_WIDTH_PX))

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
