"""The engine: is it ready, what can it do, set it up, where results go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ..choices import EngineChoices
from ..widgets.notes import Note, ProblemList, small_label, wrap
from ..widgets.page import Page, narrow_form, primary_button
from ..words import memory, tr


class EnginePage(Page):
    """Emits `install_requested`, `check_requested`, `diagnostics_requested`, and settings as they change."""

    install_requested = pyqtSignal()
    check_requested = pyqtSignal()
    diagnostics_requested = pyqtSignal()
    python_chosen = pyqtSignal(str)
    workspace_chosen = pyqtSignal(str)
    on_close_chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr(
            "GeoSeg computes in a Python of its own, apart from QGIS, so that neither disturbs the other."
        )
        super().__init__(tr("Engine"), intro, parent)
        self._add_state()
        self._add_setup()
        self._add_settings()
        self.body.addStretch(1)
        self.settle()
        self.show_setup(False)
        self.on_inputs_changed()

    def _add_state(self) -> None:
        self.headline = wrap(Note())
        font = self.headline.font()
        font.setBold(True)
        font.setPointSizeF(max(font.pointSizeF(), 6) * 1.2)
        self.headline.setFont(font)
        self.problem_list = ProblemList()
        self.facts = QGridLayout()
        self.facts.setColumnStretch(1, 1)
        self.facts.setHorizontalSpacing(10)
        self.facts.setVerticalSpacing(3)
        self.body.addWidget(self.headline)
        self.body.addWidget(self.problem_list)
        self.body.addLayout(self.facts)
        row = QHBoxLayout()
        self.setup_button = primary_button(tr("Set &up…"))
        self.setup_button.setCheckable(True)
        self.setup_button.toggled.connect(self.show_setup)
        self.check_button = QPushButton(tr("Chec&k again"))
        self.check_button.clicked.connect(self.check_requested)
        self.copy_button = QPushButton(tr("Cop&y diagnostics"))
        self.copy_button.setToolTip(tr("A text about this machine and the engine, to paste into a question."))
        self.copy_button.clicked.connect(self.diagnostics_requested)
        for button in (self.check_button, self.copy_button):
            row.addWidget(button)
        self.body.addWidget(self.setup_button)
        self.body.addLayout(row)

    def _add_setup(self) -> None:
        self.setup = QGroupBox(tr("Set up the engine"))
        layout = QVBoxLayout(self.setup)
        self.cpu, self.gpu = QRadioButton(tr("CPU: works everywhere")), QRadioButton(tr("NVIDIA GPU"))
        self.own = QRadioButton(tr("Use my own Python as it is"))
        self.cpu.setChecked(True)
        self.kind = QButtonGroup(self)
        notes = (
            tr("Downloads about 1 GB, takes 3 GB of disk."),
            tr("Downloads about 4 GB, takes 9 GB. Training is 20 to 100 times faster."),
            tr("Nothing is installed: it must have torch, rasterio, geopandas and onnxruntime."),
        )
        for button, value, note in zip(
            (self.cpu, self.gpu, self.own), ("cpu", "gpu", "own"), notes, strict=True
        ):
            button.setProperty("value", value)
            self.kind.addButton(button)
            layout.addWidget(button)
            label = small_label(note)
            label.setIndent(22)
            layout.addWidget(label)
        self.remember("kind", self.kind, in_project=False)
        form = narrow_form()
        self.python = QgsFileWidget()
        self.python.setDialogTitle(tr("Choose a Python interpreter"))
        self.python.lineEdit().setPlaceholderText(tr("found for you"))
        self.remember("python", self.python, in_project=False)
        form.addRow(tr("Python"), self.python)
        layout.addLayout(form)
        self.with_richdem = QCheckBox(tr("Build richdem (needs a C++ compiler)"))
        self.with_richdem.setChecked(True)
        self.with_richdem.setToolTip(
            tr("It derives terrain; without it the same attributes come from GDAL's DEM tools.")
        )
        layout.addWidget(self.with_richdem)
        self.install_button = primary_button("")
        self.install_button.clicked.connect(self._on_install_clicked)
        layout.addWidget(self.install_button)
        self.install_note = small_label(
            tr("Progress and Cancel are below. An interrupted set-up goes on where it stopped.")
        )
        layout.addWidget(self.install_note)
        self.body.addWidget(self.setup)

    def _add_settings(self) -> None:
        form = self.section(tr("Results go to"))
        self.workspace = QgsFileWidget()
        self.workspace.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.workspace.setDialogTitle(tr("Choose the workspace folder"))
        self.workspace.lineEdit().setAccessibleName(tr("Workspace folder"))
        self.workspace.fileChanged.connect(self.workspace_chosen)
        form.addRow(self.workspace)
        self.workspace_note = small_label(tr("Datasets, runs and predictions, each in a folder of its own."))
        self.workspace_problems = ProblemList()
        form.addRow(self.workspace_note)
        form.addRow(self.workspace_problems)
        form = self.section(tr("If QGIS closes during training"))
        self.go_on = QRadioButton(tr("Go on, and let me re-attach next time"))
        self.stop = QRadioButton(tr("Stop and keep the best model"))
        group = QButtonGroup(self)
        for button, value in ((self.go_on, "continue"), (self.stop, "stop")):
            group.addButton(button)
            form.addRow(button)
            button.clicked.connect(lambda _checked=False, chosen=value: self.on_close_chosen.emit(chosen))

    def show_setup(self, shown: bool) -> None:
        """Unfold or fold the set-up panel."""
        self.setup.setVisible(shown)
        with QSignalBlocker(self.setup_button):
            self.setup_button.setChecked(shown)

    def show_state(self, headline: str, problems: Sequence[Any], facts: Sequence[tuple[str, str]]) -> None:
        """Say whether the engine is ready; `facts` are names and values."""
        self.headline.setText(headline)
        self.problem_list.set_problems(problems)
        while self.facts.count():
            old = self.facts.takeAt(0).widget()
            old.hide()
            old.deleteLater()
        for row, (name, value) in enumerate(facts):
            label = wrap(Note(value))
            label.setToolTip(value)
            self.facts.addWidget(QLabel(name), row, 0, Qt.AlignmentFlag.AlignTop)
            self.facts.addWidget(label, row, 1)

    def show_settings(self, workspace: str, on_close: str, python: str) -> None:
        """Show the user's settings without emitting them."""
        self.show_workspace(workspace)
        (self.stop if on_close == "stop" else self.go_on).setChecked(True)
        if python:
            self.own.setChecked(True)
            self.python.setFilePath(python)

    def show_workspace(self, folder: str) -> None:
        """Show where results go, unless the user is typing there."""
        if not self.workspace.lineEdit().hasFocus():
            with QSignalBlocker(self.workspace):
                self.workspace.setFilePath(folder)

    def set_workspace_problems(self, problems: Sequence[Any]) -> None:
        """Why results cannot be written to the workspace folder."""
        self.workspace_problems.set_problems(problems)

    def choices(self) -> EngineChoices:
        """How to set the engine up."""
        button = self.kind.checkedButton()
        return EngineChoices(
            device=str(button.property("value")),
            python=self.python.filePath().strip(),
            without_richdem=not self.with_richdem.isChecked(),
        )

    def set_busy(self, busy: bool) -> None:
        """While a job runs nothing can be installed."""
        self.install_button.setEnabled(not busy)
        self.check_button.setEnabled(not busy)

    def on_inputs_changed(self) -> None:
        own = self.own.isChecked()
        self.install_button.setText(tr("Use this Python") if own else tr("&Install or complete"))
        self.install_button.setAccessibleName(self.install_button.text().replace("&", ""))
        self.with_richdem.setVisible(not own)

    def _on_install_clicked(self) -> None:
        choices = self.choices()
        if choices.device == "own":
            self.python_chosen.emit(choices.python)
        else:
            self.install_requested.emit()


