"""Step 3: train a model and watch it learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QWidget

from ..choices import NamedPath, TrainChoices
from ..widgets.chart import TrainingChart
from ..widgets.notes import wrap
from ..widgets.page import Page, lets_shrink
from ..words import share, tr


class TrainPage(Page):
    """Emits `train_requested`, `resume_requested(run folder)`, `attach_requested(run folder)`."""

    train_requested = pyqtSignal()
    resume_requested = pyqtSignal(str)
    attach_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr("Teach a network your classes. The best epoch is kept, also when you cancel.")
        super().__init__(tr("Train"), intro, parent)
        self._dataset = ""
        self._add_model()
        self._add_advanced()
        self._add_curves()
        self._add_unfinished()
        self.finish(tr("Tr&ain"))
        self.primary.clicked.connect(self.train_requested)
        self.on_inputs_changed()

    def _add_model(self) -> None:
        form = self.section(tr("Model"))
        self.architecture = self.remember("architecture", QComboBox())
        self.architecture.addItem(tr("U-Net"), "unet")
        self.architecture.setToolTip(tr("A proven network for maps; works with few and many labels."))
        form.addRow(tr("Network"), self.architecture)
        form = self.section(tr("How long"))
        self.epochs = self.spin_box("epochs", 1, 10_000, 60)
        self.patience = self.spin_box("patience", 0, 10_000, 12, tr("never stop early"), tr(" epochs"))
        self.minutes = self.spin_box("max_minutes", 0, 100_000, 0, tr("no limit"), tr(" min"))
        self.epochs.setToolTip(tr("An epoch is one round over the training ground."))
        self.patience.setToolTip(tr("Stop when the validation IoU has not improved for so many epochs."))
        self.minutes.setToolTip(tr("Stop in time to be done by then, with the best model so far."))
        form.addRow(tr("At most"), self.epochs)
        self.epochs.setSuffix(tr(" epochs"))
        form.addRow(tr("Stop after"), self.patience)
        form.addRow(tr("Time limit"), self.minutes)

    def _add_advanced(self) -> None:
        group = self.advanced()
        self.device = self.remember("device", QComboBox())
        for name, key in ((tr("GPU if there is one"), "auto"), (tr("CPU"), "cpu"), (tr("GPU"), "cuda")):
            self.device.addItem(name, key)
        group.add_choice(tr("Device"), self.device, tr("A GPU is 20 to 100 times faster."), "engine")
        self.batch = self.spin_box("batch_size", 0, 4096, 0, tr("found for you"), tr(" crops"))
        group.add_choice(
            tr("Batch"),
            self.batch,
            tr("Crops a step. Smaller needs less memory; larger learns more steadily."),
            "learning-rate-batch-crop",
        )
        self.crop = self.spin_box("crop_px", 0, 1024, 0, tr("found for you"), " px")
        self.crop.setSingleStep(16)
        group.add_choice(
            tr("Crop"),
            self.crop,
            tr("What the network sees at once; a multiple of 16."),
            "learning-rate-batch-crop",
        )
        self.learning_rate = self.remember("learning_rate", QgsDoubleSpinBox())
        self.learning_rate.setDecimals(6)
        self.learning_rate.setRange(0.000001, 1)
        self.learning_rate.setSingleStep(0.0005)
        self.learning_rate.setValue(0.001)
        self.learning_rate.setClearValue(0.001)
        group.add_choice(
            tr("Learning rate"),
            self.learning_rate,
            tr("Lower it ten-fold if the loss jumps or becomes NaN."),
            "learning-rate-batch-crop",
        )
        self.loss = self.remember("loss", QComboBox())
        for name, key in (
            (tr("Cross-entropy + Lovász"), "ce+lovasz"),
            (tr("Cross-entropy + Dice"), "ce+dice"),
            (tr("Cross-entropy"), "ce"),
        ):
            self.loss.addItem(name, key)
        group.add_choice(
            tr("Loss"),
            self.loss,
            tr("The first stands rare classes best; plain cross-entropy is the calmest."),
            "loss",
        )
        self._add_network_choices(group)

    def _add_network_choices(self, group: Any) -> None:
        self.width_box = self.spin_box("width", 0, 256, 0, tr("by device"), tr(" channels"))
        self.width_box.setSingleStep(8)
        group.add_choice(
            tr("Width"),
            self.width_box,
            tr("A wider network can learn more and is slower: double is four-fold."),
            "width-levels-dropout",
        )
        self.dropout = self.remember("dropout", QgsDoubleSpinBox())
        self.dropout.setRange(0, 0.9)
        self.dropout.setSingleStep(0.05)
        self.dropout.setValue(0.1)
        self.dropout.setClearValue(0.1)
        group.add_choice(
            tr("Dropout"),
            self.dropout,
            tr("Raise it to 0.3 when validation loss climbs while training loss falls."),
            "width-levels-dropout",
        )
        self.precision = self.remember("precision", QComboBox())
        for name, key in (
            (tr("the faster one, timed"), "auto"),
            ("float32", "float32"),
            ("bfloat16", "bf16"),
        ):
            self.precision.addItem(name, key)
        group.add_choice(
            tr("Precision"),
            self.precision,
            tr("bfloat16 is up to twice as fast where the device has it."),
            "train",
        )
        self.augment = self.remember("augment", QCheckBox(tr("Turn, flip and brighten crops")))
        self.augment.setChecked(True)
        group.add_choice(
            "",
            self.augment,
            tr("More variety from few labels. Aspect bands are turned with the image."),
            "augmentation",
        )
        self.seed = self.spin_box("seed", 0, 2_000_000_000, 42)
        group.add_choice(
            tr("Seed"),
            self.seed,
            tr(
                "The same seed gives the same model on one device, at a fixed precision and without a time limit."
            ),
            "seed-and-resume",
        )

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

    def _add_curves(self) -> None:
        self.epoch_line = wrap(QLabel())
        self.epoch_line.hide()
        self.chart = TrainingChart()
        self.body.addWidget(self.epoch_line)
        self.body.addWidget(self.chart)

    def set_dataset(self, sentence: str) -> None:
        """What will be trained on, in words; empty when there is no dataset yet."""
        self._dataset = sentence
        self.set_ready(bool(sentence))
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

    def choices(self) -> TrainChoices:
        """What is chosen now, as fields of TrainJob."""
        settings = {key: value for key, value in self.values().items() if key != "max_minutes"}
        settings["max_minutes"] = float(self.minutes.value())
        return TrainChoices("", settings)

    def show_epoch(self, event: dict[str, Any]) -> None:
        """Add an epoch to the curves and say how it went."""
        self.chart.add_epoch(event)
        best = max((item.get("miou") or 0.0 for item in self.chart.epochs()), default=0.0)
        self.epoch_line.setText(
            tr("Epoch {} of {}: validation IoU {}, best {}").format(
                event.get("epoch"), event.get("epochs"), share(event.get("miou")), share(best)
            )
        )
        self.epoch_line.show()

    def clear_curves(self) -> None:
        """Begin a new run."""
        self.chart.clear()
        self.epoch_line.hide()
        self.next_step.show_done("")

    def on_inputs_changed(self) -> None:
        if not self._dataset:
            self.sentence.set_text(tr("Make tiles first: there is nothing to train on."))
            return
        text = self._dataset + " " + tr("At most {} epochs").format(self.epochs.value())
        if self.patience.value():
            text += tr(", stopping after {} without improvement").format(self.patience.value())
        if self.minutes.value():
            text += tr(", done within {} min").format(self.minutes.value())
        self.sentence.set_text(text + ".")

    def _on_resume_clicked(self) -> None:
        folder = self.unfinished.currentData()
        running = self.unfinished.currentData(Qt.ItemDataRole.UserRole + 1) == "running"
        (self.attach_requested if running else self.resume_requested).emit(folder)

    def _on_unfinished_changed(self, *_index: int) -> None:
        running = self.unfinished.currentData(Qt.ItemDataRole.UserRole + 1) == "running"
        self.resume_button.setText(tr("&Re-attach") if running else tr("&Resume"))
