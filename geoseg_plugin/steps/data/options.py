"""The options of the Data page that rarely need changing."""

from __future__ import annotations

from qgis.gui import QgsDoubleSpinBox, QgsProjectionSelectionWidget
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLineEdit

from ...contract import Labels
from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup, Page
from .state import LABEL_FIELDS
from .widgets.more_labels import MoreLabelLayers


class DataOptions(AdvancedGroup):
    """Further label layers and pixels that are not used (`labels` are their controls); name, grid and stack."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self._add_labels(page)
        self._add_grid(page)

    def _add_labels(self, page: Page) -> None:
        self.more_labels = MoreLabelLayers()
        self.add_choice(
            tr("More labels"),
            self.more_labels,
            tr("Further layers, such as scarps and deposits: each is one class, or has a class field."),
            "labels",
        )
        self.labels = self.add_fields(page, Labels, LABEL_FIELDS)

    def _add_grid(self, page: Page) -> None:
        self.name = page.remember("name", QLineEdit())
        self.name.setPlaceholderText(tr("name of the label layer"))
        self.add_choice(tr("Name"), self.name, tr("Name of the folder of this dataset."), "data")
        self.reference = page.remember("reference", QComboBox())
        self.add_choice(
            tr("Reference"),
            self.reference,
            tr(
                "The output grid takes its CRS, pixel size and alignment from this layer, whose pixels stay as they "
                "are. Automatic: a layer in the projected CRS of the labels, else a projected one, else one in "
                "degrees; among equals the finest pixels."
            ),
            "grid",
        )
        self.crs = QgsProjectionSelectionWidget()
        self.crs.setOptionVisible(QgsProjectionSelectionWidget.CrsOption.CrsNotSet, True)
        self.crs.setNotSetText(tr("that of the reference"))
        page.remember("crs", self.crs)
        self.add_choice(
            tr("CRS"), self.crs, tr("Choose one in metres when the reference is in degrees."), "grid"
        )
        self.pixel_size = page.remember("pixel_size", QgsDoubleSpinBox())
        self.pixel_size.setRange(0, 1e6)
        self.pixel_size.setDecimals(6)
        self.pixel_size.setSpecialValueText(tr("that of the reference"))
        self.pixel_size.setClearValue(0)
        self.add_choice(
            tr("Pixel size"),
            self.pixel_size,
            tr(
                "Larger pixels train faster and show more context; smaller ones keep detail only if the data has it."
            ),
            "grid",
        )
        self.write_stack = page.remember("write_stack", QCheckBox(tr("Write the stack to disk")))
        self.write_stack.setChecked(True)
        self.add_choice(
            "",
            self.write_stack,
            tr("Training is faster; without it, bands are read from your files each time."),
            "grid",
        )
