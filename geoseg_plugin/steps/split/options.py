"""The options of the Split page that rarely need changing."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import Qgis
from qgis.PyQt.QtCore import QSignalBlocker
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QWidget

from ...contract import TileJob
from ...panel.texts import split_names, tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.page import AdvancedGroup, Page, narrow_form
from .state import IN_PERCENT, LABELS, LAYERS, SPLIT_FIELDS


class SplitLayers(QWidget):
    """A polygon layer per split: pixels inside it are used for training, validation or test."""

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
    """How pixels are shared among the splits, and which tiles are kept; `fields` are the controls."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.split_field = page.remember("split_field", QComboBox())
        self.split_field.setAccessibleName(tr("Split by"))
        fill_split_fields(self.split_field, [], [])
        self.add_choice(
            tr("Split by"),
            self.split_field,
            tr("Blocks, a field with train, validation or test (or numbers of folds), or areas of your own."),
            "split",
        )
        self.split_layers = SplitLayers(page)
        self.form.addRow(self.split_layers)
        self.fields = self.add_fields(page, TileJob, SPLIT_FIELDS, percent=IN_PERCENT)


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
        combo.addItem(tr("a layer per split"), LAYERS)
        combo.setCurrentIndex(max(combo.findData(current), 0))
