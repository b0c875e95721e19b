"""Files of a time series: the band of each date, and their common grid."""

from __future__ import annotations

import re
from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..contract import GeoSegError, Grid, Series, Source
from .calendars import cf_days, is_time
from .crs import same_crs
from .dates import Dated, date_from, dated, iso, month
from .grid import Window, affine_of
from .netcdf import bounds_of
from .sources import BandSet, crs_title, descriptions, open_source, parse_crs, source_grid, title, value_bands

OPEN_FILES = 64
SHIFT_PX = 0.05
"""How far pixels of two files of a series may be apart, in pixels."""

OF_PICTURE = re.compile(r"acqui|sens|observ|taken|begin|start|valid|datetimeoriginal", re.IGNORECASE)
OF_FILE = re.compile(
    r"creat|process|produc|generat|publi|modif|updat|export|write|history|^tifftag", re.IGNORECASE
)
EPOCH_TIME = re.compile(r"^\s*(\d+)")
"""Seconds since 1970, as GDAL gives the time of GRIB files."""

NUMBERED = re.compile(r"^(.*)\[(\d+)\]$")


@dataclass(frozen=True)
class Slice:
    """One variable on one date: a band of a file, whose corner is `row`, `col` pixels from the series'."""

    path: str
    band: int
    row: int = 0
    col: int = 0


