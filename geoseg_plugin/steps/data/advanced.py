"""The choices of the Data page that rarely need changing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.gui import QgsDoubleSpinBox, QgsProjectionSelectionWidget
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLineEdit

from ...panel.texts import tr
from ...panel.widgets.page import AdvancedGroup
from .widgets.more_labels import MoreLabelLayers

if TYPE_CHECKING:
    from .page import DataPage


def add_label_options(page: DataPage, group: AdvancedGroup) -> None:
    """Further label layers, and ground that is left out because it is doubtful."""
    page.more_labels = MoreLabelLayers()
    page.more_labels.changed.connect(page.on_labels_edited)
    group.add_choice(
        tr("More labels"),
        page.more_labels,
        tr("Further polygon layers: one a class, as with scarps and deposits, or by a field."),
        "labels",
    )
    page.border_px = page.spin_box("border_px", 0, 50, 0, tr("none"), " px")
    group.add_choice(
        tr("Border"),
        page.border_px,
        tr("Pixels along borders between classes that do not count: for sloppy digitising."),
        "labels",
    )
    page.min_area_px = page.spin_box("min_area_px", 0, 10_000, 0, tr("none"), " px")
    group.add_choice(
        tr("Least area"),
        page.min_area_px,
        tr("Pieces of a class with fewer pixels do not count: they teach noise."),
        "labels",
    )
    page.all_touched = page.remember("all_touched", QCheckBox(tr("Polygons take every pixel they touch")))
    group.add_choice(
        "",
        page.all_touched,
        tr("For objects narrower than a pixel; otherwise a pixel belongs to what holds its centre."),
        "labels",
    )


def add_grid_options(page: DataPage, group: AdvancedGroup) -> None:
    """Name of the dataset, target grid, and whether the stack is written."""
    page.name = page.remember("name", QLineEdit())
    page.name.setPlaceholderText(tr("name of the label layer"))
    group.add_choice(tr("Name"), page.name, tr("Names the folder of this dataset."), "data")
    page.reference = page.remember("reference", QComboBox())
    group.add_choice(
        tr("Reference"),
        page.reference,
        tr(
            "The output grid takes its CRS, pixel size and alignment from this layer, whose pixels stay as they are. "
            "Automatic: a layer in the projected CRS of the labels, else a projected one, else one in degrees; among "
            "equals the finest pixels."
        ),
        "grid",
    )
    page.crs = QgsProjectionSelectionWidget()
    page.crs.setOptionVisible(QgsProjectionSelectionWidget.CrsOption.CrsNotSet, True)
    page.crs.setNotSetText(tr("that of the reference"))
    page.remember("crs", page.crs)
    group.add_choice(
        tr("CRS"), page.crs, tr("Choose one in metres when the reference is in degrees."), "grid"
    )
    page.pixel_size = page.remember("pixel_size", QgsDoubleSpinBox())
    page.pixel_size.setRange(0, 1e6)
    page.pixel_size.setDecimals(6)
    page.pixel_size.setSpecialValueText(tr("that of the reference"))
    page.pixel_size.setClearValue(0)
    group.add_choice(
        tr("Pixel size"),
        page.pixel_size,
        tr("Larger pixels train faster and see further; smaller ones keep detail only if the data has it."),
        "grid",
    )
    page.write_stack = page.remember("write_stack", QCheckBox(tr("Write the stack to disk")))
    page.write_stack.setChecked(True)
    group.add_choice(
        "",
        page.write_stack,
        tr("Trains faster; without it bands are read from your files each time."),
        "grid",
    )
