"""Step 3: train a model and watch it learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...contract import TrainJob, former_names
from ...jobs.choices import NamedPath, TrainChoices
from ...panel.texts import tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page, lets_shrink, narrow_form
from ...panel.widgets.ticks import TickList
from .baseline_options import BaselineOptions
from .names import curve_names, models, preset_names, way_names
from .network_options import NetworkOptions
from .start import StartSection
from .widgets.curves import Curves

NETWORK_FIELDS = (
    *("preset", "class_weights", "optimiser", "schedule", "learning_rate", "find_rate", "weight_decay"),
    *("monitor", "epochs", "steps_per_epoch", "batch_size", "crop_px", "width", "levels", "norm"),
    *("calibrate", "tensorboard", "seed", "device", "precision"),
)
OPTIONAL_FIELDS = ("dropout", "by_class", "average", "patience")
"""Fields of TrainJob that the page shows as they are; and those that are None where the box is below zero."""


class TrainPage(Page):
    """Emits wishes; the controller makes jobs of `choices()`."""

    train_requested = pyqtSignal()
    resume_requested = pyqtSignal(str)
    attach_requested = pyqtSignal(str)
    preview_requested = pyqtSignal()
    tensorboard_requested = pyqtSignal()
    zoo_requested = pyqtSignal()
    way_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr(
            "Teach a model your classes. What you leave open is found from your data and your computer."
        )
        super().__init__(tr("Train"), intro, parent)
        self._dataset, self._plan = "", ""
        self._has_zoo = False
        self._models = models()
        self._add_model()
        self._add_bands()
        self.start = StartSection(self)
        self._add_plan()
        self._add_options()
        self.curves = Curves()
        self.chart, self.epoch_line = self.curves.chart, self.curves.epoch_line
        self.body.addWidget(self.curves)
        self._add_unfinished()
        self.finish(tr("Tr&ain"))
        self._add_buttons()
        self.primary.clicked.connect(self.train_requested)
        self.changed.connect(self._on_changed)
        self.on_inputs_changed()

    def _add_model(self) -> None:
        form = self.section(tr("Model"))
        self.preset = self.remember("preset", QComboBox())
        for key, name in preset_names().items():
            self.preset.addItem(name, key)
        self.preset.setCurrentIndex(self.preset.findData("balanced"))
        self.model = self.remember("model", QComboBox())
        for key, model in self._models.items():
            self.model.addItem(model.name, key)
            self.model.setItemData(self.model.count() - 1, model.why, Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(self.model.findData("unet"))
        self.model_note = small_label("")
        self.model_note.linkActivated.connect(self.guide_requested)
        self.encoder = self.remember("zoo_encoder", QLineEdit("resnet34"))
        self.decoder = self.remember("zoo_decoder", QLineEdit("unetplusplus"))
        self.encoder.setToolTip(tr("Any encoder of timm, e.g. resnet34, tf_efficientnet_lite0, mit_b0"))
        self.decoder.setToolTip(tr("unet, unetplusplus, fpn, deeplabv3plus, segformer …"))
        self.zoo_button = QPushButton(tr("&Install the extra package"))
        self.zoo_button.clicked.connect(self.zoo_requested)
        self.zoo_button.hide()
        self.minutes = self.spin_box("max_minutes", 0, 100_000, 0, tr("as the goal says"), tr(" min"))
        self.minutes.setToolTip(tr("Stop in time to be done by then, with the best model so far."))
        form.addRow(tr("Model"), self.model)
        form.addRow(self.model_note)
        self.zoo_rows = self._rows((tr("Encoder"), self.encoder), (tr("Decoder"), self.decoder))
        self.body.addWidget(self.zoo_button)
        self.goal_rows = self._rows((tr("Goal"), self.preset), (tr("Time limit"), self.minutes))

    def _rows(self, *rows: tuple[str, QWidget]) -> QWidget:
        """Rows that are shown and hidden together."""
        block = QWidget()
        form = narrow_form()
        block.setLayout(form)
        for name, widget in rows:
            form.addRow(name, widget)
        self.body.addWidget(block)
        return block

    def _add_bands(self) -> None:
        self.band_group = QgsCollapsibleGroupBox(tr("Bands"))
        self.band_group.setSaveCollapsedState(False)
        self.band_group.setCollapsed(True)
        self.bands = self.remember("bands_left_out", TickList(tr("Bands to use")))
        self.band_group.setLayout(QVBoxLayout())
        self.band_group.layout().addWidget(self.bands)
        self.body.addWidget(self.band_group)

    def _add_plan(self) -> None:
        self.why_group = QgsCollapsibleGroupBox(tr("Why these settings"))
        self.why_group.setSaveCollapsedState(False)
        self.why_group.setCollapsed(True)
        self.why = small_label("")
        self.why_group.setLayout(QVBoxLayout())
        self.why_group.layout().addWidget(self.why)
        self.why_group.hide()
        self.body.addWidget(self.why_group)

    def _add_options(self) -> None:
        self.network, self.baseline = NetworkOptions(self), BaselineOptions(self)
        for group in (self.network, self.baseline):
            self.add_group(group)

    def _add_unfinished(self) -> None:
        self.unfinished_row = QWidget()
        self.unfinished_row.hide()
        self.unfinished = QComboBox()
        self.unfinished.setAccessibleName(tr("Unfinished runs"))
        lets_shrink(self.unfinished)
        self.resume_button = QPushButton(tr("&Resume"))
        self.resume_button.clicked.connect(self._on_resume_clicked)
        self.unfinished.currentIndexChanged.connect(self._on_unfinished_changed)
        row = QHBoxLayout(self.unfinished_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel(tr("Unfinished run")))
        row.addWidget(self.unfinished, 1)
        row.addWidget(self.resume_button)
        self.foot.addWidget(self.unfinished_row)

    def _add_buttons(self) -> None:
        self.preview_button = QPushButton(tr("Pre&view"))
        self.preview_button.setToolTip(
            tr("Look at what the network will see: crops as they are and as varied")
        )
        self.preview_button.clicked.connect(self.preview_requested)
        self.tensorboard_button = QPushButton(tr("Tensor&Board"))
        self.tensorboard_button.setToolTip(tr("Curves of all runs, in the browser"))
        self.tensorboard_button.clicked.connect(self.tensorboard_requested)
        self.tensorboard_button.hide()
        self.ways_button = QPushButton(tr("More &ways"))
        self.ways_button.setToolTip(tr("Compare models, and look at all runs"))
        menu = QMenu(self.ways_button)
        for key, name in way_names().items():
            menu.addAction(name, lambda way=key: self.way_requested.emit(way))
        self.ways_button.setMenu(menu)
        self.more = QHBoxLayout()
        for button in (self.preview_button, self.tensorboard_button, self.ways_button):
            lets_shrink(button)
            self.more.addWidget(button)
        self.foot.insertLayout(self.foot.indexOf(self.primary), self.more)

    # what is shown

    def set_dataset(
        self, sentence: str, bands: Mapping[str, str] | None = None, classes: Sequence[tuple[str, str]] = ()
    ) -> None:
        """What will be trained on, in words (empty: no dataset yet); its bands with tooltips; its classes."""
        self._dataset = sentence
        names = dict(bands or {})
        if list(names) != self.bands.keys():
            self.bands.set_entries({name: name for name in names}, names)
        self.curves.set_classes(classes)
        self.set_ready(bool(sentence))
        self.on_inputs_changed()

    def set_zoo(self, there: bool) -> None:
        """Whether the engine has what `More…` needs."""
        self._has_zoo = there
        self.on_inputs_changed()

    def set_unfinished(self, runs: Sequence[NamedPath]) -> None:
        """Runs that stopped before their end; `note` is "running" where the engine is still alive."""
        with QSignalBlocker(self.unfinished):
            self.unfinished.clear()
            for run in runs:
                self.unfinished.addItem(run.title, run.path)
                self.unfinished.setItemData(
                    self.unfinished.count() - 1, run.note, Qt.ItemDataRole.UserRole + 1
                )
        self.unfinished_row.setVisible(bool(runs))
        self._on_unfinished_changed()

    def set_busy(self, busy: bool) -> None:
        super().set_busy(busy)
        self.resume_button.setEnabled(not busy)
        self.start.pretrain.setEnabled(not busy)

    def set_ready(self, ready: bool) -> None:
        super().set_ready(ready)
        self.preview_button.setEnabled(ready)

    def show_plan(self, sentence: str, reasons: Sequence[str], problems: Sequence[Any]) -> None:
        """What the engine would do, why, and what stands in the way."""
        self._plan = sentence
        self.why.setText("<br>".join(f"• {html_text(item)}" for item in reasons))
        self.why_group.setVisible(bool(reasons))
        self.sentence.setToolTip("\n".join(reasons))
        self.problem_list.set_problems(problems)
        self._show_sentence()

    def show_epoch(self, event: dict[str, Any]) -> None:
        """Add an epoch to the curves and say how it went."""
        self.curves.add_epoch(event)

    def clear_curves(self, monitor: str = "miou") -> None:
        """Begin a new run whose best epoch is chosen by this score."""
        self.curves.clear()
        self.curves.set_monitor(monitor, curve_names().get(monitor, tr("validation IoU")))
        self.next_step.show_done("")

    # what is chosen

    @property
    def is_network(self) -> bool:
        """Whether a network is trained, not a baseline."""
        return not self._models[self.model.currentData()].baseline

    def chosen_bands(self) -> tuple[str, ...]:
        """Names of the ticked bands; empty where all are."""
        ticked = self.bands.ticked()
        return () if len(ticked) == len(self.bands.keys()) else tuple(ticked)

    def choices(self) -> TrainChoices:
        """What is chosen now, as fields of a job."""
        if not self.is_network:
            return TrainChoices("", self._baseline_settings(), "trainforest")
        limits = {"max_minutes": float(self.minutes.value()), "freeze_epochs": self.start.freeze_epochs}
        if self.start.mode == "again" and self.start.model_path:
            again = {**limits, "preset": self.preset.currentData()}
            return TrainChoices("", again, again=self.start.model_path)
        values = self.values()
        names = former_names(TrainJob)
        settings = {names.get(key, key): values[key] for key in NETWORK_FIELDS}
        settings |= {
            names.get(key, key): values[key] if values[key] >= 0 else None for key in OPTIONAL_FIELDS
        }
        model = self._models[self.model.currentData()]
        is_zoo = model.key == "zoo"
        settings |= {
            **limits,
            "architecture": model.architecture,
            "encoder": self.encoder.text().strip() if is_zoo else model.encoder,
            "decoder": self.decoder.text().strip() if is_zoo else "",
            "bands": self.chosen_bands(),
            "loss": "+".join(self.network.loss.value()),
            "augment": tuple(self.network.augment.value()),
            "weights": self.start.weights,
            "start_from": self.start.model_path,
        }
        return TrainChoices("", settings)

    def _baseline_settings(self) -> dict[str, object]:
        settings: dict[str, object] = {
            "method": self._models[self.model.currentData()].baseline,
            "bands": self.chosen_bands(),
            "texture_px": odd_numbers(self.baseline.texture.text()),
            "pixels": self.baseline.pixels.value(),
            "seed": self.baseline.forest_seed.value(),
        }
        if self.model.currentData() == "forest":
            settings |= {
                "trees": self.baseline.trees.value(),
                "depth": self.baseline.depth.value(),
                "features": self.baseline.features.value(),
                "search": self.baseline.search.isChecked(),
            }
        return settings

    def on_inputs_changed(self) -> None:
        model = self._models[self.model.currentData()]
        again = self.start.mode == "again" and self.is_network
        self.model_note.setText(f'{model.why} <a href="{model_anchor(model.key)}">{tr("Guide")}</a>')
        self.zoo_rows.setVisible(model.key == "zoo")
        self.goal_rows.setVisible(self.is_network)
        self.zoo_button.setVisible(model.key == "zoo" and not self._has_zoo)
        self.model.setEnabled(not again)
        self.band_group.setVisible(not again and bool(self.bands.keys()))
        total, used = len(self.bands.keys()), len(self.bands.ticked())
        title = (
            tr("Bands: all {}").format(total) if used == total else tr("Bands: {} of {}").format(used, total)
        )
        self.band_group.setTitle(title)
        self.network.setVisible(self.is_network and not again)
        self.baseline.setVisible(not self.is_network)
        self.preview_button.setVisible(self.is_network)
        self.start.adapt(self.is_network)
        self._show_sentence()

    def _on_changed(self) -> None:
        """The plan is about other settings now; hints stay until the next one, so that nothing jumps."""
        self._plan = ""
        self.sentence.set_text(self._dataset or self.sentence.text(), for_now=True)

    def show_planning(self) -> None:
        """The engine works out a plan; what it said before stays until it answers, so that nothing jumps."""
        self.sentence.set_text(f"{self._dataset} {tr('Working out a plan…')}".strip(), for_now=True)

    def end_planning(self) -> None:
        """No answer will come: say again what is known."""
        self._show_sentence()

    def _show_sentence(self) -> None:
        if not self._dataset:
            self.sentence.set_text(tr("Make tiles first: there is nothing to train on."))
            return
        self.sentence.set_text(f"{self._dataset} {self._plan}".strip())

    def _on_resume_clicked(self) -> None:
        folder = self.unfinished.currentData()
        running = self.unfinished.currentData(Qt.ItemDataRole.UserRole + 1) == "running"
        (self.attach_requested if running else self.resume_requested).emit(folder)

    def _on_unfinished_changed(self, *_index: int) -> None:
        running = self.unfinished.currentData(Qt.ItemDataRole.UserRole + 1) == "running"
        self.resume_button.setText(tr("&Re-attach") if running else tr("&Resume"))


def model_anchor(key: str) -> str:
    """Section of the guide on a model."""
    return "baselines" if models()[key].baseline else "which-model"


def odd_numbers(text: str) -> tuple[int, ...]:
    """`3, 7` as (3, 7); what is no number is passed over, and the job complains about those that cannot be."""
    parts = text.replace(";", ",").replace(" ", ",").split(",")
    return tuple(int(part) for part in parts if part.isdigit())


def html_text(text: str) -> str:
    """Text that may stand in rich text."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
