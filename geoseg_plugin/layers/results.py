"""Which layers are results of GeoSeg: they are no input of the next model unless the user ticks them."""

from __future__ import annotations

from functools import lru_cache

from osgeo import gdal
from qgis.core import QgsMapLayer, QgsRasterLayer

from .exports import CLASSES_TAG
from .snapshot import GDAL, file_of

RESULT_MARK = "geoseg/result"
"""Custom property of a result, with its kind; it travels in the style that is saved with the file."""
RESULT_TAG = "GEOSEG_RESULT"
"""Metadata item of the rasters that the engine writes as results; those of earlier versions have only CLASSES_TAG."""

SHOWN, WRITTEN = "shown", "written"
"""Kinds: a layer that the panel put into a group of its own; any other layer of a file that GeoSeg wrote."""


def result_kind(layer: QgsMapLayer) -> str:
    """`shown`, `written`, or empty for a layer of the user's own.

    Known by the mark of the layer, which styles carry along, and of rasters also by what the engine wrote into the
    file: so a result is known in another project and without its style.
    """
    mark = layer.customProperty(RESULT_MARK)
    if mark:
        return WRITTEN if mark == WRITTEN else SHOWN
    if not isinstance(layer, QgsRasterLayer) or layer.providerType() != GDAL:
        return ""
    path = file_of(layer)
    try:
        is_result = path is not None and is_marked_result(str(path), path.stat().st_mtime_ns)
    except OSError:
        is_result = False
    return WRITTEN if is_result else ""


@lru_cache(maxsize=1000)
def is_marked_result(path: str, _modified_ns: int) -> bool:
    """Whether a raster file is marked as a result; each state of a file is read once.

    Args:
        path: of the file.
        _modified_ns: time of its last change, by which an answer is kept.
    """
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        dataset = gdal.OpenEx(path, gdal.OF_RASTER)
    except RuntimeError:
        dataset = None
    finally:
        gdal.PopErrorHandler()
    tags = dataset.GetMetadata() if dataset is not None else {}
    return RESULT_TAG in tags or CLASSES_TAG in tags
