"""What a training begins from: nothing, an earlier model or run, or the weights of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QObject, QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from ...contract import Problem
from ...jobs.choices import NamedPath
from ...panel.texts import tr
from ...panel.widgets.notes import small_label
from ...panel.widgets.page import Page, heading, lets_shrink
from .names import start_names

ANOTHER = ""
"""Value of the entry of the list of models that lets one choose a file."""


class StartSection(QObject):
    """The section `Start from` of the Train page.

    Signals:
        pretrain_requested: encoder weights shall be made from the user's own rasters.
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
        self.freeze = page.spin_box("freeze_epochs", -1, 10_000, 0, tr("always"), tr(" epochs"))
        self.freeze.setAccessibleName(tr("Keep the encoder as it is"))
        self.freeze.setPrefix(tr("encoder fixed for "))
        self.pretrain = QPushButton(tr("&Make weights from my rasters…"))
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
        """Models of the workspace that a network can begin from."""
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

    @property
    def mode(self) -> str:
        """Key of `start_names`."""
        return str(self.kind.currentData())

    @property
    def model_path(self) -> str:
        """The chosen model.onnx; empty where none is wanted or chosen."""
        if self.mode not in ("again", "model"):
            return ""
        return str(self.model.currentData() or self.model_file.filePath())

    @property
    def weights(self) -> str:
        """Value of the job's field `weights`."""
        if self.mode == "imagenet":
            return "imagenet"
        return str(self.weights_file.filePath()) if self.mode == "encoder" else ""

    @property
    def freeze_epochs(self) -> int:
        """Value of the job's field `freeze_epochs`."""
        return int(self.freeze.value()) if self.mode != "none" else 0

    def problems(self) -> list[Problem]:
        """What is still to be chosen."""
        missing = {
            "again": (self.model_path, tr("No run is chosen to go on with.")),
            "model": (self.model_path, tr("No model is chosen to start from.")),
            "encoder": (self.weights, tr("No file of encoder weights is chosen.")),
        }
        path, message = missing.get(self.mode, ("-", ""))
        return [] if path else [Problem("start", message, tr("Choose one, or start from nothing."))]

    def adapt(self, is_network: bool) -> None:
        """Show what belongs to the choice."""
        mode = self.mode
        self.section.setVisible(is_network)
        of_model = mode in ("again", "model")
        self.model.setVisible(of_model)
        self.model_file.setVisible(of_model and not self.model.currentData())
        self.weights_file.setVisible(mode == "encoder")
        self.pretrain.setVisible(mode == "encoder")
        self.freeze.setVisible(mode != "none")
        self.note.setVisible(mode != "none")
        self.note.setText(f'{start_note(mode)} <a href="fine-tuning">{tr("Guide")}</a>')


def start_note(mode: str) -> str:
    """Why one would begin from that."""
    notes = {
        "again": tr("The same settings and bands, from where it had come: minutes instead of hours."),
        "model": tr("What fits of the model's bands and classes is kept; the log says what."),
        "encoder": tr("Weights named as torchvision names them, or made from your own rasters."),
        "imagenet": tr("Fetched by the library for the chosen encoder, fitted to your number of bands."),
    }
    return notes.get(mode, "")
