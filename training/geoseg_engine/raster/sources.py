"""Open a raster, or report in one sentence why it cannot be opened."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio.crs
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError as RasterioCRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.vrt import WarpedVRT

from ..contract import GeoSegError, Grid, Source
from ..contract.text import plain_text
from .crs import same_crs, way_to_degrees
from .grid import same_grid
from .netcdf import check_dimension_order, crs_of
from .virtual import virtual_bands

os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB; GDAL's own default grows with the machine
os.environ.setdefault("GDAL_HTTP_CONNECTTIMEOUT", "10")  # seconds; GDAL's own is for ever
os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "3")

LONGITUDE_LIMIT, LATITUDE_LIMIT = 541.0, 90.5


def title(source: Source) -> str:
    """Return the name of a source for messages."""
    return source.name or Path(source.path).stem or source.key


@contextmanager
def open_source(source: Source, classes: bool = False) -> Iterator[Any]:
    """Open a raster for reading; with ground control points only, as the raster warped by them.

    Args:
        source: the raster.
        classes: its values are classes.

    Its values are interpolated then, unless they are `classes`: those are of the nearest pixel, and of one band.

    The dataset's own CRS and nodata are untouched: see `source_crs` and `source_nodata` for those in use.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `no_bands`, `complex_values`, `other_order`, `not_georeferenced`,
            `no_crs`, `crs_lies`; `several_bands` where one band of classes is needed.
    """
    dataset = _open(source)
    try:
        _check_usable(source, dataset)
        if classes:
            check_one_band(source, dataset, "a raster of classes")
        if not dataset.transform.is_identity:
            source_crs(source, dataset)
            check_crs_fits(source, dataset)
            yield dataset
            return
        resampling = Resampling.nearest if classes else Resampling.bilinear
        with _warped_by_control_points(source, dataset, resampling) as warped:
            yield warped
    finally:
        dataset.close()


def _open(source: Source) -> Any:
    if is_plain_file(source.path) and not Path(source.path).exists():
        raise GeoSegError(
            "file_missing",
            f"The file of layer '{title(source)}' does not exist: {source.path}",
            "Was it moved or deleted? Choose the layer again.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            return rasterio.open(source.path)
    except RasterioIOError as error:
        raise GeoSegError(
            "cannot_open",
            f"The engine cannot open layer '{title(source)}': {source.path}",
            "Check the address and the network, or download the file and use that."
            if source.path.startswith(("http", "/vsi"))
            else "Export the layer as GeoTIFF in QGIS (Export > Save As) and use that.",
            str(error),
        ) from error


def is_plain_file(path: str) -> bool:
    """Whether a data source is a file name, not a GDAL prefix such as NETCDF:"a.nc":b or /vsizip/."""
    return not path.startswith(("/vsi", "<")) and not re.match(r"^[A-Za-z0-9_]{2,}:", path)


def _check_usable(source: Source, dataset: Any) -> None:
    if dataset.count == 0:
        names = [name.rsplit(":", 1)[-1] for name in dataset.subdatasets]
        inside = f"{len(names)} rasters: {', '.join(names[:6])}{' …' if len(names) > 6 else ''}"
        raise GeoSegError(
            "no_bands",
            f"Layer '{title(source)}' has no bands of its own; it holds {inside if names else 'nothing readable'}.",
            "Add one of its variables to the project as a layer and use that layer.",
        )
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise GeoSegError(
            "complex_values",
            f"Layer '{title(source)}' holds complex numbers ({dataset.dtypes[0]}).",
            "Convert it to amplitude or intensity with the raster calculator first.",
        )
    if dataset.driver == "netCDF":
        check_dimension_order(title(source), dataset)


def check_one_band(source: Source, dataset: Any, what: str) -> None:
    """Raise unless a raster has one band.

    Args:
        source: the raster.
        dataset: the same, open.
        what: the kind of raster that needs one band, as in "a raster of classes".

    Raises:
        GeoSegError: `several_bands`.
    """
    bands, images = value_bands(dataset), max(len(dataset.subdatasets), 1)
    if len(bands) == 1 and images == 1:
        return
    colours = {ColorInterp.red, ColorInterp.green, ColorInterp.blue}
    picture = len(bands) == 3 and colours <= set(dataset.colorinterp)
    found = f"{len(bands)} bands" if len(bands) > 1 else f"{images} images"
    found = "the three bands of a picture" if picture else found
    raise GeoSegError(
        "several_bands",
        f"'{title(source)}' has {found}; {what} has one band.",
        "Turn its colours into one band of codes first (Raster > Conversion > RGB to PCT, as many colours as classes)."
        if picture
        else "Save the right band as a separate raster (Raster > Conversion > Translate) and choose that.",
    )


@contextmanager
def _warped_by_control_points(source: Source, dataset: Any, resampling: Resampling) -> Iterator[Any]:
    points, crs = dataset.gcps
    if crs is None or not points:
        reason = "only rational polynomial coefficients" if dataset.rpcs else "no georeference"
        raise GeoSegError(
            "not_georeferenced",
            f"Layer '{title(source)}' has {reason}.",
            "Georeference it in QGIS (Layer > Georeferencer) or orthorectify it, then use the result.",
        )
    bare = set(dataset.nodatavals) == {None} and ColorInterp.alpha not in dataset.colorinterp
    # alpha marks pixels beside the picture, where there is no nodata
    with WarpedVRT(dataset, src_crs=crs, crs=crs, resampling=resampling, add_alpha=bare) as warped:
        if warped.transform.a == 1 and warped.transform.c == 0:
            raise GeoSegError(
                "not_georeferenced",
                f"Layer '{title(source)}' has {len(points)} ground control points that could not be applied.",
                "Warp it in QGIS (Raster > Projections > Warp), then use the result.",
            )
        yield warped


def source_crs(source: Source, dataset: Any) -> pyproj.CRS:
    """Return the CRS in use: the source's own if it names one, else the file's.

    Args:
        source: the raster.
        dataset: the same, open.

    Raises:
        GeoSegError: `no_crs`, `bad_crs`.
    """
    if source.crs:
        return parse_crs(source.crs)
    if dataset.driver == "netCDF":
        return _netcdf_crs(source, dataset)
    if dataset.crs is None:
        raise _no_crs(source)
    return parse_crs(dataset.crs.to_wkt())


def _no_crs(source: Source) -> GeoSegError:
    return GeoSegError(
        "no_crs",
        f"Layer '{title(source)}' has no coordinate reference system.",
        "Set its CRS in QGIS (layer properties, Source) if it is known.",
    )


def _netcdf_crs(source: Source, dataset: Any) -> pyproj.CRS:
    try:
        crs, _ = crs_of(dataset)
    except pyproj.exceptions.CRSError as error:
        raise GeoSegError(
            "no_crs",
            f"Layer '{title(source)}' has an unknown grid mapping: {error}.",
            "Set its CRS in QGIS (layer properties, Source) if it is known.",
        ) from error
    if crs is None:
        raise _no_crs(source)
    return parse_crs(crs.to_wkt())


@lru_cache(maxsize=256)
def parse_crs(text: str) -> pyproj.CRS:
    """Return a CRS from WKT, PROJ string or authority code; the horizontal part of a compound one.

    WKT that describes a registered CRS becomes that one, as in QGIS: only then are datum shifts known.

    Raises:
        GeoSegError: `bad_crs`, also for one that is not of a map.
    """
    try:
        crs = pyproj.CRS.from_user_input(text)
        if crs.is_compound:
            crs = crs.sub_crs_list[0]
        crs = pyproj.CRS.from_user_input(_registered(crs.to_wkt()))
    except (pyproj.exceptions.CRSError, RasterioCRSError) as error:
        raise GeoSegError(
            "bad_crs", f"'{text[:60]}' is not a known CRS.", "Choose another CRS.", str(error)
        ) from error
    if crs.is_geocentric or crs.is_vertical:
        what = "geocentric coordinates" if crs.is_geocentric else "heights alone"
        raise GeoSegError(
            "bad_crs",
            f"The CRS '{crs.name}' has {what}, not coordinates of a map.",
            "Assign the CRS of the layer's x and y (layer properties, Source).",
        )
    return crs


@lru_cache(maxsize=256)
def _registered(wkt: str) -> str:
    code = pyproj.CRS.from_wkt(wkt).to_authority(min_confidence=100)
    code = code or rasterio.crs.CRS.from_wkt(wkt).to_authority(confidence_threshold=100)
    return f"{code[0]}:{code[1]}" if code and code[0] in ("EPSG", "ESRI") else wkt


def crs_text(crs: pyproj.CRS) -> str:
    """Return the authority code if there is an exact one, else WKT."""
    return _registered(str(crs.to_wkt()))


def crs_title(text: str) -> str:
    """Return the name of a CRS for messages: its code, or its name."""
    return text if len(text) < 20 else str(parse_crs(text).name)


def unit_title(crs: str) -> str:
    """Return the abbreviation of a CRS's unit."""
    axes = parse_crs(crs).axis_info
    unit = axes[0].unit_name if axes else "metre"
    return {"metre": "m", "degree": "°", "foot": "ft", "US survey foot": "ft"}.get(unit, unit)


