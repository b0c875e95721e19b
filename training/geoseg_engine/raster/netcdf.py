"""What GDAL leaves open about a NetCDF variable: the order of its dimensions, the CRS of bare coordinates."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from ..contract import GeoSegError, Series, Source
from .calendars import PRINTED
from .sources import title

AXES = {
    "x": ("projection_x_coordinate", "longitude", "degrees_east", "degree_east", "x", "lon", "easting"),
    "y": ("projection_y_coordinate", "latitude", "degrees_north", "degree_north", "y", "lat", "northing"),
}
"""What the standard name, the units, the axis or the name of a coordinate may be (CF conventions, section 4)."""

GEOGRAPHIC = "EPSG:4326"
SUBDATASET = re.compile(r'^NETCDF:"?(.+?)"?:([^:"]+)$', re.IGNORECASE)


def coordinate(tags: dict[str, str], axis: str) -> str:
    """Name of the coordinate variable of axis `x` or `y`; empty if none says that it is one."""
    names = dict.fromkeys(key.split("#")[0] for key in tags if "#" in key)
    for attribute in ("standard_name", "axis", "units"):
        for name in names:
            if tags.get(f"{name}#{attribute}", "").lower() in AXES[axis]:
                return name
    return next((name for name in names if name.lower() in AXES[axis]), "")


def inside_file(source: Source) -> Source:
    """The source by its file where `path` is GDAL's name of a variable in it, as QGIS has it."""
    match = SUBDATASET.match(source.path)
    if match is None:
        return source
    series = source.series or Series()
    named = replace(series, variables=series.variables or (match.group(2),))
    paths = tuple(found.group(1) if (found := SUBDATASET.match(path)) else path for path in source.paths)
    return replace(source, path=match.group(1), paths=paths, series=named)


def bounds_of(dataset: Any, time: str, times: Sequence[float]) -> list[tuple[float, float]]:
    """Begin and end of the period of each time, where the coordinate names its bounds (CF, section 7.1); else nothing.

    Args:
        dataset: a variable of the file.
        time: name of the coordinate.
        times: its numbers, one a band; a number may come several times.
    """
    name = dataset.tags().get(f"{time}#bounds", "")
    match = SUBDATASET.match(dataset.name)
    if not name or not (match or dataset.driver == "netCDF"):
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(f'NETCDF:"{match.group(1) if match else dataset.name}":{name}') as opened:
                rows = opened.read(1).astype(np.float64)
    except RasterioIOError:
        return []
    own = list(dict.fromkeys(times))
    if rows.shape != (len(own), 2):
        return []
    for table in (rows[::-1], rows):  # GDAL turns what it takes for a picture
        near = PRINTED * np.abs(table[:, 1] - table[:, 0])
        if ((table[:, 0] - near <= own) & (np.array(own) <= table[:, 1] + near)).all():
            periods = dict(zip(own, map(tuple, table.tolist()), strict=True))
            return [periods[number] for number in times]
    return []


def with_crs_of_degrees(source: Source) -> Source:
    """The source, in WGS 84 if its file has longitude and latitude in degrees and neither of them names a CRS.

    Raises:
        GeoSegError: `other_order`.
    """
    variables = (source.series or Series()).variables
    first = f'NETCDF:"{source.path}":{variables[0].split("[")[0]}' if variables else source.path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(first) as dataset:
                if dataset.driver != "netCDF":
                    return source
                refuse_other_order(source, source.path, dataset)
                tags, crs = dataset.tags(), source.crs or dataset.crs
    except RasterioIOError:
        return source  # whoever opens it says why
    units = [tags.get(f"{coordinate(tags, axis)}#units", "") for axis in ("x", "y")]
    degrees = all(unit.startswith("degree") for unit in units)
    return replace(source, crs=GEOGRAPHIC) if degrees and not crs else source


def refuse_other_order(source: Source, path: str, dataset: Any) -> None:
    """Raise unless rows run along y and columns along x: GDAL takes the last two dimensions, whatever they are.

    Raises:
        GeoSegError: `other_order`.
    """
    tags = dataset.tags()
    x, y = coordinate(tags, "x"), coordinate(tags, "y")
    extra = tags.get("NETCDF_DIM_EXTRA", "").strip("{}").split(",")
    swapped = bool(x and y) and (
        x in extra
        or y in extra
        or (_along_columns(path, y, dataset) and not _along_columns(path, x, dataset))
    )
    if swapped:
        raise GeoSegError(
            "other_order",
            f"Layer '{title(source)}' keeps its dimensions in another order than time, {y}, {x}: {path}",
            f"Reorder it first, e.g. with `ncpdq -a time,{y},{x}` or xarray's `transpose`.",
        )


def _along_columns(path: str, name: str, dataset: Any) -> bool:
    """Whether a coordinate has the values of the columns' middles."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(f'NETCDF:"{path}":{name}') as opened:
                values = opened.read().astype(np.float64).ravel()
    except RasterioIOError:
        return False
    transform = dataset.transform
    ends = np.sort([transform.c + transform.a / 2, transform.c + transform.a * (dataset.width - 0.5)])
    near = 0.6 * abs(transform.a)
    return len(values) == dataset.width and bool(
        np.allclose(np.sort(values)[[0, -1]], ends, rtol=0, atol=near)
    )
