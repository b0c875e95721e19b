"""What the host reads for a device: numbers as the files have them, and float32 of bands that it must compute.

A band is raw if its pixels are those of the grid and its file states no more about them than scale, offset and a
nodata value: then the device does the rest. Terrain, indices, statistics of series, mosaics, filled gaps and
resampled bands are made by `StackReader`, NaN where there is no value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...bands.raster_bands import unit_of
from ...contract import Band, Recipe, Source
from ...modelfile.reading import ModelFile
from ...raster.grid import Window
from ...raster.nodata import NoValue, invalid_pixels, no_values
from ...raster.pixel_values import FITS_FLOAT32, reading
from ...raster.resample import mapping
from ...raster.sources import open_source, source_grid
from ...raster.units import conversion
from ...stacking.reader import StackReader
from ..windows import Cut

Memory = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]
"""(shape, type) -> an array whose values do not matter."""


@dataclass(frozen=True)
class RawLayer:
    """Bands that are read together.

    Attributes:
        places: of the bands among those of the model.
        dtype: of the numbers.
        scale, offset: of each band; both empty where numbers are values.
        nodata: number of each band that means no value; None where there is none.
    """

    places: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    nodata: tuple[float | int | None, ...] = ()

    @property
    def gaps(self) -> bool:
        """Whether a pixel may have no value."""
        return self.dtype.kind == "f" or any(value is not None for value in self.nodata)


@dataclass(frozen=True)
class RawPart:
    """Numbers of a layer on a window.

    Attributes:
        raw: (bands, rows, cols) of the layer's type.
        place: where they belong, in pixels of what is read; nothing has a value beside it.
        invalid: (bands, rows, cols), pixels that have no value by a mask of the file; None for none.
    """

    raw: NDArray[Any]
    place: Window
    invalid: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class RawWindow:
    """One window of a stack as its files have it.

    Attributes:
        cut: the window.
        known_px: columns at its left that the window before has read; they are not in the parts.
        parts: one for each layer; none outside the area.
        empty: whether no pixel of the core has a value.
        wanted: (rows, cols) over `cut.core`, False outside the area; None is all of it.
        derived_s, read_s: seconds of a processor that derived bands took, and all reading.
    """

    cut: Cut
    known_px: int
    parts: tuple[RawPart, ...]
    empty: bool = False
    wanted: NDArray[np.bool_] | None = None
    derived_s: float = 0.0
    read_s: float = 0.0


class RawReader:
    """Reads the bands of a model from the files of a recipe; for one thread.

    Attributes:
        layers: what is read; float32 bands that the host computes come last.
        derived: names of the bands that the host computes.
    """

    def __init__(self, recipe: Recipe, model: ModelFile, float64: bool = True) -> None:
        """Open the files.

        Args:
            recipe: bands, sources and grid.
            model: the model that they are read for; the recipe has all of its bands.
            float64: whether the device computes in float64, which scale and offset need.

        Raises:
            GeoSegError: as `StackReader`.
        """
        self.grid = recipe.grid
        self.layers: list[RawLayer] = []
        self._files: list[_File] = []
        self._made: StackReader | None = None
        self._exit = ExitStack()
        order = {band.name: place for place, band in enumerate(model.recipe.bands)}
        try:
            raw = {name for source in recipe.sources for name in self._open(source, recipe, order, float64)}
            self.derived = [band.name for band in recipe.bands if band.name in order and band.name not in raw]
            if self.derived:
                self._made = self._exit.enter_context(StackReader(_only(recipe, self.derived)))
                places = tuple(order[name] for name in self.derived)
                self.layers.append(RawLayer(places, np.dtype(np.float32), nodata=(None,) * len(places)))
        except BaseException:
            self._exit.close()
            raise

    def close(self) -> None:
        """Close every file."""
        self._exit.close()

    def read(
        self,
        cut: Cut,
        known_px: int = 0,
        wanted: NDArray[np.bool_] | None = None,
        memory: Memory = np.empty,
    ) -> RawWindow:
        """Read a window without its first columns.

        Args:
            cut: the window.
            known_px: columns that need not be read.
            wanted: see `RawWindow`; nothing is read where it is False everywhere.
            memory: gives the arrays that raw numbers are read into.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        if wanted is not None and not wanted.any():
            return RawWindow(cut, 0, (), True, wanted)
        started = time.thread_time()
        window = cut.read
        new = Window(window.row, window.col + known_px, window.height, window.width - known_px)
        inside = new.clipped(self.grid.height, self.grid.width)
        parts = [file.read(inside, window, memory) for file in self._files]
        derived_s = 0.0
        if self._made is not None:
            before = time.thread_time()
            values = self._made.read(inside) if not inside.empty else _nothing(len(self.derived))
            parts.append(RawPart(values, inside.moved(-window.row, -window.col)))
            derived_s = time.thread_time() - before
        empty = not known_px and any(_empty(*pair) for pair in zip(parts, self.layers, strict=True))
        read_s = time.thread_time() - started
        return RawWindow(cut, known_px, tuple(parts), empty, wanted, derived_s, read_s)

    def _open(self, source: Source, recipe: Recipe, order: dict[str, int], float64: bool) -> list[str]:
        """Names of the bands of a source that can be read raw; its file stays open if there are any."""
        every = tuple(band for band in (*recipe.bands, *recipe.intermediates) if band.source == source.key)
        plain = [
            band
            for band in every
            if band.name in order and not band.derive and not band.fill and band in recipe.bands
        ]
        if (source.kind or "raster") != "raster" or source.paths or not plain:
            return []
        with ExitStack() as stack:
            dataset = stack.enter_context(open_source(source))
            shift = mapping(recipe.grid, source_grid(source, dataset)).shift
            if shift is None:
                return []
            bands = [band for band in plain if _readable(source, dataset, band, every, float64)]
            if not bands:
                return []
            file = _File(source, dataset, tuple(band.index for band in bands), shift)
            self._files.append(file)
            self.layers.append(file.layer(tuple(order[band.name] for band in bands)))
            self._exit.push(stack.pop_all())
        return [band.name for band in bands]


