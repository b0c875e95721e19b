"""The layers that a model needs, and which of their bands it reads."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qgis.core import Qgis, QgsRasterLayer
from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ...panel.texts import tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page, narrow_form
from .widgets.band_binding import BandBinding, ChannelTable


@dataclass(frozen=True)
class Slot:
    """A source that the model needs; `proposed` is the id of the layer that fits best.

    `filled_by` is `raster layer`, `vector layer` or `files`; the latter two may stay empty: then they are those of
    training.
    `rows` are the bands of the source that are used: number at training, name.
    """

    key: str
    name: str
    bands: str
    proposed: str = ""
    filled_by: str = "raster layer"
    rows: tuple[tuple[int, str], ...] = ()


class SlotSection(QWidget):
    """A layer for each slot of the model, a table of bands below, and for third-party models a table of channels.

    Signals:
        bands_changed: another band was chosen.
    """

    bands_changed = pyqtSignal()

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._page = page
        self.combos: dict[str, LayerBox] = {}
        self.files: dict[str, QgsFileWidget] = {}
        self._bindings: dict[str, BandBinding] = {}
        self.note = small_label(tr("Choose a model: its file states which bands it needs."))
        self._form = narrow_form()
        self.band_group = QgsCollapsibleGroupBox(tr("Which band is which"))
        self.band_group.setSaveCollapsedState(False)
        self.band_group.setCollapsed(True)
        tables = QWidget()  # the group shows its children whenever it is unfolded, but not theirs
        self._band_box = QVBoxLayout(tables)
        self._band_box.setContentsMargins(0, 0, 0, 0)
        self.band_group.setLayout(QVBoxLayout())
        self.band_group.layout().addWidget(tables)
        self.channels = ChannelTable()
        self.channels.changed.connect(self.bands_changed)
        lines = QVBoxLayout(self)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.addWidget(self.note)
        lines.addLayout(self._form)
        lines.addWidget(self.channels)
        lines.addWidget(self.band_group)
        self.band_group.hide()
        self.channels.hide()

    def set_slots(self, slots: Sequence[Slot]) -> None:
        """Show what the chosen model needs: a layer list per slot, with the proposed layer."""
        while self._form.rowCount():
            self._form.removeRow(0)
        while self._band_box.count():
            self._band_box.takeAt(0).widget().deleteLater()
        self.combos, self.files, self._bindings = {}, {}, {}
        for slot in slots:
            self._add_files(slot) if slot.filled_by == "files" else self._add_layers(slot)
        self.note.setVisible(not slots)
        self.channels.hide()
        self._show_bands()

    def set_channels(self, names: Sequence[str], bands: Sequence[tuple[str, str, int]]) -> None:
        """Show the channels of a third-party model, and the bands to choose from."""
        self.set_slots([])
        self.note.hide()
        self.channels.set_channels(names, bands)
        self.channels.show()

    def propose(self, key: str, proposed: str) -> None:
        """Fill a slot that is still empty with a layer, by id."""
        combo = self.combos.get(key)
        if combo is not None and combo.currentLayer() is None and proposed:
            choose_layer(combo, proposed)

    def slots(self) -> dict[str, str]:
        """Slot key -> layer id, or files with newlines between them; empty where nothing is chosen."""
        found = {key: combo.layer_id() for key, combo in self.combos.items()}
        for key, files in self.files.items():
            found[key] = "\n".join(sorted(QgsFileWidget.splitFilePaths(files.filePath())))
        return found

    def bindings(self) -> dict[str, dict[int, int]]:
        """Slot key -> band at training -> band of the layer, where it is not the same number."""
        found = {key: table.binding() for key, table in self._bindings.items()}
        return {key: binding for key, binding in found.items() if binding}

    def values(self) -> dict[str, Any]:
        """Return what is chosen, for the project file."""
        return {
            "slots": self.slots(),
            "bindings": {key: list(map(list, found.items())) for key, found in self.bindings().items()},
            "channels": [list(item) for item in self.channels.channels()],
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Put a choice for the same model back, as far as its layers are still there."""
        for key, chosen in (values.get("slots") or {}).items():
            if key in self.combos and chosen:
                choose_layer(self.combos[key], str(chosen))
            elif key in self.files:
                self.files[key].setFilePath(" ".join(f'"{path}"' for path in str(chosen).split("\n") if path))
        for key, pairs in (values.get("bindings") or {}).items():
            if key in self._bindings:
                self._bindings[key].choose({int(index): int(band) for index, band in pairs})
        self.channels.choose(values.get("channels") or [])

    def _add_layers(self, slot: Slot) -> None:
        is_vector = slot.filled_by == "vector layer"
        kinds = Qgis.LayerFilter.VectorLayer if is_vector else Qgis.LayerFilter.RasterLayer
        combo = LayerBox(kinds, tr("as at training") if is_vector else tr("choose a raster layer"))
        combo.setToolTip(slot.bands)
        combo.setAccessibleName(slot.name)
        if slot.proposed:
            choose_layer(combo, slot.proposed)
        self.combos[slot.key] = combo
        if not is_vector and slot.rows:
            table = self._bindings[slot.key] = BandBinding(slot.name, slot.rows)
            table.changed.connect(self.bands_changed)
            self._band_box.addWidget(table)
            self._on_layer(slot.key, combo.currentLayer())
            combo.layerChanged.connect(lambda layer, key=slot.key: self._on_layer(key, layer))
        self._page.remember(f"slot {slot.key}", combo, in_project=False)
        self._add_row(slot, combo)

    def _add_files(self, slot: Slot) -> None:
        """A time series: files, or those of training."""
        files = QgsFileWidget()
        files.setStorageMode(QgsFileWidget.StorageMode.GetMultipleFiles)
        files.lineEdit().setPlaceholderText(tr("as at training"))
        self._page.remember(f"slot {slot.key}", files, in_project=False)
        self.files[slot.key] = files
        self._add_row(slot, files)

    def _add_row(self, slot: Slot, widget: QWidget) -> None:
        """What is needed, and below it, as wide as the panel, what fills it: names of layers are long."""
        alone = slot.bands in ("", slot.name)
        needs = slot.name if alone else tr("{}, bands {}").format(slot.name, slot.bands)
        self._form.addRow(small_label(html.escape(needs)))
        self._form.addRow(widget)

    def _on_layer(self, key: str, layer: Any) -> None:
        self._bindings[key].set_layer(layer if isinstance(layer, QgsRasterLayer) else None)
        self._show_bands()

    def _show_bands(self) -> None:
        for table in self._bindings.values():
            table.setVisible(table.needed)
        self.band_group.setVisible(any(table.needed for table in self._bindings.values()))


def choose_layer(combo: LayerBox, layer_id: str) -> None:
    """Choose the layer with this id, if the list has it."""
    for position in range(combo.count()):
        layer = combo.layer(position)
        if layer is not None and layer.id() == layer_id:
            combo.setLayer(layer)
            return
