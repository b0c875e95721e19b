"""What a raster layer states of its bands: names, wavelengths, sensor. Main thread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from osgeo import gdal
from qgis.core import QgsRasterLayer

from ..jobs.bandroles import LayerBands
from .snapshot import GDAL, band_name, value_bands

SENSOR_KEYS = re.compile(r"spacecraft|platform|satellite|sensor|instrument|mission|product", re.IGNORECASE)
UNITS_NM = ((r"nm|nanomet.*", 1.0), (r"um|µm|μm|micron.*|micromet.*", 1000.0))
"""Units of wavelength as files write them, and their nanometres."""
LIKELY_NM = (350.0, 2600.0)
"""A wavelength without unit is one in nanometres within these, in micrometres within a thousandth of them."""


def layer_bands(layer: QgsRasterLayer) -> LayerBands:
    """Names, wavelengths and sensor of a layer, from the metadata of its file; the layer is not changed."""
    provider = layer.dataProvider()
    count = max(value_bands(layer), default=0)
    names = tuple(band_name(provider, band) for band in range(1, count + 1))
    waves: tuple[float | None, ...] = (None,) * count
    sensor = [layer.name()]
    if provider.name() == GDAL:
        path = layer.source().split("|")[0]
        sensor.append(Path(path).name)
        found = _dataset_facts(path, count)
        if found is not None:
            waves = found[0]
            sensor += found[1]
    return LayerBands(
        layer.id(), layer.name(), (layer.name(),) if count == 1 else names, waves, "\n".join(sensor)
    )


def _dataset_facts(path: str, count: int) -> tuple[tuple[float | None, ...], list[str]] | None:
    """Wavelengths in nanometres, and texts about the sensor; None where GDAL cannot open the file."""
    gdal.PushErrorHandler("CPLQuietErrorHandler")
    try:
        dataset = gdal.OpenEx(path, gdal.OF_RASTER | gdal.OF_READONLY)
        if dataset is None or dataset.RasterCount < count:
            return None
        texts = [
            str(value)
            for domain in ("", "IMAGERY")
            for key, value in (dataset.GetMetadata(domain) or {}).items()
            if SENSOR_KEYS.search(key)
        ]
        listed = _listed(dataset.GetMetadata("ENVI") or {}, count)
        bands = [dataset.GetRasterBand(number) for number in range(1, count + 1)]
        own = [_stated(band.GetMetadata() or {}, band.GetMetadata("IMAGERY") or {}) for band in bands]
    except RuntimeError:  # of a GDAL that raises
        return None
    finally:
        gdal.PopErrorHandler()
    return tuple(other if wave is None else wave for wave, other in zip(own, listed, strict=True)), texts


def _stated(own: Mapping[str, str], imagery: Mapping[str, str]) -> float | None:
    """The wavelength in the metadata of a band: as GDAL, ENVI, EnMAP-Box and other programs write it."""
    if "CENTRAL_WAVELENGTH_UM" in imagery:
        return wavelength_nm(imagery["CENTRAL_WAVELENGTH_UM"], "um")
    facts = {re.sub(r"[ _]", "", key.casefold()): value for key, value in own.items()}
    unit = facts.get("wavelengthunits", facts.get("wavelengthunit", ""))
    return wavelength_nm(facts.get("wavelength", facts.get("centralwavelength", "")), unit)


def _listed(envi: Mapping[str, str], count: int) -> list[float | None]:
    """The wavelengths in the header of an ENVI file, one per band."""
    facts = {re.sub(r"[ _]", "", key.casefold()): value for key, value in envi.items()}
    values = facts.get("wavelength", "").strip("{} ").split(",")
    unit = facts.get("wavelengthunits", "")
    return [wavelength_nm(value, unit) for value in values] if len(values) == count else [None] * count


def wavelength_nm(text: str, unit: str) -> float | None:
    """Return a wavelength in nanometres; None for what is no number, has no known unit or is outside optics.

    Args:
        text: the number.
        unit: such as um or nm.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    low, high = LIKELY_NM
    unit = unit.strip().casefold()
    if unit in ("", "unknown"):
        factor = 1.0 if value >= low else 1000.0
    else:
        factor = next((nm for pattern, nm in UNITS_NM if re.fullmatch(pattern, unit)), 0.0)
    return value * factor if low <= value * factor <= high else None
