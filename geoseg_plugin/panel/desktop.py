"""Open files and addresses with the programs of the computer."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices


def open_file(path: Path) -> None:
    """Open a file or folder, or the folder of a file that does not exist."""
    existing = path if path.exists() else path.parent
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(existing)))


def open_address(url: str) -> None:
    """Open an address in the browser."""
    QDesktopServices.openUrl(QUrl(url))
