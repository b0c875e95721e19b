"""Add a spectral index: chosen by name; bands are proposed by their wavelength or name."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QWidget

from ....contract import INDICES, ROLES, index_band
from ....jobs.additions import Addition, index_addition
from ....jobs.bandroles import LayerBands, guess_bands
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from .dialog import AddDialog, BandOption, band_combo, name_edit, name_of


class IndexDialog(AddDialog):
    """Chooses from the contract's catalogue; a role is shown only if the formula names it.

    A band is proposed, with the reason, only if it is certain; the choices of the user stay.
    """

    def __init__(
        self,
        options: Sequence[BandOption],
        parent: QWidget | None = None,
        layers: Sequence[LayerBands] = (),
    ) -> None:
        intro = tr("A band ratio that highlights one surface type.")
        super().__init__(tr("Add a spectral index"), intro, parent)
        self._options, self._layers = list(options), list(layers)
        self._proposed = dict.fromkeys(ROLES, -1)
        self.index = QComboBox()
        for item in INDICES.values():
            self.index.addItem(f"{item.name} – {item.title}", item.name)
        self.formula = small_label("")
        self.form.addRow(tr("Index"), self.index)
        self.form.addRow(self.formula)
        self.roles: dict[str, QComboBox] = {}
        self._labels: dict[str, QLabel] = {}
        for role in ROLES:
            combo = band_combo(self._options, tr("choose a band"))
            combo.currentIndexChanged.connect(self.check)
            label = QLabel(role_names().get(role, role))
            self.form.addRow(label, combo)
            self.roles[role], self._labels[role] = combo, label
        self.proposal = small_label("")
        self.form.addRow(self.proposal)
        self.scale = QgsDoubleSpinBox()
        self.scale.setDecimals(6)
        self.scale.setRange(0.000001, 1000)
        self.scale.setValue(1)
        self.scale.setClearValue(1)
        self.scale.setToolTip(
            tr("Factor from the values to reflectance from 0 to 1: 0.0001 for Sentinel-2 L2A.")
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
        self._propose(chosen.roles)
        self.check()

    def _propose(self, roles: Sequence[str]) -> None:
        """Fill in the roles that are not chosen yet, and show why each band is proposed."""
        found = guess_bands(self._layers, roles)
        places = {
            (option.input.layer_id, option.input.index): place for place, option in enumerate(self._options)
        }
        reasons = []
        for role in roles:
            combo, guess = self.roles[role], found.bands.get(role)
            place = places.get((guess.input.layer_id, guess.input.index), -1) if guess is not None else -1
            if combo.currentData() == self._proposed[role]:
                combo.setCurrentIndex(combo.findData(place))
                self._proposed[role] = place
            if guess is not None and place >= 0 and combo.currentData() == place:
                reasons.append(f"{role_names()[role]}: {guess.reason}")
        text = tr("Proposed: {}.").format("; ".join(reasons)) if reasons else ""
        if reasons and found.rivals:
            text += " " + tr("Bands of {} also fit.").format("; ".join(found.rivals))
        self.proposal.setText(text)
        self.proposal.setVisible(bool(text))

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


def role_names() -> dict[str, str]:
    """Return the names of parts of the spectrum."""
    return {
        "blue": tr("Blue"),
        "green": tr("Green"),
        "red": tr("Red"),
        "red_edge": tr("Red edge"),
        "nir": tr("Near infrared"),
        "swir1": tr("Short-wave infrared 1"),
        "swir2": tr("Short-wave infrared 2"),
    }
