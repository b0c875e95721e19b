"""TensorBoard from the Train page: started on request, opened in the browser, ended with QGIS."""

from __future__ import annotations

import time
from collections.abc import Callable

from qgis.PyQt.QtCore import QObject, QTimer

from ...contract import GeoSegError
from ...engine.environment import cleaned
from ...engine.packages import has_package
from ...engine.tensorboard import PACKAGE, TensorBoard
from ...panel.desktop import open_address
from ...panel.services import PanelServices
from ...panel.texts import tr
from ...tasks.execution import engine_environment
from .page import TrainPage

LOOK_MS, PATIENCE_S = 300, 60.0


class TensorBoardController(QObject):
    """Holds the one TensorBoard of this QGIS.

    Args:
        services: those of the panel.
        page: the Train page.
        show: opens an address; tests give their own.
    """

    def __init__(
        self, services: PanelServices, page: TrainPage, show: Callable[[str], None] = open_address
    ) -> None:
        super().__init__(services)
        self.services, self.button = services, page.tensorboard_button
        self._show = show
        self._board: TensorBoard | None = None
        self._requested_s = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._on_look)
        page.tensorboard_requested.connect(self.open)

    def refresh(self) -> None:
        """Show the button if the package is installed."""
        environment = engine_environment()
        self.button.setVisible(environment is not None and has_package(environment.python, PACKAGE))

    def open(self) -> None:
        """Show the runs of the workspace; a TensorBoard that runs already is used again."""
        environment = engine_environment()
        logs = self.services.workspace.root / "runs"
        if environment is None:
            return
        if self._board is None or not self._board.running or self._board.logs != logs:
            self.close()
            self._board = TensorBoard(environment.python, logs, cleaned())
            try:
                self._board.start()
            except GeoSegError as error:
                self.services.errors.show(error)
                return
        self.button.setEnabled(False)
        self._requested_s = time.monotonic()
        self._timer.start()

    def close(self) -> None:
        """End it."""
        self._timer.stop()
        if self._board is not None:
            self._board.stop()
            self._board = None

    def _on_look(self) -> None:
        board = self._board
        if board is not None and board.running and board.answers():
            self._settle()
            self._show(board.url)
        elif board is None or not board.running or time.monotonic() - self._requested_s > PATIENCE_S:
            self._settle()
            self.close()
            text = tr("TensorBoard did not start.")
            self.services.errors.show(GeoSegError("tensorboard", text, tr("Set up the engine again.")))

    def _settle(self) -> None:
        self._timer.stop()
        self.button.setEnabled(True)
