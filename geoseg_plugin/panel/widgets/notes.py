"""Text that explains: small notes, the live sentence of a page, and problems with their fixes."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from qgis.PyQt.QtCore import QRectF, QSize, Qt, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPainter, QPaintEvent, QResizeEvent, QTextDocument
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QTextBrowser, QWidget

from ...paths import icon
from ..texts import tr
from .shades import faint, window_color

SMALLER = 0.92
MIN_LINES = 2
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
    """Return a wrapping label in a slightly smaller font; links open by mouse and keyboard."""
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
    """The live sentence of a page: what will happen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        self._label = wrap(Note())
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
        behind = window_color(self)
        painter.setBrush(faint(self, behind, 0.06))
        painter.setPen(faint(self, behind, 0.25))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)

    def text(self) -> str:
        """Return the sentence as shown."""
        return self._label.text()

    def set_text(self, text: str, for_now: bool = False) -> None:
        """Show a sentence; an empty one hides the box.

        Args:
            for_now: another one follows soon: the box stays as high as it is, so that nothing below it jumps.
        """
        self.setMinimumHeight(self.height() if for_now and self.isVisible() else 0)
        self._label.setText(text)
        self._label.setAccessibleName(text)
        self.setVisible(bool(text))


class ProblemList(QTextBrowser):
    """All problems at once, each with its fix; as high as its text up to a limit, then it scrolls.

    Args:
        max_lines: the limit in lines; in a low panel it can be as low as MIN_LINES.

    Signals:
        place_requested: show the places of the problem with this code on the map.
        fix_requested: fix the problem with this code as its row offers.
    """

    place_requested = pyqtSignal(str)
    fix_requested = pyqtSignal(str)

    def __init__(self, max_lines: int = 9, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._max_lines = max_lines
        self._rows: tuple[Row, ...] = ()
        self._located: frozenset[str] = frozenset()
        self._fixes: dict[str, str] = {}
        self._height = self._limit_px = 0
        self.setOpenLinks(False)
        self.anchorClicked.connect(self._on_link)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setTabChangesFocus(True)
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
        """Return the messages shown."""
        return [row.message for row in self._rows]

    def set_problems(self, problems: Sequence[Any], fixes: Mapping[str, str] | None = None) -> None:
        """Show problems of the contract, as objects or as the mappings that results carry.

        Args:
            fixes: code -> text of a link in the row of that problem.
        """
        rows = tuple(dict.fromkeys(sorted(map(as_row, problems), key=lambda row: row.severity)))
        if rows != self._rows or dict(fixes or {}) != self._fixes:
            self._rows, self._fixes = rows, dict(fixes or {})
            self._show()

    def set_located(self, codes: Iterable[str]) -> None:
        """Add a link to problems with these codes, whose places are on the map."""
        self._located = frozenset(codes)
        self._show()

    def set_limit(self, pixels: int) -> None:
        """Limit the height in pixels; it is at least MIN_LINES."""
        if pixels != self._limit_px:
            self._limit_px = pixels
            self._fit()

    def _show(self) -> None:
        rows = self._rows
        side = round(self.fontMetrics().height() * 1.1)
        cells = []
        for row in rows:
            picture = QIcon(icon(f"{row.severity}.svg")).pixmap(side, side)
            name = QUrl(f"icon:{row.severity}")
            self.document().addResource(QTextDocument.ResourceType.ImageResource, name, picture)
            text = html.escape(row.message) + (f" <i>{html.escape(row.hint)}</i>" if row.hint else "")
            code = html.escape(row.code)
            if row.code in self._fixes:
                text += f' <a href="fix:{code}">{html.escape(self._fixes[row.code])}</a>'
            if row.code in self._located:
                text += f' <a href="{code}">{html.escape(tr("Show on the map"))}</a>'
            cells.append(f'<tr><td><img src="icon:{row.severity}"></td><td>{text}</td></tr>')
        self.setHtml(f'<table cellspacing="0" cellpadding="3">{"".join(cells)}</table>')
        self.setVisible(bool(rows))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        inside = self.contentsRect()  # a theme may pad it
        self.document().setTextWidth(inside.width())
        needed = ceil(self.document().size().height()) + 4 + self.height() - inside.height()
        line = self.fontMetrics().lineSpacing()
        limit = self._max_lines * line
        if self._limit_px:
            limit = min(limit, max(self._limit_px, MIN_LINES * line))
        policy = Qt.ScrollBarPolicy
        if needed > limit:
            self.document().setTextWidth(inside.width() - self.verticalScrollBar().sizeHint().width())
        self.setVerticalScrollBarPolicy(
            policy.ScrollBarAsNeeded if needed > limit else policy.ScrollBarAlwaysOff
        )
        self._height = min(needed, limit)
        self.setMinimumHeight(min(self._height, MIN_LINES * line))
        self.setMaximumHeight(self._height)
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        return QSize(USUAL_WIDTH_PX, self._height)

    def _on_link(self, url: QUrl) -> None:
        (self.fix_requested if url.scheme() == "fix" else self.place_requested).emit(url.path())


@dataclass(frozen=True)
class Row:
    """One problem as it is shown; `severity` is `error` or `warning`."""

    severity: str
    message: str
    hint: str
    code: str


def as_row(problem: Any) -> Row:
    """Return a problem object or mapping as a row."""
    facts = problem if isinstance(problem, Mapping) else vars(problem)
    severity = str(facts.get("severity") or "error")
    return Row(severity, *(str(facts.get(key) or "") for key in ("message", "hint", "code")))


class NextStep(Note):
    """Shows what was done with a link to the next step, or that it is out of date."""

    step_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._done = ""
        wrap(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.linkActivated.connect(self.step_requested)
        self.hide()

    def show_done(self, text: str, link: str = "", step: str = "") -> None:
        """Show what was done; an empty text hides the line."""
        anchor = f' <a href="{step}">{html.escape(link)}</a>' if link else ""
        self._done = f"✓ {html.escape(text)}{anchor}" if text else ""
        self.setText(self._done)
        self.setVisible(bool(text))

    def show_outdated(self, why: str) -> None:
        """Show why the result is out of date; an empty text shows again what was done."""
        self.setText(f"● {html.escape(why)}" if why else self._done)
        self.setVisible(bool(self.text()))
