"""Add a spectral index: chosen by name, its bands guessed and correctable."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QWidget

from ...contract import INDICES, ROLES, guess_roles, index_band
from ...jobs.additions import Addition, index_addition
from ..widgets.notes import small_label
from ..words import tr
from .dialog import AddDialog, BandOption, band_combo, name_edit, name_of


class IndexDialog(AddDialog):
    """Chooses from the contract's catalogue; a role is asked for only if the formula names it."""

    def __init__(self, options: Sequence[BandOption], parent: QWidget | None = None) -> None:
        intro = tr("A ratio of bands that brings out one thing and cares less for light and shade.")
        super().__init__(tr("Add a spectral index"), intro, parent)
        self._options = list(options)
        self.index = QComboBox()
        for item in INDICES.values():
            self.index.addItem(f"{item.name} – {item.title}", item.name)
        self.formula = small_label("")
        self.form.addRow(tr("Index"), self.index)
        self.form.addRow(self.formula)
        guessed = guessed_roles(self._options)
        self.roles: dict[str, QComboBox] = {}
        self._labels: dict[str, QLabel] = {}
        for role in ROLES:
            combo = band_combo(self._options, tr("choose a band"))
            combo.setCurrentIndex(combo.findData(guessed.get(role, -1)))
            combo.currentIndexChanged.connect(self.check)
            label = QLabel(role_names().get(role, role))
            self.form.addRow(label, combo)
            self.roles[role], self._labels[role] = combo, label
        self.scale = QgsDoubleSpinBox()
        self.scale.setDecimals(6)
        self.scale.setRange(0.000001, 1000)
        self.scale.setValue(1)
        self.scale.setClearValue(1)
        self.scale.setToolTip(
            tr(
                "What the values are multiplied by to become reflectance from 0 to 1: 0.0001 for Sentinel-2 L2A."
            )
        )
        self._scale_label = QLabel(tr("To reflectance ×"))
        self.form.addRow(self._scale_label, self.scale)
        self.name = name_edit()
        self.form.addRow(tr("Name"), self.name)
        self.index.currentIndexChanged.connect(self._on_index_changed)
        self._on_index_changed()

    def _on_index_changed(self, *_index: int) -> None:
        chosen = INDICES[self.index.currentData()]
        self.formula.setText(tr("{} ({})").format(chosen.formula, chosen.source))
        self.name.setPlaceholderText(chosen.name)
        for role in ROLES:
            for widget in (self.roles[role], self._labels[role]):
                widget.setVisible(role in chosen.roles)
        for widget in (self.scale, self._scale_label):
            widget.setVisible(chosen.reflectance)
        self.check()

    def complaint(self) -> str:
        chosen = INDICES[self.index.currentData()]
        missing = [role_names()[role] for role in chosen.roles if self.roles[role].currentData() < 0]
        return tr("Choose the band for: {}.").format(", ".join(missing)) if missing else ""

    def addition(self) -> Addition:
        chosen = INDICES[self.index.currentData()]
        band = index_band(chosen.name, {role: role for role in chosen.roles}, self.scale.value())
        places = {role: self._options[self.roles[role].currentData()] for role in chosen.roles}
        inputs = [dataclasses.replace(option.input, variable=role) for role, option in places.items()]
        return index_addition(name_of(self.name), str(band.parameters["expression"]), inputs)


def guessed_roles(options: Sequence[BandOption]) -> dict[str, int]:
    """Role -> place in the list, from the layer whose names tell most."""
    layers: dict[str, dict[str, int]] = {}
    for place, option in enumerate(options):
        if option.input.layer_id:
            layers.setdefault(option.input.layer_id, {}).setdefault(option.short, place)
    guesses = [
        {role: places[name] for role, name in guess_roles(places).items()} for places in layers.values()
    ]
    return max(guesses, key=len, default={})


def role_names() -> dict[str, str]:
    """Parts of the spectrum in words."""
    return {
        "blue": tr("Blue"),
        "green": tr("Green"),
        "red": tr("Red"),
        "red_edge": tr("Red edge"),
        "nir": tr("Near infrared"),
        "swir1": tr("Short-wave infrared 1"),
        "swir2": tr("Short-wave infrared 2"),
    }
