"""Add what is derived from one band and its neighbourhood: relief of a DEM, or filtered radar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QLineEdit, QWidget

from ....contract import TERRAIN_DEFAULTS, Band
from ....jobs.additions import Addition
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from .dialog import AddDialog, BandOption, band_combo, name_edit, name_of


@dataclass(frozen=True)
class Parameter:
    """A number of a derivation (or, with a text as value, a list of numbers)."""

    key: str
    title: str
    value: float | str
    unit: str = ""
    low: float = 0.0
    high: float = 1e6
    decimals: int = 0


@dataclass(frozen=True)
class Derivation:
    """What can be derived: its key in the contract, its name, its use, and its parameters."""

    key: str
    title: str
    why: str
    parameters: tuple[Parameter, ...] = ()


class DerivedDialog(AddDialog):
    """Chooses a band, what is derived from it, and the parameters of that."""

    def __init__(
        self,
        title: str,
        intro: str,
        options: Sequence[BandOption],
        derivations: Sequence[Derivation],
        parent: QWidget | None = None,
        wants_dem: bool = False,
    ) -> None:
        super().__init__(title, intro, parent)
        self._options = [item for item in options if item.input.layer_id]
        self._derivations = {item.key: item for item in derivations}
        self.band = band_combo(self._options, tr("choose a band"))
        likely = [place for place, item in enumerate(self._options) if item.dem or not wants_dem]
        if len(likely) == 1:
            self.band.setCurrentIndex(self.band.findData(likely[0]))
        self.derive = QComboBox()
        for item in derivations:
            self.derive.addItem(item.title, item.key)
        self.why = small_label("")
        self.form.addRow(tr("Band"), self.band)
        self.form.addRow(tr("Derive"), self.derive)
        self.form.addRow(self.why)
        self.inputs: dict[tuple[str, str], QWidget] = {}
        self._labels: dict[tuple[str, str], QLabel] = {}
        for item in derivations:
            for parameter in item.parameters:
                place = (item.key, parameter.key)
                self.inputs[place], self._labels[place] = field_of(parameter), QLabel(parameter.title)
                self.form.addRow(self._labels[place], self.inputs[place])
        self.name = name_edit()
        self.form.addRow(tr("Name"), self.name)
        self.band.currentIndexChanged.connect(self._on_changed)
        self.derive.currentIndexChanged.connect(self._on_changed)
        self._on_changed()

    def _on_changed(self, *_index: int) -> None:
        chosen = self._derivations[self.derive.currentData()]
        self.why.setText(chosen.why)
        for place, widget in self.inputs.items():
            widget.setVisible(place[0] == chosen.key)
            self._labels[place].setVisible(place[0] == chosen.key)
        known = self.band.currentData() >= 0
        self.name.setPlaceholderText(f"{self.band.currentText()}: {chosen.title.lower()}" if known else "")
        self.check()

    def complaint(self) -> str:
        if not self._options:
            return tr("There is no raster layer to derive a band from.")
        return tr("Choose a band.") if self.band.currentData() < 0 else ""

    def addition(self) -> Addition:
        place = self._options[self.band.currentData()].input
        chosen = self._derivations[self.derive.currentData()]
        values = {item.key: value_in(self.inputs[chosen.key, item.key]) for item in chosen.parameters}
        band = Band(name_of(self.name), index=place.index, derive=chosen.key, parameters=values)
        return Addition(band.name, (band,), layer_id=place.layer_id)


def field_of(parameter: Parameter) -> QWidget:
    """Return the input for a parameter."""
    if isinstance(parameter.value, str):
        edit = QLineEdit(parameter.value)
        return edit
    box = QgsDoubleSpinBox()
    box.setDecimals(parameter.decimals)
    box.setRange(parameter.low, parameter.high)
    box.setValue(parameter.value)
    box.setClearValue(parameter.value)
    box.setSuffix(parameter.unit)
    return box


def value_in(widget: QWidget) -> float | str:
    """Return the value of an input of `field_of`."""
    if isinstance(widget, QLineEdit):
        return str(widget.text().strip())
    return float(widget.value())  # type: ignore[attr-defined]


def radius_of(attribute: str) -> Parameter:
    """Return the radius of a terrain attribute, with the default that a recipe means."""
    return Parameter("radius_m", tr("Radius"), float(TERRAIN_DEFAULTS[attribute]), " m")


def relief_dialog(options: Sequence[BandOption], parent: QWidget | None = None) -> DerivedDialog:
    """Return the dialog for attributes of relief besides slope, aspect and curvature."""
    found = [
        Derivation(
            "tpi",
            tr("Topographic position (TPI)"),
            tr("Height above the mean of the surroundings: ridges and valleys. 0 m uses the eight neighbours."),
            (radius_of("tpi"),),
        ),
        Derivation(
            "multiscale_tpi",
            tr("Position at several scales"),
            tr("TPI at several radii in one band: landforms of unknown size."),
            (Parameter("radii", tr("Radii in m"), TERRAIN_DEFAULTS["multiscale_tpi"]),),
        ),
        Derivation(
            "local_relief",
            tr("Local relief"),
            tr("Height minus the mean of the surroundings: transfers to other valleys."),
            (radius_of("local_relief"),),
        ),
        Derivation("tri", tr("Ruggedness (TRI)"), tr("Mean difference of a pixel from its neighbours.")),
        Derivation("roughness", tr("Roughness"), tr("Highest minus lowest of a pixel and its neighbours.")),
        Derivation("total_curvature", tr("Total curvature"), tr("Curvature of the land surface in all directions.")),
        Derivation(
            "hillshade",
            tr("Hillshade"),
            tr("Shading by a light source: shows relief as a person interprets it."),
            (
                Parameter("azimuth", tr("Azimuth of light"), 315.0, "°", 0, 360),
                Parameter("altitude", tr("Altitude of light"), 45.0, "°", 0, 90),
            ),
        ),
    ]  # fmt: skip
    return DerivedDialog(
        tr("Add relief"), tr("Derived from a DEM, again at every prediction."), options, found, parent, True
    )


def radar_dialog(options: Sequence[BandOption], parent: QWidget | None = None) -> DerivedDialog:
    """Radar intensity in decibels, and its speckle filtered."""
    window = Parameter("size_px", tr("Window"), 7.0, " px", 3, 31)
    looks = Parameter("looks", tr("Looks"), 1.0, "", 1, 1000)
    found = [
        Derivation(
            "decibel",
            tr("Decibels"),
            tr("10·log10 of linear intensity. With a window of 0 px, no filter is applied before."),
            (Parameter("lee_px", tr("Lee window first"), 0.0, " px", 0, 31), looks),
        ),
        Derivation(
            "lee",
            tr("Lee filter"),
            tr("Smooths speckle and keeps edges (Lee 1980); for linear intensity."),
            (window, looks),
        ),
    ]
    intro = tr(
        "For radar intensity (linear, not yet in decibels). A ratio of polarisations is an expression."
    )
    return DerivedDialog(tr("Add radar bands"), intro, options, found, parent)