def engine_facts(python: str, probe: dict[str, Any]) -> list[tuple[str, str]]:
    """What a probe found, in reading order."""
    facts = [(tr("Python"), python)] if python else []
    if not probe:
        return facts
    versions = probe.get("versions") or {}
    named = ("torch", "numpy", "rasterio", "geopandas", "onnxruntime-gpu", "onnxruntime")
    shown = ", ".join(f"{name} {versions[name]}" for name in named if versions.get(name))
    runtime = ", ".join(str(item) for item in probe.get("providers") or [])
    note = str(probe.get("provider_note") or "")
    richdem = tr("richdem {}").format(versions.get("richdem", "")) if probe.get("richdem") else tr("GDAL")
    facts += [
        (tr("Device"), device_text(probe)),
        (tr("Versions"), shown),
        (tr("Terrain"), richdem.strip()),
        (tr("ONNX Runtime"), f"{runtime}. {note}".strip(". ") if runtime or note else tr("not installed")),
    ]
    return [(name, value) for name, value in facts if value]


def device_text(probe: dict[str, Any]) -> str:
    """ "NVIDIA H200, 141 GB" or "CPU"; empty when it is not known."""
    device = str(probe.get("device") or "")
    if not device:
        return ""
    name = str(probe.get("device_name") or "") or device.upper()
    size = float(probe.get("device_memory_mb") or 0)
    if not device.startswith("cuda"):
        return tr("CPU ({})").format(name) if name.upper() != "CPU" else tr("CPU")
    return f"{name}, {memory(size)}" if size else name


def badge_text(probe: dict[str, Any]) -> str:
    """The device in a word or two, for the badge."""
    if not probe.get("device"):
        return ""
    if str(probe["device"]).startswith("cuda"):
        return str(probe.get("device_name") or "GPU")
    return tr("CPU")
