"""The guide in a window of its own, opened at a section."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QTextCursor
from qgis.PyQt.QtWidgets import QDialog, QTextBrowser, QVBoxLayout, QWidget

from ..texts import tr


class GuideWindow(QDialog):
    """Shows docs/guide.md; not modal, so that one can read and choose."""

    def __init__(self, guide: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("GeoSeg guide"))
        self.setModal(False)
        self.resize(620, 640)
        self._browser = QTextBrowser()
        self._browser.setOpenExternalLinks(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._browser)
        text = guide.read_text(encoding="utf-8") if guide.is_file() else ""
        self._sections = sections(text)
        shown = KEPT_ANCHOR.sub(r"\2", text)
        self._browser.setMarkdown(
            shown or tr("The guide is missing from this installation: {}").format(guide)
        )

    def open_at(self, anchor: str) -> bool:
        """Show the section of this anchor. Returns whether there is one."""
        found = self._find(anchor)
        if found is not None:
            self._browser.moveCursor(QTextCursor.MoveOperation.End)
            self._browser.setTextCursor(found)
            self._browser.ensureCursorVisible()
        self.show()
        self.raise_()
        self.activateWindow()
        return found is not None

    def _find(self, anchor: str) -> QTextCursor | None:
        heading = self._sections.get(anchor)
        block = self._browser.document().begin()
        while block.isValid():
            if block.blockFormat().headingLevel() and slug(block.text()) == heading:
                return QTextCursor(block)
            block = block.next()
        return None

    def keyPressEvent(self, event: object) -> None:
        if event.key() == Qt.Key.Key_Escape:  # type: ignore[attr-defined]
            self.close()
        else:
            super().keyPressEvent(event)  # type: ignore[arg-type]


KEPT_ANCHOR = re.compile(r'^<a id="([\w-]+)"></a>\n(#+ .+)$', re.MULTILINE)
"""The anchor that a renamed heading keeps, on the line above the heading."""


def sections(markdown: str) -> dict[str, str]:
    """Return the anchors of a Markdown text, each with the slug of its heading.

    Args:
        markdown: Text whose headings begin with `#`; a renamed heading may keep an anchor (`KEPT_ANCHOR`).
    """
    slugs = [slug(item) for item in re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)]
    kept = {anchor: slug(heading.lstrip("# ")) for anchor, heading in KEPT_ANCHOR.findall(markdown)}
    return {**{item: item for item in slugs}, **kept}


def slug(heading: str) -> str:
    """Return the anchor that a Markdown heading makes: lower case, hyphens for spaces."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())
