"""Short lists to tick: bands, losses, kinds of augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qgis.PyQt.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QListWidget, QListWidgetItem, QSizePolicy, QVBoxLayout, QWidget

from .texts import tr

MAX_ROWS = 7
AUTO, NONE, OWN = "auto", "none", "own"
"""What the values of a field are: chosen by the engine, none, or those that are ticked."""


class TickList(QListWidget):
    """Entries with a tick each; what is left out is remembered, so that new entries come ticked.

    Signals:
        ticks_changed: the user ticked or unticked an entry.
    """

    ticks_changed = pyqtSignal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._left_out: set[str] = set()
        self.setAccessibleName(name)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.itemChanged.connect(self._on_item_changed)
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(super().sizeHint().width(), self.maximumHeight())

    def set_entries(self, entries: Mapping[str, str], tips: Mapping[str, str] | None = None) -> None:
        """Show entries, key -> title, in this order; those that were left out stay so."""
        with QSignalBlocker(self):
            self.clear()
            for key, title in entries.items():
                item = QListWidgetItem(title, self)
                item.setData(Qt.ItemDataRole.UserRole, key)
                item.setToolTip((tips or {}).get(key, title))
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                self._show(item)
        self._fit()

    def keys(self) -> list[str]:
        """Return the keys of all entries."""
        return [str(item.data(Qt.ItemDataRole.UserRole)) for item in self._items()]

    def ticked(self) -> list[str]:
        """Return the keys of the ticked entries, in their order."""
        return [key for key in self.keys() if key not in self._left_out]

    def left_out(self) -> list[str]:
        """Return the keys that are not ticked, entries that are gone included."""
        return sorted(self._left_out)

    def leave_out(self, keys: Sequence[str]) -> None:
        """Untick these and tick all others."""
        self._left_out = {str(key) for key in keys}
        with QSignalBlocker(self):
            for item in self._items():
                self._show(item)
        self.ticks_changed.emit()

    def _items(self) -> list[QListWidgetItem]:
        return [self.item(row) for row in range(self.count())]

    def _show(self, item: QListWidgetItem) -> None:
        out = item.data(Qt.ItemDataRole.UserRole) in self._left_out
        item.setCheckState(Qt.CheckState.Unchecked if out else Qt.CheckState.Checked)

    def _on_item_changed(self, item: QListWidgetItem) -> None:
        key = str(item.data(Qt.ItemDataRole.UserRole))
        if item.checkState() == Qt.CheckState.Checked:
            self._left_out.discard(key)
        else:
            self._left_out.add(key)
        self.ticks_changed.emit()

    def _fit(self) -> None:
        rows = min(max(self.count(), 1), MAX_ROWS)
        line = self.sizeHintForRow(0) if self.count() else self.fontMetrics().height()
        self.setFixedHeight(rows * line + 2 * self.frameWidth() + 2)


class AutoTicks(QWidget):
    """`auto`, perhaps `none`, or entries that the user ticks.

    Signals:
        value_changed: the value is another one.
    """

    value_changed = pyqtSignal()

    def __init__(self, name: str, entries: Mapping[str, str], with_none: bool = False) -> None:
        super().__init__()
        self.mode = QComboBox()
        self.mode.setAccessibleName(name)
        self.mode.addItem(tr("automatic"), AUTO)
        if with_none:
            self.mode.addItem(tr("none"), NONE)
        self.mode.addItem(tr("as ticked"), OWN)
        self.mode.setMinimumWidth(60)
        self.ticks = TickList(name)
        self.ticks.set_entries(entries)
        self.ticks.leave_out(list(entries))
        self.ticks.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.mode)
        layout.addWidget(self.ticks)
        self.setFocusProxy(self.mode)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.mode.currentIndexChanged.connect(self._on_changed)
        self.ticks.ticks_changed.connect(self._on_changed)

    def value(self) -> list[str]:
        """Return ["auto"], ["none"] or the ticked keys; nothing ticked counts as automatic."""
        mode = self.mode.currentData()
        return (self.ticks.ticked() or [AUTO]) if mode == OWN else [str(mode)]

    def set_value(self, value: Sequence[str]) -> None:
        """Set the value; unknown keys are ignored."""
        keys = [str(item) for item in value]
        own = [key for key in keys if key in self.ticks.keys()]  # noqa: SIM118  (no mapping)
        if own:
            self.ticks.leave_out([key for key in self.ticks.keys() if key not in own])  # noqa: SIM118  (no mapping)
        index = self.mode.findData(OWN if own else (keys or [AUTO])[0])
        self.mode.setCurrentIndex(max(index, 0))

    def _on_changed(self, *_values: object) -> None:
        self.ticks.setVisible(self.mode.currentData() == OWN)
        self.value_changed.emit()