@dataclass(frozen=True)
class _File:
    """An open raster whose pixels are those of the grid, moved by `shift`."""

    source: Source
    dataset: Any
    indexes: tuple[int, ...]
    shift: tuple[int, int]

    @property
    def facts(self) -> list[NoValue]:
        known = no_values(self.dataset)
        return [known[index - 1] for index in self.indexes]

    @property
    def masked(self) -> bool:
        """Whether more than numbers decides which pixels have a value."""
        kind = np.dtype(self.dataset.dtypes[self.indexes[0] - 1])
        return any(not _by_number(self.source, fact, kind) for fact in self.facts)

    def layer(self, places: tuple[int, ...]) -> RawLayer:
        chosen = [index - 1 for index in self.indexes]
        kind = np.dtype(self.dataset.dtypes[chosen[0]])
        scale = tuple(float(self.dataset.scales[place]) for place in chosen)
        offset = tuple(float(self.dataset.offsets[place]) for place in chosen)
        if all(item == 1 for item in scale) and not any(offset):
            scale = offset = ()
        numbers = [_number(self.source, fact, kind) for fact in self.facts]
        nodata = (None,) * len(places) if self.masked else tuple(numbers)
        return RawLayer(places, kind, scale, offset, nodata)

    def read(self, inside: Window, window: Window, memory: Memory) -> RawPart:
        """Numbers of a window inside the grid, as a part of `window`."""
        own = inside.moved(*self.shift).clipped(self.dataset.height, self.dataset.width)
        place = own.moved(-self.shift[0] - window.row, -self.shift[1] - window.col)
        indexes = list(self.indexes)
        if own.empty:
            kind = np.dtype(self.dataset.dtypes[indexes[0] - 1])
            return RawPart(np.empty((len(indexes), 0, 0), kind), Window(0, 0, 0, 0))
        with reading(self.source, own):
            kind = np.dtype(self.dataset.dtypes[indexes[0] - 1])
            held = memory((len(indexes), own.height, own.width), kind)
            raw = self.dataset.read(indexes, window=own.rasterio, out=held)
            if not self.masked:
                return RawPart(raw, place)
            return RawPart(raw, place, invalid_pixels(self.source, self.dataset, indexes, own, raw))


def _only(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """The recipe of some of its bands; the others become intermediates that nothing but expressions reads."""
    kept = tuple(band for band in recipe.bands if band.name in names)
    units = {
        band.source for band in kept if not band.derive
    }  # of which the other bands may tell, see `unit_of`
    inputs = {name for band in (*kept, *recipe.intermediates) for name in band.inputs.values()}
    others = tuple(
        band
        for band in recipe.bands
        if band.name not in names and (band.name in inputs or (band.source and band.source in units))
    )
    return replace(recipe, bands=kept, intermediates=(*others, *recipe.intermediates))


def _readable(source: Source, dataset: Any, band: Band, every: tuple[Band, ...], float64: bool) -> bool:
    """Whether the device can make the values of a band from its numbers."""
    kind = dataset.dtypes[band.index - 1]
    first = dataset.dtypes[every[0].index - 1]
    plain = dataset.scales[band.index - 1] == 1 and not dataset.offsets[band.index - 1]
    return (
        kind == first
        and kind in FITS_FLOAT32
        and (plain or float64)
        and conversion(source, dataset, band.index, unit_of(band, every)) == 1
    )


def _number(source: Source, fact: NoValue, kind: np.dtype[Any]) -> float | int | None:
    """The one number that means no value; None if there is none, or NaN, which needs no test."""
    number = source.nodata if source.nodata is not None else fact.nodata if fact.by == "nodata" else None
    if number is None or math.isnan(number):
        return None
    if kind.kind == "f":
        return float(number)
    limits = np.iinfo(kind)
    return int(number) if limits.min <= number <= limits.max and number == int(number) else None


def _by_number(source: Source, fact: NoValue, kind: np.dtype[Any]) -> bool:
    """Whether a number alone tells which pixels have no value, exactly as GDAL would.

    GDAL compares floating-point numbers with a tolerance, and so its mask is read.
    """
    if source.nodata is not None:
        return fact.by != "mask" and not fact.alpha
    if not fact.simple:
        return False
    if fact.by == "nothing" or fact.nodata is None or math.isnan(fact.nodata):
        return True
    return kind.kind != "f" and fact.nodata == int(fact.nodata)


def _empty(part: RawPart, layer: RawLayer) -> bool:
    """Whether a band has no value anywhere in a part: a few pixels tell that most windows have some."""
    if not part.raw.size:
        return True
    for place, number in enumerate(layer.nodata):
        band = part.raw[place]
        missing = None if part.invalid is None else part.invalid[place]

        def gone(step: int, band: Any = band, missing: Any = missing, number: Any = number) -> bool:
            some = band[::step, ::step]
            lost = np.zeros(some.shape, bool) if missing is None else missing[::step, ::step].copy()
            if number is not None:
                lost |= some == number
            if some.dtype.kind == "f":
                lost |= ~np.isfinite(some)
            return bool(lost.all())

        if gone(16) and gone(1):
            return True
    return False


def _nothing(bands: int) -> NDArray[np.float32]:
    return np.empty((bands, 0, 0), np.float32)
