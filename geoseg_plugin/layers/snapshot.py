"""QGIS layer -> what the engine needs to read it. Main thread, cheap, and the layer is never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsFeatureRequest,
    QgsMapLayer,
    QgsPalettedRasterRenderer,
    QgsProviderRegistry,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..contract import Problem, split_address
from .exports import PolygonExport, RasterExport
from .legendclasses import LEGEND_FIELD, legend_namer

GDAL = "gdal"
WRITTEN_AS = {
    Qgis.GeometryType.Point: QgsWkbTypes.Type.MultiPoint,
    Qgis.GeometryType.Line: QgsWkbTypes.Type.MultiLineString,
}
"""Type in which features are written; polygons, and all else, as multi-polygons."""
PICTURE_PROVIDERS = ("wms", "arcgismapserver", "xyzvectortiles")
GDAL_FILE = re.compile(r"^(?:/vsi|[A-Za-z][A-Za-z0-9_]+:(?![\\/]))")
"""Addresses whose existence only GDAL can check: virtual file systems and named subdatasets."""


def tr(text: str) -> str:
    return QCoreApplication.translate("layers", text)


def raster_export(layer: QgsRasterLayer, folder: Path, reason: str) -> RasterExport:
    """Return what writes the layer as `<layer name>_<short id>.tif` into `folder`. Main thread.

    Args:
        layer: any raster layer.
        folder: for the file.
        reason: why a copy is written, as the user reads it.
    """
    provider = layer.dataProvider()
    bands = range(1, layer.bandCount() + 1)
    return RasterExport(
        provider=provider.name(),
        source=provider.dataSourceUri(),
        crs=layer.crs(),
        path=folder / f"{file_stem(layer.name())}_{file_stem(layer.id())[-8:]}.tif",
        note=tr("QGIS writes a copy of layer '{}' for the engine: {}.").format(layer.name(), reason),
        nodata_values=tuple(
            tuple((item.min(), item.max()) for item in provider.userNoDataValues(band)) for band in bands
        ),
        source_nodata_used=tuple(provider.useSourceNoDataValue(band) for band in bands),
        alpha=tuple(sorted(set(bands) - set(value_bands(layer)))),
    )


def export_reason(layer: QgsRasterLayer) -> str:
    """Why the engine cannot read this layer by its path; empty if it can."""
    provider = layer.dataProvider()
    if provider.name() != GDAL:
        return tr("it comes from the QGIS provider '{}', not from a file").format(provider.name())
    if split_address(layer.source())[1]:
        return tr("it is opened with options of its own")
    bands = value_bands(layer)
    own = [band for band in bands if provider.sourceHasNoDataValue(band)]
    if any(not provider.useSourceNoDataValue(band) for band in own):
        return tr("the nodata value of its file is switched off")
    ranges = [[(item.min(), item.max()) for item in provider.userNoDataValues(band)] for band in bands]
    if not any(ranges):
        return ""
    if any((provider.bandScale(band), provider.bandOffset(band)) != (1, 0) for band in bands):
        return tr("its additional nodata values are in the units of its scale and offset")
    plain = all(item == ranges[0] and len(item) == 1 and item[0][0] == item[0][1] for item in ranges)
    if not plain or any(provider.sourceNoDataValue(band) != ranges[0][0][0] for band in own):
        return tr("it has additional nodata values")
    return ""


def value_bands(layer: QgsRasterLayer) -> tuple[int, ...]:
    """Bands of a layer that carry values, counting from 1.

    Alpha is none of them; as such QGIS also shows a mask inside or beside the file, which the engine counts as no band.
    """
    provider = layer.dataProvider()
    alpha = Qgis.RasterColorInterpretation.AlphaBand
    return tuple(
        band for band in range(1, layer.bandCount() + 1) if provider.colorInterpretation(band) != alpha
    )


def is_categorical(layer: QgsRasterLayer) -> bool:
    """Whether a raster is drawn as classes: then its values are codes, not quantities."""
    return isinstance(layer.renderer(), QgsPalettedRasterRenderer)


def user_nodata(provider: QgsRasterDataProvider) -> float | None:
    """The one nodata value that the user gave this layer in QGIS; None keeps the file's own."""
    ranges = provider.userNoDataValues(1)
    return ranges[0].min() if ranges else None


def crs_override(layer: QgsRasterLayer) -> str:
    """The layer's CRS where the user set another one than the file's; else empty."""
    crs = layer.crs()
    if not crs.isValid() or crs == layer.dataProvider().crs():
        return ""
    return crs_text(crs)


