"""Sets the engine up and looks after it: look at the computer, install, repair, remove, move, kits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QDialog, QFileDialog, QMessageBox

from ...contract import GeoSegError, present
from ...engine.environment import set_location
from ...engine.setup import kit, maintenance
from ...engine.setup.builds import Proposal, propose
from ...engine.setup.plan import Listener, Network
from ...engine.setup.wheel_lists import platform_of
from ...panel import settings
from ...panel.desktop import open_file
from ...panel.job_runs import Done
from ...panel.services import PanelServices
from ...panel.texts import tr
from ...tasks.execution import engine_folder
from ...tasks.install_task import Work
from ...tasks.runner import TaskRunner
from . import look as looking
from .page import EnginePage
from .setup_dialog import KitDialog, SetupDialog
from .setup_state import Look, SetupChoices, Situation, Working, plan_text, size_text, step_text


class SetupController(QObject):
    """What the button of the Engine page and its dialog do.

    Args:
        services: of the panel.
        page: of the engine.

    Attributes:
        looker: runs the look at the computer, silently.
        found: what it found; None until then.
        choices: of the user.
        dialog: the dialog with all choices; None until it was opened.

    Signals:
        changed: what is to be shown has changed.
        engine_changed: there is another engine now, or none: probe it.
        python_chosen: use this interpreter of the user's own.
        diagnostics_requested: copy them.
    """

    changed = pyqtSignal()
    engine_changed = pyqtSignal()
    python_chosen = pyqtSignal(str)
    diagnostics_requested = pyqtSignal()

    def __init__(self, services: PanelServices, page: EnginePage) -> None:
        super().__init__(services)
        self._services, self._page = services, page
        self.looker = TaskRunner(self, silent=True)
        self.found: Look | None = None
        made = maintenance.plan_of(engine_folder())
        self.choices = SetupChoices(build=settings.engine_build(), with_richdem=made.with_richdem)
        self.dialog: SetupDialog | None = None
        self._working: Working | None = None
        self._failure: dict[str, Any] | None = None
        self._again: Callable[[], None] = self.install
        self._look_waits, self._kit_build = False, "auto"
        self.looker.finished.connect(self._on_found)
        self.looker.failed.connect(lambda problem: services.errors.show_problem(problem))
        self.looker.idle.connect(self._on_looker_idle)
        page.setup_requested.connect(self._on_setup_requested)
        page.change_requested.connect(self.open_dialog)
        page.cancel_requested.connect(self._on_cancel_requested)
        services.jobs.runner.progressed.connect(self._on_progressed)
        services.jobs.ended.connect(self._on_ended)
        services.jobs.busy_changed.connect(lambda _busy: self.changed.emit())

    def look(self) -> None:
        """Look at this computer in the background; until it is done what was found before is shown."""
        if self.looker.busy:
            self._look_waits = True
            return
        root, python = self.folder(), self.choices.python

        def work(_listener: Listener, _network: Network) -> dict[str, Any]:
            return {"look": looking.look(root, python)}

        self.looker.maintain(tr("Look at this computer"), work)

    def show_found(self, found: Look) -> None:
        """Show what was found on a computer."""
        self.found = found
        self.changed.emit()

    def folder(self) -> Path:
        """Return the folder of the environment: the user's choice, else that of the engine."""
        return Path(self.choices.folder) if self.choices.folder else engine_folder()

    def proposal(self) -> Proposal | None:
        """Return what would be installed; None until the computer was looked at."""
        chosen = self._kit_build if self.choices.kit else self.choices.build
        return propose(self.found.machine, chosen) if self.found is not None else None

    def completed(self, situation: Situation) -> Situation:
        """Return a situation of the engine with that of its set-up."""
        return replace(
            situation,
            look=self.found,
            proposal=self.proposal(),
            choices=self.choices,
            working=self._working,
            failure=self._failure,
        )

    def _plan_text(self) -> str:
        proposal = self.proposal()
        return plan_text(self.completed(Situation()), proposal) if proposal is not None else ""

    def situation_lines(self) -> list[str]:
        """Return what was found and is proposed, for the diagnostics."""
        proposal = self.proposal()
        build = proposal.build.key if proposal is not None and proposal.build is not None else "none"
        return [
            f"Found: {self.found}",
            f"Chosen build: {self.choices.build}, proposed: {build}",
            *([proposal.reason, proposal.advice] if proposal is not None else []),
            *([f"Last failure: {self._failure}"] if self._failure is not None else []),
        ]

    def forget_failure(self) -> None:
        """Show the last failure no more."""
        self._failure, self._again = None, self.install
        self.changed.emit()

    # what the button does

    def install(self) -> None:
        """Make, complete or update the managed environment with the choices."""
        chosen = self.choices
        from_kit = Path(chosen.kit) if chosen.kit else None
        plan = replace(
            maintenance.plan_of(self.folder()),
            build=chosen.build,
            python=chosen.python,
            with_richdem=chosen.with_richdem,
            kit=from_kit,
        )
        settings.set_own_python("")
        settings.set_engine_build(self.choices.build)
        self._run(
            tr("Setting up the engine"), lambda: self._services.jobs.runner.install(plan), self._on_installed
        )

    def repair(self) -> None:
        """Check every file of the environment, and install broken packages again."""
        root = engine_folder()

        def work(listener: Listener, network: Network) -> dict[str, Any]:
            return {"python": str(maintenance.repair(root, listener, network).python)}

        self._maintain(tr("Repairing the engine"), work, self._on_installed, self.repair)

    def remove(self) -> None:
        """Delete the environment with its downloads."""
        root = engine_folder()

        def work(listener: Listener, _network: Network) -> dict[str, Any]:
            maintenance.remove(root, listener)
            return {}

        self._maintain(tr("Removing the engine"), work, self._on_removed, self.remove)

    def clear_cache(self) -> None:
        """Delete what was downloaded; the engine does not need it."""
        root = engine_folder()

        def work(_listener: Listener, _network: Network) -> dict[str, Any]:
            maintenance.clear_cache(root)
            return {}

        self._maintain(tr("Deleting the downloads"), work, self._on_cleared, self.clear_cache)

    def move(self, target: Path) -> None:
        """Put the environment into another folder."""
        root = engine_folder()

        def work(listener: Listener, _network: Network) -> dict[str, Any]:
            return {"python": str(maintenance.move(root, target, listener).python)}

        self._maintain(tr("Moving the engine"), work, self._on_installed, lambda: self.move(target))

    def save_kit(self, folder: Path, platform: str) -> None:
        """Save a folder from which another computer installs without a network."""

        def work(listener: Listener, network: Network) -> dict[str, Any]:
            return {"folder": str(kit.save_kit(folder, platform, listener, network))}

        self._maintain(
            tr("Saving for another computer"), work, self._on_saved, lambda: self.save_kit(folder, platform)
        )

    def install_from(self, folder: Path) -> None:
        """Offer to install from a folder that another computer saved."""
        try:
            found = kit.read_kit(folder)
            if self.found is not None:
                found.check(platform_of(self.found.machine))
        except GeoSegError as error:
            self._services.errors.show(error)
            return
        self.choices, self._kit_build = replace(self.choices, kit=str(folder)), found.build
        self.forget_failure()

    def _maintain(self, title: str, work: Work, on_done: Done, again: Callable[[], None]) -> None:
        self._run(title, lambda: self._services.jobs.runner.maintain(title, work), on_done, again)

    def _run(
        self, title: str, begin: Callable[[], None], on_done: Done, again: Callable[[], None] | None = None
    ) -> None:
        self._services.queries.withdraw("probe")
        if self._services.jobs.follow(begin, on_done, self._on_failed):
            self._failure, self._again = None, again or self.install
            self._working = Working(title, plan="" if again else self._plan_text())
            self._page.next_step.show_done("")
            self._page.show_progress(self._working)
            self._services.step_wanted.emit("engine")
            self.changed.emit()

    # the dialog

    def open_dialog(self) -> None:
        """Show all choices, in a window that is not modal."""
        if self.dialog is None:
            self.dialog = SetupDialog(self._page)
            self._connect(self.dialog)
        self.changed.emit()
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()

    def _connect(self, dialog: SetupDialog) -> None:
        dialog.changed.connect(self._on_choices_changed)
        dialog.setup_requested.connect(self._on_dialog_setup)
        dialog.kit_requested.connect(self._on_kit_requested)
        dialog.save_requested.connect(self._on_save_requested)
        dialog.repair_requested.connect(self.repair)
        dialog.clear_requested.connect(self.clear_cache)
        dialog.move_requested.connect(self._on_move_requested)
        dialog.remove_requested.connect(self._on_remove_requested)
        dialog.log_requested.connect(self.open_log)
        dialog.diagnostics_requested.connect(self.diagnostics_requested)
        dialog.python_chosen.connect(self.python_chosen)

    def kit_dialog(self) -> KitDialog:
        """Return the dialog that chooses another computer and a folder."""
        return KitDialog(kit.kit_platforms(), self.dialog)

    def open_log(self) -> None:
        """Open the log of the set-up with the program of the computer for text files."""
        open_file(maintenance.log_file(engine_folder()))

    def close(self) -> None:
        """End the look at the computer and close the dialog."""
        if self.dialog is not None:
            self.dialog.close()
        self.looker.shutdown(stop=True)

    def _on_choices_changed(self) -> None:
        chosen = present(self.dialog, "the dialog").choices()
        looks_again = (chosen.folder, chosen.python) != (self.choices.folder, self.choices.python)
        self.choices = chosen
        self._failure = None
        if looks_again:
            self.look()
        self.changed.emit()

    def _on_dialog_setup(self) -> None:
        self.choices = replace(present(self.dialog, "the dialog").choices(), kit="")
        self.install()

    def _on_kit_requested(self) -> None:
        title = tr("Choose the folder that another computer saved")
        folder = QFileDialog.getExistingDirectory(self.dialog, title)
        if folder:
            self.install_from(Path(folder))

    def _on_save_requested(self) -> None:
        dialog = self.kit_dialog()
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.save_kit(Path(dialog.folder.filePath().strip()), str(dialog.platform.currentData()))

    def _on_move_requested(self) -> None:
        folder = QFileDialog.getExistingDirectory(self.dialog, tr("Choose a folder on another disk"))
        if folder:
            self.move(Path(folder) / "geoseg-engine")

    def _on_remove_requested(self) -> None:
        size = size_text(self.found.size_mb) if self.found is not None and self.found.size_mb > 0 else ""
        text = tr(
            "Delete the engine in {} ({})? Data sets, models and maps stay. It can be set up again at any time."
        )
        buttons = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self.dialog, tr("Remove the engine"), text.format(engine_folder(), size), buttons.Yes | buttons.No
        )
        if answer == buttons.Yes:
            self.remove()

    # how it goes and ends

    def _on_setup_requested(self) -> None:
        if self._failure is not None:
            self._again()
        elif self._page.view.state == "broken":
            self.repair()
        else:
            self.install()

    def _on_cancel_requested(self) -> None:
        self._services.dock.footer.show_stopping()
        self._services.jobs.runner.cancel()

    def _on_progressed(self, step: str, fraction: float, seconds_left: float) -> None:
        if self._working is not None:
            shown = step_text(step)
            self._working = replace(self._working, step=shown, fraction=fraction, seconds_left=seconds_left)
            self._page.show_progress(self._working)

    def _on_installed(self, _result: dict[str, Any], _folder: Path) -> None:
        self._page.show_installed()
        if self.choices.folder:
            set_location(self.folder())
        self.choices = replace(self.choices, folder="", kit="")
        self._services.jobs.afterwards(self._on_engine_changed)

    def _on_removed(self, _result: dict[str, Any], _folder: Path) -> None:
        self._page.next_step.show_done("")
        self._services.jobs.afterwards(self._on_engine_changed)

    def _on_saved(self, result: dict[str, Any], _folder: Path) -> None:
        text = tr("Saved in {}. Carry it to the other computer.").format(result.get("folder", ""))
        self._services.dock.show_note(text)

    def _on_cleared(self, _result: dict[str, Any], _folder: Path) -> None:
        self.look()

    def _on_engine_changed(self) -> None:
        self.look()
        self.engine_changed.emit()

    def _on_failed(self, problem: dict[str, Any]) -> None:
        title = self._working.title if self._working is not None else tr("Setting up the engine")
        self._failure = {**problem, "title": title}
        if self._services.dock.current_step() == "engine":
            self._services.dock.messages.clear()  # the page shows it with its next step

    def _on_ended(self) -> None:
        if self._working is not None:
            self._working = None
            self.changed.emit()

    def _on_found(self, _title: str, result: dict[str, Any], _folder: str) -> None:
        self.show_found(result["look"])

    def _on_looker_idle(self) -> None:
        if self._look_waits:
            self._look_waits = False
            self.look()
