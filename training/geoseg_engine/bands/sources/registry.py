"""The registered kinds of source, and opening a source of any kind."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ...contract import Band, Grid, Source
from .kind import BandSource, OpenBands
from .raster import RasterSource
from .series import SeriesSource
from .vector import VectorSource

KINDS: dict[str, BandSource] = {kind.kind: kind for kind in (RasterSource(), SeriesSource(), VectorSource())}
"""Value of `Source.kind` -> the kind, in the order in which a file is inspected."""

UNSTATED = RasterSource.kind
"""The default of `Source.kind`: a source of this kind may fill a slot of any other."""


def kind_of(source: Source) -> BandSource:
    """Return the kind of a source."""
    return KINDS[source.kind]


def open_bands(source: Source, bands: tuple[Band, ...], grid: Grid) -> AbstractContextManager[OpenBands]:
    """Open a source for some of its bands on a grid.

    Args:
        source: of any kind.
        bands: of the source; expressions are not among them.
        grid: of the stack.

    Raises:
        GeoSegError: as `open` of its kind; `missing_bands` if it has fewer bands than are requested.
    """
    return kind_of(source).open(source, bands, grid)


def own_grid(source: Source, bands: tuple[Band, ...] = ()) -> Grid | None:
    """Return the source's own grid, None for one without pixels (vectors).

    Args:
        source: of any kind.
        bands: that must be available.

    Raises:
        GeoSegError: as `grid_and_warnings` of its kind.
    """
    return kind_of(source).grid_and_warnings(source, bands)[0]
