"""Step 1: which rasters and bands, which polygons and classes, which area."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsDoubleSpinBox, QgsMapLayerComboBox, QgsProjectionSelectionWidget
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ..choices import DataChoices, RasterChoice, RasterRow
from ..widgets.band_tree import BandTree
from ..widgets.legend import ClassLegend
from ..widgets.notes import small_label
from ..widgets.page import Page
from ..words import area_names, tr

OF_POLYGONS = ("concave_hull", "convex_hull", "bounds")


class DataPage(Page):
    """Emits `prepare_requested`; `changed` asks for a new plan.

    Signals:
        label_layer_changed: the chosen polygon layer, by id (empty: none).
        class_field_changed: the chosen class field (empty: one class).
    """

    prepare_requested = pyqtSignal()
    label_layer_changed = pyqtSignal(str)
    class_field_changed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Choose what the model may see (rasters) and what it shall learn (polygons).")
        super().__init__(tr("Data"), intro, parent)
        self._unlabelled_chosen = False
        self._add_rasters()
        self._add_labels()
        self._add_area()
        self._add_advanced()
        self.finish(tr("Prepare d&ata"))
        self.primary.clicked.connect(self.prepare_requested)
        self.on_inputs_changed()

    def _add_rasters(self) -> None:
        form = self.section(tr("Rasters and bands"))
        self.tree = BandTree()
        self.tree.ticks_changed.connect(self._on_ticks_changed)
        self.band_note = small_label("")
        form.addRow(self.tree)
        form.addRow(self.band_note)

    def _add_labels(self) -> None:
        form = self.section(tr("Labels"))
        self.label_layer = QgsMapLayerComboBox()
        self.label_layer.setFilters(Qgis.LayerFilter.PolygonLayer)
        self.label_layer.setAllowEmptyLayer(True, tr("choose a polygon layer"))
        self.label_layer.setLayer(None)
        self.label_layer.setAccessibleName(tr("Polygon layer with the labels"))
        self.remember("label_layer", self.label_layer)
        self.class_field = self.remember("class_field", QComboBox())
        self.class_field.setAccessibleName(tr("Field with the class"))
        self.legend = ClassLegend()
        form.addRow(tr("Pol&ygons"), self.label_layer)
        form.addRow(tr("Class field"), self.class_field)
        form.addRow(self.legend)
        self.label_layer.layerChanged.connect(self._on_label_layer_changed)
        self.class_field.currentIndexChanged.connect(self._on_class_field_changed)

    def _add_area(self) -> None:
        form = self.section(tr("Area"))
        self.area_kind = self.remember("area_kind", QComboBox())
        for key, name in area_names().items():
            self.area_kind.addItem(name, key)
        self.area_kind.setToolTip(tr("Only ground inside the area is used for training and testing."))
        self.area_layer = QgsMapLayerComboBox()
        self.area_layer.setFilters(Qgis.LayerFilter.PolygonLayer)
        self.area_layer.setAllowEmptyLayer(True, tr("choose a polygon layer"))
        self.area_layer.setLayer(None)
        self.remember("area_layer", self.area_layer)
        self.area_ratio = self.remember("area_ratio", QgsDoubleSpinBox())
        self.area_ratio.setRange(0, 1)
        self.area_ratio.setSingleStep(0.05)
        self.area_ratio.setValue(0.3)
        self.area_ratio.setClearValue(0.3)
        self.area_ratio.setToolTip(tr("0 follows the polygons most closely, 1 is the convex hull."))
        self.area_layer_label, self.area_ratio_label = QLabel(tr("Area layer")), QLabel(tr("Tightness"))
        form.addRow(tr("Use"), self.area_kind)
        form.addRow(self.area_layer_label, self.area_layer)
        form.addRow(self.area_ratio_label, self.area_ratio)
        self._add_unlabelled(form)

    def _add_unlabelled(self, form: Any) -> None:
        self.background = QRadioButton(tr("Background: nothing is there"))
        self.unknown = QRadioButton(tr("Unknown: not looked at"))
        self.background.setProperty("value", "background")
        self.unknown.setProperty("value", "unknown")
        self.background.setChecked(True)
        self.unlabelled = QButtonGroup(self)
        box = QVBoxLayout()
        box.setSpacing(2)
        for button in (self.background, self.unknown):
            self.unlabelled.addButton(button)
            box.addWidget(button)
        self.unlabelled.buttonToggled.connect(self._on_unlabelled_toggled)
        self.remember("unlabelled", self.unlabelled)
        self.unlabelled_note = small_label("")
        form.addRow(small_label(tr("Ground inside the area without a polygon is")))
        form.addRow(box)
        form.addRow(self.unlabelled_note)

    def _add_advanced(self) -> None:
        group = self.advanced()
        self.name = self.remember("name", QLineEdit())
        self.name.setPlaceholderText(tr("name of the polygon layer"))
        group.add_choice(tr("Name"), self.name, tr("Names the folder of this dataset."), "data")
        self.reference = self.remember("reference", QComboBox())
        group.add_choice(
            tr("Reference"),
            self.reference,
            tr("This layer lends its CRS, pixel size and alignment, so its pixels stay as they are."),
            "grid",
        )
        self.crs = QgsProjectionSelectionWidget()
        self.crs.setOptionVisible(QgsProjectionSelectionWidget.CrsOption.CrsNotSet, True)
        self.crs.setNotSetText(tr("that of the reference"))
        self.remember("crs", self.crs)
        group.add_choice(
            tr("CRS"), self.crs, tr("Choose one in metres when the reference is in degrees."), "grid"
        )
        self.pixel_size = self.remember("pixel_size", QgsDoubleSpinBox())
        self.pixel_size.setRange(0, 1e6)
        self.pixel_size.setDecimals(6)
        self.pixel_size.setSpecialValueText(tr("that of the reference"))
        self.pixel_size.setClearValue(0)
        group.add_choice(
            tr("Pixel size"),
            self.pixel_size,
            tr(
                "Larger pixels train faster and see further; smaller ones keep detail only if the data has it."
            ),
            "grid",
        )
        self.write_stack = self.remember("write_stack", QCheckBox(tr("Write the stack to disk")))
        self.write_stack.setChecked(True)
        group.add_choice(
            "",
            self.write_stack,
            tr("Trains faster; without it bands are read from your files each time."),
            "grid",
        )

    def set_rasters(self, rows: Sequence[RasterRow]) -> None:
        """The raster layers to choose from."""
        self.tree.set_layers(rows)

    def set_class_fields(self, fields: Sequence[str], proposed: str = "") -> None:
        """Fields of the chosen polygon layer; keeps the chosen one where it still exists."""
        current = self.class_field.currentData()
        with QSignalBlocker(self.class_field):
            self.class_field.clear()
            self.class_field.addItem(tr("One class: every polygon"), "")
            for name in fields:
                self.class_field.addItem(name, name)
            index = self.class_field.findData(current or proposed)
            self.class_field.setCurrentIndex(max(index, 0))
        self._on_class_field_changed()

    def show_planning(self) -> None:
        """The engine is working out the grid."""
        self.sentence.set_text(tr("Working out the grid…"))

    def show_plan(self, sentence: str, problems: Sequence[Any]) -> None:
        """What would result, and what stands in the way."""
        self.sentence.set_text(sentence)
        self.problem_list.set_problems(problems)

    def show_prepared(self, text: str, problems: Sequence[Any]) -> None:
        """Say that the dataset is there and where to go next."""
        self.next_step.show_done(text, tr("Next: make tiles"), "tiles")
        self.problem_list.set_problems(problems)

    def forget(self) -> None:
        """Begin anew: another project."""
        self.tree.touched = self._unlabelled_chosen = False
        self.next_step.show_done("")

    def choices(self) -> DataChoices:
        """What is chosen now."""
        label_layer, area_layer = self.label_layer.currentLayer(), self.area_layer.currentLayer()
        crs = self.crs.crs()
        return DataChoices(
            name=self.name.text().strip(),
            rasters=self.tree.choices(),
            label_layer_id=label_layer.id() if label_layer else "",
            class_field=self.class_field.currentData() or "",
            area_kind=self.area_kind.currentData(),
            area_layer_id=area_layer.id() if area_layer else "",
            area_ratio=self.area_ratio.value(),
            unlabelled="background" if self.background.isChecked() else "unknown",
            crs=(crs.authid() or crs.toWkt()) if crs.isValid() else "",
            pixel_size=self.pixel_size.value() or None,
            reference_layer_id=self.reference.currentData() or "",
            write_stack=self.write_stack.isChecked(),
        )

    def values(self) -> dict[str, Any]:
        """As of Page, with the ticks of the tree (once the user has touched it)."""
        found = super().values()
        found["unlabelled_chosen"] = self._unlabelled_chosen
        if self.tree.touched:
            found["rasters"] = [
                {"layer": item.layer_id, "bands": item.bands, "terrain": item.terrain}
                for item in self.tree.choices()
            ]
        return found

    def restore(self, values: dict[str, Any]) -> None:
        """As of Page."""
        self._unlabelled_chosen = bool(values.get("unlabelled_chosen"))
        if "rasters" in values:
            self.tree.set_choices([
                RasterChoice(str(item["layer"]), tuple(item["bands"]), tuple(item["terrain"]))
                for item in values["rasters"]
            ])  # fmt: skip
        super().restore(values)
        field = values.get("class_field")
        if isinstance(field, str):
            self.class_field.setCurrentIndex(max(self.class_field.findData(field), 0))

    def on_inputs_changed(self) -> None:
        kind = self.area_kind.currentData()
        for widget in (self.area_layer, self.area_layer_label):
            widget.setVisible(kind == "polygons")
        for widget in (self.area_ratio, self.area_ratio_label):
            widget.setVisible(kind == "concave_hull")
        if not self._unlabelled_chosen:
            self._propose_unlabelled()
        self._explain_unlabelled()

    def _propose_unlabelled(self) -> None:
        sparse = bool(self.class_field.currentData()) and self.area_kind.currentData() != "polygons"
        with QSignalBlocker(self.unlabelled):
            (self.unknown if sparse else self.background).setChecked(True)

    def _explain_unlabelled(self) -> None:
        choices = self.choices()
        if choices.risks_false_background:
            text = tr(
                "⚠ Every pixel of the rasters without a polygon will be taught as background. Is every object "
                "mapped, everywhere? If not, limit the area or choose Unknown."
            )
        elif choices.unlabelled == "unknown" and not choices.class_field:
            text = tr("⚠ With one class and unknown ground there is nothing to tell the class from.")
        elif choices.unlabelled == "unknown":
            text = tr("Right for sample polygons: only ground that you labelled counts.")
        else:
            text = tr(
                "Right when every object inside the area is mapped. Background becomes a class of its own."
            )
        self.unlabelled_note.setText(text)

    def _on_unlabelled_toggled(self, _button: object, _checked: bool) -> None:
        if not self._restoring:
            self._unlabelled_chosen = True

    def _on_ticks_changed(self) -> None:
        choices = self.tree.choices()
        terrain = sum(len(item.terrain) for item in choices)
        bands = sum(len(item.bands) for item in choices)
        if not self.tree.topLevelItemCount():
            self.band_note.setText(tr("Add raster layers to the project: they appear here."))
        elif terrain:
            self.band_note.setText(tr("{} bands and {} of terrain are ticked.").format(bands, terrain))
        else:
            self.band_note.setText(tr("{} bands are ticked.").format(bands))
        self._fill_reference(choices)
        self._on_input_changed()

    def _fill_reference(self, choices: Sequence[RasterChoice]) -> None:
        current = self.reference.currentData()
        with QSignalBlocker(self.reference):
            self.reference.clear()
            self.reference.addItem(tr("first ticked layer"), "")
            for choice in choices:
                self.reference.addItem(self._layer_name(choice.layer_id), choice.layer_id)
            self.reference.setCurrentIndex(max(self.reference.findData(current), 0))

    def _layer_name(self, layer_id: str) -> str:
        for index in range(self.tree.topLevelItemCount()):
            item = self.tree.topLevelItem(index)
            if item.data(0, Qt.ItemDataRole.UserRole + 1) == layer_id:
                return str(item.text(0))
        return layer_id

    def _on_label_layer_changed(self, layer: Any) -> None:
        if layer is not None:
            self.name.setPlaceholderText(layer.name())
        self.label_layer_changed.emit(layer.id() if layer is not None else "")

    def _on_class_field_changed(self, *_index: int) -> None:
        if self.primary is None:
            return
        self.on_inputs_changed()
        self.class_field_changed.emit(self.class_field.currentData() or "")
        if not self._restoring:
            self.changed.emit()


def needs_labels(area_kind: str) -> bool:
    """Whether an area of this kind is drawn around the label polygons."""
    return area_kind in OF_POLYGONS
