"""Metadata of a raster that rasterio does not give: GDAL writes it into a virtual copy, whatever the format."""

from __future__ import annotations

from typing import Any

import rasterio.shutil
from rasterio.io import MemoryFile

from .xmltree import ElementTree, parse_xml


def virtual_bands(dataset: Any) -> list[ElementTree.Element]:
    """Return the element `VRTRasterBand` of each band: description, nodata as text, category names, attribute table."""
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        content = memory.read()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:  # names in an older encoding
        text = content.decode("cp1252", "replace")
    return parse_xml(text).findall("VRTRasterBand")
