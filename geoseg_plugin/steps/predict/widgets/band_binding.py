"""Which band of a layer is which band of the model, and which bands are the channels of a third-party model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFormLayout, QWidget

from ....layers.snapshot import value_bands
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from ....panel.widgets.page import lets_shrink, narrow_form


class BandBinding(QWidget):
    """A line for each band that the model reads from one layer, filled by name or else by number.

    Args:
        title: of the layer, as at training.
        rows: band at training, from 1, and its name.

    Signals:
        changed: the user chose another band.
    """

    changed = pyqtSignal()

    def __init__(self, title: str, rows: Sequence[tuple[int, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title, self._rows = title, tuple(rows)
        self._touched = False
        self._combos: dict[int, QComboBox] = {}
        form: QFormLayout = narrow_form()
        self.setLayout(form)
        form.addRow(small_label(tr("of {}").format(title)))
        for index, name in self._rows:
            combo = QComboBox()
            combo.setAccessibleName(tr("Band for {}").format(name))
            combo.setPlaceholderText(tr("choose a band"))
            lets_shrink(combo)
            combo.activated.connect(self._on_activated)
            self._combos[index] = combo
            form.addRow(name, combo)

    @property
    def needed(self) -> bool:
        """Whether there is anything to choose."""
        return any(combo.count() > 1 for combo in self._combos.values())

    def set_layer(self, layer: QgsRasterLayer | None) -> None:
        """Offer the bands of a layer, and propose: by name where every name is found, else the same number.

        Where the layer has no band of that number nothing is proposed: another band in its place would be wrong.
        """
        count = max(value_bands(layer), default=0) if layer is not None else 0
        names = [layer.bandName(band) for band in range(1, count + 1)] if layer is not None else []
        proposed = by_name(self._rows, names, self._title) or {index: index for index, _name in self._rows}
        self._touched = False
        for index, combo in self._combos.items():
            with QSignalBlocker(combo):
                combo.clear()
                for band, name in enumerate(names, 1):
                    combo.addItem(name, band)
                combo.setCurrentIndex(combo.findData(proposed[index]))

    def binding(self) -> dict[int, int]:
        """Band at training -> band of the layer; empty where the numbers are the same and none was chosen.

        A band that the layer does not have keeps its number.
        """
        found = {index: int(combo.currentData() or index) for index, combo in self._combos.items()}
        return {} if not self._touched and all(index == band for index, band in found.items()) else found

    def choose(self, binding: Mapping[int, int]) -> None:
        """Put a choice of the user back."""
        for index, band in binding.items():
            combo = self._combos.get(index)
            if combo is not None and combo.findData(band) >= 0:
                self._touched = True
                combo.setCurrentIndex(combo.findData(band))

    def _on_activated(self, _index: int) -> None:
        self._touched = True
        self.changed.emit()


class ChannelTable(QWidget):
    """A line for each channel of a third-party model: any band of any raster layer.

    Signals:
        changed: the user chose another band.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combos: list[QComboBox] = []
        self._form = narrow_form()
        self.setLayout(self._form)

    def set_channels(self, names: Sequence[str], bands: Sequence[tuple[str, str, int]]) -> None:
        """Show the channels; `bands` are (title, layer id, band), of which the first ones are proposed."""
        kept = self.channels()
        while self._form.rowCount():
            self._form.removeRow(0)
        self._combos = []
        for number, name in enumerate(names):
            combo = QComboBox()
            combo.setAccessibleName(tr("Band for {}").format(name))
            lets_shrink(combo)
            for title, layer_id, band in bands:
                combo.addItem(title, f"{layer_id}#{band}")
            before = "#".join(map(str, kept[number])) if number < len(kept) else ""
            combo.setCurrentIndex(max(combo.findData(before), min(number, len(bands) - 1)))
            combo.activated.connect(lambda _index: self.changed.emit())
            self._combos.append(combo)
            self._form.addRow(name, combo)

    def channels(self) -> list[tuple[str, int]]:
        """Layer id and band of each channel; empty while there is none to choose."""
        chosen = [str(combo.currentData() or "").rpartition("#") for combo in self._combos]
        return [(layer_id, int(band)) for layer_id, _, band in chosen if layer_id]

    def choose(self, channels: Sequence[Sequence[object]]) -> None:
        """Put a choice of the user back."""
        for combo, (layer_id, band) in zip(self._combos, channels, strict=False):
            index = combo.findData(f"{layer_id}#{band}")
            if index >= 0:
                combo.setCurrentIndex(index)


def by_name(rows: Sequence[tuple[int, str]], names: Sequence[str], title: str = "") -> dict[int, int]:
    """Return the bands whose description is the row's name; empty unless every row finds exactly one.

    Args:
        rows: band at training and its name.
        names: of the layer's bands, as QGIS shows them: `Band 1: red`.
        title: of the layer at training, which may precede the name: `Band 1: optical: red`.
    """
    plain = [name.partition(": ")[2].strip().casefold() for name in names]
    before = title.strip().casefold()
    found = {}
    for index, name in rows:
        wanted = name.strip().casefold()
        fitting = [
            band
            for band, text in enumerate(plain, 1)
            if text in (wanted, f"{before}: {wanted}", f"{before} {wanted}")
        ]
        if len(fitting) != 1:
            return {}
        found[index] = fitting[0]
    return found
