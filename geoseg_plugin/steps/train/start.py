"""What a training begins from: nothing, an earlier model or run, or the weights of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QObject, QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from ...contract import TrainJob, params_of
from ...forms.rows import row_of
from ...jobs.choices import NamedPath
from ...panel.texts import tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page, heading, lets_shrink
from .state import Start, start_names, start_note

OF_MODEL = ("again", "model")
"""Modes that start from a model."""
IMAGENET = "imagenet"
"""Encoder weights that the library downloads."""
ANOTHER = ""
"""Value of the entry of the list of models that lets one choose a file."""


class StartSection(QObject):
    """The section `Start from` of the Train page.

    Signals:
        pretrain_requested: pretrain an encoder on the user's own rasters.
    """

    pretrain_requested = pyqtSignal()

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.section = QWidget()
        lines = QVBoxLayout(self.section)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.setSpacing(5)
        lines.addWidget(heading(tr("Start from")))
        self.kind = page.remember("start", QComboBox())
        self.kind.setAccessibleName(tr("Start from"))
        for key, name in start_names().items():
            self.kind.addItem(name, key)
        self.model = page.remember("start_model", QComboBox(), in_project=False)
        self.model.setAccessibleName(tr("Model to start from"))
        self.model.addItem(tr("another file…"), ANOTHER)
        self.model_file = self._file(page, "start_file", tr("Model to start from"), tr("Models (*.onnx)"))
        weights = tr("Weights (*.pt *.pth *.safetensors)")
        self.weights_file = self._file(page, "weights", tr("Encoder weights"), weights)
        self.freeze = page.remember("freeze_epochs", row_of(TrainJob, "freeze_epochs").control)
        self.freeze.setSpecialValueText(tr("always (freeze)"))
        self.freeze.setPrefix(tr("Frozen encoder: "))
        self.freeze.setToolTip(tr(params_of(TrainJob)["freeze_epochs"].about))
        self.pretrain = QPushButton(tr("&Pretrain an encoder on my rasters…"))
        self.pretrain.setToolTip(
            tr("Teaches the encoder to fill in hidden parts of your stack, without labels. Takes a while.")
        )
        self.pretrain.clicked.connect(self.pretrain_requested)
        lets_shrink(self.pretrain)
        self.note = small_label("")
        self.note.linkActivated.connect(page.guide_requested)
        for widget in (
            self.kind,
            self.model,
            self.model_file,
            self.weights_file,
            self.pretrain,
            self.freeze,
            self.note,
        ):
            lines.addWidget(widget)
        page.body.addWidget(self.section)

    def _file(self, page: Page, key: str, name: str, file_filter: str) -> QgsFileWidget:
        widget = page.remember(key, QgsFileWidget())
        widget.setFilter(file_filter)
        widget.setDialogTitle(name)
        widget.setAccessibleName(name)
        return widget

    def set_models(self, entries: Sequence[NamedPath]) -> None:
        """Show the models of the workspace that a network can start from."""
        chosen = self.model.currentData()
        with QSignalBlocker(self.model):
            self.model.clear()
            for entry in entries:
                self.model.addItem(entry.title, entry.path)
            self.model.addItem(tr("another file…"), ANOTHER)
            self.model.setCurrentIndex(max(self.model.findData(chosen), 0) if chosen else 0)

    def use_weights(self, path: str) -> None:
        """Begin from this file of encoder weights."""
        self.weights_file.setFilePath(path)
        self.kind.setCurrentIndex(self.kind.findData("encoder"))

    def choices(self) -> Start:
        """Return what is chosen now."""
        mode = str(self.kind.currentData())
        model = str(self.model.currentData() or self.model_file.filePath()) if mode in OF_MODEL else ""
        weights = {"imagenet": IMAGENET, "encoder": str(self.weights_file.filePath())}
        frozen = int(self.freeze.value()) if mode != "none" else 0
        return Start(mode, model, weights.get(mode, ""), frozen)

    def adapt(self, is_network: bool) -> None:
        """Show what belongs to the choice."""
        mode = str(self.kind.currentData())
        self.section.setVisible(is_network)
        of_model = mode in OF_MODEL
        self.model.setVisible(of_model)
        self.model_file.setVisible(of_model and not self.model.currentData())
        self.weights_file.setVisible(mode == "encoder")
        self.pretrain.setVisible(mode == "encoder")
        self.freeze.setVisible(mode != "none")
        self.note.setVisible(mode != "none")
        self.note.setText(f'{start_note(mode)} <a href="fine-tuning">{tr("Guide")}</a>')
