"""What the panel expects of the controller of every step."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject

from .services import PanelServices


class StepController(QObject):
    """Connects the page of a step with the panel's services."""

    def __init__(self, services: PanelServices) -> None:
        super().__init__(services)
        self.services = services

    def refresh(self) -> None:
        """Show the workspace as it is now."""

    def show_state(self) -> None:
        """Show in the step bar whether the step is done."""

    def close(self) -> None:
        """Let go of the project and of what is open."""
