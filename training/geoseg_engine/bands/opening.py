"""Open a source of any kind for the bands that are asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from ..contract import SPECKLE_FILTERS, Band, GeoSegError, Grid, Source
from ..raster.crs import refuse_unknown_unit
from ..raster.grid import Window
from ..raster.sources import open_source, parse_crs, source_grid, title
from .mosaic import mosaic_grid, open_mosaic
from .neighbourhood import DERIVATIONS
from .rasterbands import RasterBands
from .seriesbands import open_series_bands, series_grid
from .vectorbands import VectorBands, refuse_bands


class OpenBands(Protocol):
    """Bands of one open source on the grid of a stack."""

    def read(self, window: Window) -> np.ndarray:
        """Float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value.

        The same pixel has the same value whatever window it is read in.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """


@contextmanager
def open_bands(source: Source, bands: tuple[Band, ...], grid: Grid) -> Iterator[OpenBands]:
    """Bands of a source on a grid.

    Raises:
        GeoSegError: as `open_source`, `open_mosaic`, `open_series_bands`, `VectorBands`, `refuse_derivations`;
            `missing_bands` if the source has fewer bands than are asked for.
    """
    if source.kind == "vector":
        yield VectorBands(source, bands, grid)
        return
    if source.kind == "series":
        with open_series_bands(source, bands, grid) as series:
            yield series
        return
    refuse_derivations(source, bands)
    if source.paths:
        with open_mosaic(source, bands, grid) as mosaic:
            yield mosaic
        return
    with open_source(source) as dataset:
        refuse_missing(source, dataset.count, bands)
        yield RasterBands.on_grid(source, dataset, bands, grid)


def own_grid(source: Source, bands: tuple[Band, ...] = ()) -> Grid | None:
    """The source's own grid, None for one that has none (vectors); raises if the bands cannot be had.

    Raises:
        GeoSegError: as `open_bands`; `unknown_unit` if terrain is asked for where lengths are not known in metres.
    """
    if source.kind == "vector":
        refuse_bands(source, bands)
        return None
    if source.kind == "series":
        return series_grid(source, bands)
    refuse_derivations(source, bands)
    if source.paths:
        grid = mosaic_grid(source, bands)
    else:
        with open_source(source) as dataset:
            refuse_missing(source, dataset.count, bands)
            grid = source_grid(source, dataset)
    if any(band.derive and band.derive not in SPECKLE_FILTERS for band in bands):
        refuse_unknown_unit(parse_crs(grid.crs), f"Terrain of layer '{title(source)}'")
    return grid


def refuse_derivations(source: Source, bands: tuple[Band, ...]) -> None:
    """Raise if something is derived from a raster that only a time series or a vector layer has.

    Raises:
        GeoSegError: `unknown_derivation`.
    """
    for band in bands:
        if band.derive and band.derive not in DERIVATIONS:
            raise GeoSegError(
                "unknown_derivation",
                f"Band '{band.name}' asks for '{band.derive}' of the raster '{title(source)}'.",
                f"Choose from: {', '.join(DERIVATIONS)}; or say that the source is a series or a vector layer.",
            )


def refuse_missing(source: Source, count: int, bands: tuple[Band, ...]) -> None:
    """Raise if a band is asked for that the source does not have.

    Raises:
        GeoSegError: `missing_bands`.
    """
    highest = max((band.index for band in bands), default=0)
    if highest > count:
        raise GeoSegError(
            "missing_bands",
            f"Layer '{title(source)}' has {count} bands, band {highest} is asked for.",
            "Choose a layer that has this band, or tick the layer's bands again.",
        )