class OpenFiles:
    """Files of a series, of which a limited number is open at a time."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._open: OrderedDict[str, tuple[Any, ExitStack]] = OrderedDict()

    def get(self, path: str) -> Any:
        """Return the file, opened if it is not.

        Raises:
            GeoSegError: as `open_source`.
        """
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path][0]
        if len(self._open) >= OPEN_FILES:
            self._open.popitem(last=False)[1][1].close()
        stack = ExitStack()
        dataset = stack.enter_context(open_source(replace(self.source, path=path)))
        self._open[path] = dataset, stack
        return dataset

    def close(self) -> None:
        """Close all files."""
        while self._open:
            self._open.popitem()[1][1].close()


def kept_dates(source: Source, series: Series, dates: list[Dated]) -> list[int]:
    """Return the positions of the dates that the filters of a series keep, in the order of time.

    Args:
        source: names the layer.
        series: with the filters.
        dates: of bands or files.

    Raises:
        GeoSegError: `no_dates`, `no_dates_left`, `bad_date`.
    """
    known = [(date.day, place) for place, date in enumerate(dates) if date.day is not None]
    if len(known) < len(dates):
        missing = next(place for place, date in enumerate(dates) if date.day is None)
        why = dates[missing].remark
        raise GeoSegError(
            "no_dates",
            f"Layer '{title(source)}' has no date for {'file' if source.paths else 'band'} {missing + 1} "
            f"of {len(dates)}{': ' if why else ''}{why}.",
            "Name the files or the bands by their date, e.g. 2019-07-01, or give the dates.",
        )
    start = date_from(series.start, "The start") if series.start else -np.inf
    end = date_from(series.end, "The end") if series.end else np.inf
    kept = [
        place
        for day, place in sorted(known)
        if start <= day < end + 1 and (not series.months or month(day) in series.months)
    ]
    if not kept:
        first, last = (iso(choose(known)[0]) for choose in (min, max))
        limits = [f"from {series.start}"] * bool(series.start) + [f"until {series.end}"] * bool(series.end)
        limits += [f"in months {', '.join(map(str, series.months))}"] * bool(series.months)
        raise GeoSegError(
            "no_dates_left",
            f"None of the {len(known)} dates of layer '{title(source)}' ({first} to {last}) is {' '.join(limits)}.",
            "Choose other dates or months.",
        )
    return kept


Columns = tuple[list[Dated], list[list[Slice]]]


def by_variable(source: Source, files: OpenFiles, names: tuple[str, ...]) -> Columns:
    """Return dates and slices of the variables of NetCDF files; files follow each other.

    Args:
        source: of kind `series`.
        files: opened as needed.
        names: of the variables; `name[3]` is the third raster that a further dimension has per date.

    Raises:
        GeoSegError: `dates_count`, `missing_variable`; as `open_source`.
    """
    days: list[Dated] = []
    columns: list[list[Slice]] = [[] for _ in names]
    for path in (source.path, *source.paths):
        lengths = set()
        for name, column in zip(names, columns, strict=True):
            inside, bands, found = _variable(source, files, path, name)
            column += [Slice(inside, band) for band in bands]
            lengths.add(len(bands))
        if len(lengths) > 1:
            raise GeoSegError(
                "dates_count",
                f"The variables {', '.join(names)} of {path} have {' and '.join(map(str, sorted(lengths)))} dates.",
                "Choose variables that share their dates.",
            )
        days += found
    return days, columns


def _variable(source: Source, files: OpenFiles, path: str, name: str) -> tuple[str, list[int], list[Dated]]:
    """GDAL's name of a variable, its bands by date and their dates.

    `name[3]` is the third of the rasters that a variable with a further dimension has on a date.
    """
    numbered = NUMBERED.match(name)
    plain, number = (numbered.group(1), int(numbered.group(2))) if numbered else (name, 1)
    if '"' in path:
        raise GeoSegError(
            "cannot_open",
            f"The path of layer '{title(source)}' has a quotation mark in it, which ends the name of a NetCDF file for "
            f"GDAL: {path}",
            "Rename the file or its folder.",
        )
    inside = f'NETCDF:"{path}":{plain}'
    try:
        dataset = files.get(inside)
    except GeoSegError as error:
        if error.code != "cannot_open":
            raise
        raise GeoSegError(
            "missing_variable",
            f"Layer '{title(source)}' has no variable '{plain}' with rows and columns: {path}",
            "Choose one of the file's variables.",
            error.details,
        ) from error
    groups, days = netcdf_dates(dataset)
    if number > len(groups):
        raise GeoSegError(
            "missing_variable",
            f"Variable '{plain}' of layer '{title(source)}' has {len(groups)} rasters per date, {number} is requested.",
            f"Choose {plain}[1] to {plain}[{len(groups)}].",
        )
    bands = groups[number - 1]
    return inside, bands, [days[band - 1] for band in bands]


def netcdf_dates(dataset: Any) -> tuple[list[list[int]], list[Dated]]:
    """Return bands of a NetCDF variable grouped by its dimensions other than time, and the date of every band."""
    tags = dataset.tags()
    names = [name for name in tags.get("NETCDF_DIM_EXTRA", "").strip("{}").split(",") if name]
    time = next((name for name in names if is_time(tags.get(f"{name}#units", ""))), "")
    groups: dict[tuple[str, ...], list[int]] = {}
    numbers = []
    for band in dataset.indexes:
        own = dataset.tags(band)
        groups.setdefault(
            tuple(own.get(f"NETCDF_DIM_{name}", "") for name in names if name != time), []
        ).append(band)
        numbers.append(own.get(f"NETCDF_DIM_{time}", ""))
    if not time or not all(numbers):
        return list(groups.values()), [Dated()] * dataset.count
    times = [float(number) for number in numbers]
    units, calendar = tags[f"{time}#units"], tags.get(f"{time}#calendar", "")
    try:
        days = cf_days(times, units, calendar, bounds_of(dataset, time, times))
    except ValueError as error:
        return list(groups.values()), [Dated(None, str(error))] * dataset.count
    parts = units.lower().startswith(("month", "year")) and any(not number.is_integer() for number in times)
    remark = (
        f"the times are parts of '{units}': they are converted with the calendar's months" if parts else ""
    )
    return list(groups.values()), [Dated(day, remark) for day in days]


def by_file(source: Source, files: OpenFiles, series: Series) -> Columns:
    """Return dates and slices of files of one date each, or of one raster whose bands are dates.

    Args:
        source: of kind `series`.
        files: opened as needed.
        series: its mask, if it has one, is the last column of slices.

    Raises:
        GeoSegError: `missing_variable`, `other_bands`, `several_rasters`; as `open_source`.
    """
    if not source.paths:
        dataset = files.get(source.path)
        if series.mask:
            raise GeoSegError(
                "missing_variable",
                f"Layer '{title(source)}' has no mask '{series.mask}': its bands are dates.",
                "Choose no mask; only NetCDF variables and files of one date each can have one.",
            )
        _check_no_further_dimension(source, dataset)
        return band_dates(dataset), [[Slice(source.path, band) for band in value_bands(dataset)]]
    orders: dict[str, dict[int, int]] = {}
    days = []
    first = BandSet.of(files.get(source.path))
    count = len(first.indexes)
    for path in (source.path, *source.paths):
        dataset = files.get(path)
        found = BandSet.of(dataset)
        order = first.order_in(found)
        if order is None:
            raise GeoSegError(
                "other_bands",
                f"Files of layer '{title(source)}' have {first.listed} and {found.listed}: {Path(path).name}",
                "A series needs the same bands on every date.",
            )
        orders[path] = order
        days.append(file_date(path, dataset))
    columns = [[Slice(path, order[band]) for path, order in orders.items()] for band in first.indexes]
    if series.mask:
        if not series.mask.isdigit() or not 1 <= int(series.mask) <= count:
            raise GeoSegError(
                "missing_variable",
                f"The mask of layer '{title(source)}' is '{series.mask}', its files have bands 1 to {count}.",
                "Choose the number of the band that marks clear pixels.",
            )
        columns.append(columns[int(series.mask) - 1])
    return days, columns


def _check_no_further_dimension(source: Source, dataset: Any) -> None:
    """Raise if a NetCDF variable has several rasters per date and none is chosen: as dates they would be mixed.

    Raises:
        GeoSegError: `several_rasters`.
    """
    groups, days = netcdf_dates(dataset) if dataset.driver == "netCDF" else ([], [])
    count = len(groups)
    if count > 1 and all(date.day is not None for date in days):
        name = dataset.tags(1).get("NETCDF_VARNAME", "variable")
        raise GeoSegError(
            "several_rasters",
            f"Variable '{name}' of layer '{title(source)}' has {count} rasters per date.",
            f"Choose one of {name}[1] to {name}[{count}] as the variable.",
        )


def band_dates(dataset: Any) -> list[Dated]:
    """Return the date of every band that has values: from NetCDF's time, the band's name or its metadata."""
    if dataset.driver == "netCDF":
        _, days = netcdf_dates(dataset)
        return days
    names = descriptions(dataset)
    return [_first([dated(names[band - 1]), *_in_tags(dataset.tags(band))]) for band in value_bands(dataset)]


def file_date(path: str, dataset: Any) -> Dated:
    """Return the date of a file: from its name, else from its metadata.

    Args:
        path: of the file.
        dataset: the same, open.
    """
    tags = (dataset.tags(ns="IMAGERY"), dataset.tags(), dataset.tags(1))
    return _first([dated(Path(path).name), *(date for part in tags for date in _in_tags(part))])


def _first(dates: list[Dated]) -> Dated:
    """The first that is a date; without any, the first with a remark."""
    return next(
        (date for date in dates if date.day is not None), max(dates, key=lambda date: bool(date.remark))
    )


def _in_tags(tags: dict[str, str]) -> list[Dated]:
    """Dates in metadata: of the picture before others, and last those of the file itself."""
    named = [key for key in tags if "date" in key.lower() or "time" in key.lower()]
    ranks = {key: 0 if OF_PICTURE.search(key) else 2 if OF_FILE.search(key) else 1 for key in named}
    found = []
    for key in sorted(named, key=lambda key: ranks[key]):
        epoch = EPOCH_TIME.match(tags[key]) if key == "GRIB_VALID_TIME" else None
        date = Dated(int(epoch.group(1)) / 86_400) if epoch else dated(tags[key])
        if date.day is not None and ranks[key] == 2:
            date = Dated(
                date.day, f"{iso(date.day)} is from {key}, perhaps the day when the file was written"
            )
        found.append(date)
    return found


def common_grid(
    source: Source, files: OpenFiles, paths: list[str]
) -> tuple[Grid, dict[str, tuple[int, int]]]:
    """Return the grid that all files cover on the first one's pixels.

    Args:
        source: of kind `series`.
        files: opened as needed.
        paths: of the files.

    Returns:
        The grid, and the row and column in it of each file's first pixel.

    Raises:
        GeoSegError: `other_pixels` if pixels of a file do not coincide with the first file's.
    """
    grids = {path: source_grid(source, files.get(path)) for path in dict.fromkeys(paths)}
    base = grids[paths[0]]
    offsets = {}
    for path, grid in grids.items():
        to_base = ~affine_of(base) * affine_of(grid)
        col, row = round(to_base.c), round(to_base.f)
        corners = ((0, 0), (grid.width, 0), (0, grid.height))
        moved = [abs(part) for corner in corners
                 for part in np.subtract(to_base * corner, (corner[0] + col, corner[1] + row))]  # fmt: skip
        same = same_crs(parse_crs(grid.crs), parse_crs(base.crs))
        if not same or max(moved) > SHIFT_PX:
            crs = f"the CRS {crs_title(grid.crs)}, the first {crs_title(base.crs)}"
            what = "another pixel lattice" if same else crs
            raise GeoSegError(
                "other_pixels",
                f"A file of the series '{title(source)}' has {what}: {path}",
                "Warp the files onto one grid first (Raster > Projections > Warp), or leave this date out.",
            )
        offsets[path] = row, col
    top, left = (min(offset[axis] for offset in offsets.values()) for axis in (0, 1))
    bottom = max(offsets[path][0] + grid.height for path, grid in grids.items())
    right = max(offsets[path][1] + grid.width for path, grid in grids.items())
    corner = affine_of(base, Window(top, left, 1, 1))
    transform = (corner.a, corner.b, corner.c, corner.d, corner.e, corner.f)
    shifts = {path: (offset[0] - top, offset[1] - left) for path, offset in offsets.items()}
    return Grid(base.crs, transform, right - left, bottom - top), shifts
