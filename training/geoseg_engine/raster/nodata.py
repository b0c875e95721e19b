"""Pixels without value by a raster's file: nodata, mask, alpha, fill values, valid range. All of them count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from ..contract import Source
from .grid import Window
from .netcdf import numbers_in
from .virtual import virtual_bands

WIDE = ("int64", "uint64")
"""Types whose values a float64 does not hold exactly."""

CF_DRIVERS = ("netCDF", "HDF4", "HDF4Image", "HDF5", "HDF5Image", "Zarr")
"""Formats whose attributes are those of the CF conventions; a GeoTIFF made of one may keep them for other values."""


@dataclass(frozen=True)
class NoValue:
    """Marks of pixels of one band that have no value.

    Attributes:
        by: what GDAL's mask of the band rests on: nothing, the nodata value alone, or a mask or alpha.
        nodata: the nodata value in the file's own numbers, before scale and offset.
        more: further values of that kind, which GDAL leaves out.
        limits: lowest and highest valid number, if GDAL leaves them out.
        alpha: number of the alpha band, if GDAL leaves it out; else 0.
    """

    by: Literal["nothing", "nodata", "mask"]
    nodata: float | int | None = None
    more: tuple[float, ...] = ()
    limits: tuple[float, float] | None = None
    alpha: int = 0

    @property
    def simple(self) -> bool:
        """Whether a nodata value is the only mark, or there is none."""
        return self.by != "mask" and not self.more and self.limits is None and not self.alpha

    @property
    def complete(self) -> bool:
        """Whether every pixel has a value according to the file."""
        return self.simple and self.by == "nothing"

    @property
    def values(self) -> tuple[float | int, ...]:
        """Numbers that mean no value but are not in GDAL's mask; a mask replaces nodata there."""
        own = () if self.by != "mask" or self.nodata is None else (self.nodata,)
        return (*own, *self.more)


_known: WeakKeyDictionary[Any, list[NoValue]] = WeakKeyDictionary()
"""Cache by open dataset, for all its bands."""


def no_values(dataset: Any) -> list[NoValue]:
    """Return the marks of pixels without value, for each band of an open raster."""
    found = _known.get(dataset)
    if found is None:
        found = _known[dataset] = _declared(dataset)
    return found


def _declared(dataset: Any) -> list[NoValue]:
    meanings = dataset.colorinterp
    alpha = meanings.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in meanings else 0
    more, limits = _attributes(dataset) if dataset.driver in CF_DRIVERS else ((), None)
    found = []
    wide = any(kind in WIDE for kind in dataset.dtypes)
    own = _exact_nodata(dataset) if wide else dataset.nodatavals
    for index, flags, nodata in zip(dataset.indexes, dataset.mask_flag_enums, own, strict=True):
        by: Literal["nothing", "nodata", "mask"] = "nothing" if MaskFlags.all_valid in flags else "mask"
        if flags == [MaskFlags.nodata]:
            by = "nodata"
        if MaskFlags.nodata in flags and MaskFlags.per_dataset in flags:
            nodata = None  # NODATA_VALUES: only where all bands have theirs
        besides = alpha if alpha != index and MaskFlags.alpha not in flags else 0
        kind = np.dtype(dataset.dtypes[index - 1])
        further = tuple(
            value for value in more if nodata is None or of_type(value, kind) != of_type(nodata, kind)
        )
        found.append(NoValue(by, nodata, further, limits, besides))
    return found


def _exact_nodata(dataset: Any) -> list[float | int | None]:
    """Nodata of each band, exact also beyond 2**53, where rasterio rounds or omits it."""
    texts = [band.findtext("NoDataValue") for band in virtual_bands(dataset)]
    return [
        None if text is None else int(text) if kind in WIDE else float(text)
        for text, kind in zip(texts, dataset.dtypes, strict=True)
    ]


def _attributes(dataset: Any) -> tuple[tuple[float, ...], tuple[float, float] | None]:
    """Fill values of a variable, and its valid range where GDAL does not read it (CF conventions, 2.5.1)."""
    tags = {**dataset.tags(), **(dataset.tags(1) if dataset.count else {})}
    kind = np.dtype(dataset.dtypes[0]) if dataset.count else np.dtype("float64")
    numbers = [number for key in ("_FillValue", "missing_value") for number in numbers_in(tags.get(key, ""))]
    if kind.kind == "u":  # bytes kept as signed that are meant to be unsigned
        numbers = [number + 256**kind.itemsize if number < 0 else number for number in numbers]
    more = tuple(dict.fromkeys(number for number in numbers if not math.isnan(number)))
    low, high = (numbers_in(tags.get(key, "")) for key in ("valid_min", "valid_max"))
    both = numbers_in(tags.get("valid_range", ""))
    low, high = (both[:1], both[1:]) if len(both) == 2 else (low, high)
    if not (low or high) or (dataset.driver == "netCDF" and low and high):  # those GDAL has looked at
        return more, None
    return more, (low[0] if low else -math.inf, high[0] if high else math.inf)


def invalid_pixels(
    source: Source, dataset: Any, indexes: Sequence[int], window: Window, raw: NDArray[Any]
) -> NDArray[np.bool_] | None:
    """Return where pixels have no value according to the file, or to the source in its place.

    NaN needs no declaration, so a file whose nodata is NaN is spared the second reading for its mask.

    Args:
        source: its own nodata replaces the values that the file names, not its masks.
        dataset: the open raster.
        indexes: bands, from 1.
        window: inside the raster.
        raw: (bands, rows, cols), the window as the file has it.

    Returns:
        (bands, rows, cols), or None where nothing is declared.
    """
    facts = [no_values(dataset)[index - 1] for index in indexes]
    masked = [place for place, fact in enumerate(facts) if _needs_mask(source, fact)]
    invalid: NDArray[np.bool_] | None = None
    if masked:
        read = dataset.read_masks([indexes[place] for place in masked], window=window.rasterio) == 0
        invalid = read if len(masked) == len(facts) else np.zeros(raw.shape, bool)
        if invalid is not read:
            invalid[masked] = read
    for place, fact in enumerate(facts):
        values = (source.nodata,) if source.nodata is not None else fact.values
        tests = [raw[place] == of_type(value, raw.dtype) for value in values if not math.isnan(value)]
        if fact.limits is not None and source.nodata is None:
            tests.append((raw[place] < fact.limits[0]) | (raw[place] > fact.limits[1]))
        if fact.alpha:
            tests.append(dataset.read(fact.alpha, window=window.rasterio) == 0)
        if tests and invalid is None:
            invalid = np.zeros(raw.shape, bool)
        for test in tests:
            invalid[place] |= test  # type: ignore[index]
    return invalid


def _needs_mask(source: Source, fact: NoValue) -> bool:
    by_value = source.nodata is None and (fact.nodata is None or not math.isnan(fact.nodata))
    return fact.by == "mask" or (fact.by == "nodata" and by_value)


def of_type(number: float, dtype: np.dtype[Any]) -> Any:
    """Return a number as `dtype` if that holds it, so that comparing needs no wider copy.

    Args:
        number: to convert.
        dtype: of the pixels.
    """
    if dtype.kind == "f":
        return dtype.type(number)
    limits = np.iinfo(dtype)
    held = limits.min <= number <= limits.max and number == int(number)
    return dtype.type(int(number)) if held else number
