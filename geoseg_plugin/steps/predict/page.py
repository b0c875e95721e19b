"""Step 4: map an area with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsRectangle
from qgis.gui import QgsExtentWidget
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QWidget

from ...jobs.choices import NamedPath, PredictChoices
from ...jobs.predict import views
from ...layers.snapshot import crs_text
from ...panel.texts import tr
from ...panel.widgets.layer_box import LayerBox
from ...panel.widgets.notes import ProblemList, small_label
from ...panel.widgets.page import AdvancedGroup, Page, lets_shrink
from ...panel.widgets.unfinished import Unfinished
from .inputs import Slot, SlotSection
from .options import CleaningOptions, LayerOptions, PolygonOptions, QualityOptions
from .state import cleaning_title, layers_title, outlines_title, place_names, quality_title, settings_of
from .widgets.legend import ClassLegend

__all__ = ["PredictPage", "Slot"]


class PredictPage(Page):
    """The Predict page; `changed` requests a new plan, `place_requested` the layer with the places of a warning."""

    predict_requested = pyqtSignal()
    model_chosen = pyqtSignal(str)
    browse_requested = pyqtSignal()
    resume_requested = pyqtSignal(str)
    attach_requested = pyqtSignal(str)
    place_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Apply a model to the layers it was trained on, or to others of the same kind.")
        super().__init__(tr("Predict"), intro, parent)
        self._kept: dict[str, Any] = {}
        self._ensemble = False
        self._add_model()
        self.section(tr("Layers for the model"))
        self.slots = SlotSection(self)
        self.slots.bands_changed.connect(self._on_input_changed)
        self.body.addWidget(self.slots)
        self._add_place()
        self._add_outputs()
        self._add_options()
        self._add_unfinished()
        self.finish(tr("Predic&t"))
        self.warnings = ProblemList(max_lines=6)
        self.warnings.setAccessibleName(tr("Warnings of the map"))
        self.warnings.place_requested.connect(self.place_requested)
        self.result_note = small_label("")
        self.result_note.hide()
        for widget in (self.warnings, self.result_note):
            self.foot.insertWidget(self.foot.indexOf(self.next_step) + 1, widget)
        self.set_ready(False)
        self.primary.clicked.connect(self.predict_requested)
        self.on_inputs_changed()

    def _add_model(self) -> None:
        self.section(tr("Model"))
        row = QHBoxLayout()
        self.model = QComboBox()
        self.model.setAccessibleName(tr("Model"))
        lets_shrink(self.model)
        self.model.currentIndexChanged.connect(self._on_model_changed)
        browse = QPushButton(tr("&Browse…"))
        browse.setToolTip(tr("A model.onnx of GeoSeg, or a segmentation model for Deepness"))
        browse.clicked.connect(self.browse_requested)
        row.addWidget(self.model, 1)
        row.addWidget(browse)
        self.body.addLayout(row)
        self.model_note = small_label("")
        self.model_note.linkActivated.connect(self.guide_requested)
        self.model_note.hide()
        self.legend = ClassLegend()
        self.body.addWidget(self.model_note)
        self.body.addWidget(self.legend)

    def _add_place(self) -> None:
        form = self.section(tr("Where"))
        self.place = self.remember("place", QComboBox())
        self.place.setAccessibleName(tr("Where to predict"))
        for key, name in place_names().items():
            self.place.addItem(name, key)
        self.area_layer = LayerBox(Qgis.LayerFilter.PolygonLayer, tr("choose a polygon layer"))
        self.area_layer.setAccessibleName(tr("Polygons to predict in"))
        self.remember("area_layer", self.area_layer)
        self.rectangle = QgsExtentWidget(None, QgsExtentWidget.WidgetStyle.CondensedStyle)
        self.rectangle.setNullValueAllowed(True, tr("none yet: draw it on the map"))
        self.rectangle.setAccessibleName(tr("Rectangle to predict in"))
        self.rectangle.setToolTip(tr("Draw it on the map, use the extent of a layer, or enter its edges."))
        self.rectangle.extentChanged.connect(self._on_input_changed)
        lets_shrink(self.rectangle)
        for widget in (self.place, self.area_layer, self.rectangle):
            form.addRow(widget)

    def _add_outputs(self) -> None:
        form = self.section(tr("Layers besides the classes"))
        self.polygons = self.remember("polygons", QCheckBox(tr("Polygons with score and area")))
        self.polygons.setToolTip(tr("One polygon per object, with class, score and area."))
        self.confidence = self.remember("confidence", QCheckBox(tr("Confidence per pixel")))
        self.confidence.setToolTip(tr("Probability of the class on the map, 0 to 1."))
        for box in (self.polygons, self.confidence):
            box.setChecked(True)
            form.addRow(box)

    def _add_options(self) -> None:
        self.layers, self.quality = LayerOptions(self), QualityOptions(self)
        self.cleaning, self.outlines = CleaningOptions(self), PolygonOptions(self)
        for group in (self.layers, self.quality, self.cleaning, self.outlines):
            self.add_group(group)

    def _settings(self) -> dict[str, Any]:
        """Fields of the job, but the layers that are written."""
        return settings_of(super().values())

    def _add_unfinished(self) -> None:
        sentence = tr("A prediction was interrupted. It can be resumed; finished parts are kept.")
        self.unfinished = Unfinished(tr("Unfinished predictions"), sentence)
        self.unfinished.resume_requested.connect(self.resume_requested)
        self.unfinished.attach_requested.connect(self.attach_requested)
        self.foot.addWidget(self.unfinished)

    # what is shown

    @property
    def wanted_model(self) -> str:
        """The model that the project remembers; empty once it was shown."""
        return str(self._kept.get("model") or "")

    def set_models(self, models: Sequence[NamedPath], current: str) -> None:
        """Show the models to choose from; `current` is kept or chosen."""
        kept = current or self.model.currentData() or ""
        before = self.model.currentData()
        with QSignalBlocker(self.model):
            self.model.clear()
            if not models:
                self.model.addItem(tr("none yet"), "")
            for item in models:
                self.model.addItem(f"{item.title}  {item.note}".strip(), item.path)
            self.model.setCurrentIndex(max(self.model.findData(kept), 0))
        if self.model.currentData() != before:
            self._on_model_changed()
        elif not self.model.currentData():
            self.show_plan("", [])

    def set_slots(
        self, slots: Sequence[Slot], note: str, classes: Sequence[Any], ensemble: bool = False
    ) -> None:
        """Show what the chosen model needs, its facts, and whether it is an ensemble."""
        self.slots.set_slots(slots)
        self._show_model(note, classes, ensemble, bool(slots))

    def set_channels(
        self,
        names: Sequence[str],
        bands: Sequence[tuple[str, str, int]],
        note: str = "",
        classes: Sequence[Any] = (),
    ) -> None:
        """Show the channels of a third-party model, and the bands to choose from: title, layer id, band."""
        self.slots.set_channels(names, bands)
        self._show_model(note, classes, False, bool(bands))

    def set_bands(self, names: Sequence[str], bands: Sequence[tuple[str, str, int]]) -> None:
        """Show other bands to choose the channels of a third-party model from; the choices are kept."""
        self.slots.channels.set_channels(names, bands)
        self.set_ready(bool(bands))

    def _show_model(self, note: str, classes: Sequence[Any], ensemble: bool, ready: bool) -> None:
        self.model_note.setText(note)
        self.model_note.setVisible(bool(note))
        self.legend.set_classes(classes)
        self._ensemble = ensemble
        self.set_ready(ready)
        if ready and self._kept and self._kept.get("model") == self.model.currentData():
            kept, self._kept = self._kept, {}
            self.slots.restore(kept)
        self.on_inputs_changed()

    def propose(self, key: str, proposed: str) -> None:
        """Fill a slot that is still empty with a layer, by id."""
        self.slots.propose(key, proposed)

    def show_plan(self, sentence: str, problems: Sequence[Any]) -> None:
        """Show what would be done, and the problems."""
        if not sentence and not self.model.currentData():
            sentence = tr("Train a model first, or browse for one.")
        self.sentence.set_text(sentence)
        self.problem_list.set_problems(problems)

    def show_result(
        self, text: str, warnings: Sequence[Any], located: Sequence[str] = (), note: str = ""
    ) -> None:
        """Show what was done, with a note on how; its warnings stay until the next map.

        `located` are codes of warnings with a layer that shows where.
        """
        self.next_step.show_done(text, tr("See the results"), "results")
        self.result_note.setText(note)
        self.result_note.setVisible(bool(note))
        self.warnings.set_located(located)
        self.warnings.set_problems(warnings)
        self.problem_list.set_problems([])

    def forget_result(self) -> None:
        """Another map is begun."""
        self.next_step.show_done("")
        self.result_note.hide()
        self.warnings.set_problems([])

    def set_busy(self, busy: bool) -> None:
        super().set_busy(busy)
        self.unfinished.button.setEnabled(not busy)

    # what is chosen

    def choices(self) -> PredictChoices:
        """Return what is chosen now."""
        box = self.rectangle.outputExtent() if self.rectangle.isValid() else QgsRectangle()
        corners = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
        crs: QgsCoordinateReferenceSystem = self.rectangle.outputCrs()
        ticks = {"polygons": self.polygons, "confidence": self.confidence, **self.layers.ticks}
        return PredictChoices(
            model=self.model.currentData() or "",
            slots=self.slots.slots(),
            bindings=self.slots.bindings(),
            channels=tuple(self.slots.channels.channels()),
            place=self.place.currentData(),
            area_layer_id=self.area_layer.layer_id(),
            rectangle=None if box.isNull() or box.isEmpty() else corners,
            rectangle_crs=crs_text(crs),
            outputs=tuple(key for key, box in ticks.items() if box.isChecked() and box.isEnabled()),
            settings=self._settings(),
        )

    def values(self) -> dict[str, Any]:
        """Return the values as `Page`, with the model, its layers and the rectangle."""
        found = super().values()
        model = self.model.currentData()
        if self._kept.get("model") and model in ("", None, self._kept["model"]):
            found |= self._kept  # the engine has not described this model yet
        elif model:
            found |= {"model": model, **self.slots.values()}
        choices = self.choices()
        if choices.rectangle is not None:
            found["rectangle"] = [*choices.rectangle, choices.rectangle_crs]
        return found

    def restore(self, values: dict[str, Any]) -> None:
        """Put remembered values back, as `Page`; layers follow when the model has been read."""
        self._kept = {key: values.get(key) for key in ("model", "slots", "bindings", "channels")}
        corners = values.get("rectangle") or []
        if len(corners) == 5:
            crs = QgsCoordinateReferenceSystem(str(corners[4]))
            with QSignalBlocker(self.rectangle):
                self.rectangle.setOutputCrs(crs)
                self.rectangle.setOutputExtentFromUser(QgsRectangle(*map(float, corners[:4])), crs)
        super().restore(values)

    def on_inputs_changed(self) -> None:
        place = self.place.currentData()
        self.area_layer.setVisible(place == "polygons")
        self.rectangle.setVisible(place == "rectangle")
        settings = self._settings()
        predictions = views(settings["tta"], settings["dropout_passes"])
        self.layers.ticks["disagreement"].setEnabled(predictions > 1 or self._ensemble)
        self.quality.fields["int8_loss"].setEnabled(settings["precision"] == "int8")
        self.outlines.fields["right_angles"].setEnabled(not settings["outlines"].smooth)
        self.outlines.setEnabled(self.polygons.isChecked())
        titles: tuple[tuple[AdvancedGroup, str], ...] = (
            (self.layers, layers_title(self.layers.ticked())),
            (self.quality, quality_title(predictions, settings["precision"])),
            (self.cleaning, cleaning_title(settings["cleaning"])),
            (self.outlines, outlines_title(settings["outlines"])),
        )
        for group, title in titles:
            group.setTitle(title)

    def _on_model_changed(self, *_index: int) -> None:
        if self.model.currentData() not in ("", self._kept.get("model")):
            self._kept = {}
        self.show_plan("", [])
        self.forget_result()
        self.set_slots([], "", [])
        self.model_chosen.emit(self.model.currentData() or "")
