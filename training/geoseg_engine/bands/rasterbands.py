"""Bands of a raster file, and what is derived from their neighbourhood, on the grid of a stack."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contract import Band, Grid, Source
from ..raster.grid import Window
from ..raster.resample import Mapping, mapping, needed, resampled, source_pixels
from ..raster.sources import source_grid
from ..raster.values import raster_values
from . import neighbourhood

SOURCE_LIMIT_PX = 1 << 24
"""Source pixels read at once; where a window needs more (strong coarsening) it is halved."""

BANDS_AT_ONCE = 6


@dataclass(frozen=True)
class RasterBands:
    """An open raster, how a grid lies on it and which bands are asked for."""

    source: Source
    dataset: Any
    mapping: Mapping
    bands: tuple[Band, ...]

    @classmethod
    def on_grid(cls, source: Source, dataset: Any, bands: tuple[Band, ...], grid: Grid) -> RasterBands:
        """Bands of an open raster on a grid."""
        return cls(source, dataset, mapping(grid, source_grid(source, dataset)), bands)

    @classmethod
    def as_written(cls, source: Source, dataset: Any, bands: tuple[Band, ...], grid: Grid) -> RasterBands:
        """Bands of an open raster whose pixels are those of the grid."""
        return cls(source, dataset, Mapping(grid, grid, (0, 0), (1, 1), 0, None), bands)

    def read(self, window: Window) -> np.ndarray:
        """Float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value.

        Raises:
            GeoSegError: `cannot_read` if the file is damaged.
        """
        return _read_layer(self, window)


def _read_layer(layer: RasterBands, window: Window) -> np.ndarray:
    """Bands of one source on a window of the grid: float32 (bands of the layer, rows, cols)."""
    shift = layer.mapping.shift
    if shift is not None:
        part = Window(window.row + shift[0], window.col + shift[1], window.height, window.width)
        return _source_values(layer, part, layer.bands)
    rows, cols = source_pixels(layer.mapping, window)
    part = needed(layer.mapping, rows, cols, 2)
    if part.height * part.width > SOURCE_LIMIT_PX and window.height * window.width > 1:
        return _read_halves(layer, window)
    result = np.empty((len(layer.bands), window.height, window.width), np.float32)
    for method, places in _passes(layer):
        values = _source_values(layer, part, tuple(layer.bands[place] for place in places))
        result[places] = resampled(layer.mapping, values, part, rows, cols, method)
    return result


def _passes(layer: RasterBands) -> Iterator[tuple[str, list[int]]]:
    """Bands that are resampled together: of one method, and few enough to bound memory."""
    for method in dict.fromkeys(band.resampling for band in layer.bands):
        places = [place for place, band in enumerate(layer.bands) if band.resampling == method]
        for start in range(0, len(places), BANDS_AT_ONCE):
            yield method, places[start : start + BANDS_AT_ONCE]


def _read_halves(layer: RasterBands, window: Window) -> np.ndarray:
    if window.height >= window.width:
        half = window.height // 2
        parts = (
            Window(window.row, window.col, half, window.width),
            Window(window.row + half, window.col, window.height - half, window.width),
        )
        return np.concatenate([_read_layer(layer, part) for part in parts], axis=1)
    half = window.width // 2
    parts = (
        Window(window.row, window.col, window.height, half),
        Window(window.row, window.col + half, window.height, window.width - half),
    )
    return np.concatenate([_read_layer(layer, part) for part in parts], axis=2)


def _source_values(layer: RasterBands, part: Window, bands: tuple[Band, ...]) -> np.ndarray:
    """Values of bands, derived ones included, on a window of the source; NaN where invalid or outside."""
    plain = [place for place, band in enumerate(bands) if not band.derive]
    indexes = [bands[place].index for place in plain]
    if len(plain) == len(bands) and not part.empty:
        return raster_values(layer.source, layer.dataset, indexes, part, "float32")
    result = np.empty((len(bands), part.height, part.width), np.float32)
    if part.empty:
        return result
    if plain:
        result[plain] = raster_values(layer.source, layer.dataset, indexes, part, "float32")
    for index in dict.fromkeys(band.index for band in bands if band.derive):
        places = [place for place, band in enumerate(bands) if band.derive and band.index == index]
        result[places] = _derived(layer, index, part, tuple(bands[place] for place in places))
    return result


def _derived(layer: RasterBands, index: int, part: Window, bands: tuple[Band, ...]) -> np.ndarray:
    own = layer.mapping.source
    result = np.full((len(bands), part.height, part.width), np.nan)
    inside = part.clipped(own.height, own.width)
    if inside.empty:
        return result
    halo_px = neighbourhood.halo_px(bands, own)
    values = raster_values(layer.source, layer.dataset, [index], inside.padded(halo_px))[0]
    rows, cols = inside.within(part)
    result[:, rows, cols] = neighbourhood.derived(values, own, inside, bands)
    return result
