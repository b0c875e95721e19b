"""The register of runs: opened from the Train and Results pages, read from files without the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.PyQt.QtCore import QObject
from qgis.PyQt.QtWidgets import QMessageBox

from ...contract import GeoSegError
from ...jobs.submission import Submission
from ...panel.desktop import open_file
from ...panel.records import report_of
from ...panel.services import PanelServices
from ...panel.texts import tr
from ...records import runs as register
from ...records.runs import Run
from .runs_window import MAX_COMPARED, RunsWindow

LISTED = 8
"""So many names are read out before a deletion."""


def confirmed(window: RunsWindow, text: str) -> bool:
    """Return whether the user confirms; Enter does not."""
    buttons = QMessageBox.StandardButton
    pressed = QMessageBox.question(window, tr("Delete runs"), text, buttons.Yes | buttons.No, buttons.No)
    return bool(pressed == buttons.Yes)


class RunsController(QObject):
    """Keeps the register up to date and runs its actions.

    Args:
        services: those of the panel.
        repeat: runs a training, cross-validation or search once more.
        confirm: returns whether the user confirms; tests give their own.
    """

    def __init__(
        self,
        services: PanelServices,
        repeat: Callable[[Submission], None],
        confirm: Callable[[RunsWindow, str], bool] = confirmed,
    ) -> None:
        super().__init__(services)
        self.services, self._repeat, self._confirm = services, repeat, confirm
        services.jobs.busy_changed.connect(self.set_busy)
        self.window: RunsWindow | None = None

    def close(self) -> None:
        """Close the window."""
        if self.window is not None:
            self.window.close()

    def open(self) -> None:
        """Show the window."""
        if self.window is None:
            self.window = RunsWindow(self.services.dock)
            self.window.selection_changed.connect(self._on_selected)
            self.window.action_requested.connect(self.act)
        self.window.show()
        self.refresh()
        self.window.set_busy(self.services.jobs.busy)
        self.window.raise_()
        self.window.activateWindow()

    def refresh(self) -> None:
        """Read the workspace again, if the window is shown."""
        if self.window is not None and self.window.isVisible():
            self.window.set_runs(self.services.view.register())

    def set_busy(self, busy: bool) -> None:
        """While a job runs no other can be started."""
        if self.window is not None:
            self.window.set_busy(busy)

    def act(self, what: str) -> None:
        """Do something with the selected runs."""
        runs = self.window.selected() if self.window is not None else []
        if not runs:
            return
        folder = runs[0].entry.folder
        if what == "delete":
            self.delete(runs)
        elif what == "use":
            self.services.choose_run(folder)
        elif what == "report":
            open_file(report_of(folder, self.services.view.evaluation(folder)))
        elif what == "repeat":
            self.repeat(folder)
        else:
            open_file(folder)

    def repeat(self, folder: Path) -> None:
        """Train once more with the same settings."""
        try:
            self.services.jobs.check_writable()
            submission = register.repeat(folder, self.services.workspace.new_run(f"{folder.name}-again"))
        except (GeoSegError, OSError) as error:
            self.services.errors.show(error)
            return
        self._repeat(submission)

    def delete(self, runs: list[Run]) -> None:
        """Delete runs with all their files, once the user has confirmed."""
        if self.window is None or not self._confirm(self.window, question(runs)):
            return
        for run in runs:
            try:
                register.delete(run.entry.folder, self.services.state.run)
            except (GeoSegError, OSError) as error:
                self.services.errors.show(error)
        self.services.refresh()

    def _on_selected(self) -> None:
        if self.window is None:
            return
        runs = self.window.selected()[:MAX_COMPARED]
        settings = [register.settings_of(run.entry.folder) for run in runs]
        rows = (
            [(key, [value]) for key, value in settings[0].items()]
            if len(runs) == 1
            else register.differences(settings)
        )
        self.window.show_differences([run.entry.folder.name for run in runs], rows)
        self.window.show_curves([(run.name, register.epochs_of(run.entry.folder)) for run in runs])


def question(runs: list[Run]) -> str:
    """Return what would be deleted."""
    names = [run.name for run in runs[:LISTED]]
    more = [tr("and {} more").format(len(runs) - LISTED)] if len(runs) > LISTED else []
    text = tr("Delete with all files, models and scores? This cannot be undone.")
    return "\n".join([text, "", *names, *more])
