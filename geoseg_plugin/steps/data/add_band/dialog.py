"""The frame of a dialog that adds a band: a form, the problem, and two buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from ....jobs.additions import Addition, Input
from ....panel.texts import tr
from ....panel.widgets.notes import small_label
from ....panel.widgets.page import lets_shrink, narrow_form
from ..state import RasterRow

WIDTH_PX, USUAL_WIDTH_PX = 360, 420
ROOMY_PX = 1200
"""A height at which nothing is squeezed, to measure what is needed."""


@dataclass(frozen=True)
class BandOption:
    """A band that can be chosen: of a raster layer (perhaps a DEM), or one that was added (then `input.name`)."""

    text: str
    short: str
    input: Input
    dem: bool = False


class AddDialog(QDialog):
    """Emits `added` with an Addition; the button is enabled while there is no problem."""

    added = pyqtSignal(object)

    def __init__(self, title: str, intro: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setMinimumWidth(WIDTH_PX)
        self.resize(USUAL_WIDTH_PX, ROOMY_PX)
        self.form = narrow_form()
        self.form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self._complaint = small_label("")
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setText(tr("Add"))
        self.buttons.accepted.connect(self._on_accepted)
        self.buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        layout.addWidget(small_label(intro))
        layout.addLayout(self.form)
        layout.addWidget(self._complaint)
        layout.addStretch(1)
        layout.addWidget(self.buttons)

    def addition(self) -> Addition:
        """Return what would be added as chosen now; called only while `complaint` is empty."""
        raise NotImplementedError

    def complaint(self) -> str:
        """Return what is missing, in one sentence; empty when the band can be added."""
        return ""

    def check(self, *_values: object) -> None:
        """Show the problem."""
        text = self.complaint()
        self._complaint.setText(text)
        self._complaint.setVisible(bool(text))
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(not text)

        QTimer.singleShot(0, self._fit)

    def _fit(self) -> None:
        """As high as what is shown needs; the layout's own hint counts rows that are hidden."""
        self.resize(self.width(), ROOMY_PX)
        self.layout().activate()
        shown = [self.form.itemAt(place).widget() for place in range(self.form.count())]
        bottom = max((item.geometry().bottom() for item in shown if item and not item.isHidden()), default=0)
        below = [item.sizeHint().height() for item in (self._complaint, self.buttons) if not item.isHidden()]
        spacing = self.layout().spacing()
        self.resize(self.width(), bottom + sum(below) + spacing * (len(below) + 3))

    def _on_accepted(self) -> None:
        if not self.complaint():
            self.added.emit(self.addition())
            self.accept()


def band_options(rows: Sequence[RasterRow], additions: Sequence[Addition] = ()) -> list[BandOption]:
    """Return all bands of usable layers, and those that were added before."""
    found = []
    for row in rows:
        for index, name in enumerate(row.band_names, 1):
            text = row.name if len(row.band_names) == 1 else f"{row.name}: {name}"
            short = row.name if len(row.band_names) == 1 else name
            if not row.problem:
                found.append(BandOption(text, short, Input("", row.layer_id, index), row.dem))
    for addition in additions:
        found += [BandOption(band.name, band.name, Input("", name=band.name)) for band in addition.bands]
    return found


def band_combo(options: Sequence[BandOption], empty: str = "") -> QComboBox:
    """Return a list of bands; with `empty` the first entry is none of them (data: -1)."""
    combo = QComboBox()
    if empty:
        combo.addItem(empty, -1)
    for place, option in enumerate(options):
        combo.addItem(option.text, place)
    lets_shrink(combo)
    return combo


def name_edit(placeholder: str = "") -> QLineEdit:
    """Return a line for the name of the band; if it is empty, the proposed name in grey is used."""
    edit = QLineEdit()
    edit.setPlaceholderText(placeholder)
    return edit


def name_of(edit: QLineEdit) -> str:
    """Return the name that was written, else the proposed one."""
    return edit.text().strip() or edit.placeholderText()
