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

from ...contract import CATALOGUE, OTHER, ForestJob, Model, TrainJob, default_of, params_of
from ...forms.fields import stored_fields
from ...forms.rows import row_of
from ...forms.ticks import TickList
from ...jobs.choices import NamedPath
from ...panel.texts import tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page, lets_shrink, narrow_form
from .baseline_options import BaselineOptions
from .network_options import NetworkOptions
from .start import StartSection
from .state import (
    BASELINE_FIELDS,
    NETWORK_FIELDS,
    TrainChoices,
    bands_title,
    curve_name,
    experiment_names,
    model_anchor,
    preset_names,
)
from .widgets.curves import Curves

GOAL_PX = 220
"""Width at which the list of goals shows its texts; in a narrow panel it goes below its label."""


class TrainPage(Page):
    """The Train page; the controller makes jobs of `choices()`."""

    train_requested = pyqtSignal()
    resume_requested = pyqtSignal(str)
    attach_requested = pyqtSignal(str)
    preview_requested = pyqtSignal()
    tensorboard_requested = pyqtSignal()
    zoo_requested = pyqtSignal()
    experiment_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr(
            "Train a model on your classes. Automatic settings follow from your data and your computer."
        )
        super().__init__(tr("Train"), intro, parent)
        self._dataset, self._plan = "", ""
        self._has_zoo = False
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
        self.preset.setAccessibleName(tr("Goal"))
        self.preset.setToolTip(tr("Goal: how long training may take; a time limit overrules it."))
        for key, name in preset_names().items():
            self.preset.addItem(name, key)
        self.preset.setCurrentIndex(self.preset.findData(default_of(TrainJob, "preset")))
        self.preset.setMinimumWidth(GOAL_PX)
        self.model = self.remember("model", QComboBox())
        for key, model in CATALOGUE.items():
            self.model.addItem(tr(model.name), key)
            self.model.setItemData(self.model.count() - 1, tr(model.about), Qt.ItemDataRole.ToolTipRole)
        self.model.setCurrentIndex(self.model.findData(default_of(TrainJob, "architecture")))
        self.model_note = small_label("")
        self.model_note.linkActivated.connect(self.guide_requested)
        self.encoder = self.remember("zoo_encoder", QLineEdit("resnet34"))
        self.decoder = self.remember("zoo_decoder", QLineEdit("unetplusplus"))
        self.encoder.setToolTip(tr("Any encoder of timm, e.g. resnet34, tf_efficientnet_lite0, mit_b0"))
        self.decoder.setToolTip(tr("unet, unetplusplus, fpn, deeplabv3plus, segformer …"))
        self.zoo_button = QPushButton(tr("&Install the extra package"))
        self.zoo_button.clicked.connect(self.zoo_requested)
        self.zoo_button.hide()
        self.minutes = self.remember("max_minutes", row_of(TrainJob, "max_minutes").control)
        self.minutes.setToolTip(tr(params_of(TrainJob)["max_minutes"].about))
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
        self.why_group = QgsCollapsibleGroupBox(tr("Reasons for the settings"))
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
            tr("Show what the network will see: crops as they are and as augmented")
        )
        self.preview_button.clicked.connect(self.preview_requested)
        self.tensorboard_button = QPushButton(tr("Tensor&Board"))
        self.tensorboard_button.setToolTip(tr("Curves of all runs, in the browser"))
        self.tensorboard_button.clicked.connect(self.tensorboard_requested)
        self.tensorboard_button.hide()
        self.experiments_button = QPushButton(tr("E&xperiments"))
        self.experiments_button.setToolTip(
            tr("Compare models, cross-validate, search settings, and list all runs")
        )
        menu = QMenu(self.experiments_button)
        for key, name in experiment_names().items():
            menu.addAction(name, lambda way=key: self.experiment_requested.emit(way))
        self.experiments_button.setMenu(menu)
        self.more = QHBoxLayout()
        for button in (self.preview_button, self.tensorboard_button, self.experiments_button):
            lets_shrink(button)
            self.more.addWidget(button)
        self.foot.insertLayout(self.foot.indexOf(self.primary), self.more)

    # what is shown

    def set_dataset(
        self, sentence: str, bands: Mapping[str, str] | None = None, classes: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Show the dataset as a sentence (empty: none yet), its bands with tooltips, and its classes."""
        self._dataset = sentence
        names = dict(bands or {})
        if list(names) != self.bands.keys():
            self.bands.set_entries({name: name for name in names}, names)
        self.curves.set_classes(classes)
        self.set_ready(bool(sentence))
        self.on_inputs_changed()

    def set_zoo(self, there: bool) -> None:
        """Set whether the engine has the library behind `Other…`."""
        self._has_zoo = there
        self.on_inputs_changed()

    def set_unfinished(self, runs: Sequence[NamedPath]) -> None:
        """Show the runs that stopped before their end; `note` is "running" where the engine is still alive."""
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
        """Show what the engine would do with the reasons, and the problems."""
        self._plan = sentence
        self.why.setText("<br>".join(f"• {html_text(item)}" for item in reasons))
        self.why_group.setVisible(bool(reasons))
        self.sentence.setToolTip("\n".join(reasons))
        self.problem_list.set_problems(problems)
        self._show_sentence()

    def show_epoch(self, event: dict[str, Any]) -> None:
        """Add an epoch to the curves and show its scores."""
        self.curves.add_epoch(event)

    def clear_curves(self, monitor: str = "miou") -> None:
        """Begin a new run whose best epoch is chosen by this score."""
        self.curves.clear()
        self.curves.set_monitor(monitor, curve_name(monitor))
        self.next_step.show_done("")

    # what is chosen

    @property
    def chosen_model(self) -> Model:
        """The chosen entry of the catalogue."""
        return CATALOGUE[self.model.currentData()]

    def chosen_bands(self) -> tuple[str, ...]:
        """Return the names of the ticked bands; empty where all are."""
        ticked = self.bands.ticked()
        return () if len(ticked) == len(self.bands.keys()) else tuple(ticked)

    def choices(self) -> TrainChoices:
        """Return what is chosen now."""
        values = self.values()
        if self.chosen_model.method:
            options = stored_fields(ForestJob, BASELINE_FIELDS, values)
        else:
            options = stored_fields(TrainJob, NETWORK_FIELDS, values)
        return TrainChoices(
            model=self.model.currentData(),
            bands=self.chosen_bands(),
            preset=self.preset.currentData(),
            max_minutes=float(self.minutes.value()),
            encoder=self.encoder.text().strip(),
            decoder=self.decoder.text().strip(),
            start=self.start.choices(),
            options=options,
        )

    def on_inputs_changed(self) -> None:
        model, choices = self.chosen_model, self.choices()
        continues = choices.continues
        self.model_note.setText(f'{tr(model.about)} <a href="{model_anchor(model)}">{tr("Guide")}</a>')
        self.zoo_rows.setVisible(model == OTHER)
        self.goal_rows.setVisible(choices.is_network)
        self.zoo_button.setVisible(model == OTHER and not self._has_zoo)
        self.model.setEnabled(not continues)
        self.band_group.setVisible(not continues and bool(self.bands.keys()))
        self.band_group.setTitle(bands_title(len(self.bands.ticked()), len(self.bands.keys())))
        self.network.setVisible(choices.is_network and not continues)
        self.baseline.setVisible(not choices.is_network)
        self.preview_button.setVisible(choices.is_network)
        self.start.adapt(choices.is_network)
        self._show_sentence()

    def _on_changed(self) -> None:
        """The plan is about other settings now; hints stay until the next one, so that nothing jumps."""
        self._plan = ""
        self.sentence.set_text(self._dataset or self.sentence.text(), for_now=True)

    def show_planning(self) -> None:
        """Show that the engine works out a plan; the former one stays until then, so that nothing jumps."""
        self.sentence.set_text(f"{self._dataset} {tr('Working out a plan…')}".strip(), for_now=True)

    def end_planning(self) -> None:
        """No plan will come: show again what is known."""
        self._show_sentence()

    def _show_sentence(self) -> None:
        if not self._dataset:
            self.sentence.set_text(tr("Make tiles first: there is no dataset to train on."))
            return
        self.sentence.set_text(f"{self._dataset} {self._plan}".strip())

    def _on_resume_clicked(self) -> None:
        folder = self.unfinished.currentData()
        running = self.unfinished.currentData(Qt.ItemDataRole.UserRole + 1) == "running"
        (self.attach_requested if running else self.resume_requested).emit(folder)

    def _on_unfinished_changed(self, *_index: int) -> None:
        running = self.unfinished.currentData(Qt.ItemDataRole.UserRole + 1) == "running"
        self.resume_button.setText(tr("&Re-attach") if running else tr("&Resume"))


def html_text(text: str) -> str:
    """Return a text escaped for rich text."""
    return text.replace("&", "&amp;").replace("<", "&lt;")
