"""Bands of a raster file, and bands derived from their neighbourhood, on the grid of a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..contract import Band, Grid, Problem, Source
from ..raster.grid import Window
from ..raster.pixel_values import exact_dtype, raster_values
from ..raster.resample import Mapping, mapping, place_window, resample
from ..raster.sources import source_grid
from ..raster.units import HEIGHTS, conversion
from . import neighbourhood

SOURCE_LIMIT_PX = 1 << 24
"""Source pixels read at once; where a window needs more (strong coarsening) it is halved."""

BANDS_AT_ONCE = 6

Values = Callable[[Window, tuple[Band, ...]], np.ndarray]
RawValues = Callable[[list[int], Window, str, str], np.ndarray]
"""(band numbers, window, type, unit) -> values of a raster as `raster_values` gives them, converted to a unit.

An empty type is one that holds them exactly; an empty unit does not convert them.
"""


@dataclass(frozen=True)
class RasterBands:
    """Bands of an open raster on a grid.

    Attributes:
        raw: reads values of the raster.
        mapping: from the grid to the raster.
        bands: to read.
        problems: none.
    """

    raw: RawValues
    mapping: Mapping
    bands: tuple[Band, ...]
    problems: tuple[Problem, ...] = ()

    @classmethod
    def on_grid(cls, source: Source, dataset: Any, bands: tuple[Band, ...], grid: Grid) -> RasterBands:
        """Place bands of an open raster on a grid.

        Args:
            source: names the layer, with its corrections.
            dataset: the open raster.
            bands: to read.
            grid: of the stack.
        """
        return cls.of_values(_of_file(source, dataset), source_grid(source, dataset), bands, grid)

    @classmethod
    def of_values(cls, raw: RawValues, own: Grid, bands: tuple[Band, ...], grid: Grid) -> RasterBands:
        """Place bands of anything that has values on its own grid on another grid.

        Args:
            raw: reads values.
            own: grid of the values.
            bands: to read.
            grid: of the stack.
        """
        return cls(raw, mapping(grid, own), bands)

    @classmethod
    def as_written(cls, source: Source, dataset: Any, bands: tuple[Band, ...], grid: Grid) -> RasterBands:
        """Return bands of an open raster whose pixels are those of the grid.

        Args:
            source: names the layer.
            dataset: the open raster.
            bands: to read.
            grid: of the stack and the raster.
        """
        return cls(_of_file(source, dataset), Mapping(grid, grid, (0, 0), False, 0, None), bands)

    def read(self, window: Window) -> np.ndarray:
        """Read float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value.

        Raises:
            GeoSegError: `cannot_read` if the file is damaged.
        """
        return read_on_grid(
            self.mapping, self.bands, window, lambda part, bands: _source_values(self, part, bands)
        )


def _of_file(source: Source, dataset: Any) -> RawValues:
    @cache
    def factor(index: int, unit: str) -> float:
        return conversion(source, dataset, index, unit)

    def values(indexes: list[int], part: Window, dtype: str, unit: str) -> np.ndarray:
        return scaled_values(
            source, dataset, indexes, part, dtype, [factor(index, unit) for index in indexes]
        )

    return values


def scaled_values(
    source: Source, dataset: Any, indexes: list[int], part: Window, dtype: str, factors: list[float]
) -> np.ndarray:
    """Read bands of an open raster, each times a factor; see `raster_values`.

    Args:
        source: names the layer, with its corrections.
        dataset: the open raster.
        indexes: band numbers from 1.
        part: window of the raster.
        dtype: of the result; empty is one that holds the values exactly.
        factors: one per band.

    Returns:
        (bands, rows, cols), NaN where invalid or outside.

    Raises:
        GeoSegError: as `raster_values`.
    """
    if all(factor == 1 for factor in factors):
        return raster_values(source, dataset, indexes, part, dtype or exact_dtype(dataset, indexes))
    values = raster_values(source, dataset, indexes, part, "float64") * np.array(factors)[:, None, None]
    return values.astype(dtype, copy=False) if dtype else values


def read_on_grid(
    mapping: Mapping, bands: tuple[Band, ...], window: Window, values: Values, limit_px: int = SOURCE_LIMIT_PX
) -> np.ndarray:
    """Read bands of a source on a window of a grid.

    Args:
        mapping: from the grid to the source.
        bands: each with its resampling.
        window: inside the grid.
        values: (window of the source, some of the bands) -> float32 (bands, rows, cols), NaN beyond its edge.
        limit_px: source pixels read at once; where the window needs more it is halved.

    Returns:
        Float32 (bands, rows, cols), NaN where there is no value.
    """
    if mapping.shift is not None:
        return values(window.moved(*mapping.shift), bands)
    at = place_window(mapping, window, {band.resampling for band in bands})
    part = at.part
    if part.height * part.width > limit_px and window.height * window.width > 1:
        halves, axis = _halves(window)
        return np.concatenate([read_on_grid(mapping, bands, half, values, limit_px) for half in halves], axis)
    result = np.empty((len(bands), window.height, window.width), np.float32)
    for method, places in _passes(bands):
        found = values(part, tuple(bands[place] for place in places))
        result[places] = resample(mapping, found, at, method)
    return result


def _passes(bands: tuple[Band, ...]) -> Iterator[tuple[str, list[int]]]:
    """Bands that are resampled together: of one method, and few enough to bound memory."""
    for method in dict.fromkeys(band.resampling for band in bands):
        places = [place for place, band in enumerate(bands) if band.resampling == method]
        for start in range(0, len(places), BANDS_AT_ONCE):
            yield method, places[start : start + BANDS_AT_ONCE]


def _halves(window: Window) -> tuple[tuple[Window, Window], int]:
    """The window in two, and the axis of (bands, rows, cols) along which they follow each other."""
    row, col, height, width = window.row, window.col, window.height, window.width
    if height >= width:
        half = height // 2
        return (Window(row, col, half, width), Window(row + half, col, height - half, width)), 1
    half = width // 2
    return (Window(row, col, height, half), Window(row, col + half, height, width - half)), 2


def _source_values(layer: RasterBands, part: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Values of bands, derived ones included, on a window of the source; NaN where invalid or outside."""
    units = [unit_of(band, layer.bands) for band in bands]
    plain = [place for place, band in enumerate(bands) if not band.derive]
    if len(plain) == len(bands) and len(set(units)) == 1 and not part.empty:
        return layer.raw([band.index for band in bands], part, "float32", units[0])
    result = np.empty((len(bands), part.height, part.width), np.float32)
    if part.empty:
        return result
    for unit in dict.fromkeys(units[place] for place in plain):
        places = [place for place in plain if units[place] == unit]
        result[places] = layer.raw([bands[place].index for place in places], part, "float32", unit)
    kinds = [(band.index, unit) if band.derive else None for band, unit in zip(bands, units, strict=True)]
    for kind in dict.fromkeys(filter(None, kinds)):
        places = [place for place, own in enumerate(kinds) if own == kind]
        result[places] = _derived(layer, *kind, part, tuple(bands[place] for place in places))
    return result


def unit_of(band: Band, bands: tuple[Band, ...]) -> str:
    """Return the unit that a band's values are converted to; empty if they are not.

    A band is known to hold heights only if terrain is derived from it too: GDAL gives every band of a raster whose CRS
    has a vertical axis that axis's unit, a slope or a class code as well.

    Args:
        band: of the source.
        bands: all bands of the source.
    """
    heights = band.derive or any(other.unit == HEIGHTS and other.index == band.index for other in bands)
    return band.unit if heights else ""


def _derived(layer: RasterBands, index: int, unit: str, part: Window, bands: tuple[Band, ...]) -> np.ndarray:
    own = layer.mapping.source
    inside = part.clipped(own.height, own.width)
    if inside.empty:
        return np.full((len(bands), part.height, part.width), np.nan, np.float32)
    halo = inside.padded(neighbourhood.halo_px(bands, own))
    values = layer.raw([index], halo, "", unit)[0]
    derived = neighbourhood.derive_bands(values, own, inside, bands)
    if inside == part:
        return derived
    result = np.full((len(bands), part.height, part.width), np.nan, np.float32)
    rows, cols = inside.within(part)
    result[:, rows, cols] = derived
    return result