def crs_text(crs: QgsCoordinateReferenceSystem) -> str:
    """Authority code, or WKT 2 for a CRS without one; empty for no CRS."""
    if not crs.isValid():
        return ""
    authority = crs.authid()
    if authority and not authority.startswith("USER:"):
        return authority
    return crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019)


def band_name(provider: QgsRasterDataProvider, band: int) -> str:
    """Return the description of a band; empty where it has none. Main thread.

    Args:
        provider: of the layer.
        band: its number, from 1.
    """
    return str(provider.bandDescription(band) or "").strip()


def polygon_snapshot(
    layer: QgsVectorLayer, path: Path, fields: Iterable[str] = (), selected_only: bool = False
) -> PolygonExport:
    """What writes the layer's polygons, lines or points, as they are now with unsaved edits, to a GeoPackage.

    Args:
        layer: vector layer; its filter counts, and so do joined and virtual fields. It stays as it is.
        path: GeoPackage; the layer inside is called `polygons`, in the CRS of `layer`.
        fields: fields to keep, written as text (the class field, the split field).
        selected_only: only the features that are selected now.

    The field `geoseg_legend` gets the class that the legend gives each polygon.
    """
    fields = tuple(dict.fromkeys(name for name in fields if name))
    return PolygonExport(
        features=QgsVectorLayerFeatureSource(layer),
        request=request_of(layer, selected_only),
        crs=layer.crs(),
        path=path,
        fields=fields,
        note=tr("The {} of layer '{}' as they are now").format(things_of(layer), layer.name()),
        geometry=WRITTEN_AS.get(layer.geometryType(), QgsWkbTypes.Type.MultiPolygon),
        namer=legend_namer(layer) if LEGEND_FIELD in fields else None,
    )


def request_of(layer: QgsVectorLayer, selected_only: bool) -> QgsFeatureRequest:
    """Return the request for all features, or for those that are selected now. Main thread.

    Args:
        layer: of the features.
        selected_only: whether only selected ones count.
    """
    request = QgsFeatureRequest()
    return request.setFilterFids(layer.selectedFeatureIds()) if selected_only else request


def feature_snapshot(
    layer: QgsVectorLayer, path: Path, fields: Iterable[str] = (), selected_only: bool = False
) -> PolygonExport:
    """Return what writes points, lines or polygons, as they are now, for bands made of them; numbers stay numbers.
    Main thread.

    Args:
        layer: with unsaved edits and filter.
        path: GeoPackage to write.
        fields: to keep.
        selected_only: only the features that are selected now.
    """
    return PolygonExport(
        features=QgsVectorLayerFeatureSource(layer),
        request=request_of(layer, selected_only),
        crs=layer.crs(),
        path=path,
        fields=tuple(dict.fromkeys(name for name in fields if name)),
        note=tr("The features of layer '{}' as they are now").format(layer.name()),
        geometry=WRITTEN_AS.get(layer.geometryType(), QgsWkbTypes.Type.MultiPolygon),
        numbers=True,
    )


def is_drawn(layer: QgsMapLayer | None) -> bool:
    """Whether a layer has polygons, lines or points, so that it can be labels."""
    kinds = (Qgis.GeometryType.Point, Qgis.GeometryType.Line, Qgis.GeometryType.Polygon)
    return isinstance(layer, QgsVectorLayer) and layer.geometryType() in kinds


def is_sampled(layer: QgsMapLayer | None) -> bool:
    """Whether a layer has points or lines, which label no ground completely."""
    if not isinstance(layer, QgsVectorLayer):
        return False
    return layer.geometryType() in (Qgis.GeometryType.Point, Qgis.GeometryType.Line)


def things_of(layer: QgsVectorLayer) -> str:
    """What the features of a layer are, for sentences."""
    kinds = {Qgis.GeometryType.Point: tr("points"), Qgis.GeometryType.Line: tr("lines")}
    return kinds.get(layer.geometryType(), tr("polygons"))


def problems(layer: QgsMapLayer, labels: bool = False) -> list[Problem]:
    """Return every reason why this layer cannot be used, each with a next step; empty if there is none.

    Args:
        layer: of any kind.
        labels: whether it is to be labels, which may also be points and lines.
    """
    if isinstance(layer, QgsRasterLayer):
        return file_problems(layer) or [*raster_problems(layer), *crs_problems(layer)]
    if isinstance(layer, QgsVectorLayer):
        return file_problems(layer) or [*feature_problems(layer, labels), *crs_problems(layer)]
    return [
        Problem(
            "wrong_layer",
            tr("Layer '{}' is neither a raster nor a polygon layer.").format(layer.name()),
            tr("Choose a raster or polygon layer."),
        )
    ]


