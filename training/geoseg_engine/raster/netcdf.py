"""Facts of a NetCDF variable that GDAL leaves open: the order of its dimensions, and a CRS that GDAL does not read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyproj
import rasterio
from pyproj.exceptions import CRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from ..contract import GeoSegError, Series, Source
from .calendars import PRINTED

AXES = {
    "x": ("projection_x_coordinate", "longitude", "degrees_east", "degree_east", "x", "lon", "easting"),
    "y": ("projection_y_coordinate", "latitude", "degrees_north", "degree_north", "y", "lat", "northing"),
}
"""What the standard name, the units, the axis or the name of a coordinate may be (CF conventions, section 4)."""

GEOGRAPHIC = "EPSG:4326"
METRES = ("", "m", "metre", "metres", "meter", "meters")
CRS_KEYS = ("crs_wkt", "spatial_ref", "esri_pe_string", "proj4", "proj4_params", "epsg_code")
"""Attributes of a grid mapping without a name in which programs keep a whole CRS."""

SUBDATASET = re.compile(r'^NETCDF:"?(.+?)"?:([^:"]+)$', re.IGNORECASE)


def coordinate(tags: dict[str, str], axis: str) -> str:
    """Return the name of the coordinate variable of an axis; empty if no variable is marked as one.

    Args:
        tags: metadata of the dataset.
        axis: `x` or `y`.
    """
    names = dict.fromkeys(key.split("#")[0] for key in tags if "#" in key)
    for attribute in ("standard_name", "axis", "units"):
        for name in names:
            if tags.get(f"{name}#{attribute}", "").lower() in AXES[axis]:
                return name
    return next((name for name in names if name.lower() in AXES[axis]), "")


def inside_file(source: Source) -> Source:
    """Return the source by its file where `path` is GDAL's name of a variable in it, as QGIS stores it."""
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
    for table in (rows[::-1], rows):  # GDAL flips tables that it treats as images
        near = PRINTED * np.abs(table[:, 1] - table[:, 0])
        if ((table[:, 0] - near <= own) & (np.array(own) <= table[:, 1] + near)).all():
            periods = dict(zip(own, map(tuple, table.tolist()), strict=True))
            return [periods[number] for number in times]
    return []


def crs_of(dataset: Any) -> tuple[pyproj.CRS | None, bool]:
    """Return the CRS of a NetCDF variable, None without one, and whether it is only assumed.

    GDAL's own, unless it has none or degrees for a grid mapping that is a projection: then that of the attributes of
    the grid mapping (CF conventions, appendix F). Longitude and latitude in degrees without any CRS are assumed
    to be WGS 84; a rotated pole without a grid mapping is not.

    Raises:
        CRSError: if the grid mapping is not understood.
    """
    own = pyproj.CRS.from_wkt(dataset.crs.to_wkt()) if dataset.crs else None
    tags = dataset.tags()
    mapping = grid_mapping(dataset, tags)
    kind = str(mapping.get("grid_mapping_name", ""))
    in_degrees = kind in ("", "latitude_longitude", "rotated_latitude_longitude")
    if (
        own is not None
        and (in_degrees or not own.is_geographic)
        and ("towgs84" not in mapping or own.is_bound)
    ):
        return own, False
    if kind:
        return _from_mapping(mapping, tags), False
    if own is not None:
        return own, False
    for key in CRS_KEYS:
        if found := mapping.get(key):
            return pyproj.CRS.from_user_input(int(found) if isinstance(found, float) else found), False
    return (pyproj.CRS(GEOGRAPHIC), True) if in_plain_degrees(tags) else (None, False)


def _from_mapping(mapping: dict[str, Any], tags: dict[str, str]) -> pyproj.CRS:
    if mapping["grid_mapping_name"] == "oblique_mercator":
        raise CRSError("oblique_mercator does not define the rotation of its grid")
    crs = pyproj.CRS.from_cf(mapping)
    unit = tags.get(f"{coordinate(tags, 'x')}#units", "").lower()
    if crs.is_projected and unit not in METRES:
        raise CRSError(f"{mapping['grid_mapping_name']} with coordinates in '{unit}'")
    return crs


def grid_mapping(dataset: Any, tags: dict[str, str]) -> dict[str, Any]:
    """Return the attributes of the grid mapping that a variable names, numbers as such; empty without one.

    Args:
        dataset: the open variable.
        tags: its metadata.
    """
    variable = dataset.tags(1).get("NETCDF_VARNAME", "") if dataset.count else ""
    name = tags.get(f"{variable}#grid_mapping", "").split(":")[0].split(" ")[0]
    return {
        key.partition("#")[2]: _value(text)
        for key, text in tags.items()
        if name and key.startswith(f"{name}#")
    }


def _value(text: str) -> Any:
    """A number or a list of numbers, else the text."""
    numbers = numbers_in(text)
    return (numbers if len(numbers) > 1 else numbers[0]) if numbers else text


def numbers_in(text: str) -> list[float]:
    """Return the numbers of an attribute as GDAL writes it, `-9999` or `{0,100}`; none if it is no number."""
    try:
        return [float(part) for part in text.strip("{}").split(",")]
    except ValueError:
        return []


def in_plain_degrees(tags: dict[str, str]) -> bool:
    """Return whether both coordinates are longitude and latitude, not those of a rotated pole or of a projection."""
    names = [coordinate(tags, axis) for axis in ("x", "y")]
    standard = [tags.get(f"{name}#standard_name", "").lower() for name in names]
    units = [tags.get(f"{name}#units", "").lower() for name in names]
    known = [name.lower() in ("lon", "longitude", "lat", "latitude") for name in names]
    return all(
        unit.startswith("degree")
        and (stated in ("longitude", "latitude") or (not stated and (named or "_" in unit)))
        for stated, unit, named in zip(standard, units, known, strict=True)
    )


def check_dimension_order(name: str, dataset: Any) -> None:
    """Raise unless rows run along y and columns along x: GDAL reads the last two dimensions, whatever they are.

    Args:
        name: of the layer, for messages.
        dataset: a variable, opened by GDAL.

    Raises:
        GeoSegError: `other_order`.
    """
    tags, path = dataset.tags(), dataset.files[0] if dataset.files else ""
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
            f"Layer '{name}' keeps its dimensions in another order than time, {y}, {x}: {path}",
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
