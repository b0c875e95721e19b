"""The kind `raster`: a raster file, or several files of one sensor as a mosaic."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from pyproj.exceptions import CRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from ...contract import SPECKLE_FILTERS, Band, GeoSegError, Grid, Problem, Source
from ...raster.crs import check_unit_known
from ...raster.dates import Dated, iso
from ...raster.netcdf import crs_of
from ...raster.series_files import band_dates, file_date, netcdf_dates
from ...raster.sources import (
    band_descriptions,
    crs_text,
    descriptions,
    open_source,
    parse_crs,
    source_grid,
    title,
    value_bands,
)
from ..neighbourhood import DERIVATIONS
from ..raster_bands import RasterBands
from .kind import BandSource, OpenBands
from .mosaic import mosaic_grid, open_mosaic
from .raster_checks import raster_warnings

MASK_NAME = re.compile(
    r"(^|[^a-z])(clm|scl|qa|fmask|f?mask|cloud\w*|clear|quality|valid|flags?)([^a-z]|$)", re.IGNORECASE
)
CODES_LIMIT = 16
"""Values up to which an integer variable may be a mask."""

CLEARLY_CODES = 4
"""Values up to which it counts as one whatever its name."""

SAMPLE_PX, SAMPLE_DATES, MASK_BANDS = 256, 8, 32


class RasterSource(BandSource):
    """Bands of raster files, and what is derived from the neighbourhood of their pixels."""

    kind = "raster"
    states_units = True

    @contextmanager
    def open(self, source: Source, bands: tuple[Band, ...], grid: Grid) -> Iterator[OpenBands]:
        """Open the file or the mosaic.

        Args:
            source: of kind `raster`.
            bands: read or derived from the neighbourhood of pixels.
            grid: of the stack.

        Raises:
            GeoSegError: as `open_source`, `open_mosaic`; `unknown_derivation`, `missing_bands`.
        """
        check_derivations(source, bands)
        if source.paths:
            with open_mosaic(source, bands, grid) as mosaic:
                yield mosaic
            return
        with open_source(source) as dataset:
            check_band_numbers(source, dataset.count, bands)
            yield RasterBands.on_grid(source, dataset, bands, grid)

    def grid_and_warnings(self, source: Source, bands: tuple[Band, ...]) -> tuple[Grid, Sequence[Problem]]:
        """Return the grid of the file, or of all files of the mosaic.

        Args:
            source: of kind `raster`.
            bands: that must be available.

        Raises:
            GeoSegError: as `open`; `unknown_unit` if terrain is derived where lengths are not known in metres.
        """
        check_derivations(source, bands)
        if source.paths:
            grid = mosaic_grid(source, bands)
        else:
            with open_source(source) as dataset:
                check_band_numbers(source, dataset.count, bands)
                grid = source_grid(source, dataset)
        if any(band.derive and band.derive not in SPECKLE_FILTERS for band in bands):
            check_unit_known(parse_crs(grid.crs), f"Terrain of layer '{title(source)}'")
        return grid, ()

    def band_names(self, source: Source) -> list[str]:
        """Return the descriptions of the file's bands; empty text where a band has none."""
        return band_descriptions(source)

    def file_warnings(self, source: Source, bands: Sequence[Band]) -> Iterator[Problem]:
        """Yield warnings about a CRS, bands, images and nodata that the files leave open.

        Args:
            source: of kind `raster`.
            bands: that are used.
        """
        return raster_warnings(source, bands)

    def inspect(self, path: str, found: dict[str, Any]) -> str:
        """Add bands, variables, dates and masks of a raster; a raster with dates is of kind `series`.

        Args:
            path: file or GDAL dataset name.
            found: the result, changed in place.

        Returns:
            Why the file is not a raster; empty if it is.
        """
        return _inspect(path, found)


def check_derivations(source: Source, bands: tuple[Band, ...]) -> None:
    """Raise if a derivation needs a time series or a vector layer instead of a raster.

    Args:
        source: names the layer.
        bands: to read.

    Raises:
        GeoSegError: `unknown_derivation`.
    """
    for band in bands:
        if band.derive and band.derive not in DERIVATIONS:
            raise GeoSegError(
                "unknown_derivation",
                f"Band '{band.name}' derives '{band.derive}' from the raster '{title(source)}'.",
                f"Choose from: {', '.join(DERIVATIONS)}; or set the kind of the source to series or vector.",
            )


def check_band_numbers(source: Source, count: int, bands: tuple[Band, ...]) -> None:
    """Raise if a band number exceeds the bands of the source.

    Args:
        source: names the layer.
        count: bands of the source.
        bands: to read.

    Raises:
        GeoSegError: `missing_bands`.
    """
    highest = max((band.index for band in bands), default=0)
    if highest > count:
        raise GeoSegError(
            "missing_bands",
            f"Layer '{title(source)}' has {count} bands, band {highest} is requested.",
            "Choose a layer that has this band, or tick the layer's bands again.",
        )


