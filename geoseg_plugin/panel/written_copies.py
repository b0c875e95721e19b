"""Copies of rasters that QGIS has written for a plan."""

from __future__ import annotations

from typing import Any

from ..layers.exports import RasterExport


def is_written_raster(export: Any) -> bool:
    """Whether an export writes a raster whose copy is already there."""
    return isinstance(export, RasterExport) and export.path.exists()
