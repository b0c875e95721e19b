"""The choices of the Tiles page that rarely need changing."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import Qgis
from qgis.PyQt.QtCore import QSignalBlocker
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QWidget

from ...panel.texts import split_names, tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.page import AdvancedGroup, Page, narrow_form

LAYERS = "layers:"
LABELS = "labels:"
"""What the split follows, as the list of fields says it: layers of areas, or a field of the label polygons."""


class SplitLayers(QWidget):
    """A polygon layer a split: what lies in it trains, validates or tests."""

    def __init__(self, page: Page) -> None:
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


class SplitOptions(AdvancedGroup):
    """Which tiles are kept, and how pixels are given to training, validation and test."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._add_tiles(page)
        self._add_split(page)

    def _add_split(self, page: Page) -> None:
        self.split_field = page.remember("split_field", QComboBox())
        self.split_field.setAccessibleName(tr("Split by"))
        fill_split_fields(self.split_field, [], [])
        self.add_choice(
            tr("Split by"),
            self.split_field,
            tr(
                "Blocks, a field that says train, validation or test (or fold numbers), or areas of your own."
            ),
            "split",
        )
        self.split_layers = SplitLayers(page)
        self.form.addRow(self.split_layers)
        self.block_px = page.spin_box("block_px", 0, 100_000, 0, tr("found for you"), " px")
        self.add_choice(
            tr("Block size"),
            self.block_px,
            tr(
                "Ground is split in blocks of this size; neighbours look alike, so larger blocks test harder."
            ),
            "block-size-and-buffer",
        )
        self.buffer_px = page.spin_box("buffer_px", -1, 10_000, -1, tr("found for you"), " px")
        self.add_choice(
            tr("Buffer"),
            self.buffer_px,
            tr("A strip between blocks of different splits that nobody uses, so that no tile sees both."),
            "block-size-and-buffer",
        )
        self.folds = page.spin_box("folds", 0, 20, 0, tr("none"), "")
        self.add_choice(
            tr("Folds"),
            self.folds,
            tr("Besides the split, this many datasets that test each part of the ground once (3 or more)."),
            "split",
        )
        self.seed = page.spin_box("seed", 0, 2_000_000_000, 42, "", "")
        self.add_choice(tr("Seed"), self.seed, tr("The same seed gives the same split."), "split")

    def _add_tiles(self, page: Page) -> None:
        self.min_labelled = page.spin_box("min_labelled", 0, 100, 0, tr("any"), " %")
        self.add_choice(
            tr("Least labelled"),
            self.min_labelled,
            tr("Tiles with a smaller share of labelled ground are left out."),
            "tile-size",
        )
        self.empty = page.spin_box("empty", 0, 100, 100, "", " %")
        self.add_choice(
            tr("Empty tiles"),
            self.empty,
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
