"""The plugin: what appears in QGIS when it is loaded, and how all of it goes away again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from . import paths
from .forms.texts import tr, translate_by

MENU = "&GeoSeg"
LOOK_BACK_MS = 1500


class GeoSegPlugin:
    """Made by QGIS; `initGui` collects what `unload` undoes, backwards.

    Args:
        iface: QGIS's interface; None under qgis_process, where only the provider is registered.
    """

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.panel: Any = None
        self.dock: Any = None
        self._undo: list[Callable[[], object]] = []
        translate_by(QCoreApplication.translate)

    def initProcessing(self) -> None:
        """Register the Processing provider; called by QGIS itself under qgis_process."""
        from .processing.provider import GeoSegProvider

        provider = GeoSegProvider()
        registry = QgsApplication.processingRegistry()
        registry.addProvider(provider)
        self._undo.append(lambda: registry.removeProvider(provider))

    def initGui(self) -> None:
        """Add provider, dock, toolbar button and menu entry."""
        self.initProcessing()
        self._add_dock()
        self._add_action()

    def unload(self) -> None:
        """Take everything back, last first."""
        while self._undo:
            self._undo.pop()()
        self.dock = self.panel = None

    def open_dock(self) -> None:
        """Show the panel and bring it to the front."""
        self.dock.setUserVisible(True)
        self.dock.raise_()

    def _add_dock(self) -> None:
        from .panel.assembly import GeoSegPanel

        self.panel = GeoSegPanel(paths.guide(), self.iface, self.iface.mainWindow())
        self.dock = self.panel.dock
        self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        self.dock.hide()
        self._undo.append(self._remove_dock)
        self._undo.append(self.panel.close)
        self.dock.opened.connect(self._on_first_opened)
        look_back = QTimer(self.dock)
        look_back.setSingleShot(True)
        look_back.timeout.connect(self._offer_running)
        look_back.start(LOOK_BACK_MS)
        self._undo.append(look_back.stop)

    def _remove_dock(self) -> None:
        self.iface.removeDockWidget(self.dock)
        self.dock.deleteLater()

    def _add_action(self) -> None:
        action = QAction(QIcon(paths.icon("geoseg.svg")), tr("GeoSeg"), self.iface.mainWindow())
        action.setObjectName("GeoSegDockAction")
        action.setToolTip(tr("GeoSeg: train and apply segmentation models"))
        self.dock.setToggleVisibilityAction(action)
        self.iface.addToolBarIcon(action)
        self.iface.addPluginToMenu(MENU, action)
        self._undo.append(action.deleteLater)
        self._undo.append(lambda: self.iface.removePluginMenu(MENU, action))
        self._undo.append(lambda: self.iface.removeToolBarIcon(action))

    def _on_first_opened(self) -> None:
        self.dock.opened.disconnect(self._on_first_opened)
        self.panel.begin()

    def _offer_running(self) -> None:
        running = self.panel.train.running_run()
        if running is None:
            return
        self.open_dock()
        self.panel.train.offer_running()