def check_crs_fits(source: Source, dataset: Any) -> None:
    """Raise if the coordinates cannot belong to the CRS, e.g. metres in EPSG:4326.

    Args:
        source: the raster.
        dataset: the same, open.

    Raises:
        GeoSegError: `crs_lies`.
    """
    crs = source_crs(source, dataset)
    cols, rows = np.meshgrid(np.linspace(0, dataset.width, 9), np.linspace(0, dataset.height, 9))
    xs, ys = dataset.transform * (cols.ravel(), rows.ravel())
    reason = misfit_of_coordinates(crs, np.asarray(xs), np.asarray(ys))
    if reason:
        raise GeoSegError(
            "crs_lies",
            f"The coordinates of layer '{title(source)}' do not fit its CRS {crs_title(crs_text(crs))}: {reason}.",
            "Assign the CRS of the coordinates (layer properties, Source).",
        )


def misfit_of_coordinates(crs: pyproj.CRS, xs: np.ndarray, ys: np.ndarray) -> str:
    """Return why points cannot belong to a CRS; empty if they can.

    Args:
        crs: of the points.
        xs, ys: (n,) coordinates.
    """
    sample = f"x {xs[0]:g}, y {ys[0]:g}"
    if crs.is_geographic:
        degrees = crs.axis_info[0].unit_conversion_factor / (np.pi / 180)
        out = np.abs(xs * degrees).max() > LONGITUDE_LIMIT or np.abs(ys * degrees).max() > LATITUDE_LIMIT
        return f"{sample} are not degrees" if out else ""
    to_degrees = way_to_degrees(crs)
    if to_degrees is None:
        return ""
    longitude, latitude = to_degrees.transform(xs, ys)
    if not (np.isfinite(longitude) & np.isfinite(latitude)).any():
        return f"{sample} are outside its domain"
    looks_like_degrees = np.abs(xs).max() <= 360 and np.abs(ys).max() <= 90
    area = crs.area_of_use
    if looks_like_degrees and area is not None:
        inside = (latitude >= area.south - 1) & (latitude <= area.north + 1)
        inside &= (longitude >= area.west - 1) & (longitude <= area.east + 1) | (area.west > area.east)
        return "" if inside.any() else f"{sample} look like degrees"
    return ""


