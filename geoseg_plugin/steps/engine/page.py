"""The engine: is it ready, what can it do, set it up, where results go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from ...panel.texts import tr
from ...panel.widgets.notes import Note, ProblemList, small_label, wrap
from ...panel.widgets.page import Page, narrow_form, primary_button
from .state import EngineChoices


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
            "GeoSeg runs in a Python environment of its own, separate from QGIS, so that neither disturbs the other."
        )
        super().__init__(tr("Engine"), intro, parent)
        self._add_state()
        self._add_setup()
        self._add_settings()
        self.body.addStretch(1)
        self.foot.addWidget(self.next_step)
        self._is_set_up = True
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
        self.setup_button = QPushButton(tr("Change the set&up…"))
        self.setup_button.setToolTip(tr("Complete or repair the engine, or use another Python or a GPU."))
        self.setup_button.clicked.connect(self._on_setup_clicked)
        self.check_button = QPushButton(tr("Chec&k again"))
        self.check_button.clicked.connect(self.check_requested)
        self.copy_button = QPushButton(tr("Cop&y diagnostics"))
        self.copy_button.setToolTip(
            tr("A description of this computer and the engine, to paste into a bug report.")
        )
        self.copy_button.clicked.connect(self.diagnostics_requested)
        for button in (self.check_button, self.copy_button):
            row.addWidget(button)
        self.body.addWidget(self.setup_button)
        self.body.addLayout(row)

    def _add_setup(self) -> None:
        self.setup = QGroupBox(tr("Set up the engine"))
        self.kind_notes: dict[str, QLabel] = {}
        layout = QVBoxLayout(self.setup)
        self.cpu, self.gpu = QRadioButton(tr("CPU: works everywhere")), QRadioButton(tr("NVIDIA GPU"))
        self.own = QRadioButton(tr("Use an existing environment"))
        self.cpu.setChecked(True)
        self.kind = QButtonGroup(self)
        notes = (
            "",
            "",
            tr("Nothing is installed: its Python must have torch, rasterio, geopandas and onnxruntime."),
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
            self.kind_notes[value] = label
        self.remember("kind", self.kind, in_project=False)
        form = narrow_form()
        self.python = QgsFileWidget()
        self.python.setDialogTitle(tr("Choose a Python interpreter"))
        self.python.lineEdit().setPlaceholderText(tr("automatic"))
        self.remember("python", self.python, in_project=False)
        form.addRow(tr("Python"), self.python)
        layout.addLayout(form)
        self.with_richdem = QCheckBox(tr("Build richdem"))
        self.with_richdem.setChecked(True)
        self.richdem_note = small_label(
            tr("Terrain attributes; needs a C++ compiler. Without it they are computed by GeoSeg itself.")
        )
        self.richdem_note.setIndent(22)
        layout.addWidget(self.with_richdem)
        layout.addWidget(self.richdem_note)
        self.install_button = primary_button("")
        self.install_button.clicked.connect(self._on_install_clicked)
        layout.addWidget(self.install_button)
        self.close_button = QPushButton(tr("Close"))
        self.close_button.clicked.connect(lambda: self.show_setup(False))
        layout.addWidget(self.close_button)
        self.install_note = small_label(tr("Progress and Cancel are below. An interrupted setup is resumed."))
        layout.addWidget(self.install_note)
        self.body.addWidget(self.setup)

    def _add_settings(self) -> None:
        form = self.section(tr("Workspace folder for results"))
        self.workspace = QgsFileWidget()
        self.workspace.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.workspace.setDialogTitle(tr("Choose the workspace folder"))
        self.workspace.lineEdit().setAccessibleName(tr("Workspace folder"))
        self.workspace.fileChanged.connect(self.workspace_chosen)
        form.addRow(self.workspace)
        self.workspace_note = small_label(tr("Datasets, runs and predictions, each in its own folder."))
        self.workspace_problems = ProblemList()
        form.addRow(self.workspace_note)
        form.addRow(self.workspace_problems)
        form = self.section(tr("If QGIS closes during training"))
        self.keep_training = QRadioButton(tr("Keep training in the background"))
        self.stop = QRadioButton(tr("Stop and keep the best model"))
        group = QButtonGroup(self)
        for button, value in ((self.keep_training, "continue"), (self.stop, "stop")):
            group.addButton(button)
            form.addRow(button)
            button.clicked.connect(lambda _checked=False, chosen=value: self.on_close_chosen.emit(chosen))

    def show_setup(self, shown: bool) -> None:
        """Show the form that sets the engine up, or the button that opens it; without an engine always the form."""
        shown = shown or not self._is_set_up
        self.setup.setVisible(shown)
        self.setup_button.setVisible(not shown)
        self.close_button.setVisible(self._is_set_up)

    def show_sizes(self, takes_gb: Mapping[str, float], free_gb: Mapping[str, float]) -> None:
        """Show how much disk space the kinds of engine need."""
        of_cpu = tr("Takes {:g} GB of disk; {:g} GB must be free.").format(takes_gb["cpu"], free_gb["cpu"])
        of_gpu = tr("Takes up to {:g} GB of disk. Training is 20 to 100 times faster.").format(
            takes_gb["gpu"]
        )
        self.kind_notes["cpu"].setText(of_cpu)
        self.kind_notes["gpu"].setText(of_gpu)

    def set_set_up(self, is_set_up: bool) -> None:
        """Set whether there is an engine, working or not."""
        if is_set_up != self._is_set_up:
            self._is_set_up = is_set_up
            self.show_setup(not is_set_up)
            self.on_inputs_changed()

    def show_installed(self) -> None:
        """Show that the engine is set up, with a link to the next step."""
        self.show_setup(False)
        self.next_step.show_done(tr("The engine is set up."), tr("Next: choose rasters and labels"), "data")

    def _on_setup_clicked(self) -> None:
        self.show_setup(True)
        self.install_button.setFocus()

    def show_state(self, headline: str, problems: Sequence[Any], facts: Sequence[tuple[str, str]]) -> None:
        """Show whether the engine is ready; `facts` are names and values."""
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
        (self.stop if on_close == "stop" else self.keep_training).setChecked(True)
        if python:
            self.own.setChecked(True)
            self.python.setFilePath(python)

    def show_workspace(self, folder: str) -> None:
        """Show where results go, unless the user is typing there."""
        if not self.workspace.lineEdit().hasFocus():
            with QSignalBlocker(self.workspace):
                self.workspace.setFilePath(folder)

    def set_workspace_problems(self, problems: Sequence[Any]) -> None:
        """Show why results cannot be written to the workspace folder."""
        self.workspace_problems.set_problems(problems)

    def choices(self) -> EngineChoices:
        """Return how to set the engine up."""
        button = self.kind.checkedButton()
        return EngineChoices(
            device=str(button.property("value")),
            python=self.python.filePath().strip(),
            without_richdem=not self.with_richdem.isChecked(),
        )

    def set_busy(self, busy: bool) -> None:
        """While a job runs nothing can be installed."""
        super().set_busy(busy)
        self.install_button.setEnabled(not busy)
        self.check_button.setEnabled(not busy)

    def on_inputs_changed(self) -> None:
        own = self.own.isChecked()
        install = tr("&Install again") if self._is_set_up else tr("&Install")
        self.install_button.setText(tr("Use this environment") if own else install)
        self.install_button.setAccessibleName(self.install_button.text().replace("&", ""))
        self.with_richdem.setVisible(not own)
        self.richdem_note.setVisible(not own)

    def _on_install_clicked(self) -> None:
        choices = self.choices()
        if choices.device == "own":
            self.python_chosen.emit(choices.python)
        else:
            self.install_requested.emit()
