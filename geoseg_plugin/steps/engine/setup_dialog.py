"""Everything about the engine that most people never change: build, Python, folder, kits, repair, removal."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...engine.setup.kit import KitPlatform
from ...panel.texts import tr
from ...panel.widgets.notes import ProblemList, small_label
from ...panel.widgets.page import Content, heading, lets_shrink, narrow_form, primary_button, scrolling
from .dialog_state import BuildEntry, DialogView
from .setup_state import SetupChoices, size_text

SIZE, MARGIN_PX = QSize(460, 700), 30


class SetupDialog(QDialog):
    """Choices of the set-up, and what can be done with an engine that is there.

    Signals:
        changed: the choices have changed.
        setup_requested: set the engine up with these choices.
        kit_chosen, save_requested: install from a folder; save one for another computer.
        repair_requested, clear_requested, move_requested, remove_requested: of the engine that is there.
        log_requested, diagnostics_requested: open the log; copy a description.
        python_chosen: use this interpreter of the user's own.
    """

    changed = pyqtSignal()
    setup_requested = pyqtSignal()
    kit_requested = pyqtSignal()
    save_requested = pyqtSignal()
    repair_requested = pyqtSignal()
    clear_requested = pyqtSignal()
    move_requested = pyqtSignal()
    remove_requested = pyqtSignal()
    log_requested = pyqtSignal()
    diagnostics_requested = pyqtSignal()
    python_chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Set-up of the engine"))
        content = Content()
        self._body = QVBoxLayout(content)
        self._add_choices()
        self._add_kits()
        self._add_maintenance()
        self._add_own()
        self._body.addStretch(1)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(scrolling(content), 1)
        layout.addWidget(close)
        self.resize(SIZE)

    def _add_choices(self) -> None:
        form = narrow_form()
        self.build = QComboBox()
        lets_shrink(self.build)
        self.build.setToolTip(
            tr("Which PyTorch is installed; Automatic takes the one for your card and driver.")
        )
        self.build_note = small_label("")
        self.python = file_widget(tr("Choose a Python interpreter"), tr("Python"))
        self.python.setToolTip(tr("Python 3.11 to 3.14, 64 bit, from which the environment is made."))
        self.folder = file_widget(tr("Choose the folder of the engine"), tr("Folder of the engine"), True)
        self.folder_note = small_label("")
        self.with_richdem = QCheckBox(tr("Build &richdem"))
        self.with_richdem.setChecked(True)
        note = tr("Terrain attributes; needs a C++ compiler. Without it GeoSeg computes them itself.")
        self.with_richdem.setToolTip(note)
        form.addRow(tr("&Build"), self.build)
        form.addRow(self.build_note)
        form.addRow(tr("Python"), self.python)
        form.addRow(tr("Folder"), self.folder)
        form.addRow(self.folder_note)
        self._body.addWidget(heading(tr("What is installed, and where")))
        self._body.addLayout(form)
        self._body.addWidget(self.with_richdem)
        self._body.addWidget(small_label(note))
        self.problem_list = ProblemList()
        self._body.addWidget(self.problem_list)
        self.setup_button = primary_button(tr("&Set up the engine"))
        self.setup_button.setAutoDefault(False)  # Enter in a field above it must not start an installation
        self.setup_button.clicked.connect(self.setup_requested)
        self._body.addWidget(self.setup_button)
        self.build.currentIndexChanged.connect(self._on_changed)
        self.with_richdem.toggled.connect(self._on_changed)
        for widget in (self.python, self.folder):
            widget.fileChanged.connect(self._on_changed)

    def _add_kits(self) -> None:
        self._body.addWidget(heading(tr("Without a network")))
        self.kit_note = small_label(
            tr(
                "A folder of packages, saved on a computer with a network, installs the engine on one without."
            )
        )
        self._body.addWidget(self.kit_note)
        self.kit_button = self._button(tr("&Install from a folder…"), self.kit_requested)
        self.save_button = self._button(tr("Save for &another computer…"), self.save_requested)
        self._body.addLayout(grid((self.kit_button, self.save_button)))

    def _add_maintenance(self) -> None:
        self._body.addWidget(heading(tr("The engine that is there")))
        self.size_note = small_label("")
        self._body.addWidget(self.size_note)
        self.repair_button = self._button(tr("Re&pair"), self.repair_requested)
        self.clear_button = self._button(tr("D&elete downloads"), self.clear_requested)
        self.move_button = self._button(tr("&Move to another disk…"), self.move_requested)
        self.remove_button = self._button(tr("Remo&ve…"), self.remove_requested)
        self.log_button = self._button(tr("Open &log"), self.log_requested)
        self.copy_button = self._button(tr("Copy &diagnostics"), self.diagnostics_requested)
        for button, text in (
            (self.repair_button, tr("Checks every file and installs broken packages again.")),
            (self.clear_button, tr("Deletes what was downloaded. An update or repair downloads it again.")),
            (self.move_button, tr("Makes the engine in another folder and removes it here.")),
            (self.remove_button, tr("Deletes the engine and its downloads. Your data and models stay.")),
            (self.log_button, tr("What the set-up did, line by line.")),
            (
                self.copy_button,
                tr("Computer, engine and log for a bug report, without user names and tokens."),
            ),
        ):
            button.setToolTip(text)
            button.setProperty("about", text)
        self._body.addLayout(
            grid(
                (
                    self.repair_button,
                    self.move_button,
                    self.clear_button,
                    self.remove_button,
                    self.log_button,
                    self.copy_button,
                )
            )
        )

    def _add_own(self) -> None:
        self._body.addWidget(heading(tr("An existing environment instead")))
        self._body.addWidget(
            small_label(
                tr("Nothing is installed: its Python must have torch, rasterio, geopandas and onnxruntime.")
            )
        )
        self.own = file_widget(tr("Choose the Python of the environment"), tr("Python of the environment"))
        self.own.lineEdit().setPlaceholderText(tr("Python of your environment"))
        self.own_button = self._button(tr("&Use this environment"))
        self.own_button.clicked.connect(lambda: self.python_chosen.emit(self.own.filePath().strip()))
        self._body.addWidget(self.own)
        self._body.addWidget(self.own_button)

    def _button(self, text: str, signal: pyqtSignal | None = None) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.setAccessibleName(text.replace("&", ""))
        if signal is not None:
            button.clicked.connect(signal)
        return button

    def show_view(self, view: DialogView) -> None:
        """Show builds, notes, and which buttons can be pressed, each with its reason."""
        self._show_builds(view.builds, view.choices.build)
        self._show_choices(view.choices)
        self.build_note.setText(view.build_note)
        self.folder_note.setText(view.folder_note)
        self.size_note.setText(view.size_note)
        self.problem_list.set_problems(view.problems)
        self.setup_button.setText(view.button)
        for button, why in (
            (self.setup_button, view.why_no_setup),
            (self.kit_button, view.why_busy),
            (self.save_button, view.why_busy),
            (self.repair_button, view.why_no_engine),
            (self.clear_button, view.why_no_engine),
            (self.move_button, view.why_no_move),
            (self.remove_button, view.why_no_engine),
            (self.own_button, view.why_busy),
        ):
            button.setEnabled(not why)
            button.setToolTip(why or str(button.property("about") or ""))
            button.setAccessibleDescription(button.toolTip())
        self.folder.setEnabled(not view.why_no_folder)
        self.folder.setToolTip(view.why_no_folder or tr("An empty folder on a disk with room."))
        for widget, placeholder in ((self.python, view.python_found), (self.folder, view.folder_used)):
            widget.lineEdit().setPlaceholderText(placeholder)

    def _show_builds(self, builds: Sequence[BuildEntry], chosen: str) -> None:
        with QSignalBlocker(self.build):
            self.build.clear()
            for entry in builds:
                self.build.addItem(entry.title, entry.key)
                self.build.setItemData(self.build.count() - 1, entry.note, Qt.ItemDataRole.ToolTipRole)
            self.build.setCurrentIndex(max(self.build.findData(chosen), 0))

    def _show_choices(self, choices: SetupChoices) -> None:
        """Show the choices without emitting them, but for a field that the user is typing in."""
        for widget, value in ((self.python, choices.python), (self.folder, choices.folder)):
            if not widget.lineEdit().hasFocus() and widget.filePath().strip() != value:
                with QSignalBlocker(widget):
                    widget.setFilePath(value)
        with QSignalBlocker(self.with_richdem):
            self.with_richdem.setChecked(choices.with_richdem)

    def choices(self) -> SetupChoices:
        """Return how to set the engine up."""
        return SetupChoices(
            build=str(self.build.currentData() or "auto"),
            python=self.python.filePath().strip(),
            folder=self.folder.filePath().strip(),
            with_richdem=self.with_richdem.isChecked(),
        )

    def _on_changed(self, *_values: object) -> None:
        self.changed.emit()


class KitDialog(QDialog):
    """For which computer a folder of packages is saved, and where."""

    def __init__(self, platforms: Sequence[KitPlatform], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Save for another computer"))
        layout = QVBoxLayout(self)
        note = small_label(
            tr(
                "Downloads everything that the engine needs on the other computer, its Python included. Carry the"
                " folder there and choose “Install from a folder…” in its set-up."
            )
        )
        note.setMinimumWidth(SIZE.width() - MARGIN_PX)
        layout.addWidget(note)
        form = narrow_form()
        self.platform = QComboBox()
        for item in platforms:
            self.platform.addItem(f"{item.title} ({size_text(item.download_mb)})", item.key)
        lets_shrink(self.platform)
        self.folder = file_widget(tr("Choose an empty folder"), tr("Folder"), True)
        self.folder.fileChanged.connect(self._enable)
        form.addRow(tr("&Computer"), self.platform)
        form.addRow(tr("Folder"), self.folder)
        layout.addLayout(form)
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Save | kinds.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        layout.addWidget(self.buttons)
        self.adjustSize()
        self._enable()

    def _enable(self, *_values: object) -> None:
        ready = bool(self.folder.filePath().strip()) and self.platform.count() > 0
        button = self.buttons.button(QDialogButtonBox.StandardButton.Save)
        button.setEnabled(ready)
        button.setToolTip("" if ready else tr("Choose a folder first."))


def file_widget(title: str, name: str, is_folder: bool = False) -> QgsFileWidget:
    """Return a field for a file or folder with its button, named for screen readers."""
    widget = QgsFileWidget()
    if is_folder:
        widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    widget.setDialogTitle(title)
    widget.lineEdit().setAccessibleName(name)
    lets_shrink(widget)
    return widget


def grid(buttons: Sequence[QPushButton], columns: int = 2) -> QGridLayout:
    """Return buttons in rows of two."""
    layout = QGridLayout()
    for number, button in enumerate(buttons):
        layout.addWidget(button, number // columns, number % columns)
    return layout