def file_problems(layer: QgsMapLayer) -> list[Problem]:
    """The layer is broken, or the file behind it has vanished."""
    path = file_of(layer)
    if path is not None and not path.exists():
        return [
            Problem(
                "file_missing",
                tr("The file of layer '{}' is gone: {}.").format(layer.name(), path),
                tr("Put it back, or repair the layer's source and choose it again."),
            )
        ]
    if not layer.isValid():
        return [
            Problem(
                "layer_invalid",
                tr("Layer '{}' cannot be read: {}.").format(
                    layer.name(), layer.error().summary() or layer.source()
                ),
                tr("Repair the layer's source in its properties, or choose another layer."),
            )
        ]
    return []


def crs_problems(layer: QgsMapLayer) -> list[Problem]:
    if layer.crs().isValid():
        return []
    return [
        Problem(
            "no_crs",
            tr("Layer '{}' has no coordinate reference system.").format(layer.name()),
            tr("Set it in the layer's properties, page Source, if you know it."),
        )
    ]


def raster_problems(layer: QgsRasterLayer) -> list[Problem]:
    provider = layer.dataProvider()
    endless = provider.xSize() <= 0 or provider.ySize() <= 0
    picture = provider.name() != GDAL and provider.dataType(1) in (
        Qgis.DataType.ARGB32,
        Qgis.DataType.ARGB32_Premultiplied,
    )
    if provider.name() not in PICTURE_PROVIDERS and not endless and not picture:
        return []
    return [
        Problem(
            "picture",
            tr("Layer '{}' comes from a map service ({}): a picture, not data.").format(
                layer.name(), provider.name()
            ),
            tr("Download the data behind it (a WCS, or a GeoTIFF) and load that."),
        )
    ]


def feature_problems(layer: QgsVectorLayer, labels: bool = False) -> list[Problem]:
    """Return why the features of a layer cannot be used; see `problems`."""
    if not is_drawn(layer) or (is_sampled(layer) and not labels):
        kind = QgsWkbTypes.geometryDisplayString(layer.geometryType())
        hint = (
            tr(
                "Choose a layer of polygons, lines or points; a table with coordinates first needs to become one."
            )
            if labels
            else tr("Choose a polygon layer; buffer points or lines first.")
        )
        return [
            Problem(
                "not_polygons",
                tr("Layer '{}' holds {} features, not polygons.").format(layer.name(), kind.lower()),
                hint,
            )
        ]
    several = unnamed_layers(layer)
    if several:
        return [
            Problem(
                "several_layers",
                tr("The file of layer '{}' holds several layers of {}, and none is named: {}.").format(
                    layer.name(), things_of(layer), ", ".join(several)
                ),
                tr("Name the one that is meant, as in {}|layername={}.").format(file_of(layer), several[0]),
            )
        ]
    if layer.featureCount() == 0:
        return [
            Problem(
                "no_polygons",
                tr("Layer '{}' has no features.").format(layer.name()),
                tr("Draw some {}, or remove the layer's filter.").format(things_of(layer)),
            )
        ]
    return []


def unnamed_layers(layer: QgsVectorLayer) -> list[str]:
    """Layers of its kind in the file of a layer whose source names none of several: QGIS shows the first then."""
    provider = layer.dataProvider()
    if provider.name() != "ogr" or {"layername", "layerid"} & split_address(layer.source())[1].keys():
        return []
    if provider.subLayerCount() < 2:
        return []
    found = QgsProviderRegistry.instance().querySublayers(
        layer.source(), Qgis.SublayerQueryFlag.ResolveGeometryType
    )
    same = [item for item in found if QgsWkbTypes.geometryType(item.wkbType()) == layer.geometryType()]
    names = list(dict.fromkeys(item.name() for item in same))
    return names if len(names) > 1 else []


def file_of(layer: QgsMapLayer) -> Path | None:
    """The plain file behind a layer; None if it is something else (database, service, subdataset)."""
    provider = layer.dataProvider()
    key = provider.name() if provider is not None else layer.providerType()
    if key not in (GDAL, "ogr"):
        return None
    path, _ = split_address(layer.source())
    if not Path(path).exists():
        path = str(QgsProviderRegistry.instance().decodeUri(key, layer.source()).get("path") or "")
    if not path or GDAL_FILE.match(path) or re.match(r"^[a-z]+://", path):
        return None
    return Path(path)


def file_stem(text: str) -> str:
    """Letters, digits, dash and underscore of a name, for a file; never empty."""
    return re.sub(r"[^\w-]+", "_", text).strip("_") or "layer"
