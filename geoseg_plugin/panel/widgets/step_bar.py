"""The steps as icons with names; a tick where a step's result exists, a dot where it is out of date."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qgis.PyQt.QtCore import QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from ..texts import tr

ICON_PX = 26


class StepBar(QFrame):
    """Emits `step_chosen(key)` when the user chooses a step.

    Args:
        icon_path: the path of an icon by its file name.
        names: names of the steps by their keys, in order.
    """

    step_chosen = pyqtSignal(str)

    def __init__(
        self, icon_path: Callable[[str], str], names: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon_path, self._names = icon_path, dict(names)
        self._badges: dict[str, str] = {}
        self._buttons: dict[str, QToolButton] = {}
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 2)
        layout.setSpacing(1)
        for step in self._names:
            layout.addWidget(self._add_button(step))

    def _add_button(self, step: str) -> QToolButton:
        button = QToolButton()
        button.setText(self._names[step])
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIconSize(QSize(ICON_PX, ICON_PX))
        button.setCheckable(True)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        button.setMinimumWidth(button.fontMetrics().horizontalAdvance(button.text()) + 8)
        button.clicked.connect(lambda _checked=False, key=step: self.step_chosen.emit(key))
        self._group.addButton(button)
        self._buttons[step] = button
        self._show(step, "", "")
        return button

    def set_current(self, step: str) -> None:
        """Mark a step as the one whose page is shown."""
        self._buttons[step].setChecked(True)

    def set_state(self, step: str, done: bool, tooltip: str, outdated: bool = False) -> None:
        """Tick a step whose result exists, or mark it as out of date.

        Args:
            tooltip: what there is, what is missing, or why it is out of date.
        """
        badge = "outdated" if outdated else "tick" if done else ""
        if self._badges.get(step) != badge or self._buttons[step].toolTip() != tooltip:
            self._show(step, badge, tooltip)

    def _show(self, step: str, badge: str, tooltip: str) -> None:
        self._badges[step] = badge
        button = self._buttons[step]
        button.setIcon(self._icon(step, badge))
        button.setToolTip(tooltip)
        name = self._names[step]
        titles = {"tick": tr("{}, done"), "outdated": tr("{}, out of date")}
        button.setAccessibleName(titles.get(badge, "{}").format(name))
        button.setAccessibleDescription(tooltip)

    def _icon(self, step: str, badge: str) -> QIcon:
        base = QIcon(self._icon_path(f"step_{step}.svg"))
        if not badge:
            return base
        ratio = max(2.0, self.devicePixelRatioF())
        side = round(ICON_PX * ratio)
        pixmap = QPixmap(side, side)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        base.paint(painter, 0, 0, side, side)
        corner = QRectF(side * 0.52, side * 0.52, side * 0.48, side * 0.48)
        QIcon(self._icon_path(f"{badge}.svg")).paint(painter, corner.toRect())
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        return QIcon(pixmap)
