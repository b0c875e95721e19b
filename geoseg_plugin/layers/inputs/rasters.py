"""Raster layers as they are now. Main thread; the layers are only read."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsCoordinateReferenceSystem, QgsRasterLayer

from ...contract import split_address
from ...jobs.inputs import RasterInput
from ..facts import raster_facts
from ..snapshot import (
    band_name,
    crs_override,
    export_reason,
    is_categorical,
    raster_export,
    tr,
    user_nodata,
    value_bands,
)
from .folder import NOWHERE, RasterSnapshot


def raster_snapshot(
    layer: QgsRasterLayer,
    ticked: Iterable[int] | None = None,
    terrain: Iterable[str] = (),
    labels_crs: QgsCoordinateReferenceSystem | None = None,
) -> RasterSnapshot:
    """Return a raster layer as it is now. Main thread.

    Args:
        layer: any raster layer without `problems()`.
        ticked: bands to use, from 1; None uses all that carry values.
        terrain: terrain attributes to derive from the first ticked band, or else from band 1.
        labels_crs: CRS of the labels, which counts where the reference of the grid is chosen.
    """
    provider = layer.dataProvider()
    bands = value_bands(layer)
    reason = export_reason(layer)
    raster = RasterInput(
        path=split_address(layer.source())[0],
        name=layer.name(),
        band_names=tuple(band_name(provider, band) for band in range(1, max(bands, default=0) + 1)),
        ticked=bands if ticked is None else tuple(ticked),
        terrain=tuple(terrain),
        crs=crs_override(layer),
        nodata=user_nodata(provider),
        categorical=is_categorical(layer),
        layer_id=layer.id(),
        facts=raster_facts([layer], labels_crs),
    )
    copy = raster_export(layer, NOWHERE, reason or tr("the engine cannot open its file"))
    return RasterSnapshot(raster, copy, reason)


def class_raster_snapshot(layer: QgsRasterLayer) -> RasterSnapshot:
    """Return a raster that a job reads by its path alone: classes, or their confidence. Main thread.

    The engine gets a copy where the user set another CRS or nodata value in QGIS than the file has, as the job has no
    place for them.
    """
    found = raster_snapshot(layer)
    if found.copy_reason or not (found.raster.crs or sets_nodata(layer)):
        return found
    reason = tr("its CRS or nodata value was set in QGIS")
    return RasterSnapshot(found.raster, raster_export(layer, NOWHERE, reason), reason)


def sets_nodata(layer: QgsRasterLayer) -> bool:
    """Whether the user gave the first band another nodata value than its file has."""
    provider = layer.dataProvider()
    value = user_nodata(provider)
    own = provider.sourceNoDataValue(1) if provider.sourceHasNoDataValue(1) else None
    return value is not None and value != own
