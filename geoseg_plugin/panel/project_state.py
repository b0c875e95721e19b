"""What the project remembers: the values of the pages, the dataset and the run that are worked on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QObject

from ..contract import GeoSegError, parse_json
from .timers import single_shot
from .widgets.page import Page

SCOPE = "geoseg"
SAVE_MS = 500


def read_page(page: str, project: QgsProject | None = None) -> dict[str, Any]:
    """Return the values of a page from the project; empty if there are none or they are not readable."""
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


class ProjectState(QObject):
    """Keeps the pages' values and what is worked on in the project.

    Args:
        pages: by the keys under which their values are stored.

    Attributes:
        dataset: folder of the dataset that is worked on; None without one.
        run: folder of the run whose model is worked on; None without one.
    """

    def __init__(self, project: QgsProject, pages: Mapping[str, Page], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._project, self._pages = project, pages
        self.dataset: Path | None = None
        self.run: Path | None = None
        self._timer = single_shot(self, SAVE_MS, self.save)

    def restore(self) -> None:
        """Read dataset and run from the project."""
        state = read_page("state", self._project)
        self.dataset, self.run = existing(state.get("dataset")), existing(state.get("run"))

    def restore_pages(self) -> None:
        """Put the project's values into the pages."""
        for key, page in self._pages.items():
            values = read_page(key, self._project)
            if values:
                page.restore(values)

    def forget(self) -> None:
        """Work on nothing: another project."""
        self.dataset = self.run = None

    def save(self) -> None:
        """Put all values into the project."""
        for key, page in self._pages.items():
            values = page.values()
            if values:
                write_page(key, values, self._project)
        state = {"dataset": str(self.dataset or ""), "run": str(self.run or "")}
        if any(state.values()):
            write_page("state", state, self._project)

    def save_soon(self) -> None:
        """Put all values into the project once the user has stopped changing them."""
        self._timer.start()

    def close(self) -> None:
        """Save nothing more."""
        self._timer.stop()


def existing(folder: Any) -> Path | None:
    """Return the folder if it still exists."""
    path = Path(str(folder)) if folder else None
    return path if path is not None and path.is_dir() else None
