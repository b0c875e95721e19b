"""Raster layers with their bands and terrain attributes, to tick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QPoint, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon, QKeyEvent
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from ....jobs.choices import RasterChoice
from ....panel.texts import terrain_names, tr
from ....paths import icon
from ..state import RasterRow

ROLE_KIND = Qt.ItemDataRole.UserRole
ROLE_VALUE = Qt.ItemDataRole.UserRole + 1
ROLE_ALSO = Qt.ItemDataRole.UserRole + 2
CHECKED, UNCHECKED = Qt.CheckState.Checked, Qt.CheckState.Unchecked
PARTIAL = Qt.CheckState.PartiallyChecked
MIN_ROWS, MAX_ROWS = 5, 14


class BandTree(QTreeWidget):
    """Raster layers and, below them, the bands that the user added.

    Signals:
        ticks_changed: the user ticked or unticked anything.
        removal_requested: places of added bands to remove.
        mosaic_requested: layers (ids, two or more) that are parts of one image.
        parting_requested: a mosaic, by its first layer's id, to split into its layers.

    New layers are ticked as their row proposes until the user has touched the tree. Of a DEM only the
    terrain is proposed: absolute elevation does not transfer to another valley. Results of GeoSeg are listed below the
    others, under a heading with the reason, and are never ticked automatically.
    """

    ticks_changed = pyqtSignal()
    removal_requested = pyqtSignal(list)
    mosaic_requested = pyqtSignal(list)
    parting_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.touched = False
        self._filling = False
        self._added: tuple[str, ...] = ()
        self._rows: tuple[RasterRow, ...] | None = None
        self.setHeaderHidden(True)
        self.setColumnCount(2)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setIconSize(QSize(16, 16))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAccessibleName(tr("Raster layers and bands"))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.header().setStretchLastSection(False)
        self.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.header().setMinimumSectionSize(20)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu_requested)
        self.itemChanged.connect(self._on_item_changed)
        self.itemExpanded.connect(self._fit_height)
        self.itemCollapsed.connect(self._fit_height)
        self._fit_height()

    def set_layers(self, rows: Sequence[RasterRow]) -> None:
        """Show these layers; what was ticked stays ticked. The same layers again change nothing."""
        if self._rows == tuple(rows):
            return
        self._rows = tuple(rows)
        before = {choice.layer_id: choice for choice in self.choices()}
        known = {self._layer_id(item) for item in self._layer_items() if is_usable(item)}
        expanded = {self._layer_id(item) for item in self._layer_items() if item.isExpanded()}
        open_heads = {item.data(0, ROLE_KIND) for item in self._top_items() if item.isExpanded()}
        self._filling = True
        self.clear()
        for row in sorted(rows, key=lambda row: row.result):
            item = self._add_layer(row)
            item.setExpanded(row.layer_id in expanded or (row.dem and row.tick and row.layer_id not in known))
            if row.problem:
                continue
            if row.result and not self.touched:
                continue
            if row.layer_id in known or self.touched:
                choice = before.get(row.layer_id, RasterChoice(row.layer_id, ()))
                self._tick(item, choice.bands, choice.terrain)
            elif row.tick:
                bands = () if row.dem else tuple(range(1, len(row.band_names) + 1))
                self._tick(item, bands, tuple(terrain_names()) if row.dem else ())
        self._add_additions()
        self._show_result_count("results" in open_heads)
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
                also = tuple(item.data(0, ROLE_ALSO) or ())
                found.append(RasterChoice(self._layer_id(item), bands, attributes, also))
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

    def set_additions(self, titles: Sequence[str]) -> None:
        """Show the added bands by these titles."""
        self._added = tuple(titles)
        self._filling = True
        for place in reversed(range(self.topLevelItemCount())):
            if self.topLevelItem(place).data(0, ROLE_KIND) == "added":
                self.takeTopLevelItem(place)
        self._add_additions()
        self._filling = False
        self._fit_height()
        self.ticks_changed.emit()

    def layer_name(self, layer_id: str) -> str:
        """Name of a layer as shown; the id of one that is not there."""
        names = {self._layer_id(item): str(item.text(0)) for item in self._layer_items()}
        return names.get(layer_id, layer_id)

    def layer_count(self) -> int:
        """Number of layers shown."""
        return len(self._layer_items())

    def sizeHint(self) -> QSize:
        return QSize(200, self.height())

    def _add_layer(self, row: RasterRow) -> QTreeWidgetItem:
        item = QTreeWidgetItem(self._results() if row.result else self, [row.name, row.facts])
        item.setData(0, ROLE_KIND, "layer")
        item.setData(0, ROLE_VALUE, row.layer_id)
        item.setData(0, ROLE_ALSO, list(row.also))
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
        dem = self._add(item, tr("Is a DEM: add terrain attributes"), "dem", "")
        dem.setToolTip(0, tr("Slope, aspect and curvatures, derived from this layer, become bands."))
        for key, name in terrain_names().items():
            self._add(dem, name, "terrain", key)
        return item

    def _results(self) -> QTreeWidgetItem:
        """The heading of the results of GeoSeg."""
        for head in self._top_items():
            if head.data(0, ROLE_KIND) == "results":
                return head
        head = QTreeWidgetItem(self, ["", tr("not used")])
        head.setData(0, ROLE_KIND, "results")
        why = tr(
            "A model with an earlier result as input would learn to repeat it. Tick a layer to use it all the same."
        )
        head.setToolTip(0, why)
        head.setToolTip(1, why)
        head.setIcon(0, QIcon(icon("geoseg.svg")))
        return head

    def _show_result_count(self, expanded: bool) -> None:
        for head in self._top_items():
            if head.data(0, ROLE_KIND) == "results":
                head.setText(0, tr("Made by GeoSeg: {}").format(head.childCount()))
                head.setExpanded(expanded or any(ticked(item) for item in children(head, "layer")))

    def _add_additions(self) -> None:
        if not self._added:
            return
        head = QTreeWidgetItem(self, [tr("Added bands"), tr("Del removes")])
        head.setData(0, ROLE_KIND, "added")
        head.setIcon(0, QgsApplication.getThemeIcon("/mActionAddExpression.svg"))
        for place, title in enumerate(self._added):
            item = QTreeWidgetItem(head, [title])
            item.setData(0, ROLE_KIND, "addition")
            item.setData(0, ROLE_VALUE, place)
            item.setToolTip(0, title)
            item.setFirstColumnSpanned(True)
        head.setExpanded(True)

    def selected_additions(self) -> list[int]:
        """Return the places of the selected added bands."""
        items = [item for item in self.selectedItems() if item.data(0, ROLE_KIND) == "addition"]
        return sorted(int(item.data(0, ROLE_VALUE)) for item in items)

    def selected_layers(self) -> list[QTreeWidgetItem]:
        """Selected rows that are layers and can be used."""
        items = [item for item in self.selectedItems() if item.data(0, ROLE_KIND) == "layer"]
        return [item for item in items if is_usable(item)]

    def menu(self) -> QMenu:
        """Return what can be done with the selected rows."""
        menu = QMenu(self)
        places, layers = self.selected_additions(), self.selected_layers()
        ids = [self._layer_id(item) for item in layers]
        if places:
            action = menu.addAction(tr("Remove from the added bands"))
            action.triggered.connect(lambda: self.removal_requested.emit(places))
        if len(layers) > 1 and not any(item.data(0, ROLE_ALSO) for item in layers):
            action = menu.addAction(tr("Merge tiles into one raster"))
            action.triggered.connect(lambda: self.mosaic_requested.emit(ids))
        if len(layers) == 1 and layers[0].data(0, ROLE_ALSO):
            action = menu.addAction(tr("Split the merged raster"))
            action.triggered.connect(lambda: self.parting_requested.emit(ids[0]))
        return menu

    def _on_menu_requested(self, place: QPoint) -> None:
        menu = self.menu()
        if menu.isEmpty():
            hint = menu.addAction(tr("Select several layers to merge them"))
            hint.setEnabled(False)
        menu.exec(self.viewport().mapToGlobal(place))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        places = self.selected_additions()
        if event.key() == Qt.Key.Key_Delete and places:
            self.removal_requested.emit(places)
        else:
            super().keyPressEvent(event)

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
        while layer_item.data(0, ROLE_KIND) != "layer" and layer_item.parent() is not None:
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
        found = []
        for item in self._top_items():
            found += [item, *children(item, "layer")]
        return [item for item in found if item.data(0, ROLE_KIND) == "layer"]

    def _top_items(self) -> list[QTreeWidgetItem]:
        return [self.topLevelItem(index) for index in range(self.topLevelItemCount())]

    def _layer_id(self, item: QTreeWidgetItem) -> str:
        return str(item.data(0, ROLE_VALUE))

    def _fit_height(self, *_args: object) -> None:
        rows = sum(1 + visible_children(item) for item in self._top_items())
        row_height = max(self.sizeHintForRow(0), round(self.fontMetrics().height() * 1.35))
        shown = min(max(rows, MIN_ROWS), MAX_ROWS)
        self.setFixedHeight(shown * row_height + 2 * self.frameWidth() + 2)


def children(item: QTreeWidgetItem, kind: str) -> list[QTreeWidgetItem]:
    """Children of one kind: `band`, `dem` or `terrain`."""
    found = [item.child(index) for index in range(item.childCount())]
    return [child for child in found if child.data(0, ROLE_KIND) == kind]


def is_usable(item: QTreeWidgetItem) -> bool:
    """Return whether a layer can be ticked; one that has become usable counts as new."""
    return bool(item.flags() & Qt.ItemFlag.ItemIsUserCheckable)


def ticked(item: QTreeWidgetItem) -> bool:
    """Return whether an item is ticked, wholly or in part."""
    return item.checkState(0) != UNCHECKED


def joined(states: Sequence[bool]) -> Qt.CheckState:
    """State of a parent: all, some or none."""
    if states and all(states):
        return CHECKED
    return PARTIAL if any(states) else UNCHECKED


def visible_children(item: QTreeWidgetItem) -> int:
    """Return the rows shown below an item."""
    if not item.isExpanded():
        return 0
    return sum(1 + visible_children(item.child(index)) for index in range(item.childCount()))
