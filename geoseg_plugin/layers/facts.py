"""What GeoSeg needs to know of layers before it uses them, as plain data. Main thread; layers are only read.

`raster_facts` is for decisions on the grid; `state_of` is everything of a layer that a result depends on, so that two
equal states mean that nothing has changed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsRasterLayer,
    QgsUnitTypes,
    QgsVectorLayer,
    QgsWkbTypes,
)

from ..jobs.rasterfacts import RasterFacts, union
from .exports import straightened, value_text
from .legendclasses import LEGEND_FIELD
from .snapshot import band_name, crs_text, export_reason, file_of, is_categorical, user_nodata

METRES_PER_DEGREE = 111_320.0
MOST_READ = 2000
"""Features of a layer whose geometries are compared one by one; of larger layers the file's time and the edits."""


def raster_facts(
    layers: Sequence[QgsRasterLayer], labels_crs: QgsCoordinateReferenceSystem | None = None
) -> RasterFacts:
    """Facts of a raster layer, or of several that are one mosaic: those of the first, on the extent of all."""
    layer = layers[0]
    crs, provider = layer.crs(), layer.dataProvider()
    boxes = [layer.extent() for layer in layers]
    extent = union((box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()) for box in boxes)
    width, height = abs(layer.rasterUnitsPerPixelX()), abs(layer.rasterUnitsPerPixelY())
    bands = range(1, layer.bandCount() + 1)
    return RasterFacts(
        layer_id=layer.id(),
        name=layer.name(),
        crs=crs_text(crs),
        extent=extent,
        pixel=(width, height),
        bands=tuple((band_name(provider, band), int(provider.dataType(band))) for band in bands),
        projected=crs.isValid() and not crs.isGeographic(),
        pixel_m2=width * height * square_metres(crs, (extent[1] + extent[3]) / 2),
        of_labels=labels_crs is not None and labels_crs.isValid() and crs == labels_crs,
    )


def square_metres(crs: QgsCoordinateReferenceSystem, latitude: float) -> float:
    """Roughly the square metres of a unit square of a CRS; in degrees at a latitude."""
    if crs.isGeographic():
        return METRES_PER_DEGREE**2 * max(math.cos(math.radians(latitude)), 0.01)
    factor = QgsUnitTypes.fromUnitToUnitFactor(crs.mapUnits(), Qgis.DistanceUnit.Meters)
    return float(factor) ** 2


def state_of(layer: QgsMapLayer | None, fields: Iterable[str] = ()) -> dict[str, Any]:
    """Everything of a layer that a result made from it depends on; empty for no layer.

    Args:
        layer: raster or vector layer, with unsaved edits and filter as they are now.
        fields: fields of a vector layer that count.
    """
    if isinstance(layer, QgsRasterLayer):
        return {**common_state(layer), **raster_state(layer)}
    if isinstance(layer, QgsVectorLayer):
        return {**common_state(layer), **vector_state(layer, tuple(fields))}
    return {}


def common_state(layer: QgsMapLayer) -> dict[str, Any]:
    """Name and CRS: bands and classes are called like their layers."""
    return {"name": layer.name(), "crs": crs_text(layer.crs()), "valid": layer.isValid()}


def raster_state(layer: QgsRasterLayer) -> dict[str, Any]:
    """File, bands, nodata values, and whether values are codes."""
    provider = layer.dataProvider()
    if provider is None or not layer.isValid():
        return {"source": layer.source()}
    bands = range(1, layer.bandCount() + 1)
    return {
        "source": layer.source(),
        "file": file_state(layer),
        "bands": [band_name(provider, band) for band in bands],
        "nodata": [
            [(item.min(), item.max()) for item in provider.userNoDataValues(band)]
            + [provider.useSourceNoDataValue(band)]
            for band in bands
        ],
        "used_nodata": user_nodata(provider),
        "copy": export_reason(layer),
        "codes": is_categorical(layer),
    }


def vector_state(layer: QgsVectorLayer, fields: tuple[str, ...]) -> dict[str, Any]:
    """The features with these fields, whether they are saved or not; of large layers the file and the edits."""
    if not layer.isValid():
        return {"source": layer.source()}
    legend = layer.renderer().dump() if LEGEND_FIELD in fields and layer.renderer() is not None else ""
    fields = tuple(layer.fields().names()) if legend else tuple(dict.fromkeys(filter(None, fields)))
    places = [layer.fields().lookupField(name) for name in fields]
    count = layer.featureCount()
    if 0 <= count <= MOST_READ:
        return {"fields": fields, "legend": legend, "features": features_state(layer, places)}
    return {
        "legend": legend,
        "source": layer.source(),
        "filter": layer.subsetString(),
        "fields": fields,
        "count": count,
        "file": file_state(layer),
        "edits": edits_state(layer),
    }


def features_state(layer: QgsVectorLayer, places: Sequence[int]) -> str:
    """A text that is equal for equal features in whatever order: saving edits gives features another order and id."""
    request = QgsFeatureRequest()
    request.setSubsetOfAttributes([place for place in places if place >= 0])
    return summed(feature_state(item, places) for item in layer.getFeatures(request))


def feature_state(feature: QgsFeature, places: Sequence[int]) -> bytes:
    """Geometry, as it would be written, and values of a feature."""
    kind = QgsWkbTypes.multiType(QgsWkbTypes.flatType(QgsWkbTypes.linearType(feature.geometry().wkbType())))
    parts = [
        bytes(geometry.asWkb()) if geometry is not None else b"" for geometry in straightened(feature, kind)
    ]
    values = [value_text(feature.attribute(place)) if place >= 0 else None for place in places]
    return b"".join([*parts, repr(values).encode("utf-8", "surrogatepass")])


def edits_state(layer: QgsVectorLayer) -> str:
    """A text for the unsaved edits of a layer."""
    buffer = layer.editBuffer()
    if buffer is None:
        return ""
    parts = [
        repr((fid, bytes(item.geometry().asWkb()), item.attributes()))
        for fid, item in buffer.addedFeatures().items()
    ]
    parts += [repr((fid, bytes(item.asWkb()))) for fid, item in buffer.changedGeometries().items()]
    parts += [repr((fid, values)) for fid, values in buffer.changedAttributeValues().items()]
    parts += [repr(fid) for fid in buffer.deletedFeatureIds()]
    return summed(part.encode("utf-8", "surrogatepass") for part in parts)


def summed(parts: Iterable[bytes]) -> str:
    """A text for a multiset: the sum of the fingerprints of its items."""
    total = count = 0
    for part in parts:
        total += int.from_bytes(hashlib.blake2b(part, digest_size=16).digest(), "big")
        count += 1
    return f"{count}:{total % 2**128:032x}"


def file_state(layer: QgsMapLayer) -> list[int]:
    """Time and size of the file behind a layer; empty for databases and services."""
    path = file_of(layer)
    try:
        facts = path.stat() if path is not None else None
    except OSError:
        facts = None
    return [facts.st_mtime_ns, facts.st_size] if facts is not None else []


def unfiltered_count(layer: QgsVectorLayer) -> int:
    """Number of features without the layer's filter; -1 where it cannot be told."""
    copy = layer.clone()
    copy.setSubsetString("")
    return int(copy.featureCount())
