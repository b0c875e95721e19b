"""Open a time series: a NetCDF file, a raster whose bands are dates, or one file per date.

Read with GDAL's netCDF driver, which is in rasterio's wheels: read chunk by chunk for all dates it takes a
quarter more time than the netCDF4 package, and no second copy of HDF5 comes into the process. GDAL turns
rasters that are stored from south to north; files that differ in extent are put on one lattice if their pixels
coincide.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import RasterioError

from ..contract import GeoSegError, Grid, Series, Source
from .dates import Dated, date_from
from .grid import Window
from .netcdf import inside_file
from .nodata import no_values, of_type
from .pixel_values import raster_values
from .series_files import OpenFiles, Slice, by_file, by_variable, common_grid, kept_dates
from .sources import is_plain_file, title


@dataclass(frozen=True)
class OpenSeries:
    """An open time series.

    Attributes:
        grid: the area of all its files together, on the first file's pixels.
        days: date of every slice, ascending, float64 days since 1970-01-01.
        variables: slices of every variable (or band), one per date.
        mask: slices of the mask, or none.
        block: rows and columns that the first file keeps together.
        remarks: other meanings of ambiguous dates, see `Dated`.
    """

    source: Source
    files: OpenFiles
    grid: Grid
    days: np.ndarray
    variables: tuple[tuple[Slice, ...], ...]
    mask: tuple[Slice, ...]
    block: tuple[int, int]
    lock: threading.Lock
    remarks: tuple[str, ...] = ()

    def values(self, index: int, dates: list[int], part: Window) -> np.ndarray:
        """Read values of a variable on some dates, NaN where there is none and where it is not clear.

        Args:
            index: of the variable, from 1.
            dates: positions of the dates.
            part: may reach outside the series.

        Returns:
            Float32 (dates, rows, cols) of a window, which may reach outside the series.

        Raises:
            GeoSegError: `cannot_read` if a file is damaged.
        """
        chosen = [self.variables[index - 1][date] for date in dates]
        result = np.empty((len(dates), part.height, part.width), np.float32)
        with self.lock:
            for tile in self._chunks(part):
                rows, cols = tile.within(part)
                self._read_values(chosen, tile, result[:, rows, cols])
                if self.mask:
                    masked = [self.mask[date] for date in dates]
                    np.copyto(result[:, rows, cols], np.nan, where=~self._clear(masked, tile))
        return result

    def _chunks(self, part: Window) -> Iterator[Window]:
        """The window by chunks of a NetCDF file: a chunk may hold several dates and is unpacked once.

        The netCDF library remembers only some 16 MB of what it unpacked.
        """
        rows, cols = self.block
        dataset = self.files.get(self.variables[0][0].path)
        if dataset.driver != "netCDF" or rows == 1:
            yield part
            return
        for top in range(part.row // rows * rows, part.row + part.height, rows):
            for left in range(part.col // cols * cols, part.col + part.width, cols):
                row, col = max(top, part.row), max(left, part.col)
                bottom, right = (
                    min(top + rows, part.row + part.height),
                    min(left + cols, part.col + part.width),
                )
                yield Window(row, col, bottom - row, right - col)

    def _read_values(self, chosen: list[Slice], part: Window, result: np.ndarray) -> None:
        for first, last in _runs(chosen):
            piece = chosen[first]
            dataset = self.files.get(piece.path)
            bands = [one.band for one in chosen[first:last]]
            fill_values(self.source, dataset, bands, part.moved(-piece.row, -piece.col), result[first:last])

    def _clear(self, chosen: list[Slice], part: Window) -> np.ndarray:
        """Boolean (dates, rows, cols): where the mask marks clear pixels; False outside its file."""
        series = self.source.series or Series()
        result = np.zeros((len(chosen), part.height, part.width), bool)
        for first, last in _runs(chosen):
            piece = chosen[first]
            dataset = self.files.get(piece.path)
            wanted = part.moved(-piece.row, -piece.col)
            inside = wanted.clipped(dataset.height, dataset.width)
            if inside.empty:
                continue
            bands = [one.band for one in chosen[first:last]]
            try:
                codes = dataset.read(bands, window=inside.rasterio)
            except RasterioError as error:
                raise GeoSegError(
                    "cannot_read",
                    f"The mask '{series.mask}' of layer '{title(self.source)}' is damaged.",
                    "Get the file again, or choose no mask.",
                    str(error),
                ) from error
            rows, cols = inside.within(wanted)
            result[first:last, rows, cols] = np.isin(codes, series.clear or (0,))
        return result


def _runs(chosen: list[Slice]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of slices that are in the same file."""
    first = 0
    for place in range(1, len(chosen) + 1):
        if place == len(chosen) or chosen[place].path != chosen[first].path:
            yield first, place
            first = place


