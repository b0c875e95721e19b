"""The kind `series`: statistics of a time series over its dates, on the grid of a stack."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from ...contract import TEMPORAL_STATISTICS, Band, GeoSegError, Grid, Problem, Source
from ...raster.dates import date_from
from ...raster.grid import Window
from ...raster.resample import Mapping, mapping
from ...raster.series import OpenSeries, open_series
from ...raster.series_files import NUMBERED, netcdf_dates
from ...raster.sources import title
from ...raster.stream import pump, worker_count
from ...raster.unpacked import Unpacked
from ..raster_bands import SOURCE_LIMIT_PX, read_on_grid
from ..temporal import statistics
from .kind import BandSource
from .raster_checks import assumed_crs

DATES_LIMIT = 8 << 20
"""Bytes of float32 values of all dates that are read at once; up to three such pieces are in memory."""

KEPT_LIMIT = 32 << 20
"""Bytes of statistics that are kept for the next window."""


class SeriesSource(BandSource):
    """Bands that are statistics over the dates of a time series."""

    kind = "series"
    sampling_cost = 16  # every pixel means reading all dates

    @contextmanager
    def open(self, source: Source, bands: tuple[Band, ...], grid: Grid) -> Iterator[SeriesBands]:
        """Open the files of the series.

        Args:
            source: of kind `series`.
            bands: each a statistic of a variable.
            grid: of the stack.

        Raises:
            GeoSegError: as `open_series` and `check_series_bands`.
        """
        with (
            open_series(source) as series,
            ThreadPoolExecutor(worker_count(), "series") as pool,
            closing(Unpacked(series)) as values,
        ):
            check_series_bands(series, bands)
            yield SeriesBands(series, mapping(grid, series.grid), bands, pool, values, Kept())

    def grid_and_warnings(self, source: Source, bands: tuple[Band, ...]) -> tuple[Grid, Sequence[Problem]]:
        """Return the grid of the first file, and a warning about dates that are ambiguous.

        Args:
            source: of kind `series`.
            bands: that must be available.

        Raises:
            GeoSegError: as `open`.
        """
        with open_series(source) as series:
            check_series_bands(series, bands)
            return series.grid, date_problems(source, series.remarks)

    def completed(self, source: Source, slot: Source) -> Source:
        """Return the source with the slot's variables, mask, months and period, but its own dates.

        Args:
            source: other files.
            slot: the source of the recipe.
        """
        if source.series is not None or slot.series is None:
            return source
        return replace(source, series=replace(slot.series, dates=()))

    def file_warnings(self, source: Source, bands: Sequence[Band]) -> Iterator[Problem]:
        """Yield warnings about a CRS that is assumed, and variables of which one part is chosen.

        Args:
            source: of kind `series`.
            bands: not used.
        """
        with open_series(source) as series:
            yield from assumed_crs(source, series.files.get(series.variables[0][0].path))
            yield from _first_of_dimension(series)


@dataclass(frozen=True)
class SeriesBands:
    """Statistics of an open series on a grid."""

    series: OpenSeries
    mapping: Mapping
    bands: tuple[Band, ...]
    pool: Executor
    unpacked: Unpacked
    kept: Kept
    problems: tuple[Problem, ...] = ()

    def read(self, window: Window) -> np.ndarray:
        """Read float32 (bands, rows, cols) of a window inside the grid; NaN where there is no value.

        Statistics are of the series' own pixels, and then resampled to the grid.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        done: dict[Window, np.ndarray] = {}

        def values(part: Window, bands: tuple[Band, ...]) -> np.ndarray:
            if part not in done:
                done.clear()
                done[part] = self._statistics(part)
            if bands == self.bands:
                return done[part]
            return done[part][[self.bands.index(band) for band in bands]]

        return read_on_grid(
            self.mapping, self.bands, window, values, SOURCE_LIMIT_PX // max(len(self.bands), 4)
        )

    def _statistics(self, part: Window) -> np.ndarray:
        """All bands on a window of the series, NaN outside it."""
        result = np.full((len(self.bands), part.height, part.width), np.nan, np.float32)
        inside = part.clipped(self.series.grid.height, self.series.grid.width)
        if inside.empty:
            return result
        for index in dict.fromkeys(band.index for band in self.bands):
            self._fill(index, self._dates(index), inside, part, result)
        return result

    def _dates(self, index: int) -> list[int]:
        """Places of the dates that the bands of a variable need."""
        own = [band for band in self.bands if band.index == index]
        if any(band.derive != "date" for band in own):
            return list(range(len(self.series.days)))
        return sorted({nearest_date(self.series.days, band) for band in own})

    def _fill(self, index: int, dates: list[int], inside: Window, part: Window, result: np.ndarray) -> None:
        """Put the bands of one variable into `result`, an array of `part`, tile by tile."""
        own = [place for place, band in enumerate(self.bands) if band.index == index]

        def put(tile: Window, found: np.ndarray) -> None:
            shared = tile.shared(inside)
            rows, cols = shared.within(part)
            from_rows, from_cols = shared.within(tile)
            result[own, rows, cols] = found[:, from_rows, from_cols]

        def read(tile: Window) -> tuple[Window, np.ndarray]:
            return tile, self.unpacked.values(index, dates, tile)

        def compute(read_tile: tuple[Window, np.ndarray]) -> None:
            tile, values = read_tile
            found = self._of_tile(tuple(self.bands[place] for place in own), dates, values)
            self.kept.put((index, tile), found)
            put(tile, found)

        missing = []
        for tile in series_tiles(
            self.series.grid, inside, self.series.block, DATES_LIMIT // (4 * len(dates))
        ):
            found = self.kept.get((index, tile))
            if found is None:
                missing.append(tile)
            else:
                put(tile, found)
        pump(missing, read, compute, lambda _: None)

    def _of_tile(self, bands: tuple[Band, ...], dates: list[int], values: np.ndarray) -> np.ndarray:
        """Bands of one variable of values (dates, rows, cols)."""
        result = np.empty((len(bands), *values.shape[1:]), np.float32)
        over_all = [place for place, band in enumerate(bands) if band.derive != "date"]
        for place in set(range(len(bands))) - set(over_all):
            result[place] = values[dates.index(nearest_date(self.series.days, bands[place]))]
        if over_all:
            chosen = tuple(bands[place] for place in over_all)
            flat = values.reshape(len(dates), -1)
            found = statistics(flat, self.series.days[dates], chosen, self.pool)
            result[over_all] = found.reshape(-1, *values.shape[1:])
        return result


