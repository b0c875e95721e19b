"""Several files of one sensor as one source: files that share their pixels read as one raster, others side by side."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...contract import Band, GeoSegError, Grid, Problem, Source, present
from ...raster.crs import same_crs, way_between
from ...raster.grid import Window, affine_of
from ...raster.pixel_values import exact_dtype
from ...raster.resample import ALIGNED_PX
from ...raster.sources import BandSet, open_source, parse_crs, source_grid, title
from ...raster.units import HEIGHTS, StatedUnit, conversion, stated_unit
from ..raster_bands import RasterBands, scaled_values

OPEN_FILES = 64
"""Files of one mosaic that are open at the same time."""
EDGE_POINTS = 21


@dataclass(frozen=True)
class Part:
    """One file of a mosaic and the place of its first pixel (row, column) in the raster that it is joined to.

    `dtype` is the type that holds its values exactly, `order` maps bands of the mosaic to bands of the file.
    """

    source: Source
    grid: Grid
    dtype: str = "float64"
    row: int = 0
    col: int = 0
    order: dict[int, int] = field(default_factory=dict)

    @property
    def window(self) -> Window:
        """Its pixels in the joined raster."""
        return Window(self.row, self.col, self.grid.height, self.grid.width)


@dataclass
class OpenFiles:
    """Files of a mosaic, opened when they are needed; the ones used last stay open."""

    kept: OrderedDict[str, tuple[Any, ExitStack]] = field(default_factory=OrderedDict)

    def dataset(self, source: Source) -> Any:
        """The open file.

        Raises:
            GeoSegError: as `open_source`.
        """
        if source.path not in self.kept:
            if len(self.kept) >= OPEN_FILES:
                self.kept.popitem(last=False)[1][1].close()
            with ExitStack() as stack:
                dataset = stack.enter_context(open_source(source))
                self.kept[source.path] = (dataset, stack.pop_all())
        self.kept.move_to_end(source.path)
        return self.kept[source.path][0]

    def close(self) -> None:
        """Close every file."""
        while self.kept:
            self.kept.popitem()[1][1].close()


@dataclass(frozen=True)
class JoinedRaster:
    """Files whose pixels coincide, as one raster; where they overlap the first with a value counts.

    `factors` are those of `conversion` that were used, by path, band and unit.
    """

    parts: tuple[Part, ...]
    grid: Grid
    files: OpenFiles
    factors: dict[tuple[str, int, str], float] = field(default_factory=dict)

    def values(self, indexes: list[int], window: Window, dtype: str, unit: str) -> np.ndarray:
        """Read values of all files, each converted from its own unit.

        Args:
            indexes: band numbers from 1.
            window: of the joined raster.
            dtype: of the result; empty is one that holds the values exactly.
            unit: to convert to; empty does not convert.

        Returns:
            (bands, rows, cols), NaN where there is no value.
        """
        dtype = dtype or max(part.dtype for part in self.parts)
        result = np.full((len(indexes), window.height, window.width), np.nan, dtype)
        for part in self.parts:
            shared = window.shared(part.window)
            if shared.empty:
                continue
            rows, cols = shared.within(window)
            target = result[:, rows, cols]
            gaps = np.isnan(target)
            if gaps.any():
                own = shared.moved(-part.row, -part.col)
                dataset = self.files.dataset(part.source)
                bands = [part.order.get(index, index) for index in indexes]
                factors = [self._factor(part.source, dataset, index, unit) for index in bands]
                np.copyto(target, scaled_values(part.source, dataset, bands, own, dtype, factors), where=gaps)
        return result

    def _factor(self, source: Source, dataset: Any, index: int, unit: str) -> float:
        key = source.path, index, unit
        if key not in self.factors:
            self.factors[key] = conversion(source, dataset, index, unit)
        return self.factors[key]


@dataclass(frozen=True)
class MosaicBands:
    """Bands of a mosaic on a grid; `layers` are joined rasters with the part of the grid that they can reach."""

    layers: tuple[tuple[Window, RasterBands], ...]
    bands: int
    problems: tuple[Problem, ...] = ()

    def read(self, window: Window) -> np.ndarray:
        """Float32 (bands, rows, cols) of a window inside the grid: the first value in the order of the files.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged; as `open_source`.
        """
        result = np.full((self.bands, window.height, window.width), np.nan, np.float32)
        for reach, layer in self.layers:
            shared = window.shared(reach)
            if shared.empty:
                continue
            rows, cols = shared.within(window)
            target = result[:, rows, cols]
            gaps = np.isnan(target)
            if gaps.any():
                np.copyto(target, layer.read(shared), where=gaps)
        return result


@contextmanager
def open_mosaic(source: Source, bands: tuple[Band, ...], grid: Grid) -> Iterator[MosaicBands]:
    """Open bands of a mosaic on a grid.

    Args:
        source: with further files in `paths`.
        bands: to read.
        grid: of the stack.

    Raises:
        GeoSegError: `mosaic_bands` if files have other bands; `missing_bands`; as `open_source`.
    """
    files = OpenFiles()
    try:
        layers = []
        for joined in _joined(parts_of(source, bands, files), files):
            envelope = pixel_envelope(joined.grid, grid)
            if envelope is None:
                continue
            top, left, bottom, right = envelope
            reach = Window(top - 2, left - 2, bottom - top + 4, right - left + 4)
            reach = reach.clipped(grid.height, grid.width)
            if not reach.empty:
                layers.append((reach, RasterBands.of_values(joined.values, joined.grid, bands, grid)))
        yield MosaicBands(tuple(layers), len(bands))
    finally:
        files.close()


def mosaic_grid(source: Source, bands: tuple[Band, ...] = ()) -> Grid:
    """Return the pixels of the first file, extended over all files.

    Args:
        source: with further files in `paths`.
        bands: that must be available.

    Raises:
        GeoSegError: as `open_mosaic`.
    """
    files = OpenFiles()
    try:
        parts = parts_of(source, bands, files)
    finally:
        files.close()
    return _around(parts[0].grid, [part.grid for part in parts])


def parts_of(source: Source, bands: tuple[Band, ...], files: OpenFiles) -> list[Part]:
    """Return the files of a mosaic, in order; bands are matched to the first file's by name or colour.

    Args:
        source: with further files in `paths`.
        bands: that must be available.
        files: that are opened.

    Raises:
        GeoSegError: as `open_mosaic`.
    """
    parts: list[Part] = []
    sets: list[BandSet] = []
    units: list[StatedUnit] = []
    heights = next((band.index for band in bands if band.unit == HEIGHTS), 0)
    for path in (source.path, *source.paths):
        one = replace(source, path=path, paths=(), name=f"{title(source)} ({Path(path).name})")
        dataset = files.dataset(one)
        sets.append(BandSet.of(dataset))
        order = sets[0].order_in(sets[-1])
        if order is None:
            first = title(parts[0].source)
            raise GeoSegError(
                "mosaic_bands",
                f"'{title(one)}' has {sets[-1].listed}, '{first}' {sets[0].listed}: they do not form a mosaic.",
                "Use files with the same bands, or add them as separate layers.",
            )
        dtype = exact_dtype(dataset, dataset.indexes)
        parts.append(Part(one, source_grid(one, dataset), dtype, order=order))
        own = order.get(heights, heights)
        if 0 < own <= dataset.count:
            units.append(stated_unit(one, dataset, own))
            if conversion(one, dataset, own, HEIGHTS) != 1:
                parts[-1] = replace(parts[-1], dtype="float64")
    highest = max((band.index for band in bands), default=0)
    count = len(sets[0].indexes)
    if highest > max(sets[0].indexes):
        raise GeoSegError(
            "missing_bands",
            f"The files of layer '{title(source)}' have {count} bands, band {highest} is requested.",
            "Choose files that have this band, or tick the layer's bands again.",
        )
    return with_common_unit(parts, units)


def with_common_unit(parts: list[Part], units: list[StatedUnit]) -> list[Part]:
    """Return files with the unit of heights completed: files without one get that of the others if these agree.

    Args:
        parts: of the mosaic.
        units: the stated unit of each.
    """
    stated = {unit.metres: unit.text for unit in units if unit.metres is not None}
    if len(stated) != 1 or all(unit.text for unit in units):
        return parts
    (text,) = stated.values()
    return [
        part if unit.text else replace(part, source=replace(part.source, height_unit=text), dtype="float64")
        for part, unit in zip(parts, units, strict=True)
    ]


def _joined(parts: list[Part], files: OpenFiles) -> Iterator[JoinedRaster]:
    """Runs of files that share their pixels, each as one raster; the order of the files is kept."""
    run: list[Part] = []
    for part in parts:
        if run and offset_px(part.grid, run[0].grid) is None:
            yield _join(run, files)
            run = []
        run.append(part)
    yield _join(run, files)


def _join(parts: list[Part], files: OpenFiles) -> JoinedRaster:
    grid = _around(parts[0].grid, [part.grid for part in parts])
    placed = []
    for part in parts:
        row, col = present(offset_px(part.grid, grid), "the place of a file in its mosaic")
        placed.append(replace(part, row=row, col=col))
    return JoinedRaster(tuple(placed), grid, files)


def offset_px(grid: Grid, other: Grid) -> tuple[int, int] | None:
    """Return row and column of the first pixel of a grid on another whose pixels it shares; None if it does not.

    Args:
        grid: of a file.
        other: of the mosaic.
    """
    if not same_crs(parse_crs(grid.crs), parse_crs(other.crs)):
        return None
    to_other = ~affine_of(other) * affine_of(grid)
    col, row = round(to_other.c), round(to_other.f)
    for corner in ((0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)):
        if math.dist(to_other * corner, (corner[0] + col, corner[1] + row)) > ALIGNED_PX:
            return None
    return row, col


def pixel_envelope(grid: Grid, on: Grid) -> tuple[int, int, int, int] | None:
    """Return the envelope of a grid in pixels of another; between different CRS it is followed at a lattice of points.

    Args:
        grid: of a file.
        on: the other grid.

    Returns:
        First row, first column, last row + 1, last column + 1; None if the grid cannot be transformed.
    """
    offset = offset_px(grid, on)
    if offset is not None:
        return offset[0], offset[1], offset[0] + grid.height, offset[1] + grid.width
    cols, rows = np.meshgrid(
        np.linspace(0, grid.width, EDGE_POINTS), np.linspace(0, grid.height, EDGE_POINTS)
    )
    xs, ys = affine_of(grid) * (cols.ravel(), rows.ravel())
    way = way_between(parse_crs(grid.crs), parse_crs(on.crs))
    if way is not None:
        xs, ys = way.transform(xs, ys)
    finite = np.isfinite(xs) & np.isfinite(ys)
    if not finite.any():
        return None
    found_cols, found_rows = ~affine_of(on) * (np.asarray(xs)[finite], np.asarray(ys)[finite])
    return (
        math.floor(found_rows.min() + ALIGNED_PX),
        math.floor(found_cols.min() + ALIGNED_PX),
        math.ceil(found_rows.max() - ALIGNED_PX),
        math.ceil(found_cols.max() - ALIGNED_PX),
    )


def _around(first: Grid, grids: list[Grid]) -> Grid:
    """The first grid's pixels, continued to cover all."""
    envelopes = [found for grid in grids if (found := pixel_envelope(grid, first)) is not None]
    top, left = (min(envelope[place] for envelope in envelopes) for place in (0, 1))
    bottom, right = (max(envelope[place] for envelope in envelopes) for place in (2, 3))
    affine = affine_of(first, Window(top, left, 1, 1))
    transform = (affine.a, affine.b, affine.c, affine.d, affine.e, affine.f)
    return Grid(first.crs, transform, right - left, bottom - top)
