"""The Engine page: is the environment there, what can it do, set it up; and the user's settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qgis.PyQt.QtWidgets import QApplication

from ...contract import GeoSegError, ProbeJob
from ...engine.environment import Environment, check, default_root, diagnostics, stamp
from ...engine.installer import FREE_GB, TAKES_GB
from ...jobs.submission import Submission
from ...panel import settings
from ...panel.background_queries import Query
from ...panel.services import PanelServices
from ...panel.step import StepController
from ...panel.texts import tr
from ...tasks.execution import engine_environment
from .page import EnginePage
from .state import badge_text, device_text, engine_facts

NAMED = "GEOSEG_ENGINE_PYTHON"
"""Environment variable that names the engine's Python. Without it and without an engine nothing is wrong: the form
that sets it up is there."""


class EngineController(StepController):
    """Keeps the Engine page and the device badge up to date."""

    def __init__(self, services: PanelServices, page: EnginePage) -> None:
        super().__init__(services)
        self.page = page
        self.probe: dict[str, Any] = {}
        self._probed_python = ""
        self._failed: dict[str, Any] | None = None
        self.page.install_requested.connect(self.install)
        self.page.check_requested.connect(self.request_probe)
        self.page.diagnostics_requested.connect(self.copy_diagnostics)
        self.page.python_chosen.connect(self.use_python)
        self.page.workspace_chosen.connect(self.use_workspace)
        self.page.on_close_chosen.connect(settings.set_on_close)
        services.jobs.runner.hello_received.connect(self._on_hello_received)
        self.page.show_sizes(TAKES_GB, FREE_GB)
        self.page.show_settings(str(settings.workspace_folder()), settings.on_close(), settings.own_python())

    def begin(self) -> None:
        """Probe the engine, or offer to set it up if there is none: the panel is shown for the first time."""
        if engine_environment() is None:
            self.services.step_wanted.emit("engine")
        elif not self.probe:
            self.request_probe()
        self.show_state()

    def install(self) -> None:
        """Make or complete the managed environment."""
        choices = self.page.choices()
        settings.set_own_python("")
        self.services.jobs.follow(
            lambda: self.services.jobs.runner.install(
                default_root(), choices.device, choices.python, not choices.without_richdem
            ),
            self._on_installed,
        )

    def use_python(self, path: str) -> None:
        """Use the user's own interpreter as it is."""
        if not Path(path).is_file():
            text = tr("There is no Python at {}.").format(path or tr("an empty path"))
            self.services.errors.show(GeoSegError("no_python", text, tr("Choose the python program itself.")))
            return
        settings.set_own_python(path)
        self.page.show_installed()
        self.request_probe()

    def use_workspace(self, folder: str) -> None:
        """Put results elsewhere from now on."""
        settings.set_workspace_folder(folder)
        self.services.refresh()

    def request_probe(self) -> None:
        """Ask the engine what it can do."""
        environment = engine_environment()
        if environment is None:
            self.probe = {}
            self.show_state()
            return
        self._probed_python = str(environment.python)
        self._failed = None
        try:
            folder = self.services.workspace.scratch("probe")
        except OSError as error:
            self._on_not_probed({"message": str(error), "hint": tr("Choose another workspace folder.")})
            return
        submission = Submission(ProbeJob(), folder, "Check the engine")
        self.page.show_state(tr("Probing the engine…"), [], engine_facts(self._probed_python, {}))
        question = Query(
            "probe", tr("Probe the engine"), [], [submission], self._on_probed, self._on_not_probed
        )
        self.services.queries.submit(question)

    def copy_diagnostics(self) -> None:
        """Put a text about machine and engine on the clipboard."""
        log = self.services.dock.footer.log.toPlainText().splitlines()[-40:]
        text = "\n".join([diagnostics(engine_environment(), self.probe), "", "Log:", *log])
        QApplication.clipboard().setText(text)
        self.services.dock.show_note(tr("The diagnostics are on the clipboard."))

    def show_state(self) -> None:
        """Headline, facts, badge and tick."""
        environment = engine_environment()
        found = check(environment) if environment is not None or os.environ.get(NAMED) else []
        problems: list[Any] = [*found, *(self.probe.get("problems") or [])]
        if self._failed is not None:
            problems.append(self._failed)
        ready = environment is not None and self._failed is None
        ready = ready and not any(severity(item) == "error" for item in problems)
        python = str(environment.python) if environment is not None else ""
        if not ready:
            headline = (
                tr("The engine is not ready") if environment is not None else tr("The engine is not set up")
            )
        elif self.probe:
            headline = tr("Ready, on {}").format(device_text(self.probe))
        else:
            headline = tr("Ready")
        self.page.set_set_up(environment is not None)
        facts = engine_facts(python, self.probe, wants_gpu(environment, self.probe))
        self.page.show_state(headline, problems, facts)
        self.page.show_workspace(str(settings.workspace_folder()))
        self.page.set_workspace_problems(self.services.workspace.problems())
        self.services.dock.footer.set_device(badge_text(self.probe), device_text(self.probe))
        self.services.dock.steps.set_state("engine", ready, headline)

    def _on_installed(self, _result: dict[str, Any], _folder: Path) -> None:
        self.page.show_installed()
        self.services.jobs.afterwards(self.request_probe)

    def _on_probed(self, result: dict[str, Any]) -> None:
        self.probe, self._failed = result, None
        self.services.states_wanted.emit()
        self.services.engine_probed.emit()

    def _on_not_probed(self, problem: dict[str, Any]) -> None:
        self.probe, self._failed = {}, problem
        self.show_state()

    def _on_hello_received(self, event: dict[str, Any]) -> None:
        if event.get("device"):
            name = badge_text({**event, "device_name": event.get("device_name") or event["device"]})
            self.services.dock.footer.set_device(name)


def wants_gpu(environment: Environment | None, probe: dict[str, Any]) -> bool:
    """Return whether an environment was made for a GPU; an existing one, whether it runs on one."""
    if environment is not None and environment.managed:
        return stamp(environment).get("device") == "gpu"
    return str(probe.get("device") or "").startswith("cuda")


def severity(problem: Any) -> str:
    """Severity of a problem object or mapping."""
    return str(problem.get("severity", "error") if isinstance(problem, dict) else problem.severity)
