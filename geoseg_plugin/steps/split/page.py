"""Step 2: tiles, and which parts of the area are for training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QGridLayout, QLabel, QSpinBox, QWidget

from ...contract import TileJob, default_of
from ...forms.fields import stored_fields
from ...jobs.choices import NamedPath
from ...panel.texts import split_names, tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page
from ...panel.widgets.tables import ReadOnlyTable, fill_counts
from .options import SplitOptions, fill_split_fields
from .state import IN_PERCENT, LAYERS, SHARES, SPLIT_FIELDS, SplitChoices, made_sentence, split_note

TILE_SIZES = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
OVERLAPS = (0, 25, 50)


class SplitPage(Page):
    """Emits `tiles_requested` and `dataset_chosen` with the folder of another dataset."""

    tiles_requested = pyqtSignal()
    dataset_chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr(
            "Cut the data into tiles and keep whole blocks apart, so that the test is independent of the training."
        )
        super().__init__(tr("Split"), intro, parent)
        self.pixel_size = 0.0
        self.unit = ""
        form = self.section(tr("Dataset"))
        self.dataset = QComboBox()
        self.remember("dataset", self.dataset, in_project=False)
        self.dataset.setAccessibleName(tr("Dataset"))
        self.dataset.activated.connect(lambda _index: self.dataset_chosen.emit(self.dataset.currentData()))
        form.addRow(self.dataset)
        self._add_tiles()
        self._add_shares()
        self.options = SplitOptions(self)
        self.add_group(self.options)
        self.split_note = small_label("")
        self.split_note.hide()
        self.body.addWidget(self.split_note)
        self.counts = ReadOnlyTable(tr("Labelled pixels per class and split"))
        self.body.addWidget(self.counts)
        self.finish(tr("Make &tiles"))
        self.primary.clicked.connect(self.tiles_requested)
        self.on_inputs_changed()

    def _add_tiles(self) -> None:
        form = self.section(tr("Tiles"))
        self.tile_px = self.remember("tile_px", QComboBox())
        for size in TILE_SIZES:
            self.tile_px.addItem(tr("{0} × {0} px").format(size), size)
        self.tile_px.setCurrentIndex(TILE_SIZES.index(default_of(TileJob, "tile_px")))
        self.tile_px.setToolTip(tr("Large enough to show an object and what surrounds it."))
        self.overlap = self.remember("overlap", QComboBox())
        for share in OVERLAPS:
            self.overlap.addItem(tr("{} %").format(share) if share else tr("none"), share)
        self.overlap.setToolTip(tr("Overlap gives more tiles; tiles of different splits never overlap."))
        form.addRow(tr("Tile size"), self.tile_px)
        form.addRow(tr("Overlap"), self.overlap)

    def _add_shares(self) -> None:
        self.section(tr("Shares of the area"))
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(2)
        self.shares: dict[str, QSpinBox] = {}
        for column, (key, name) in enumerate(split_names().items()):
            box = self.remember(f"share_{key}", QSpinBox())
            box.setRange(0, 100)
            box.setSingleStep(5)
            box.setValue(SHARES[key])
            box.setSuffix(" %")
            box.setAccessibleName(name)
            label = QLabel(name)
            label.setBuddy(box)
            grid.addWidget(label, 0, column)
            grid.addWidget(box, 1, column)
            self.shares[key] = box
            box.valueChanged.connect(lambda _value, changed=key: self._balance(changed))
        self.body.addLayout(grid)

    def set_datasets(self, entries: Sequence[NamedPath], current: str) -> None:
        """Show the datasets of the workspace; `current` is the folder in use."""
        with QSignalBlocker(self.dataset):
            self.dataset.clear()
            if not entries:
                self.dataset.addItem(tr("none yet: prepare data first"), "")
            elif not current:
                self.dataset.addItem(tr("choose one, or prepare data"), "")
            for entry in entries:
                self.dataset.addItem(f"{entry.title}  {entry.note}".strip(), entry.path)
            self.dataset.setCurrentIndex(max(self.dataset.findData(current), 0))
        self.on_inputs_changed()

    def set_split_fields(self, fields: Sequence[str], of_labels: Sequence[str] = ()) -> None:
        """Show the fields of the area layer, and of the label polygons, that could name the split."""
        fill_split_fields(self.options.split_field, fields, of_labels)
        self.on_inputs_changed()

    def set_pixel_size(self, size: float, unit: str) -> None:
        """Pixel size of the dataset's grid, for the sentence."""
        self.pixel_size, self.unit = size, unit
        self.on_inputs_changed()

    def choices(self) -> SplitChoices:
        """Return what is chosen now."""
        train, validation, test = (box.value() / 100 for box in self.shares.values())
        return SplitChoices(
            tile_px=self.tile_px.currentData(),
            overlap_percent=self.overlap.currentData(),
            fractions=(train, validation, test),
            split_field=self.options.split_field.currentData() or "",
            split_layer_ids=self.options.split_layers.ids(),
            options=stored_fields(TileJob, SPLIT_FIELDS, self.values(), IN_PERCENT),
        )

    def show_made(self, result: dict[str, Any]) -> None:
        """Show how many tiles there are and where to go next."""
        self.split_note.setText(split_note(result))
        self.split_note.setVisible(bool(self.split_note.text()))
        self.next_step.show_done(made_sentence(result), tr("Next: train"), "train")

    def show_counts(self, classes: Sequence[Any], counts: dict[str, dict[str, int]]) -> None:
        """Labelled pixels per class and split."""
        fill_counts(self.counts, classes, counts)

    def on_inputs_changed(self) -> None:
        choices = self.choices()
        self.options.split_layers.setVisible(choices.split_field == LAYERS)
        if self.primary is not None and not self.dataset.currentData():
            self.sentence.set_text(tr("Prepare data first: there is no dataset to split."))
            return
        self.sentence.set_text(choices.sentence(self.pixel_size, self.unit))

    def _balance(self, changed: str) -> None:
        """Keep the sum at 100 by changing the others, train first."""
        excess = sum(box.value() for box in self.shares.values()) - 100
        for key in sorted(self.shares, key=lambda item: (item == changed, item != "train")):
            box = self.shares[key]
            with QSignalBlocker(box):
                before = box.value()
                box.setValue(before - excess)
                excess -= before - box.value()
        if not self._restoring:
            self.on_inputs_changed()