def _opened(path: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _inspect(path: str, found: dict[str, Any]) -> str:
    """Fill in what a raster offers; a reason if it is none."""
    try:
        dataset = _opened(path)
    except RasterioIOError as error:
        return str(error)
    with dataset:
        found["subdatasets"] = list(dataset.subdatasets)
        found["kind"] = "raster"
        if dataset.count == 0:
            _container(found)
            return ""
        _size_and_crs(dataset, found)
        names = descriptions(dataset)
        found["bands"] = [
            {
                "index": index,
                "name": names[index - 1] or f"Band {index}",
                "dtype": dataset.dtypes[index - 1],
                "description": names[index - 1],
            }
            for index in value_bands(dataset)
        ]
        if dataset.driver == "netCDF":
            _variables([dataset], found)
            return ""
        dates = band_dates(dataset)
        if len(dates) > 1 and all(date.day is not None for date in dates):
            found["kind"], found["dates"] = "series", _isos(dates)
            found["remarks"] = _remarks(dates)
            return ""
        date = file_date(path, dataset)
        found["dates"], found["remarks"] = _isos([date]), _remarks([date])
        if 1 < len(found["bands"]) <= MASK_BANDS:
            masks = [
                _mask(str(band["index"]), dataset, [band["index"]], band["name"]) for band in found["bands"]
            ]
            found["masks"] = [mask for mask in masks if mask]
    return ""


def _isos(dates: list[Dated]) -> list[str]:
    return [iso(date.day) for date in dates if date.day is not None]


def _remarks(dates: list[Dated]) -> list[str]:
    return list(dict.fromkeys(date.remark for date in dates if date.remark))


def _container(found: dict[str, Any]) -> None:
    found["kind"] = "container"
    opened = []
    for name in found["subdatasets"]:
        try:
            opened.append(_opened(name))
        except RasterioIOError:
            continue
    try:
        usable = [dataset for dataset in opened if dataset.count]
        if usable:
            _size_and_crs(usable[0], found)
        _variables([dataset for dataset in usable if dataset.driver == "netCDF"], found)
    finally:
        for dataset in opened:
            dataset.close()


def _size_and_crs(dataset: Any, found: dict[str, Any]) -> None:
    found["size"] = [dataset.width, dataset.height]
    try:
        crs = crs_of(dataset)[0] if dataset.driver == "netCDF" else dataset.crs or dataset.gcps[1]
    except CRSError:
        return
    if crs is not None:
        try:
            found["crs"] = crs_text(parse_crs(crs.to_wkt()))
        except GeoSegError:
            found["crs"] = crs.to_wkt()


def _variables(datasets: list[Any], found: dict[str, Any]) -> None:
    """Variables of NetCDF, a further dimension as `name[1]`, `name[2]`, …; those with dates make a series."""
    for dataset in datasets:
        tags, own = dataset.tags(), dataset.tags(1)
        name = own.get("NETCDF_VARNAME") or dataset.name.rsplit(":", 1)[-1].strip('"')
        extra = [dim for dim in tags.get("NETCDF_DIM_EXTRA", "").strip("{}").split(",") if dim]
        groups, days = netcdf_dates(dataset)
        for number, bands in enumerate(groups, 1):
            title = f"{name}[{number}]" if len(groups) > 1 else name
            dates = _isos([days[band - 1] for band in bands])
            found["variables"].append(
                {
                    "name": title,
                    "dims": [*extra, "y", "x"],
                    "dates": dates if len(dates) == len(bands) else [],
                    "units": own.get("units", ""),
                    "dtype": dataset.dtypes[bands[0] - 1],
                    "long_name": own.get("long_name", ""),
                }
            )
            mask = _mask(title, dataset, bands[:: -(-len(bands) // SAMPLE_DATES)], name)
            if mask:
                found["masks"].append(mask)
        found["remarks"] = list(dict.fromkeys([*found["remarks"], *_remarks(days)]))
    found["dates"] = max((variable["dates"] for variable in found["variables"]), key=len, default=[])
    if len(found["dates"]) > 1:
        found["kind"] = "series"


def _mask(name: str, dataset: Any, indexes: list[int], words: str) -> dict[str, Any] | None:
    """A variable as a mask with the codes seen in the middle of some of its bands; None if it is none."""
    if not np.issubdtype(np.dtype(dataset.dtypes[indexes[0] - 1]), np.integer):
        return None
    height, width = min(dataset.height, SAMPLE_PX), min(dataset.width, SAMPLE_PX)
    row, col = (dataset.height - height) // 2, (dataset.width - width) // 2
    try:
        codes = np.unique(dataset.read(indexes, window=((row, row + height), (col, col + width))))
    except RasterioError:
        return None
    named = bool(MASK_NAME.search(words))
    if len(codes) > CODES_LIMIT if named else not 2 <= len(codes) <= CLEARLY_CODES:
        return None
    return {"name": name, "values": [int(code) for code in codes]}
