"""The choices of the Tiles page that rarely need changing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qgis.core import Qgis
from qgis.PyQt.QtCore import QSignalBlocker
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QWidget

from ...panel.texts import split_names, tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.page import AdvancedGroup, narrow_form

if TYPE_CHECKING:
    from .page import SplitPage

LAYERS = "layers:"
LABELS = "labels:"
"""What the split follows, as the list of fields says it: layers of areas, or a field of the label polygons."""


class SplitLayers(QWidget):
    """A polygon layer a split: what lies in it trains, validates or tests."""

    def __init__(self, page: SplitPage) -> None:
        super().__init__(page)
        form = narrow_form()
        self.setLayout(form)
        self.combos: dict[str, LayerBox] = {}
        for key, name in split_names().items():
            combo = LayerBox(Qgis.LayerFilter.PolygonLayer, tr("choose a polygon layer"))
            combo.setAccessibleName(tr("Area for {}").format(name))
            page.remember(f"split_layer_{key}", combo)
            form.addRow(QLabel(name), combo)
            self.combos[key] = combo

    def ids(self) -> tuple[str, str, str]:
        """Layer ids of train, validation, test; empty where none is chosen."""
        train, validation, test = (combo.layer_id() for combo in self.combos.values())
        return train, validation, test


def add_split_options(page: SplitPage, group: AdvancedGroup) -> None:
    """How ground is given to training, validation and test."""
    page.split_field = page.remember("split_field", QComboBox())
    page.split_field.setAccessibleName(tr("Split by"))
    fill_split_fields(page.split_field, [], [])
    group.add_choice(
        tr("Split by"),
        page.split_field,
        tr("Blocks, a field that says train, validation or test (or fold numbers), or areas of your own."),
        "split",
    )
    page.split_layers = SplitLayers(page)
    group.form.addRow(page.split_layers)
    page.block_px = page.spin_box("block_px", 0, 100_000, 0, tr("found for you"), " px")
    group.add_choice(
        tr("Block size"),
        page.block_px,
        tr("Ground is split in blocks of this size; neighbours look alike, so larger blocks test harder."),
        "block-size-and-buffer",
    )
    page.buffer_px = page.spin_box("buffer_px", -1, 10_000, -1, tr("found for you"), " px")
    group.add_choice(
        tr("Buffer"),
        page.buffer_px,
        tr("A strip between blocks of different splits that nobody uses, so that no tile sees both."),
        "block-size-and-buffer",
    )
    page.folds = page.spin_box("folds", 0, 20, 0, tr("none"), "")
    group.add_choice(
        tr("Folds"),
        page.folds,
        tr("Besides the split, this many datasets that test each part of the ground once (3 or more)."),
        "split",
    )
    page.seed = page.spin_box("seed", 0, 2_000_000_000, 42, "", "")
    group.add_choice(tr("Seed"), page.seed, tr("The same seed gives the same split."), "split")


def add_tile_options(page: SplitPage, group: AdvancedGroup) -> None:
    """Which tiles are kept."""
    page.min_labelled = page.spin_box("min_labelled", 0, 100, 0, tr("any"), " %")
    group.add_choice(
        tr("Least labelled"),
        page.min_labelled,
        tr("Tiles with a smaller share of labelled ground are left out."),
        "tile-size",
    )
    page.empty = page.spin_box("empty", 0, 100, 100, "", " %")
    group.add_choice(
        tr("Empty tiles"),
        page.empty,
        tr("Share of the tiles with background only that is kept."),
        "tile-size",
    )


def fill_split_fields(combo: QComboBox, area: Sequence[str], labels: Sequence[str]) -> None:
    """Offer blocks, fields of the area, fields of the label polygons, and layers; keeps what is chosen."""
    current = combo.currentData()
    with QSignalBlocker(combo):
        combo.clear()
        combo.addItem(tr("blocks"), "")
        for name in area:
            combo.addItem(tr("field “{}” of the area").format(name), name)
        for name in labels:
            combo.addItem(tr("field “{}” of the labels").format(name), f"{LABELS}{name}")
        combo.addItem(tr("a layer for each"), LAYERS)
        combo.setCurrentIndex(max(combo.findData(current), 0))