def source_grid(source: Source, dataset: Any) -> Grid:
    """Return the raster's own grid in the CRS in use.

    Args:
        source: the raster.
        dataset: the same, open.

    Raises:
        GeoSegError: as `source_crs`.
    """
    transform = dataset.transform
    values = (transform.a, transform.b, transform.c, transform.d, transform.e, transform.f)
    return Grid(crs_text(source_crs(source, dataset)), values, dataset.width, dataset.height)


def coincide(one: Grid, other: Grid) -> bool:
    """Return whether two grids have the same CRS, the same size and the same pixels.

    Args:
        one, other: the grids.
    """
    return same_grid(one, other) and same_crs(parse_crs(one.crs), parse_crs(other.crs))


def value_bands(dataset: Any) -> list[int]:
    """Return the numbers, from 1, of the bands with values: all but alpha."""
    return [
        index
        for index, meaning in zip(dataset.indexes, dataset.colorinterp, strict=True)
        if meaning != ColorInterp.alpha
    ]


@dataclass(frozen=True)
class BandSet:
    """The bands with values of a file, and what distinguishes them: descriptions, else colours, else nothing."""

    indexes: tuple[int, ...]
    marks: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Any) -> BandSet:
        """Of an open raster."""
        indexes = tuple(value_bands(dataset))
        named = tuple(descriptions(dataset)[index - 1] for index in indexes)
        meant = tuple(dataset.colorinterp[index - 1].name for index in indexes)
        marks = next(
            (marks for marks in (named, meant) if "" not in marks and len(set(marks)) == len(marks)), ()
        )
        return cls(indexes, marks if len(indexes) > 1 else ())

    @property
    def listed(self) -> str:
        """`3 bands (red, green, blue)`."""
        names = ", ".join(self.marks[:6]) + (" …" if len(self.marks) > 6 else "")
        return f"{len(self.indexes)} band{'s' * (len(self.indexes) != 1)}{f' ({names})' if names else ''}"

    def order_in(self, other: BandSet) -> dict[int, int] | None:
        """Return band -> the same band of another file: by number, unless their marks are in another order.

        None if the file has other bands.
        """
        if len(self.indexes) != len(other.indexes):
            return None
        shared = set(self.marks) & set(other.marks)
        if all(self.marks.index(mark) == other.marks.index(mark) for mark in shared):
            return dict(zip(self.indexes, other.indexes, strict=True))
        if set(self.marks) != set(other.marks):
            return None
        return {
            index: other.indexes[other.marks.index(mark)]
            for index, mark in zip(self.indexes, self.marks, strict=True)
        }


