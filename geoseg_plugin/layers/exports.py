"""Writing what the engine cannot open by itself: run in a task thread, from plain data only.

Nothing here holds a layer. A raster is opened again from its provider's name and address; polygons come
from a feature source made on the main thread and carries unsaved edits.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from osgeo import gdal, osr
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDataProvider,
    QgsFeature,
    QgsFeatureRequest,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsProviderRegistry,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterNuller,
    QgsRasterPipe,
    QgsRasterRange,
    QgsVectorFileWriter,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QDate, QDateTime, QMetaType, Qt, QTime

from ..contract import GeoSegError, remove_with_sidecars, replace_with_sidecars
from .legendclasses import LEGEND_FIELD, LegendNamer

CLASSES_TAG = "GEOSEG_CLASSES"
"""Metadata item of the rasters of classes that the engine writes: ids, names and colours as JSON."""

WITH_PALETTE = (gdal.GDT_Byte, gdal.GDT_UInt16)
"""Types of pixel that a GeoTIFF can have a palette for."""

LABEL_LAYER = "polygons"
"""Name of the layer inside an exported GeoPackage."""


@dataclass(frozen=True)
class RasterExport:
    """Writes a raster that only QGIS can read as a GeoTIFF. Call it in a task thread.

    Attributes:
        provider: key of the QGIS data provider.
        source: its address, as in the layer.
        crs: the layer's CRS, which may be the user's own choice.
        path: GeoTIFF to write.
        note: one sentence for the user: what is written and why.
        nodata_values: user-defined nodata of each band; empty where there is none.
        source_nodata_used: of each band, whether the file's own nodata counts.
        alpha: bands that mark which pixels have a value, a mask among them; written as alpha.
    """

    provider: str
    source: str
    crs: QgsCoordinateReferenceSystem
    path: Path
    note: str
    nodata_values: tuple[tuple[tuple[float, float], ...], ...] = ()
    source_nodata_used: tuple[bool, ...] = ()
    alpha: tuple[int, ...] = ()

    def __call__(self) -> None:
        """Write the file under a temporary name and rename it when whole.

        Raises:
            GeoSegError: `export_failed` if QGIS cannot read the layer or write the file.
        """
        provider = self._open()
        pipe = QgsRasterPipe()
        pipe.set(provider)
        if any(self.nodata_values):
            pipe.insert(1, self._nuller())
        partial = partial_path(self.path)
        writer = QgsRasterFileWriter(str(partial))
        writer.setOutputFormat("GTiff")
        set_options = getattr(writer, "setCreationOptions", None) or writer.setCreateOptions
        set_options(["TILED=YES", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"])
        outcome = writer.writeRaster(
            pipe,
            provider.xSize(),
            provider.ySize(),
            provider.extent(),
            self.crs,
            QgsCoordinateTransformContext(),
        )
        if int(outcome) != 0:
            raise export_failed(self.path, f"QGIS answered with code {int(outcome)}")
        if not any(self.nodata_values) and not all(self.source_nodata_used):
            forget_nodata(partial)
        if self.crs.isValid() and not self.crs.authid().startswith("EPSG:"):
            write_crs(partial, self.crs)
        if self.alpha:
            mark_alpha(partial, self.alpha, self._own_nodata(provider))
        if self.provider == "gdal":
            keep_units(self.source.split("|")[0], partial)
            keep_legend(self.source.split("|")[0], partial)
        replace_with_sidecars(partial, self.path)

    def _open(self) -> QgsRasterDataProvider:
        registry = QgsProviderRegistry.instance()
        provider = registry.createProvider(self.provider, self.source, QgsDataProvider.ProviderOptions())
        if not isinstance(provider, QgsRasterDataProvider) or not provider.isValid():
            raise export_failed(self.path, f"the source {self.source} cannot be opened any more")
        for index, used in enumerate(self.source_nodata_used):
            provider.setUseSourceNoDataValue(index + 1, used)
        return provider

    def _own_nodata(self, provider: QgsRasterDataProvider) -> float | None:
        """The nodata value of the file, if it counts: QGIS leaves it out where there is a band of alpha."""
        used = [
            band
            for band, counts in enumerate(self.source_nodata_used, 1)
            if counts and band not in self.alpha
        ]
        known = [provider.sourceNoDataValue(band) for band in used if provider.sourceHasNoDataValue(band)]
        return known[0] if known and not any(self.nodata_values) else None

    def _nuller(self) -> QgsRasterNuller:
        """The filter that makes the user's nodata ranges nodata; a provider's own ranges are not written."""
        nuller = QgsRasterNuller()
        for index, ranges in enumerate(self.nodata_values):
            nuller.setNoData(index + 1, [QgsRasterRange(low, high) for low, high in ranges])
        return nuller


def forget_nodata(path: Path) -> None:
    """Remove the nodata value of a GeoTIFF that was written with the one of its source."""
    dataset = gdal.Open(str(path), gdal.GA_Update)
    for index in range(dataset.RasterCount):
        dataset.GetRasterBand(index + 1).DeleteNoDataValue()
    dataset.FlushCache()


def write_crs(path: Path, crs: QgsCoordinateReferenceSystem) -> None:
    """Give a GeoTIFF a CRS in full: QGIS writes it as WKT 1, which holds no rotated pole.

    Args:
        path: GeoTIFF that QGIS wrote.
        crs: of the layer.
    """
    reference = osr.SpatialReference()
    if reference.SetFromUserInput(crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019)) == 0:
        reference.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        dataset = gdal.Open(str(path), gdal.GA_Update)
        dataset.SetSpatialRef(reference)
        dataset.FlushCache()


def mark_alpha(path: Path, bands: tuple[int, ...], nodata: float | None) -> None:
    """Mark in a GeoTIFF which bands are alpha, and the nodata value of the others. Any thread.

    Args:
        path: GeoTIFF that QGIS wrote.
        bands: numbers of the alpha bands, from 1.
        nodata: of the other bands; None for none.
    """
    dataset = gdal.Open(str(path), gdal.GA_Update)
    for band in bands:
        dataset.GetRasterBand(band).SetColorInterpretation(gdal.GCI_AlphaBand)
    if nodata is not None and dataset.GetRasterBand(1).GetNoDataValue() is None:
        dataset.GetRasterBand(1).SetNoDataValue(nodata)
    dataset.FlushCache()


def keep_units(source: str, path: Path) -> None:
    """Give the bands of a copy the units of its source, which QGIS leaves out: heights in feet are not in metres.

    Args:
        source: file of the original.
        path: of the copy, a GeoTIFF.
    """
    original = gdal.Open(source)
    if original is None:
        return
    units = [original.GetRasterBand(band).GetUnitType() for band in range(1, original.RasterCount + 1)]
    if any(units):
        dataset = gdal.Open(str(path), gdal.GA_Update)
        for band, unit in enumerate(units[: dataset.RasterCount], 1):
            dataset.GetRasterBand(band).SetUnitType(unit)
        dataset.FlushCache()


def keep_legend(source: str, path: Path) -> None:
    """Give a copy the names and colours of the classes of its source, which QGIS leaves out. Any thread.

    Args:
        source: file of the original.
        path: of the copy, a GeoTIFF.
    """
    original = gdal.Open(source)
    copy = gdal.Open(str(path), gdal.GA_Update) if original is not None else None
    if copy is None:
        return
    for dataset in (original, copy):
        dataset.GetGeoTransform()  # GDAL reads the sidecar file, with the names in it, for this and not for the names
    own, band = original.GetRasterBand(1), copy.GetRasterBand(1)
    if own.GetColorTable() is not None and band.DataType in WITH_PALETTE:
        band.SetColorTable(own.GetColorTable())
    if original.GetMetadataItem(CLASSES_TAG):
        copy.SetMetadataItem(CLASSES_TAG, original.GetMetadataItem(CLASSES_TAG))
    if own.GetCategoryNames():
        band.SetCategoryNames(own.GetCategoryNames())
    if own.GetDefaultRAT() is not None:
        band.SetDefaultRAT(own.GetDefaultRAT())
    copy.FlushCache()


@dataclass(frozen=True)
class PolygonExport:
    """Writes polygons, unsaved edits included, to a GeoPackage. Call it in a task thread.

    Curves become straight segments and Z and M are left out; features without geometry are kept, so that
    the engine can report them. The chosen fields are written as text.

    Attributes:
        features: what the layer held when the snapshot was made.
        request: which of the features; all unless only the selected ones count.
        crs: of the layer; nothing is reprojected.
        path: GeoPackage to write; its layer is `polygons`.
        fields: names of the fields to keep.
        note: one sentence for the log.
        namer: writes the class that the legend gives a feature into the field `geoseg_legend`.
        geometry: what is written: multi-polygons, multi-lines or multi-points.
        numbers: numeric fields stay numbers instead of becoming texts.
    """

    features: QgsVectorLayerFeatureSource
    request: QgsFeatureRequest
    crs: QgsCoordinateReferenceSystem
    path: Path
    fields: tuple[str, ...]
    note: str
    namer: LegendNamer | None = None
    geometry: QgsWkbTypes.Type = QgsWkbTypes.Type.MultiPolygon
    numbers: bool = False

    def __call__(self) -> None:
        """Write the file under a temporary name and rename it when whole.

        Raises:
            GeoSegError: `export_failed` if the file cannot be written.
        """
        partial = partial_path(self.path)
        fields = self._fields()
        writer = self._writer(partial, fields)
        if self.namer is not None:
            self.namer.start(self.features.fields())
        for feature in self.features.getFeatures(self.request):
            values = self._values(feature)
            for geometry in straightened(feature, self.geometry):
                if not writer.addFeature(written(fields, values, geometry)):
                    raise export_failed(self.path, writer.errorMessage())
        if self.namer is not None:
            self.namer.stop()
        message = writer.errorMessage() if writer.hasError() else ""
        del writer
        if message:
            raise export_failed(self.path, message)
        replace_with_sidecars(partial, self.path)

    def _fields(self) -> QgsFields:
        fields = QgsFields()
        own = self.features.fields()
        for name in self.fields:
            place = own.lookupField(name)
            fields.append(QgsField(name, self._kind(own.at(place) if place >= 0 else None)))
        return fields

    def _kind(self, field: QgsField | None) -> QMetaType.Type:
        """The type that a field is written as; whole numbers stay whole, so that long ids differ."""
        if field is None or not self.numbers or not field.isNumeric():
            return QMetaType.Type.QString
        decimal = field.type() in (QMetaType.Type.Double, QMetaType.Type.ULongLong)
        return QMetaType.Type.Double if decimal else QMetaType.Type.LongLong

    def _values(self, feature: QgsFeature) -> list[object]:
        own = self.features.fields()
        values: list[object] = []
        for name in self.fields:
            place = own.lookupField(name)
            if self.namer is not None and name == LEGEND_FIELD:
                values.append(self.namer.name(feature))
            elif place < 0:
                values.append(None)
            elif self.numbers and own.at(place).isNumeric():
                values.append(feature.attribute(place))
            else:
                values.append(value_text(feature.attribute(place)))
        return values

    def _writer(self, path: Path, fields: QgsFields) -> QgsVectorFileWriter:
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "GPKG"
        options.layerName = LABEL_LAYER
        options.layerOptions = ["FID=geoseg_fid", "GEOMETRY_NAME=geoseg_geometry"]
        writer = QgsVectorFileWriter.create(
            str(path),
            fields,
            self.geometry,
            self.crs,
            QgsCoordinateTransformContext(),
            options,
        )
        if writer.hasError():
            raise export_failed(self.path, writer.errorMessage())
        return writer


def straightened(feature: QgsFeature, kind: QgsWkbTypes.Type) -> list[QgsGeometry | None]:
    """Return the geometry of a feature as two-dimensional ones without curves; [None] without any. Any thread.

    Args:
        feature: as the layer gives it.
        kind: multi-polygons, multi-lines or multi-points.
    """
    geometries = feature.geometry().coerceToType(kind) if feature.hasGeometry() else []
    return geometries or [None]


def written(fields: QgsFields, values: list[object], geometry: QgsGeometry | None) -> QgsFeature:
    """Return a feature to write. Any thread.

    Args:
        fields: of the file.
        values: of the fields, in their order.
        geometry: None for none.
    """
    item = QgsFeature(fields)
    item.setAttributes(values)
    if geometry is not None:
        item.setGeometry(geometry)
    return item


def value_text(value: object) -> str | None:
    """A field's value as the text that names its class; None for NULL and for empty text.

    Whole numbers have no decimal point, so 1 and 1.0 are one class. A list is its items, an object its JSON, as in the
    engine.
    """
    is_null = getattr(value, "isNull", None)
    if value is None or (callable(is_null) and is_null()):
        return None
    if isinstance(value, (list, tuple)):
        value = ", ".join(text for text in map(value_text, value) if text is not None)
    elif isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    elif isinstance(value, (QDate, QDateTime, QTime)):
        value = value.toString(Qt.DateFormat.ISODate)
    elif isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    return str(value).strip() or None


def partial_path(path: Path) -> Path:
    """The temporary name beside `path`; makes the folder and removes what an earlier try left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.stem}.part{path.suffix}")
    remove_with_sidecars(partial)
    return partial


def export_failed(path: Path, reason: str) -> GeoSegError:
    """Return the error for a file that QGIS could not write for the engine.

    Args:
        path: of the file.
        reason: what QGIS or GDAL answered.
    """
    return GeoSegError(
        "export_failed",
        f"QGIS could not write {path.name} for the engine: {reason}.",
        "Save the layer to a file (Layer ▸ Save As…) and choose that file instead.",
    )
