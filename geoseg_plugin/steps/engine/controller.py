"""The Engine page: is the environment there, what can it do; and the user's settings. The set-up has its own module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.PyQt.QtWidgets import QApplication

from ...contract import GeoSegError, ProbeJob
from ...engine.environment import check, diagnostics, stamp
from ...engine.setup.maintenance import log_text
from ...engine.setup.redaction import redacted
from ...jobs.submission import Submission
from ...panel import settings
from ...panel.background_queries import Query
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import tr
from ...tasks.execution import engine_environment, engine_folder
from .dialog_state import dialog_view
from .page import EnginePage
from .setup_controller import SetupController
from .setup_state import Situation, code_of, setup_view
from .state import badge_text, device_text

NAMED = "GEOSEG_ENGINE_PYTHON"
"""Environment variable that names the engine's Python. Without it and without an engine nothing is wrong: the page
sets it up."""
FOLDER_NAMED = "GEOSEG_ENGINE_DIR"
LOG_LINES = 60
READY = ("ready", "own", "warning", "update")
"""States in which jobs can run."""


class EngineController(StepController):
    """Keeps the Engine page and the device badge up to date."""

    def __init__(self, services: PanelServices, page: EnginePage) -> None:
        super().__init__(services)
        self.page = page
        self.probe: dict[str, Any] = {}
        self._probing = False
        self._failed: dict[str, Any] | None = None
        self.setup = SetupController(services, page)
        self.setup.changed.connect(self.show_state)
        self.setup.engine_changed.connect(self.request_probe)
        self.setup.python_chosen.connect(self.use_python)
        self.setup.diagnostics_requested.connect(self.copy_diagnostics)
        page.check_requested.connect(self.look_again)
        page.diagnostics_requested.connect(self.copy_diagnostics)
        page.workspace_chosen.connect(self.use_workspace)
        page.on_close_chosen.connect(settings.set_on_close)
        services.jobs.runner.hello_received.connect(self._on_hello_received)
        services.dock.footer.device_clicked.connect(lambda: services.step_wanted.emit("engine"))
        page.show_settings(str(settings.workspace_folder()), settings.on_close())

    def begin(self) -> None:
        """Probe the engine, or offer to set it up if there is none: the panel is shown for the first time."""
        if engine_environment() is None:
            self.services.step_wanted.emit("engine")
        elif not self.probe:
            self.request_probe()
        self.setup.look()
        self.show_state()

    def look_again(self) -> None:
        """Look at the computer again, e.g. after a new driver, and probe the engine."""
        self.setup.forget_failure()
        self.setup.look()
        self.request_probe()

    def use_python(self, path: str) -> None:
        """Use the user's own interpreter as it is."""
        if not Path(path).is_file():
            text = tr("There is no Python at {}.").format(path or tr("an empty path"))
            self.services.errors.show(GeoSegError("no_python", text, tr("Choose the python program itself.")))
            return
        settings.set_own_python(path)
        self.setup.forget_failure()
        self.page.show_installed()
        self.request_probe()

    def use_workspace(self, folder: str) -> None:
        """Put results elsewhere from now on."""
        settings.set_workspace_folder(folder)
        self.services.refresh()

    def request_probe(self) -> None:
        """Ask the engine what it can do."""
        self.probe, self._failed = {}, None
        environment = engine_environment()
        self._probing = environment is not None
        if environment is None:
            self.show_state()
            return
        try:
            folder = self.services.workspace.scratch("probe")
        except OSError as error:
            self._on_not_probed({"message": str(error), "hint": tr("Choose another workspace folder.")})
            return
        submission = Submission(ProbeJob(), folder, "Check the engine")
        self.show_state()
        question = Query(
            "probe", tr("Probe the engine"), [], [submission], self._on_probed, self._on_not_probed
        )
        self.services.queries.submit(question)

    def copy_diagnostics(self) -> None:
        """Put a text about machine and engine on the clipboard, without user names, passwords and tokens."""
        log = self.services.dock.footer.log.toPlainText().splitlines()[-LOG_LINES:]
        found = self.setup.situation_lines()
        text = "\n".join([
            diagnostics(engine_environment(), self.probe), *found,
            "", "Log of the set-up:", log_text(engine_folder(), LOG_LINES), "", "Log:", *log])  # fmt: skip
        QApplication.clipboard().setText(redacted(text))
        self.services.dock.show_note(tr("The diagnostics are on the clipboard."))

    def situation(self) -> Situation:
        """Return all that decides what the page shows."""
        environment = engine_environment()
        found = check(environment) if environment is not None or os.environ.get(NAMED) else []
        problems: list[Any] = [*found, *(self.probe.get("problems") or [])]
        if self._failed is not None:
            problems.append(self._failed)
        return self.setup.completed(
            Situation(
                python=str(environment.python) if environment is not None else "",
                managed=environment is not None and environment.managed,
                folder_named=bool(os.environ.get(FOLDER_NAMED)),
                stamp=stamp(environment) if environment is not None and environment.managed else {},
                probe=self.probe,
                probing=self._probing,
                problems=tuple(problems),
                outdated=any(code_of(item) == "engine_outdated" for item in found),
            )
        )

    def show_state(self) -> None:
        """Page, dialog, badge and tick."""
        now = self.situation()
        view = setup_view(now)
        self.page.show_view(view)
        if self.setup.dialog is not None:
            self.setup.dialog.show_view(dialog_view(now, self.services.jobs.busy))
        self.page.show_workspace(str(settings.workspace_folder()))
        self.page.set_workspace_problems(self.services.workspace.problems())
        self.services.dock.footer.set_device(badge_text(self.probe), device_text(self.probe), view.badge)
        self.services.dock.steps.set_state("engine", view.state in READY, view.badge or view.headline)

    def close(self) -> None:
        """End the look at the computer and close the dialog."""
        self.setup.close()

    def _on_probed(self, result: dict[str, Any]) -> None:
        self.probe, self._failed, self._probing = result, None, False
        self.services.states_wanted.emit()
        self.services.engine_probed.emit()

    def _on_not_probed(self, problem: dict[str, Any]) -> None:
        self.probe, self._failed, self._probing = {}, problem, False
        self.show_state()

    def _on_hello_received(self, event: dict[str, Any]) -> None:
        if event.get("device"):
            named = {**event, "device_name": event.get("device_name") or event["device"]}
            footer = self.services.dock.footer
            footer.set_device(badge_text(named), warning=footer.device_warning())
