"""The job `inspect`: what a file offers as a source, so that somebody can choose."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj.exceptions import CRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from ..channel import Channel
from ..contract import GeoSegError, InspectJob
from ..raster.dates import Dated, iso
from ..raster.netcdf import crs_of
from ..raster.series_files import band_dates, file_date, netcdf_dates
from ..raster.sources import crs_text, descriptions, is_plain_file, parse_crs, value_bands
from ..vector.files import VectorLayer, all_layers, layer_crs
from ..vector.legend import Valued
from ..vector.reading import read_values

MASK_NAME = re.compile(
    r"(^|[^a-z])(clm|scl|qa|fmask|f?mask|cloud\w*|clear|quality|valid|flags?)([^a-z]|$)", re.IGNORECASE
)
CODES_LIMIT = 16
"""Values up to which an integer variable may be a mask."""

CLEARLY_CODES = 4
"""Values up to which it is taken for one whatever its name."""

SAMPLE_PX, SAMPLE_DATES, MASK_BANDS = 256, 8, 32
VALUES_LIMIT, FEATURES_LIMIT = 20, 50_000


def run(job: InspectJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Say what a path offers.

    Returns:
        `kind` is `raster`, `series` (dates were found), `vector` or `container` (rasters inside, to be chosen from
        `subdatasets`); `bands`, `variables` of NetCDF, `dates` ISO in the file's order, `remarks` where they could be
        others or why there are none, `masks` that
        `Series.mask` can name with their values, vector `layers` with fields, `crs`, `size` (width, height).

    Raises:
        GeoSegError: `file_missing`, `cannot_open`.
    """
    path = job.path
    if is_plain_file(path):
        path = str(folder / path)
        if not Path(path).exists():
            raise GeoSegError(
                "file_missing",
                f"The file does not exist: {path}",
                "Was it moved or deleted? Choose it again.",
            )
    found: dict[str, Any] = {
        "kind": "vector",
        **{
            part: []
            for part in ("bands", "variables", "dates", "remarks", "masks", "layers", "subdatasets", "size")
        },
        "crs": "",
    }
    reason = _raster(path, found)
    if not found["bands"] and not found["subdatasets"]:
        reason = _vector(path, found) and reason
        if reason:
            raise GeoSegError(
                "cannot_open",
                f"{Path(path).name} is neither a raster nor a vector file that the engine can open.",
                "Export the layer in QGIS (Export > Save As) and use that.",
                reason,
            )
    return found


def _opened(path: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _raster(path: str, found: dict[str, Any]) -> str:
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
        _ground(dataset, found)
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
            _ground(usable[0], found)
        _variables([dataset for dataset in usable if dataset.driver == "netCDF"], found)
    finally:
        for dataset in opened:
            dataset.close()


def _ground(dataset: Any, found: dict[str, Any]) -> None:
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


def _vector(path: str, found: dict[str, Any]) -> str:
    """Fill in what a vector file offers; a reason if it is none."""
    name = Path(path).name
    try:
        layers = all_layers(path, name)
        found["layers"] = [_layer(layer) for layer in layers]
        crs = next((layer_crs(layer, name) for layer in layers), "")
    except GeoSegError as error:
        return error.details or error.message
    if crs:
        try:
            found["crs"] = crs_text(parse_crs(crs))
        except GeoSegError:
            found["crs"] = crs
    found["kind"] = "vector"
    return "" if found["layers"] else "it has no layers"


def _layer(layer: VectorLayer) -> dict[str, Any]:
    fields = []
    for title, column in read_values(layer, FEATURES_LIMIT, layer.title).items():
        values = Valued(layer.title, column.values, title, numeric=column.numeric).different
        fields.append(
            {"name": title, "type": column.kind, "values": values if len(values) <= VALUES_LIMIT else []}
        )
    return {"name": layer.title, "geometry": layer.kind or "", "fields": fields}