class Kept:
    """The tiles computed last, as windows of a stack rarely end where the blocks of a file do."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[int, Window], np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, Window]) -> np.ndarray | None:
        """Return a tile of a variable, if it is still kept."""
        with self._lock:
            return self._found.get(key)

    def put(self, key: tuple[int, Window], found: np.ndarray) -> None:
        """Keep a tile and drop the oldest ones.

        Args:
            key: variable and tile.
            found: statistics (bands, rows, cols).
        """
        with self._lock:
            if key not in self._found:
                self._found[key] = found
                self._bytes += found.nbytes
            while self._bytes > KEPT_LIMIT:
                self._bytes -= self._found.popitem(last=False)[1].nbytes


def series_tiles(grid: Grid, part: Window, block: tuple[int, int], limit_px: int) -> Iterator[Window]:
    """Yield the tiles of a grid that meet a part of it: whole blocks where these are smaller than the limit.

    Args:
        grid: of the series.
        part: window of the grid.
        block: rows and columns of the file's blocks.
        limit_px: maximum pixels of a tile.
    """
    limit_px = max(limit_px, 1)
    rows, cols = block
    if rows * cols > limit_px:
        cols = min(cols, limit_px)
        rows = min(rows, max(limit_px // cols, 1))
    across = max(min(-(-grid.width // cols), limit_px // (rows * cols)), 1)
    down = max(limit_px // (rows * cols * across), 1)
    height, width = rows * down, cols * across
    for top in range(part.row // height * height, part.row + part.height, height):
        for left in range(part.col // width * width, part.col + part.width, width):
            yield Window(top, left, height, width).clipped(grid.height, grid.width)


def nearest_date(days: np.ndarray, band: Band) -> int:
    """Return the position of the date nearest to the band's parameter `date`, in whole days; the earlier of two.

    Args:
        days: (dates,), days since 1970-01-01.
        band: with the parameter `date`.

    Raises:
        GeoSegError: `bad_date`.
    """
    wanted = date_from(str(band.parameters.get("date", "")), f"The date of band '{band.name}',")
    return int(np.abs(np.floor(days) - wanted).argmin())


def check_series_bands(series: OpenSeries, bands: tuple[Band, ...]) -> None:
    """Raise if a band needs something that a series does not have.

    Args:
        series: the open series.
        bands: to read.

    Raises:
        GeoSegError: `missing_bands`, `no_statistic`, `percent`, `bad_date`.
    """
    for band in bands:
        if band.index > len(series.variables):
            raise GeoSegError(
                "missing_bands",
                f"Layer '{title(series.source)}' has {len(series.variables)} variables, {band.index} is requested.",
                "Choose one of its variables.",
            )
        if band.derive not in TEMPORAL_STATISTICS:
            raise GeoSegError(
                "no_statistic",
                f"Band '{band.name}' of the series '{title(series.source)}' needs a statistic over its dates, "
                f"not '{band.derive}'.",
                f"Choose from: {', '.join(TEMPORAL_STATISTICS)}.",
            )
        if band.derive == "percentile" and not 0 <= float(band.parameters.get("percent", 50)) <= 100:
            raise GeoSegError(
                "percent",
                f"Band '{band.name}' is the percentile {band.parameters['percent']}.",
                "Choose a number from 0 to 100.",
            )
        if band.derive == "date":
            nearest_date(series.days, band)


def date_problems(source: Source, remarks: tuple[str, ...]) -> list[Problem]:
    """Return one warning about dates that are ambiguous.

    Args:
        source: names the layer.
        remarks: of its dates.
    """
    if not remarks:
        return []
    more = f" ({len(remarks)} files or bands alike)" if len(remarks) > 1 else ""
    return [
        Problem(
            "dates",
            f"Dates of layer '{title(source)}': {remarks[0]}{more}.",
            "If they are wrong, set the dates of the series, or name its files by one date, e.g. 2019-07-01.",
            "warning",
        )
    ]


def _first_of_dimension(series: OpenSeries) -> Iterator[Problem]:
    """Variables with a further dimension, such as depth, without a number that selects a part."""
    names = series.source.series.variables if series.source.series else ()
    for name, slices in zip(names, series.variables, strict=False):
        count = len(netcdf_dates(series.files.get(slices[0].path))[0])
        if count > 1 and not NUMBERED.match(name):
            yield Problem(
                "first_of_several",
                f"Variable '{name}' of layer '{title(series.source)}' has {count} rasters per date; the first is used.",
                f"Choose one of {name}[1] to {name}[{count}].",
                "warning",
            )