def all_bands(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every band of every source as band dicts with unique names; alpha is left out.

    Bands with a palette are categories, resampled by nearest neighbour; all others bilinear.

    Raises:
        GeoSegError: as `open_source`.
    """
    bands: list[dict[str, Any]] = []
    used_names: set[str] = set()
    for data in sources:
        source = Source(**data)
        with open_source(source) as dataset:
            for index in value_bands(dataset):
                name = band_title(source, dataset, index)
                if name in used_names:
                    name = f"{title(source)} {name}"
                while name in used_names:
                    name += "'"
                used_names.add(name)
                palette = dataset.colorinterp[index - 1] == ColorInterp.palette
                resampling = "nearest" if palette else "bilinear"
                bands.append({"name": name, "source": source.key, "index": index, "resampling": resampling})
    return bands


def descriptions(dataset: Any) -> tuple[str, ...]:
    """Return the descriptions of an open raster's bands; empty where there is none."""
    try:
        texts = dataset.descriptions
    except UnicodeDecodeError:
        texts = [band.findtext("Description") for band in virtual_bands(dataset)]
    return tuple(plain_text(text or "") for text in texts)


def band_descriptions(source: Source) -> list[str]:
    """Return the descriptions of a raster's bands; empty where there is none.

    Raises:
        GeoSegError: as `open_source`.
    """
    with open_source(source) as dataset:
        return list(descriptions(dataset))


def band_title(source: Source, dataset: Any, index: int) -> str:
    """Return a band's description, or the layer's name (with the band's number if there are several).

    Args:
        source: the raster.
        dataset: the same, open.
        index: band number from 1.
    """
    description = descriptions(dataset)[index - 1]
    if description:
        return description
    return title(source) if dataset.count == 1 else f"{title(source)} {index}"
