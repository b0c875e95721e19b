"""TensorBoard from the Train page: started when asked for, opened in the browser, ended with QGIS."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from qgis.PyQt.QtCore import QObject, QTimer, QUrl
from qgis.PyQt.QtGui import QDesktopServices

from ...contract import GeoSegError
from ...engine.environment import cleaned
from ...engine.packages import has_package
from ...engine.tensorboard import PACKAGE, TensorBoard
from ...panel.texts import tr
from ...tasks.execution import engine_environment

if TYPE_CHECKING:
    from ...panel.services import Controller

LOOK_MS, PATIENCE_S = 300, 60.0


def open_in_browser(url: str) -> None:
    """Show an address in the user's browser."""
    QDesktopServices.openUrl(QUrl(url))


class TensorBoardController(QObject):
    """Holds the one TensorBoard of this QGIS.

    Args:
        desk: the controller of all.
        show: opens an address; tests give their own.
    """

    def __init__(self, desk: Controller, show: Callable[[str], None] = open_in_browser) -> None:
        super().__init__(desk)
        self.desk, self.button = desk, desk.dock.train.tensorboard_button
        self._show = show
        self._board: TensorBoard | None = None
        self._asked_s = 0.0
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._on_look)
        desk.dock.train.tensorboard_requested.connect(self.open)

    def refresh(self) -> None:
        """The button is there where the package is."""
        environment = engine_environment()
        self.button.setVisible(environment is not None and has_package(environment.python, PACKAGE))

    def open(self) -> None:
        """Show the runs of the workspace; a TensorBoard that runs already is used again."""
        environment = engine_environment()
        logs = self.desk.workspace.root / "runs"
        if environment is None:
            return
        if self._board is None or not self._board.running or self._board.logs != logs:
            self.close()
            self._board = TensorBoard(environment.python, logs, cleaned())
            try:
                self._board.start()
            except GeoSegError as error:
                self.desk.report(error)
                return
        self.button.setEnabled(False)
        self._asked_s = time.monotonic()
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
        elif board is None or not board.running or time.monotonic() - self._asked_s > PATIENCE_S:
            self._settle()
            self.close()
            text = tr("TensorBoard did not start.")
            self.desk.report(GeoSegError("tensorboard", text, tr("Set up the engine again.")))

    def _settle(self) -> None:
        self._timer.stop()
        self.button.setEnabled(True)
