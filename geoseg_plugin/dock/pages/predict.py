"""Step 4: map an area with a trained model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qgis.core import Qgis
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QWidget

from ..choices import NamedPath, PredictChoices
from ..widgets.legend import ClassLegend
from ..widgets.notes import small_label
from ..widgets.page import Page, lets_shrink, narrow_form
from ..words import tr


@dataclass(frozen=True)
class Slot:
    """A source that the model needs; `proposed` is the id of the layer that fits best.

    `kind` is `raster`, `vector` or `series` (files); the latter two may stay empty: then they are those of training.
    """

    key: str
    name: str
    bands: str
    proposed: str = ""
    kind: str = "raster"


class PredictPage(Page):
    """Emits `predict_requested`, `model_chosen(path)`, `browse_requested`; `changed` asks for a new plan."""

    predict_requested = pyqtSignal()
    model_chosen = pyqtSignal(str)
    browse_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Apply a model to the layers it was trained on, or to others of the same kind.")
        super().__init__(tr("Predict"), intro, parent)
        self._slots: dict[str, QgsMapLayerComboBox] = {}
        self._files: dict[str, QgsFileWidget] = {}
        self._add_model()
        self.section(tr("Layers for the model"))
        self.slot_note = small_label(tr("Choose a model: it knows which bands it needs."))
        self.slot_form = narrow_form()
        self.body.addWidget(self.slot_note)
        self.body.addLayout(self.slot_form)
        self._add_extent_and_outputs()
        self.finish(tr("Predic&t"))
        self.set_ready(False)
        self.primary.clicked.connect(self.predict_requested)

    def _add_model(self) -> None:
        self.section(tr("Model"))
        row = QHBoxLayout()
        self.model = QComboBox()
        self.model.setAccessibleName(tr("Model"))
        lets_shrink(self.model)
        self.model.currentIndexChanged.connect(self._on_model_changed)
        browse = QPushButton(tr("&Browse…"))
        browse.clicked.connect(self.browse_requested)
        row.addWidget(self.model, 1)
        row.addWidget(browse)
        self.body.addLayout(row)
        self.model_note = small_label("")
        self.model_note.hide()
        self.legend = ClassLegend()
        self.body.addWidget(self.model_note)
        self.body.addWidget(self.legend)

    def _add_extent_and_outputs(self) -> None:
        form = self.section(tr("Extent and outputs"))
        self.extent = self.remember("extent", QComboBox())
        self.extent.addItem(tr("all that the layers share"), "whole")
        self.extent.addItem(tr("what the map shows now"), "map")
        form.addRow(tr("Where"), self.extent)
        self.confidence = self.remember("confidence", QCheckBox(tr("Confidence of each pixel")))
        self.confidence.setToolTip(tr("Probability of the winning class, 0 to 1: where to trust the map."))
        self.entropy = self.remember("entropy", QCheckBox(tr("Entropy of each pixel")))
        self.entropy.setToolTip(tr("How undecided the model is between all classes."))
        self.polygons = self.remember("polygons", QCheckBox(tr("Polygons with score and area")))
        self.polygons.setToolTip(tr("One polygon an object, with class, score and area."))
        for box, ticked in ((self.confidence, True), (self.polygons, True), (self.entropy, False)):
            box.setChecked(ticked)
            form.addRow(tr("Besides") if box is self.confidence else "", box)

    def set_models(self, models: Sequence[NamedPath], current: str) -> None:
        """Models to choose from; `current` is kept or chosen."""
        kept = current or self.model.currentData() or ""
        before = self.model.currentData()
        with QSignalBlocker(self.model):
            self.model.clear()
            if not models:
                self.model.addItem(tr("none yet: train one, or browse"), "")
            for item in models:
                self.model.addItem(f"{item.title}  {item.note}".strip(), item.path)
            self.model.setCurrentIndex(max(self.model.findData(kept), 0))
        if self.model.currentData() != before:
            self._on_model_changed()

    def set_slots(self, slots: Sequence[Slot], note: str, classes: Sequence[Any]) -> None:
        """What the chosen model needs; each slot gets a layer list with the proposed layer."""
        while self.slot_form.rowCount():
            self.slot_form.removeRow(0)
        self._slots, self._files = {}, {}
        for slot in slots:
            if slot.kind == "series":
                self._add_files(slot)
                continue
            combo = QgsMapLayerComboBox()
            is_vector = slot.kind == "vector"
            combo.setFilters(Qgis.LayerFilter.HasGeometry if is_vector else Qgis.LayerFilter.RasterLayer)
            combo.setAllowEmptyLayer(True, tr("as at training") if is_vector else tr("choose a raster layer"))
            combo.setLayer(None)
            index = [
                position for position in range(combo.count()) if layer_id(combo, position) == slot.proposed
            ]
            combo.setCurrentIndex(index[0] if index and slot.proposed else 0)
            combo.setToolTip(slot.bands)
            combo.setAccessibleName(slot.name)
            self.remember(f"slot {slot.key}", combo, in_project=False)
            self._slots[slot.key] = combo
            self.slot_form.addRow(slot.name, combo)
            self.slot_form.addRow(small_label(tr("needs {}").format(slot.bands)))
        self.slot_note.setVisible(not slots)
        self.model_note.setText(note)
        self.model_note.setVisible(bool(note))
        self.legend.set_classes(classes)
        self.set_ready(bool(slots))

    def _add_files(self, slot: Slot) -> None:
        """A time series: files, or those of training."""
        files = QgsFileWidget()
        files.setStorageMode(QgsFileWidget.StorageMode.GetMultipleFiles)
        files.lineEdit().setPlaceholderText(tr("as at training"))
        self.remember(f"slot {slot.key}", files, in_project=False)
        self._files[slot.key] = files
        self.slot_form.addRow(slot.name, files)
        self.slot_form.addRow(small_label(tr("needs {}").format(slot.bands)))

    def propose(self, key: str, proposed: str) -> None:
        """Fill a slot that is still empty with a layer, by id."""
        combo = self._slots.get(key)
        if combo is not None and combo.currentLayer() is None and proposed:
            for position in range(combo.count()):
                if layer_id(combo, position) == proposed:
                    combo.setCurrentIndex(position)

    def choices(self) -> PredictChoices:
        """What is chosen now."""
        slots = {}
        for key, combo in self._slots.items():
            layer = combo.currentLayer()
            slots[key] = layer.id() if layer is not None else ""
        for key, files in self._files.items():
            slots[key] = "\n".join(sorted(QgsFileWidget.splitFilePaths(files.filePath())))
        return PredictChoices(
            model=self.model.currentData() or "",
            slots=slots,
            extent_kind=self.extent.currentData(),
            confidence=self.confidence.isChecked(),
            entropy=self.entropy.isChecked(),
            polygons=self.polygons.isChecked(),
        )

    def _on_model_changed(self, *_index: int) -> None:
        self.sentence.set_text("")
        self.problem_list.set_problems([])
        self.next_step.show_done("")
        self.set_slots([], "", [])
        self.model_chosen.emit(self.model.currentData() or "")


def layer_id(combo: QgsMapLayerComboBox, position: int) -> str:
    """Id of the layer at a position of the list; empty for the empty entry."""
    layer = combo.layer(position)
    return str(layer.id()) if layer is not None else ""
