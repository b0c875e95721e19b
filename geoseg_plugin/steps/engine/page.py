"""The engine: is it ready, what can it do, set it up; where results go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QSignalBlocker, Qt, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ...panel.texts import duration, tr
from ...panel.widgets.notes import Note, ProblemList, Sentence, small_label, wrap
from ...panel.widgets.page import Page, primary_button
from ...paths import icon
from .setup_state import SetupView, Working

NEEDS_HELP = ("failed", "broken", "impossible", "warning", "unused")
"""States in which the page itself offers the diagnostics."""


class EnginePage(Page):
    """Shows the state of the engine, with one button that sets it up.

    Signals:
        setup_requested: the button was pressed.
        change_requested: show the dialog with all choices.
        check_requested: look at this computer and the engine again.
        diagnostics_requested: copy a description for a bug report.
        cancel_requested: cancel the set-up that runs.
        workspace_chosen, on_close_chosen: the user's settings.
    """

    setup_requested = pyqtSignal()
    change_requested = pyqtSignal()
    check_requested = pyqtSignal()
    diagnostics_requested = pyqtSignal()
    cancel_requested = pyqtSignal()
    workspace_chosen = pyqtSignal(str)
    on_close_chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        intro = tr(
            "GeoSeg runs in a Python environment of its own, separate from QGIS, so that neither disturbs the other."
        )
        super().__init__(tr("Engine"), intro, parent)
        self.view = SetupView("looking", "", enabled=False)
        self._add_state()
        self._add_progress()
        self._add_buttons()
        self._add_settings()
        self.body.addStretch(1)
        self.foot.addWidget(self.next_step)
        self.show_view(self.view)
        self.settle()

    def _add_state(self) -> None:
        self.picture = QLabel()
        self.headline = wrap(Note())
        font = self.headline.font()
        font.setBold(True)
        font.setPointSizeF(max(font.pointSizeF(), 6) * 1.2)
        self.headline.setFont(font)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.headline, 1)
        self.facts = QGridLayout()
        self.facts.setColumnStretch(1, 1)
        self.facts.setHorizontalSpacing(10)
        self.facts.setVerticalSpacing(3)
        self.problem_list = ProblemList()
        self.sentence = Sentence()
        self.body.addLayout(row)
        self.body.addLayout(self.facts)
        self.body.addWidget(self.problem_list)
        self.body.addWidget(self.sentence)

    def _add_progress(self) -> None:
        self.progress = QWidget()
        layout = QVBoxLayout(self.progress)
        layout.setContentsMargins(0, 0, 0, 0)
        self.step_label = wrap(Note())
        self.bar = QProgressBar()
        self.bar.setAccessibleName(tr("Progress of the set-up"))
        self.left_label = QLabel()
        self.cancel_button = QPushButton(tr("Cance&l"))
        self.cancel_button.setToolTip(
            tr("Stops the set-up. What is downloaded is kept; it can be resumed later.")
        )
        self.cancel_button.clicked.connect(self._on_cancel_clicked)
        row = QHBoxLayout()
        row.addWidget(self.left_label, 1)
        row.addWidget(self.cancel_button)
        layout.addWidget(self.step_label)
        layout.addWidget(self.bar)
        layout.addLayout(row)
        self.body.addWidget(self.progress)
        self.progress.hide()

    def _add_buttons(self) -> None:
        self.install_button = primary_button("")
        self.install_button.clicked.connect(self.setup_requested)
        self.change_button = QPushButton(tr("Chan&ge…"))
        self.change_button.setToolTip(
            tr("Another build or Python, another folder, without a network, repair, remove, move, log.")
        )
        self.change_button.clicked.connect(self.change_requested)
        self.check_button = QPushButton(tr("Chec&k again"))
        self.check_button.setToolTip(tr("Look at this computer and at the engine again."))
        self.check_button.clicked.connect(self.check_requested)
        self.copy_button = QPushButton(tr("Cop&y diagnostics"))
        self.copy_button.setToolTip(
            tr(
                "A description of this computer and the engine, to paste into a bug report, without user names."
            )
        )
        self.copy_button.clicked.connect(self.diagnostics_requested)
        row = QHBoxLayout()
        row.addWidget(self.change_button)
        row.addWidget(self.check_button)
        self.body.addWidget(self.install_button)
        self.body.addLayout(row)
        self.body.addWidget(self.copy_button)
        for button in (self.change_button, self.check_button, self.copy_button, self.cancel_button):
            button.setAccessibleName(button.text().replace("&", ""))

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

    def show_view(self, view: SetupView) -> None:
        """Show the state of the engine and of its set-up."""
        self.view = view
        self.headline.setText(view.headline)
        self.headline.setAccessibleName(view.headline)
        side = round(self.headline.fontMetrics().height() * 1.05)
        if view.icon:
            self.picture.setPixmap(QIcon(icon(view.icon)).pixmap(side, side))
        self.picture.setVisible(bool(view.icon))
        self._show_facts(view.facts)
        self.problem_list.set_problems(view.problems)
        self.sentence.set_text(view.plan)
        working = view.state == "installing"
        self.progress.setVisible(working)
        self.install_button.setVisible(bool(view.button) and not working)
        self.install_button.setText(view.button)
        self.install_button.setAccessibleName(view.button.replace("&", ""))
        self.install_button.setToolTip(view.why)
        self.install_button.setAccessibleDescription(view.why)
        self.copy_button.setVisible(view.state in NEEDS_HELP)
        self._enable_buttons()

    def show_progress(self, working: Working) -> None:
        """Show how the set-up goes."""
        self.step_label.setText(working.step)
        self.bar.setRange(0, 0 if working.fraction < 0 else 1000)
        self.bar.setValue(round(1000 * min(max(working.fraction, 0.0), 1.0)))
        left = duration(working.seconds_left)
        self.left_label.setText(tr("about {} left").format(left) if left else "")

    def _show_facts(self, facts: Sequence[tuple[str, str]]) -> None:
        while self.facts.count():
            old = self.facts.takeAt(0).widget()
            old.hide()
            old.deleteLater()
        for row, (name, value) in enumerate(facts):
            label = wrap(Note(value))
            label.setToolTip(value)
            label.setAccessibleName(f"{name}: {value}")
            self.facts.addWidget(QLabel(name), row, 0, Qt.AlignmentFlag.AlignTop)
            self.facts.addWidget(label, row, 1)

    def show_installed(self) -> None:
        """Show that the engine is set up, with a link to the next step."""
        self.next_step.show_done(tr("The engine is set up."), tr("Next: choose rasters and labels"), "data")

    def show_settings(self, workspace: str, on_close: str) -> None:
        """Show the user's settings without emitting them."""
        self.show_workspace(workspace)
        (self.stop if on_close == "stop" else self.keep_training).setChecked(True)

    def show_workspace(self, folder: str) -> None:
        """Show where results go, unless the user is typing there."""
        if not self.workspace.lineEdit().hasFocus():
            with QSignalBlocker(self.workspace):
                self.workspace.setFilePath(folder)

    def set_workspace_problems(self, problems: Sequence[Any]) -> None:
        """Show why results cannot be written to the workspace folder."""
        self.workspace_problems.set_problems(problems)

    def set_busy(self, busy: bool) -> None:
        """While a job runs nothing can be installed."""
        super().set_busy(busy)
        self._enable_buttons()

    def _enable_buttons(self) -> None:
        self.install_button.setEnabled(self.view.enabled and not self._busy)
        self.check_button.setEnabled(not self._busy)
        self.cancel_button.setEnabled(self.view.state == "installing")

    def _on_cancel_clicked(self) -> None:
        self.cancel_button.setEnabled(False)
        self.left_label.setText(tr("stopping…"))
        self.cancel_requested.emit()