def fill_values(source: Source, dataset: Any, bands: list[int], part: Window, result: np.ndarray) -> None:
    """Read values as `raster_values`, date by date, into an array.

    That takes a third of the time: a date's values stay in the processor's cache, and no mask is read.

    Args:
        source: names the layer, with its own nodata.
        dataset: an open file of the series.
        bands: from 1, one per date.
        part: window of the file.
        result: float32 (dates, rows, cols), changed in place.

    Raises:
        GeoSegError: `cannot_read` if the file is damaged.
    """
    facts = [no_values(dataset)[band - 1] for band in bands]
    inside = part.clipped(dataset.height, dataset.width)
    plain = all(fact.by != "mask" and not fact.alpha for fact in facts)
    if not plain or inside != part:
        result[:] = raster_values(source, dataset, bands, part, "float32")
        return
    try:
        raw = dataset.read(bands, window=part.rasterio)
    except RasterioError as error:
        raise GeoSegError(
            "cannot_read",
            f"Layer '{title(source)}' is damaged: rows {part.row} to {part.row + part.height} cannot be read.",
            "Get the file again, or leave out the damaged dates.",
            str(error),
        ) from error
    scales, offsets = dataset.scales, dataset.offsets
    for band, fact, codes, values in zip(bands, facts, raw, result, strict=True):
        named = (fact.nodata, *fact.more) if source.nodata is None else (source.nodata,)
        with np.errstate(over="ignore"):
            same = (scales[band - 1], offsets[band - 1]) == (1, 0)
            values[:] = codes if same else codes * scales[band - 1] + offsets[band - 1]
        for own in named:
            if own is not None and (codes.dtype.kind == "f" or float(own).is_integer()):
                np.copyto(values, np.nan, where=codes == of_type(own, codes.dtype))
        if fact.limits is not None and source.nodata is None:
            np.copyto(values, np.nan, where=(codes < fact.limits[0]) | (codes > fact.limits[1]))
        if codes.dtype.kind == "f":
            np.copyto(values, np.nan, where=np.isinf(values))


@contextmanager
def open_series(source: Source) -> Iterator[OpenSeries]:
    """Open a source of kind `series` with the dates that its filters keep.

    Raises:
        GeoSegError: `no_dates`, `dates_count`, `bad_date`, `no_dates_left`, `missing_variable`, `other_bands`,
            `other_pixels`, `other_order`; as `open_source`.
    """
    source = inside_file(source)
    for path in (source.path, *source.paths):
        if is_plain_file(path) and not Path(path).exists():
            raise GeoSegError(
                "file_missing",
                f"A file of layer '{title(source)}' does not exist: {path}",
                "Was it moved or deleted? Choose the layer again.",
            )
    files = OpenFiles(source)
    try:
        yield _opened(source, files)
    finally:
        files.close()


def _opened(source: Source, files: OpenFiles) -> OpenSeries:
    series = source.series or Series()
    names = (*series.variables, series.mask) if series.variables and series.mask else series.variables
    days, columns = by_variable(source, files, names) if names else by_file(source, files, series)
    if series.dates:
        if len(series.dates) != len(days):
            raise GeoSegError(
                "dates_count",
                f"{len(series.dates)} dates are given for layer '{title(source)}', which has {len(days)}.",
                "Give one date for every band or file, in their order.",
            )
        days = [Dated(date_from(text, f"The date of layer '{title(source)}',")) for text in series.dates]
    kept = kept_dates(source, series, days)
    columns = [[column[place] for place in kept] for column in columns]
    mask = columns.pop() if series.mask else []
    grid, shifts = common_grid(source, files, [one.path for column in (*columns, mask) for one in column])
    placed = [tuple(replace(one, row=shifts[one.path][0], col=shifts[one.path][1]) for one in column)
              for column in (*columns, mask)]  # fmt: skip
    first = files.get(placed[0][0].path)
    return OpenSeries(
        source=source,
        files=files,
        grid=grid,
        days=np.array([days[place].day for place in kept]),
        remarks=tuple(dict.fromkeys(days[place].remark for place in kept if days[place].remark)),
        variables=tuple(placed[:-1]),
        mask=placed[-1],
        block=first.block_shapes[placed[0][0].band - 1],
        lock=threading.Lock(),
    )
