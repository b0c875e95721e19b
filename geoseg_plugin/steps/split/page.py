"""Step 2: tiles, and which ground trains, validates and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QGridLayout, QLabel, QSpinBox, QWidget

from ...jobs.choices import NamedPath, TileChoices
from ...panel.texts import split_names, tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page
from ...panel.widgets.tables import ReadOnlyTable, fill_counts
from .options import LABELS, LAYERS, SplitOptions, fill_split_fields

TILE_SIZES = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
OVERLAPS = (0, 25, 50)
SHARES = {"train": 60, "validation": 20, "test": 20}


class SplitPage(Page):
    """Emits `tiles_requested` and `dataset_chosen` with the folder of another dataset."""

    tiles_requested = pyqtSignal()
    dataset_chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr(
            "Cut the data into tiles and keep whole blocks of ground apart, so that the test is honest."
        )
        super().__init__(tr("Tiles"), intro, parent)
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
        self.counts = ReadOnlyTable(tr("Labelled pixels a class and split"))
        self.body.addWidget(self.counts)
        self.finish(tr("Make &tiles"))
        self.primary.clicked.connect(self.tiles_requested)
        self.on_inputs_changed()

    def _add_tiles(self) -> None:
        form = self.section(tr("Tiles"))
        self.tile_px = self.remember("tile_px", QComboBox())
        for size in TILE_SIZES:
            self.tile_px.addItem(tr("{0} × {0} px").format(size), size)
        self.tile_px.setCurrentIndex(TILE_SIZES.index(64))
        self.tile_px.setToolTip(tr("Large enough to show an object and what surrounds it."))
        self.overlap = self.remember("overlap", QComboBox())
        for share in OVERLAPS:
            self.overlap.addItem(tr("{} %").format(share) if share else tr("none"), share)
        self.overlap.setToolTip(tr("Overlap inside a block gives more tiles; blocks never share ground."))
        form.addRow(tr("Tile size"), self.tile_px)
        form.addRow(tr("Overlap"), self.overlap)

    def _add_shares(self) -> None:
        self.section(tr("Share of the ground"))
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
        """Datasets of the workspace; `current` is the folder in use."""
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
        """Fields of the area layer, and of the label polygons, that could name the split."""
        fill_split_fields(self.options.split_field, fields, of_labels)
        self.on_inputs_changed()

    def set_pixel_size(self, size: float, unit: str) -> None:
        """Pixel size of the dataset's grid, for the sentence."""
        self.pixel_size, self.unit = size, unit
        self.on_inputs_changed()

    def choices(self) -> TileChoices:
        """What is chosen now."""
        train, validation, test = (box.value() / 100 for box in self.shares.values())
        return TileChoices(
            tile_px=self.tile_px.currentData(),
            overlap_percent=self.overlap.currentData(),
            fractions=(train, validation, test),
            block_px=self.options.block_px.value(),
            buffer_px=self.options.buffer_px.value(),
            seed=self.options.seed.value(),
            split_field=self.options.split_field.currentData() or "",
            min_labelled_percent=self.options.min_labelled.value(),
            empty_percent=self.options.empty.value(),
            folds=self.options.folds.value(),
            split_layer_ids=self.options.split_layers.ids(),
        )

    def show_made(self, result: dict[str, Any]) -> None:
        """Say how many tiles there are and where to go next."""
        counts = result.get("tile_counts") or {}
        parts = [f"{counts[key]} {name.lower()}" for key, name in split_names().items() if counts.get(key)]
        text = tr("Tiles made: {}.").format(", ".join(parts)) if parts else tr("Tiles made.")
        if result.get("folds"):
            text += " " + tr("{} folds.").format(len(result["folds"]))
        facts = [str(result.get(key) or "") for key in ("block_reason", "split_distance")]
        self.split_note.setText("\n".join(as_sentence(item) for item in facts if item))
        self.split_note.setVisible(bool(self.split_note.text()))
        self.next_step.show_done(text, tr("Next: train"), "train")

    def show_counts(self, classes: Sequence[Any], counts: dict[str, dict[str, int]]) -> None:
        """Labelled pixels a class and split."""
        fill_counts(self.counts, classes, counts)

    def on_inputs_changed(self) -> None:
        choices = self.choices()
        self.options.split_layers.setVisible(choices.split_field == LAYERS)
        if self.primary is not None and not self.dataset.currentData():
            self.sentence.set_text(tr("Prepare data first: there is nothing to cut into tiles."))
            return
        side = choices.tile_px * self.pixel_size
        size = tr(" ({:g} {})").format(round(side, 6), self.unit) if side else ""
        text = tr("Tiles of {0} × {0} px{1}, one every {2} px.").format(
            choices.tile_px, size, choices.stride_px
        )
        if choices.split_field == LAYERS:
            text += " " + tr("Your layers say which ground trains and tests.")
        elif choices.split_field:
            name = choices.split_field.removeprefix(LABELS)
            text += " " + tr("Field “{}” says which ground trains and tests.").format(name)
        else:
            shares = [round(100 * share) for share in choices.fractions]
            text += " " + tr("Blocks: {} % train, {} % choose the best epoch, {} % test.").format(*shares)
        if choices.empty_percent < 100:
            text += " " + tr("{} % of the empty tiles stay.").format(choices.empty_percent)
        if choices.folds:
            text += " " + tr("{} folds besides.").format(choices.folds)
        self.sentence.set_text(text)

    def _balance(self, changed: str) -> None:
        """Keep the sum at 100: the others give or take, train first."""
        excess = sum(box.value() for box in self.shares.values()) - 100
        for key in sorted(self.shares, key=lambda item: (item == changed, item != "train")):
            box = self.shares[key]
            with QSignalBlocker(box):
                before = box.value()
                box.setValue(before - excess)
                excess -= before - box.value()
        if not self._restoring:
            self.on_inputs_changed()


def as_sentence(text: str) -> str:
    """A remark of the engine with a capital and a full stop."""
    whole = text if text.endswith((".", "!", "?")) else f"{text}."
    return whole[:1].upper() + whole[1:]
