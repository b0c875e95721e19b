"""Raster layers with their bands and terrain attributes, to tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from ...paths import icon
from ..choices import RasterChoice, RasterRow
from ..words import terrain_names, tr

ROLE_KIND = Qt.ItemDataRole.UserRole
ROLE_VALUE = Qt.ItemDataRole.UserRole + 1
CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
PARTIAL = Qt.CheckState.PartiallyChecked
LEAST_ROWS, MOST_ROWS = 5, 14


class BandTree(QTreeWidget):
    """Emits `ticks_changed` when the user ticks or unticks anything.

    New layers are ticked as their row proposes until the user has touched the tree. Of a DEM only the
    terrain is proposed: absolute elevation does not carry over to another valley.
    """

    ticks_changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.touched = False
        self._filling = False
        self.setHeaderHidden(True)
        self.setColumnCount(2)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setIconSize(QSize(16, 16))
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName(tr("Raster layers and bands"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.header().setMinimumSectionSize(20)
        self.itemChanged.connect(self._on_item_changed)
        self.itemExpanded.connect(self._fit_height)
        self.itemCollapsed.connect(self._fit_height)
        self._fit_height()

    def set_layers(self, rows: Sequence[RasterRow]) -> None:
        """Show these layers; what was ticked stays ticked."""
        before = {choice.layer_id: choice for choice in self.choices()}
        known = {self._layer_id(item) for item in self._layer_items()}
        expanded = {self._layer_id(item) for item in self._layer_items() if item.isExpanded()}
        self._filling = True
        self.clear()
        for row in rows:
            item = self._add_layer(row)
            item.setExpanded(row.layer_id in expanded or (row.dem and row.layer_id not in known))
            if row.problem:
                continue
            if row.layer_id in known or self.touched:
                choice = before.get(row.layer_id, RasterChoice(row.layer_id, ()))
                self._tick(item, choice.bands, choice.terrain)
            elif row.tick:
                bands = () if row.dem else tuple(range(1, len(row.band_names) + 1))
                self._tick(item, bands, tuple(terrain_names()) if row.dem else ())
        self._filling = False
        self._fit_height()
        self.ticks_changed.emit()

    def choices(self) -> tuple[RasterChoice, ...]:
        """Ticked bands and terrain attributes of every layer that has any, in the tree's order."""
        found = []
        for item in self._layer_items():
            bands = tuple(child.data(0, ROLE_VALUE) for child in children(item, "band") if ticked(child))
            attributes = tuple(
                leaf.data(0, ROLE_VALUE)
                for dem in children(item, "dem")
                for leaf in children(dem, "terrain")
                if ticked(leaf)
            )
            if bands or attributes:
                found.append(RasterChoice(self._layer_id(item), bands, attributes))
        return tuple(found)

    def set_choices(self, choices: Sequence[RasterChoice]) -> None:
        """Tick exactly these; layers that are not there are passed over."""
        wanted = {choice.layer_id: choice for choice in choices}
        self._filling = True
        for item in self._layer_items():
            choice = wanted.get(self._layer_id(item), RasterChoice("", ()))
            self._tick(item, choice.bands, choice.terrain)
        self._filling = False
        self.touched = True
        self.ticks_changed.emit()

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def _add_layer(self, row: RasterRow) -> QTreeWidgetItem:
        item = QTreeWidgetItem(self, [row.name, row.facts])
        item.setData(0, ROLE_KIND, "layer")
        item.setData(0, ROLE_VALUE, row.layer_id)
        item.setToolTip(0, f"{row.name}\n{row.details}".strip())
        warning = QIcon(icon("warning.svg"))
        item.setIcon(0, warning if row.problem else QgsApplication.getThemeIcon("/mIconRaster.svg"))
        if row.problem:
            item.setToolTip(0, row.problem)
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsUserCheckable)
            return item
        item.setCheckState(0, UNCHECKED)
        for number, name in enumerate(row.band_names, 1):
            self._add(item, name, "band", number)
        dem = self._add(item, tr("Is a DEM: add its terrain"), "dem", "")
        dem.setToolTip(0, tr("Slope, aspect and curvatures, derived from this layer, become bands too."))
        for key, name in terrain_names().items():
            self._add(dem, name, "terrain", key)
        return item

    def _add(self, parent: QTreeWidgetItem, text: str, kind: str, value: Any) -> QTreeWidgetItem:
        item = QTreeWidgetItem(parent, [text])
        item.setData(0, ROLE_KIND, kind)
        item.setData(0, ROLE_VALUE, value)
        item.setToolTip(0, text)
        item.setCheckState(0, UNCHECKED)
        item.setFirstColumnSpanned(True)
        return item

    def _tick(self, item: QTreeWidgetItem, bands: Sequence[int], terrain: Sequence[str]) -> None:
        for child in children(item, "band"):
            child.setCheckState(0, CHECKED if child.data(0, ROLE_VALUE) in bands else UNCHECKED)
        for dem in children(item, "dem"):
            for leaf in children(dem, "terrain"):
                leaf.setCheckState(0, CHECKED if leaf.data(0, ROLE_VALUE) in terrain else UNCHECKED)
            dem.setExpanded(bool(terrain))
        self._show_states(item)

    def _on_item_changed(self, item: QTreeWidgetItem, _column: int) -> None:
        if self._filling:
            return
        self._filling = True
        kind = item.data(0, ROLE_KIND)
        layer_item = item
        while layer_item.parent() is not None:
            layer_item = layer_item.parent()
        if kind == "layer":
            self._set_all(item, "band", item.checkState(0))
            if not ticked(item):
                for dem in children(item, "dem"):
                    self._set_all(dem, "terrain", UNCHECKED)
        elif kind == "dem":
            self._set_all(item, "terrain", item.checkState(0))
            item.setExpanded(ticked(item))
        self._show_states(layer_item)
        self._filling = False
        self.touched = True
        self._fit_height()
        self.ticks_changed.emit()

    def _set_all(self, item: QTreeWidgetItem, kind: str, state: Qt.CheckState) -> None:
        for child in children(item, kind):
            child.setCheckState(0, CHECKED if state != UNCHECKED else UNCHECKED)

    def _show_states(self, item: QTreeWidgetItem) -> None:
        if not item.childCount():
            return
        bands = [ticked(child) for child in children(item, "band")]
        terrain = []
        for dem in children(item, "dem"):
            leaves = [ticked(leaf) for leaf in children(dem, "terrain")]
            dem.setCheckState(0, joined(leaves))
            terrain += leaves
        state = joined(bands)
        item.setCheckState(0, PARTIAL if state == UNCHECKED and any(terrain) else state)

    def _layer_items(self) -> list[QTreeWidgetItem]:
        return [self.topLevelItem(index) for index in range(self.topLevelItemCount())]

    def _layer_id(self, item: QTreeWidgetItem) -> str:
        return str(item.data(0, ROLE_VALUE))

    def _fit_height(self, *_args: object) -> None:
        rows = sum(1 + visible_children(item) for item in self._layer_items())
        row_height = max(self.sizeHintForRow(0), round(self.fontMetrics().height() * 1.35))
        shown = min(max(rows, LEAST_ROWS), MOST_ROWS)
        self.setFixedHeight(shown * row_height + 2 * self.frameWidth() + 2)


def children(item: QTreeWidgetItem, kind: str) -> list[QTreeWidgetItem]:
    """Children of one kind: `band`, `dem` or `terrain`."""
    found = [item.child(index) for index in range(item.childCount())]
    return [child for child in found if child.data(0, ROLE_KIND) == kind]


def ticked(item: QTreeWidgetItem) -> bool:
    """Whether an item is ticked, at least in part."""
    return item.checkState(0) != UNCHECKED


def joined(states: Sequence[bool]) -> Qt.CheckState:
    """State of a parent: all, some or none."""
    if states and all(states):
        return CHECKED
    return PARTIAL if any(states) else UNCHECKED


def visible_children(item: QTreeWidgetItem) -> int:
    """Rows shown below an item."""
    if not item.isExpanded():
        return 0
    return sum(1 + visible_children(item.child(index)) for index in range(item.childCount()))
