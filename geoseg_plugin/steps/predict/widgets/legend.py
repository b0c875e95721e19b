"""Classes with their colours, flowing in lines."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtWidgets import QLabel, QWidget

from ....panel.texts import tr
from ....panel.widgets.notes import wrap

MAX_CLASSES = 24


class ClassLegend(QLabel):
    """A small legend; hides itself when there are no classes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        wrap(self)
        self.setAccessibleName(tr("Classes"))
        self.hide()

    def set_classes(self, classes: Sequence[Any]) -> None:
        """Show classes of the contract (name, color)."""
        parts = [
            f'<span style="color:{html.escape(item.color)}">■</span>&nbsp;{nonbreaking(item.name)}'
            for item in classes[:MAX_CLASSES]
        ]
        if len(classes) > MAX_CLASSES:
            parts.append(tr("and {} more").format(len(classes) - MAX_CLASSES))
        self.setText(" &nbsp; ".join(parts))
        self.setVisible(bool(parts))


def nonbreaking(text: str) -> str:
    """HTML of a text that stays in one line."""
    return html.escape(text).replace(" ", "&nbsp;")
