"""Run by QGIS itself (`qgis --code`): what the installed plugin does when loaded, opened, unloaded, loaded.

Writes what it saw as JSON to the file named by GEOSEG_SEEN, then ends QGIS.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import qgis.utils
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QAction, QDockWidget

NAME = "geoseg_plugin"
FORBIDDEN = ("torch", "rasterio", "geopandas", "shapely", "richdem", "onnxruntime")


def state() -> dict:
    """What of the plugin can be seen in QGIS."""
    window = qgis.utils.iface.mainWindow()
    docks = window.findChildren(QDockWidget, "GeoSegDock")
    provider = QgsApplication.processingRegistry().providerById("geoseg")
    return {
        "loaded": NAME in qgis.utils.plugins,
        "docks": len(docks),
        "visible": [dock.isVisible() for dock in docks],
        "actions": len(window.findChildren(QAction, "GeoSegDockAction")),
        "algorithms": sorted(item.id() for item in provider.algorithms()) if provider else [],
    }


def look() -> dict:
    """The whole visit, from the plugin that QGIS loaded at its start."""
    seen = {"file": sys.modules[NAME].__file__, "at_start": state()}
    window = qgis.utils.iface.mainWindow()
    window.findChild(QAction, "GeoSegDockAction").trigger()
    seen["opened"] = state()
    seen["unload"] = qgis.utils.unloadPlugin(NAME)
    QgsApplication.sendPostedEvents(None, 52)  # DeferredDelete
    seen["unloaded"] = state()
    seen["load"] = qgis.utils.loadPlugin(NAME) and qgis.utils.startPlugin(NAME)
    seen["again"] = state()
    window.findChild(QAction, "GeoSegDockAction").trigger()
    seen["opened_again"] = state()
    seen["forbidden"] = [name for name in FORBIDDEN if name in sys.modules]
    return seen


def visit() -> None:
    """Look, write, leave; a fault is written too."""
    try:
        seen = look()
    except Exception:  # noqa: BLE001  (the test shows it)
        seen = {"error": traceback.format_exc()}
    target = Path(os.environ["GEOSEG_SEEN"])
    target.write_text(json.dumps(seen, indent=1), encoding="utf-8")
    QTimer.singleShot(200, QgsApplication.quit)


QTimer.singleShot(1000, visit)
