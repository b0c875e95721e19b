"""What is remembered: page values in the project file, the rest in the user's settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsSettings
from qgis.PyQt.QtCore import QStandardPaths

from ..contract import GeoSegError, parse_json
from ..tasks.execution import CHOSEN_PYTHON
from ..tasks.runner import ON_CLOSE

SCOPE = "geoseg"
WORKSPACE = "geoseg/workspace"


def read_page(page: str, project: QgsProject | None = None) -> dict[str, Any]:
    """Values of a page from the project; empty if there are none or they are not readable."""
    text, _found = (project or QgsProject.instance()).readEntry(SCOPE, f"/pages/{page}", "")
    try:
        values = parse_json(text or "{}", page)
    except GeoSegError:
        return {}
    return values if isinstance(values, dict) else {}


def write_page(page: str, values: dict[str, Any], project: QgsProject | None = None) -> None:
    """Keep values in the project; writes (and so marks the project changed) only if they differ."""
    if json.loads(json.dumps(values)) == read_page(page, project):
        return
    (project or QgsProject.instance()).writeEntry(SCOPE, f"/pages/{page}", json.dumps(values))


def workspace_folder() -> Path:
    """Where datasets, runs and predictions go: the user's choice, or `GeoSeg` in the documents folder."""
    chosen = os.environ.get("GEOSEG_WORKSPACE") or str(QgsSettings().value(WORKSPACE, "") or "")
    if chosen:
        return Path(chosen).expanduser()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(documents or Path.home()) / "GeoSeg"


def set_workspace_folder(folder: str) -> None:
    """Keep the user's choice of folder."""
    QgsSettings().setValue(WORKSPACE, folder)


def on_close() -> str:
    """`continue` or `stop`: what happens to a training when QGIS closes."""
    return str(QgsSettings().value(ON_CLOSE, "continue") or "continue")


def set_on_close(value: str) -> None:
    """Keep the user's choice."""
    QgsSettings().setValue(ON_CLOSE, value)


def own_python() -> str:
    """The user's own interpreter; empty for the managed environment."""
    return str(QgsSettings().value(CHOSEN_PYTHON, "") or "")


def set_own_python(path: str) -> None:
    """Keep the user's own interpreter; empty goes back to the managed environment."""
    QgsSettings().setValue(CHOSEN_PYTHON, path)
