"""What the model may see: layers with their bands, bands that are added, mosaics, settings of bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QMenu, QPushButton, QVBoxLayout, QWidget

from ....jobs.additions import Addition, additions_from_json, additions_to_json
from ....jobs.choices import RasterChoice
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from ....panel.widgets.page import lets_shrink
from ..add_band.kinds import addable_bands
from .band_tree import BandTree


class BandSection(QWidget):
    """The tree of layers and, below it, what is added.

    Signals:
        changed: bands were ticked, added, removed or set.
        mosaics_changed: layers were merged into one source, or split again.
        add_requested: add a band of a kind (see `addable_bands`).
        table_requested: show the table of bands.
    """

    changed = pyqtSignal()
    mosaics_changed = pyqtSignal()
    add_requested = pyqtSignal(str)
    table_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.additions: tuple[Addition, ...] = ()
        self.settings: dict[str, dict[str, Any]] = {}
        self.mosaics: tuple[tuple[str, ...], ...] = ()
        self.tree = BandTree()
        self.note = small_label("")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self.tree)
        layout.addWidget(self.note)
        layout.addLayout(self._buttons())
        self.tree.ticks_changed.connect(self._on_ticks_changed)
        self.tree.removal_requested.connect(self.remove)
        self.tree.mosaic_requested.connect(self.add_mosaic)
        self.tree.parting_requested.connect(self.part_mosaic)

    def _buttons(self) -> QHBoxLayout:
        self.add_button = QPushButton(tr("Add band"))
        menu = QMenu(self.add_button)
        for kind, band in addable_bands().items():
            menu.addAction(band.title).triggered.connect(
                lambda _checked, key=kind: self.add_requested.emit(key)
            )
        self.add_button.setMenu(menu)
        self.add_button.setToolTip(tr("Indices, expressions, relief, radar, vector layers, time series."))
        self.table_button = QPushButton(tr("&Bands and values…"))
        self.table_button.setToolTip(tr("How each band is resampled, filled and scaled; and its histogram."))
        self.table_button.clicked.connect(self.table_requested)
        row = QHBoxLayout()
        for button in (self.add_button, self.table_button):
            lets_shrink(button)
            row.addWidget(button)
        return row

    def add(self, addition: Addition) -> None:
        """Add bands to those of the layers."""
        self._set_additions((*self.additions, addition))

    def remove(self, places: Sequence[int]) -> None:
        """Take added bands away, by their places in the list."""
        kept = (item for place, item in enumerate(self.additions) if place not in places)
        self._set_additions(tuple(kept))

    def add_mosaic(self, layer_ids: Sequence[str]) -> None:
        """Merge several layers into one source; a mosaic among them comes with all its layers."""
        members = {item[0]: item for item in self.mosaics}
        joined = tuple(one for layer_id in layer_ids for one in members.get(layer_id, (layer_id,)))
        kept = tuple(item for item in self.mosaics if item[0] not in layer_ids)
        self.mosaics = (*kept, joined)
        self.mosaics_changed.emit()

    def part_mosaic(self, layer_id: str) -> None:
        """Take a mosaic apart, named by its first layer."""
        self.mosaics = tuple(item for item in self.mosaics if item[0] != layer_id)
        self.mosaics_changed.emit()

    def set_fields(self, names: Sequence[str], fields: dict[str, Any]) -> None:
        """Keep what the user set for bands."""
        for name in names:
            self.settings[name] = {**self.settings.get(name, {}), **fields}
        self.changed.emit()

    def forget(self) -> None:
        """Begin anew: another project."""
        self.tree.touched = False
        self.settings, self.mosaics = {}, ()
        self._set_additions(())

    def values(self) -> dict[str, Any]:
        """Return what is remembered, with the ticks of the tree once the user has changed it."""
        found: dict[str, Any] = {
            "additions": additions_to_json(self.additions),
            "settings": self.settings,
            "mosaics": [list(item) for item in self.mosaics],
        }
        if self.tree.touched:
            found["rasters"] = [
                {"layer": item.layer_id, "bands": item.bands, "terrain": item.terrain}
                for item in self.tree.choices()
            ]
        return found

    def restore(self, values: dict[str, Any]) -> None:
        """Put back what `values` returned."""
        mosaics = tuple(tuple(map(str, item)) for item in values.get("mosaics") or [])
        if mosaics != self.mosaics:
            self.mosaics = mosaics
            self.mosaics_changed.emit()
        self.settings = {str(name): dict(item) for name, item in (values.get("settings") or {}).items()}
        self._set_additions(additions_from_json(values.get("additions")))
        if "rasters" in values:
            self.tree.set_choices([
                RasterChoice(str(item["layer"]), tuple(item["bands"]), tuple(item["terrain"]))
                for item in values["rasters"]
            ])  # fmt: skip

    def _set_additions(self, additions: tuple[Addition, ...]) -> None:
        self.additions = additions
        self.tree.set_additions([item.title for item in additions])

    def _on_ticks_changed(self) -> None:
        choices = self.tree.choices()
        terrain = sum(len(item.terrain) for item in choices)
        bands = sum(len(item.bands) for item in choices)
        if not self.tree.layer_count():
            text = tr("Add raster layers to the project: they appear here.")
        elif terrain:
            text = tr("{} bands and {} terrain attributes are ticked.").format(bands, terrain)
        else:
            text = tr("{} bands are ticked.").format(bands)
        added = sum(len(item.bands) for item in self.additions)
        self.note.setText(f"{text} {tr('{} added.').format(added)}" if added else text)
        self.changed.emit()
