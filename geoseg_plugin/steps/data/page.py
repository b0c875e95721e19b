"""Step 1: which rasters and bands, which polygons and classes, which area."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from qgis.core import Qgis, QgsCoordinateReferenceSystem
from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ...contract import Labels, default_unlabelled
from ...forms.fields import stored_fields
from ...jobs.choices import DataChoices, LabelEdits, MoreLabels, RasterChoice
from ...layers.legendclasses import LEGEND_FIELD
from ...panel.texts import area_names, tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page
from .options import DataOptions
from .state import DRAWN_FIELDS, LABEL_FIELDS, RasterRow, unlabelled_note
from .widgets.band_section import BandSection
from .widgets.class_table import ClassTable
from .widgets.drawn_labels import DrawnLabels


class DataPage(Page):
    """Emits `prepare_requested`; `changed` asks for a new plan.

    Signals:
        label_layer_changed: the chosen label layer, by id (empty: none).
        class_field_changed: the chosen class field (empty: one class).
        labels_edited: classes of further label layers came or went.
        check_requested: show on the map what is wrong with the labels.
    """

    prepare_requested = pyqtSignal()
    labels_edited = pyqtSignal()
    check_requested = pyqtSignal()
    label_layer_changed = pyqtSignal(str)
    class_field_changed = pyqtSignal(str)

    _missing: tuple[str, ...]

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Choose the inputs of the model (rasters) and what it learns (labels).")
        super().__init__(tr("Data"), intro, parent)
        self._unlabelled_chosen = False
        self._plan, self._missing, self._blocked = "", (), False
        self._add_rasters()
        self._add_labels()
        self._add_area()
        self.options = DataOptions(self)
        self.options.more_labels.changed.connect(self._on_labels_edited)
        self.add_group(self.options)
        self.finish(tr("Prepare d&ata"))
        self.primary.clicked.connect(self.prepare_requested)
        self.on_inputs_changed()

    def _add_rasters(self) -> None:
        form = self.section(tr("Rasters and bands"))
        self.bands = BandSection()
        self.tree = self.bands.tree
        self.bands.changed.connect(self._on_bands_changed)
        form.addRow(self.bands)

    def _add_labels(self) -> None:
        form = self.section(tr("Labels"))
        kinds = Qgis.LayerFilter.HasGeometry | Qgis.LayerFilter.RasterLayer
        self.label_layer = LayerBox(kinds, tr("choose a vector layer or a raster of classes"))
        self.label_layer.setAccessibleName(tr("Layer with the labels"))
        self.remember("label_layer", self.label_layer)
        self.class_field = self.remember("class_field", QComboBox())
        self.class_field.setAccessibleName(tr("Field with the class"))
        self.legend = ClassTable()
        self.legend.edited.connect(self._on_input_changed)
        self.check_button = QPushButton(tr("&Check labels"))
        self.check_button.setToolTip(
            tr("Shows on the map what is wrong with the labels, each with its reason.")
        )
        self.check_button.clicked.connect(self.check_requested)
        self.filter_note = small_label("")
        form.addRow(tr("La&yer"), self.label_layer)
        form.addRow(self.filter_note)
        self.drawn = DrawnLabels(self, form)
        self.drawn.selected_only.toggled.connect(lambda _ticked: self.labels_edited.emit())
        form.addRow(tr("Class field"), self.class_field)
        form.addRow(self.legend)
        self._points = self._lines = False
        self.show_label_note("")
        form.addRow(self.check_button)
        self.label_layer.layerChanged.connect(self._on_label_layer_changed)
        self.class_field.currentIndexChanged.connect(self._on_class_field_changed)

    def _add_area(self) -> None:
        form = self.section(tr("Area"))
        self.area_kind = self.remember("area_kind", QComboBox())
        for key, name in area_names().items():
            self.area_kind.addItem(name, key)
        self.area_kind.setToolTip(tr("Only pixels inside the area are used for training and testing."))
        self.area_layer = LayerBox(Qgis.LayerFilter.PolygonLayer, tr("choose a polygon layer"))
        self.remember("area_layer", self.area_layer)
        self.area_ratio = self.remember("area_ratio", QgsDoubleSpinBox())
        self.area_ratio.setRange(0, 1)
        self.area_ratio.setSingleStep(0.05)
        self.area_ratio.setValue(0.3)
        self.area_ratio.setClearValue(0.3)
        self.area_ratio.setToolTip(tr("0 follows the polygons most closely, 1 is the convex hull."))
        self.area_layer_label, self.area_ratio_label = (
            QLabel(tr("Area layer")),
            QLabel(tr("Looseness of the hull")),
        )
        form.addRow(tr("Use"), self.area_kind)
        form.addRow(self.area_layer_label, self.area_layer)
        form.addRow(self.area_ratio_label)
        form.addRow(self.area_ratio)
        self._suggested = ""
        self.suggestion = small_label("")
        self.suggestion.linkActivated.connect(self._on_suggestion_taken)
        self.suggestion.hide()
        form.addRow(self.suggestion)
        self._add_unlabelled(form)

    def _add_unlabelled(self, form: Any) -> None:
        self.background = QRadioButton(tr("Background (a class of its own)"))
        self.unknown = QRadioButton(tr("Unlabelled (ignored)"))
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
        form.addRow(small_label(tr("Unlabelled pixels inside the area are")))
        form.addRow(box)
        form.addRow(self.unlabelled_note)

    def set_rasters(self, rows: Sequence[RasterRow]) -> None:
        """Show the raster layers to choose from."""
        self.tree.set_layers(rows)

    def set_class_fields(self, fields: Sequence[str], proposed: str = "", is_raster: bool = False) -> None:
        """Show the fields of the chosen label layer; keeps the chosen one where it still exists."""
        one = tr("Values of the raster") if is_raster else tr("One class: every feature")
        shown = {LEGEND_FIELD: tr("As the legend shows")}
        entries = [(one, ""), *((shown.get(name, name), name) for name in fields)]
        box, current = self.class_field, self.class_field.currentData()
        if entries == [(box.itemText(place), box.itemData(place)) for place in range(box.count())]:
            self.labels_edited.emit()
            return
        with QSignalBlocker(self.class_field):
            self.class_field.clear()
            for text, name in entries:
                self.class_field.addItem(text, name)
            self.class_field.setEnabled(not is_raster)
            index = self.class_field.findData(current or proposed)
            self.class_field.setCurrentIndex(max(index, 0))
        self._on_class_field_changed()

    def show_planning(self) -> None:
        """Show that the engine works out the grid; the former plan stays until then."""
        self.sentence.set_text(self._with_missing(tr("Working out the grid…")), for_now=True)

    def show_plan(
        self, sentence: str, problems: Sequence[Any], fixes: Mapping[str, str] | None = None
    ) -> None:
        """Show what would result, the problems, and links that fix them (by code)."""
        self._plan = sentence
        self.sentence.set_text(self._with_missing(sentence))
        self.problem_list.set_problems(problems, fixes)

    def show_missing(self, hints: Sequence[str]) -> None:
        """Show what must still be chosen before anything can be prepared."""
        if tuple(hints) != self._missing:
            self._missing = tuple(hints)
            self.sentence.set_text(self._with_missing(self._plan))
        self._update_ready()

    def set_blocked(self, blocked: bool) -> None:
        """Set whether an error of the plan blocks the step."""
        self._blocked = blocked
        self._update_ready()

    def _with_missing(self, sentence: str) -> str:
        return "\n".join(filter(None, (sentence, " ".join(self._missing))))

    def _update_ready(self) -> None:
        self.set_ready(not self._blocked and not self._missing)
        why = [*self._missing, *([tr("First solve the errors above.")] if self._blocked else [])]
        self.primary.setToolTip(" ".join(why))

    def show_label_note(self, text: str) -> None:
        """Show how many features a filter leaves, or that classes follow later; an empty text hides it."""
        self.filter_note.setText(text)
        self.filter_note.setVisible(bool(text))

    def show_drawn(self, points: bool, lines: bool, selected: int) -> None:
        """Show what labels of these kinds need, and how many features of the label layer are selected."""
        self.drawn.show_selection(selected)
        self.drawn.show_kinds(points, lines)
        if (points, lines) != (self._points, self._lines):
            self._points, self._lines = points, lines
            self.on_inputs_changed()

    def show_reference(self, name: str) -> None:
        """Show the layer that gives the grid where the user chooses none."""
        text = tr("automatic: {}").format(name) if name else tr("automatic")
        self.options.reference.setItemText(0, text)

    def show_suggestion(self, suggestion: dict[str, Any] | None) -> None:
        """Propose another CRS with the reason; None proposes nothing."""
        found = suggestion or {}
        self._suggested = str(found.get("crs") or "")
        reason = html.escape(str(found.get("reason") or ""))
        link = tr("Use {}").format(self._suggested)
        self.suggestion.setText(f'{reason} <a href="{html.escape(self._suggested)}">{html.escape(link)}</a>')
        self.suggestion.setVisible(bool(self._suggested))

    def _on_suggestion_taken(self, crs: str) -> None:
        self.show_suggestion(None)
        self.options.crs.setCrs(QgsCoordinateReferenceSystem(crs))

    def show_prepared(self, text: str, problems: Sequence[Any]) -> None:
        """Show that the dataset is there, with a link to the next step."""
        self.next_step.show_done(text, tr("Next: split"), "tiles")
        self.problem_list.set_problems(problems)

    def forget(self) -> None:
        """Begin anew: another project."""
        self._unlabelled_chosen = False
        self.bands.forget()
        self.legend.set_edits(LabelEdits())
        self.drawn.selected_only.setChecked(False)
        self.options.more_labels.set_layers([])
        self.show_suggestion(None)
        self.next_step.show_done("")
        self.show_plan("", [])
        self.set_blocked(False)

    def choices(self) -> DataChoices:
        """Return what is chosen now."""
        crs = self.options.crs.crs()
        return DataChoices(
            name=self.options.name.text().strip(),
            rasters=self.tree.choices(),
            label_layer_id=self.label_layer.layer_id(),
            class_field=self.class_field.currentData() or "",
            area_kind=self.area_kind.currentData(),
            area_layer_id=self.area_layer.layer_id(),
            area_ratio=self.area_ratio.value(),
            unlabelled="background" if self.background.isChecked() else "unknown",
            crs=(crs.authid() or crs.toWkt()) if crs.isValid() else "",
            pixel_size=self.options.pixel_size.value() or None,
            reference_layer_id=self.options.reference.currentData() or "",
            write_stack=self.options.write_stack.isChecked(),
            additions=self.bands.additions,
            settings=self.bands.settings,
            mosaics=self.bands.mosaics,
            edits=self.legend.edits(),
            more_labels=self.options.more_labels.layers(),
            selected_only=self.drawn.selected_only.isChecked(),
            sampled=self._points or self._lines,
            **stored_fields(Labels, (*LABEL_FIELDS, *DRAWN_FIELDS), super().values()),
        )

    def values(self) -> dict[str, Any]:
        """Return the values as `Page`, with the ticks of the tree once the user has changed it."""
        found = super().values()
        found["unlabelled_chosen"] = self._unlabelled_chosen
        edits = self.legend.edits()
        found.update(self.bands.values())
        found["classes"] = {"same_as": edits.same_as, "left_out": list(edits.left_out)}
        found["more_labels"] = [
            [item.layer_id, item.class_field] for item in self.options.more_labels.layers()
        ]
        return found

    def restore(self, values: dict[str, Any]) -> None:
        """Put remembered values back, as `Page`."""
        self._unlabelled_chosen = bool(values.get("unlabelled_chosen"))
        self.bands.restore(values)
        classes = values.get("classes") or {}
        self.legend.set_edits(
            LabelEdits(dict(classes.get("same_as") or {}), tuple(classes.get("left_out") or []))
        )
        self.options.more_labels.set_layers([MoreLabels(*item) for item in values.get("more_labels") or []])
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
        field, sampled = self.class_field.currentData() or "", self._points or self._lines
        proposed = default_unlabelled(field, self.area_kind.currentData(), sampled)
        with QSignalBlocker(self.unlabelled):
            (self.unknown if proposed == "unknown" else self.background).setChecked(True)

    def _explain_unlabelled(self) -> None:
        self.unlabelled_note.setText(unlabelled_note(self.choices()))

    def _on_unlabelled_toggled(self, _button: object, _checked: bool) -> None:
        if not self._restoring:
            self._unlabelled_chosen = True

    def _on_bands_changed(self) -> None:
        self._fill_reference(self.tree.choices())
        self._on_input_changed()

    def _fill_reference(self, choices: Sequence[RasterChoice]) -> None:
        current = self.options.reference.currentData()
        automatic = self.options.reference.itemText(0) or tr("automatic")
        with QSignalBlocker(self.options.reference):
            self.options.reference.clear()
            self.options.reference.addItem(automatic, "")
            for choice in choices:
                self.options.reference.addItem(self.tree.layer_name(choice.layer_id), choice.layer_id)
            self.options.reference.setCurrentIndex(max(self.options.reference.findData(current), 0))

    def _on_labels_edited(self) -> None:
        """Further label layers came or went."""
        self.labels_edited.emit()
        self._on_input_changed()

    def _on_label_layer_changed(self, layer: Any) -> None:
        if layer is not None:
            self.options.name.setPlaceholderText(layer.name())
        self.label_layer_changed.emit(layer.id() if layer is not None else "")

    def _on_class_field_changed(self, *_index: int) -> None:
        if self.primary is None:
            return
        self.on_inputs_changed()
        self.class_field_changed.emit(self.class_field.currentData() or "")
        if not self._restoring:
            self.changed.emit()
