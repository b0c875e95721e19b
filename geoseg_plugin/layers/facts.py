"""What GeoSeg needs to know of layers before it uses them, as plain data. Main thread; layers are only read.

`raster_facts` is for decisions on the grid; `state_of` is everything of a layer that a result depends on, so that two
equal states mean that nothing has changed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Generator, Iterable, Sequence
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
from .classes import legend_entries, single_color
from .exports import straightened, value_text
from .legendclasses import LEGEND_FIELD
from .rasterclasses import raster_classes
from .snapshot import band_name, crs_text, export_reason, file_of, is_categorical, user_nodata, value_bands

METRES_PER_DEGREE = 111_320.0
MAX_READ = 200_000
"""Features of a layer that are compared one by one; of larger layers the number, the extent and the edits."""
AT_ONCE = 50
"""Features that are read before a pause: about half a millisecond."""


def raster_facts(
    layers: Sequence[QgsRasterLayer], labels_crs: QgsCoordinateReferenceSystem | None = None
) -> RasterFacts:
    """Return the facts of a raster layer, or of several that are one mosaic: those of the first, on the extent of all.
    Main thread.

    Args:
        layers: one, or those of a mosaic.
        labels_crs: CRS of the labels; None without labels.
    """
    layer = layers[0]
    crs, provider = layer.crs(), layer.dataProvider()
    boxes = [layer.extent() for layer in layers]
    extent = union((box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()) for box in boxes)
    width, height = abs(layer.rasterUnitsPerPixelX()), abs(layer.rasterUnitsPerPixelY())
    bands = value_bands(layer)
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
    """Return roughly the square metres of a unit square of a CRS.

    Args:
        crs: of a layer.
        latitude: in degrees, for a CRS in degrees.
    """
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
    if not isinstance(layer, QgsVectorLayer):
        return {}
    steps = vector_state(layer, tuple(fields))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found


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


def vector_state(layer: QgsVectorLayer, fields: tuple[str, ...]) -> Generator[None, None, dict[str, Any]]:
    """Name, CRS and features with these fields, whether they are saved or not, as `state_of` gives them.

    A generator that pauses every few features, so that large layers can be read without holding QGIS up; its return
    value is the state. Of layers with more than MOST_READ features only the number, the extent and the unsaved
    edits count. The time of the file says nothing: to open a GeoPackage for editing changes it.

    Args:
        layer: with unsaved edits and filter as they are now.
        fields: that count.
    """
    if not layer.isValid():
        return {**common_state(layer), "source": layer.source()}
    legend = layer.renderer().dump() if LEGEND_FIELD in fields and layer.renderer() is not None else ""
    fields = tuple(layer.fields().names()) if legend else tuple(dict.fromkeys(filter(None, fields)))
    found = {**common_state(layer), "legend": legend, "fields": fields}
    count = layer.featureCount()
    if count > MAX_READ:
        saved = layer.dataProvider()
        whole = {"source": layer.source(), "filter": layer.subsetString()}
        kept = {"extent": saved.extent().toString(), "count": saved.featureCount()}
        return {**found, **whole, **kept, "edits": edits_state(layer)}
    places = [layer.fields().lookupField(name) for name in fields]
    request = QgsFeatureRequest()
    request.setSubsetOfAttributes([place for place in places if place >= 0])
    total = Multiset()
    for number, feature in enumerate(layer.getFeatures(request), 1):
        total.add(feature_state(feature, places))
        if number % AT_ONCE == 0:
            yield
    return {**found, "features": total.text()}


def feature_state(feature: QgsFeature, places: Sequence[int]) -> bytes:
    """Geometry, as it would be written, and values of a feature.

    Args:
        feature: of a layer.
        places: numbers of the fields that count; negative for one that is missing.
    """
    kind = QgsWkbTypes.multiType(QgsWkbTypes.flatType(QgsWkbTypes.linearType(feature.geometry().wkbType())))
    parts = [
        bytes(geometry.asWkb()) if geometry is not None else b"" for geometry in straightened(feature, kind)
    ]
    values = [value_text(feature.attribute(place)) if place >= 0 else None for place in places]
    return b"".join([*parts, repr(values).encode("utf-8", "surrogatepass")])


def legend_state(layer: QgsMapLayer | None, field: str) -> list[Any]:
    """Return what classes take from the style of a layer: names and colours; without a field also the name of the
    layer. Main thread.

    Args:
        layer: raster or vector; None for none.
        field: with the class.
    """
    if isinstance(layer, QgsRasterLayer):
        return [dataclasses.astuple(item) for item in raster_classes(layer)]
    if not isinstance(layer, QgsVectorLayer):
        return []
    return list(legend_entries(layer, field)) if field else [layer.name(), single_color(layer)]


def edits_state(layer: QgsVectorLayer) -> str:
    """A text for the unsaved edits of a layer; the same without any."""
    buffer, total = layer.editBuffer(), Multiset()
    if buffer is not None:
        for fid, feature in buffer.addedFeatures().items():
            total.add(
                repr((fid, bytes(feature.geometry().asWkb()), feature.attributes())).encode(
                    "utf-8", "replace"
                )
            )
        for fid, geometry in buffer.changedGeometries().items():
            total.add(repr((fid, bytes(geometry.asWkb()))).encode("utf-8", "replace"))
        for fid, values in buffer.changedAttributeValues().items():
            total.add(repr((fid, values)).encode("utf-8", "replace"))
        for fid in buffer.deletedFeatureIds():
            total.add(repr(fid).encode("utf-8"))
    return total.text()


class Multiset:
    """A text that is equal for equal items in whatever order: saving gives features another order and other ids."""

    def __init__(self) -> None:
        self._sum = self._count = 0

    def add(self, item: bytes) -> None:
        """Count an item in."""
        self._sum += int.from_bytes(hashlib.blake2b(item, digest_size=16).digest(), "big")
        self._count += 1

    def text(self) -> str:
        """Number of items and the sum of their fingerprints."""
        return f"{self._count}:{self._sum % 2**128:032x}"


def file_state(layer: QgsMapLayer) -> list[int]:
    """Time and size of the file behind a layer; empty for databases and services."""
    path = file_of(layer)
    try:
        facts = path.stat() if path is not None else None
    except OSError:
        facts = None
    return [facts.st_mtime_ns, facts.st_size] if facts is not None else []


def unfiltered_count(layer: QgsVectorLayer) -> int:
    """Number of features without the layer's filter; -1 where it is unknown."""
    copy = layer.clone()
    copy.setSubsetString("")
    return int(copy.featureCount())
