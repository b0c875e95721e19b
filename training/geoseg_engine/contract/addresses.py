"""Sources as QGIS writes them: a file, and settings behind it."""

from __future__ import annotations

import re
from pathlib import Path

SETTING = re.compile(
    r"\|(?=(?:layername|layerid|subset|geometrytype|uniqueGeometryType|authcfg|option:\w+|credential:\w+)=)",
    re.I,
)
"""Begins a setting; `|` in the name of a file does not."""


def split_address(source: str) -> tuple[str, dict[str, str]]:
    """The file (or GDAL dataset) of a source, and the settings behind it by their names in lower case.

    `a.gpkg|layername=b` -> `a.gpkg`, `{"layername": "b"}`; what is a file as it stands has no settings.
    """
    if file_exists(source):
        return source, {}
    file, *settings = SETTING.split(source)
    pairs = (setting.partition("=") for setting in settings)
    return file, {key.lower(): text for key, _, text in pairs}


def file_exists(text: str) -> bool:
    """Whether a text names a file or folder; no error for what no file can be called."""
    try:
        return bool(text) and Path(text).exists()
    except (OSError, ValueError):
        return False
