"""How the selected bands are resampled, filled, scaled and clipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from ....contract import RELIEF_ATTRIBUTES, TERRAIN_ATTRIBUTES, Band
from ....jobs.composition import HEIGHT_UNIT
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from ....panel.widgets.page import lets_shrink, narrow_form

CONSTANT = "constant"


class BandSettings(QWidget):
    """Shows the first of the selected bands; `changed` sends the field that the user set."""

    changed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        form = narrow_form()
        self.setLayout(form)
        self.heading = QLabel()
        self.heading.setWordWrap(True)
        self.resampling = combo(
            resampling_names(),
            tr(
                "How values are resampled. Average and majority use all that a pixel covers, weighted by area; "
                "bilinear and cubic interpolate, and are the average where the grid is coarser."
            ),
        )
        self.fill = combo(gap_names(), tr("What pixels without a value become."))
        self.constant = QgsDoubleSpinBox()
        self.constant.setRange(-1e9, 1e9)
        self.constant.setDecimals(4)
        self.scaling = combo(scaling_names(), tr("How training scales the values."))
        self.low, self.high = percent_box(0.5), percent_box(99.5)
        self.unit = combo(unit_names(), tr("Of the DEM that these bands are derived from."))
        clip = QHBoxLayout()
        for widget in (self.low, QLabel("–"), self.high):
            clip.addWidget(widget)
        form.addRow(self.heading)
        form.addRow(tr("Resampling"), self.resampling)
        form.addRow(tr("Missing values"), self.fill)
        form.addRow(tr("Value"), self.constant)
        form.addRow(tr("Scaling"), self.scaling)
        form.addRow(tr("Clip at"), clip)
        form.addRow(tr("Unit of heights"), self.unit)
        form.addRow(
            small_label(tr("Settings apply to every selected band. Clip limits are drawn in the histogram."))
        )
        self._form = form
        self.resampling.currentIndexChanged.connect(
            lambda: self._report("resampling", self.resampling.currentData())
        )
        self.fill.currentIndexChanged.connect(lambda: self._on_fill())
        self.constant.valueChanged.connect(lambda: self._on_fill())
        self.scaling.currentIndexChanged.connect(lambda: self._report("scaling", self.scaling.currentData()))
        self.unit.currentIndexChanged.connect(lambda: self._report(HEIGHT_UNIT, self.unit.currentData()))
        self.low.valueChanged.connect(lambda: self._on_clip())
        self.high.valueChanged.connect(lambda: self._on_clip())
        self.show_bands([])

    def show_bands(self, bands: Sequence[Band], height_unit: str = "") -> None:
        """Show the settings of the first band, and the unit of the heights that it is derived from."""
        self.setEnabled(bool(bands))
        if not bands:
            self.heading.setText(tr("No band is selected."))
            return
        band = bands[0]
        self.heading.setText(band.name if len(bands) == 1 else tr("{} bands").format(len(bands)))
        inputs = (self.resampling, self.fill, self.constant, self.scaling, self.low, self.high, self.unit)
        blockers = [QSignalBlocker(widget) for widget in inputs]
        self.resampling.setCurrentIndex(self.resampling.findData(band.resampling))
        self.resampling.setEnabled(bool(band.source))
        is_number = band.fill not in gap_names()
        self.fill.setCurrentIndex(self.fill.findData(CONSTANT if is_number else band.fill))
        self.constant.setValue(float(band.fill) if is_number else 0.0)
        self.scaling.setCurrentIndex(self.scaling.findData(band.scaling))
        self.low.setValue(band.clip_percent[0])
        self.high.setValue(band.clip_percent[1])
        self.unit.setCurrentIndex(max(self.unit.findData(height_unit), 0))
        of_heights = all(band.derive in (*TERRAIN_ATTRIBUTES, *RELIEF_ATTRIBUTES) for band in bands)
        self.unit.setVisible(of_heights)
        self._form.labelForField(self.unit).setVisible(of_heights)
        del blockers
        self._show_constant()

    def _show_constant(self) -> None:
        shown = self.fill.currentData() == CONSTANT
        self.constant.setVisible(shown)
        self._form.labelForField(self.constant).setVisible(shown)

    def _on_fill(self) -> None:
        self._show_constant()
        chosen = self.fill.currentData()
        self._report("fill", f"{self.constant.value():g}" if chosen == CONSTANT else chosen)

    def _on_clip(self) -> None:
        if self.low.value() < self.high.value():
            self._report("clip_percent", [self.low.value(), self.high.value()])

    def _report(self, field: str, value: Any) -> None:
        self.changed.emit({field: value})


def combo(names: dict[str, str], why: str) -> QComboBox:
    """Return a list of choices by contract key."""
    widget = QComboBox()
    for key, name in names.items():
        widget.addItem(name, key)
    widget.setToolTip(why)
    lets_shrink(widget)
    return widget


def percent_box(value: float) -> QgsDoubleSpinBox:
    """Return a box for a percentile."""
    box = QgsDoubleSpinBox()
    box.setRange(0, 100)
    box.setDecimals(1)
    box.setSingleStep(0.5)
    box.setValue(value)
    box.setClearValue(value)
    box.setSuffix(" %")
    lets_shrink(box)
    return box


def unit_names() -> dict[str, str]:
    """Return the units of heights by the names of the engine."""
    return {
        "": tr("as the file states"),
        "metre": tr("metres"),
        "foot": tr("feet (international)"),
        "US survey foot": tr("US survey feet"),
        "decimetre": tr("decimetres"),
        "centimetre": tr("centimetres"),
    }


def resampling_names() -> dict[str, str]:
    """Return the ways of resampling by contract key."""
    return {
        "bilinear": tr("Bilinear: quantities"),
        "nearest": tr("Nearest: codes"),
        "cubic": tr("Cubic: smooth quantities"),
        "average": tr("Average"),
        "mode": tr("Majority of codes"),
    }


def gap_names() -> dict[str, str]:
    """Return what missing values become, by contract key; `constant` is a number."""
    return {
        "": tr("kept: pixels not used"),
        "median": tr("median"),
        "interpolate": tr("interpolated"),
        CONSTANT: tr("a number"),
    }


def gap_text(fill: str) -> str:
    """Return the gaps of a band as the table shows them."""
    return {"": tr("stay")}.get(fill) or gap_names().get(fill, fill)


def scaling_names() -> dict[str, str]:
    """Return the scalings by contract key."""
    return {
        "zscore": tr("Mean, deviation"),
        "robust": tr("Median, quartiles"),
        "minmax": tr("0 to 1"),
        "none": tr("none"),
    }
