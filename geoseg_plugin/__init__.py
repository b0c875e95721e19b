"""GeoSeg inside QGIS."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Called by QGIS: the plugin object. Importing this package alone needs no QGIS."""
    from .plugin import GeoSegPlugin

    return GeoSegPlugin(iface)
