"""The user's settings: where results go, which Python computes, and what happens when QGIS closes."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QStandardPaths

from ..tasks.execution import CHOSEN_PYTHON
from ..tasks.runner import ON_CLOSE

WORKSPACE, ENGINE_BUILD = "geoseg/workspace", "geoseg/engine_build"


def workspace_folder() -> Path:
    """Return where datasets, runs and predictions go: the user's choice, or `GeoSeg` in the documents folder."""
    chosen = os.environ.get("GEOSEG_WORKSPACE") or str(QgsSettings().value(WORKSPACE, "") or "")
    if chosen:
        return Path(chosen).expanduser()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(documents or Path.home()) / "GeoSeg"


def set_workspace_folder(folder: str) -> None:
    """Keep the user's choice of folder."""
    QgsSettings().setValue(WORKSPACE, folder)


def on_close() -> str:
    """Return `continue` or `stop`: what happens to a training when QGIS closes."""
    return str(QgsSettings().value(ON_CLOSE, "continue") or "continue")


def set_on_close(value: str) -> None:
    """Keep the user's choice."""
    QgsSettings().setValue(ON_CLOSE, value)


def own_python() -> str:
    """Return the user's own interpreter; empty for the managed environment."""
    return str(QgsSettings().value(CHOSEN_PYTHON, "") or "")


def set_own_python(path: str) -> None:
    """Keep the user's own interpreter; empty goes back to the managed environment."""
    QgsSettings().setValue(CHOSEN_PYTHON, path)


def engine_build() -> str:
    """Return the build of PyTorch that the user chose; `auto` takes the one that the computer suggests."""
    return str(QgsSettings().value(ENGINE_BUILD, "auto") or "auto")


def set_engine_build(key: str) -> None:
    """Keep the user's choice of a build."""
    QgsSettings().setValue(ENGINE_BUILD, key)
