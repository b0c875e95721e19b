"""Find the file, and the layer in it, that a name means: files with several layers, archives, folders, QGIS sources.

Where several layers are possible and none is named, that is an error, not a guess: a layer that is not read would be
trained as background.
"""

from __future__ import annotations

import html
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

from ..contract import GeoSegError, split_address
from ..raster.sources import is_plain_file

ARCHIVES = {
    ".zip": "/vsizip/",
    ".tar": "/vsitar/",
    ".tgz": "/vsitar/",
    ".tar.gz": "/vsitar/",
    ".gz": "/vsigzip/",
}
FEATURE_FILES = (
    ".shp", ".gpkg", ".geojson", ".geojsonl", ".json", ".topojson", ".fgb", ".kml", ".kmz", ".gml", ".tab", ".mif",
    ".sqlite", ".gdb", ".dxf", ".dgn", ".csv",
)  # fmt: skip
"""Files that are searched in archives and folders."""

TABLES = (".csv", ".tsv")
LONGITUDES = ("longitude", "lon", "long", "lng")
LATITUDES = ("latitude", "lat", "lat", "lat")
"""Names of fields with degrees of WGS 84, as GPS receivers give them; each longitude has its latitude."""

XY_NAMES = (("x", "y"), ("easting", "northing"), ("x_coord", "y_coord"), ("xcoord", "ycoord"))
MAX_REASON_LENGTH = 100
PERHAPS_FEATURES = (".json", ".csv")
"""Files that may also be something else."""

ADDRESS = re.compile(r"\w+(\+\w+)*://")
BYTES = "ISO-8859-1"
"""Decodes any bytes to text from which they can be restored."""

KEPT_SPACES = {ord(character): f"&#{ord(character)};" for character in "\t\n\r"}
"""Escapes of characters that XML readers would turn into spaces."""

UNSUPPORTED = "Surface"
"""Name of layers whose declared type pyogrio does not support: TIN, triangles, polyhedral surfaces."""

POLYGON_CODES = (3, 6, 7, 10, 12, 15, 16, 17)
"""WKB types that are or may hold polygons."""

READ_ERRORS = (
    DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError, ValueError, sqlite3.Error,
)  # fmt: skip
"""Of pyogrio, a ValueError for a condition that is no SQL and for text that is not in the encoding of the file."""


class GdalName(str):
    """The name of a dataset, passed to GDAL unchanged.

    In a plain string pyogrio treats `!` as the border of an archive and drops everything after `;`; names that
    start with /vsi are not changed.
    """

    def __str__(self) -> str:
        return self

    def startswith(self, prefix: str | tuple[str, ...], *between: int) -> bool:  # type: ignore[override]
        return prefix == "/vsi" or super().startswith(prefix, *between)


def gdal_name(dataset: str) -> str:
    """Return a dataset for pyogrio: a network address in GDAL's syntax, everything else unchanged."""
    return dataset if ADDRESS.match(dataset) else GdalName(dataset)


@dataclass(frozen=True)
class VectorLayer:
    """A layer in a dataset.

    Attributes:
        dataset: its file.
        name: of the layer in the dataset.
        kind: geometry type as the file declares it; empty if it was not read, None for a table.
        title: its name where several are listed.
        subset: SQL condition on its features; empty is all.
        columns: of a table of points, the fields of x and y; None where features have geometries of their own.
    """

    dataset: str
    name: str
    kind: str | None = ""
    title: str = ""
    subset: str = ""
    columns: tuple[str, str] | None = None

    @property
    def options(self) -> dict[str, str]:
        """Options with which GDAL opens the dataset."""
        if self.columns is None:
            return {}
        x, y = self.columns
        return {"X_POSSIBLE_NAMES": x, "Y_POSSIBLE_NAMES": y}

    @property
    def stated_crs(self) -> str:
        """CRS that the names of the columns state; empty for other layers."""
        return "EPSG:4326" if self.columns is not None and self.columns[0].lower() in LONGITUDES else ""


def find_layer(path: str, layer: str, name: str, polygons: bool = False, others: bool = False) -> VectorLayer:
    """Return the layer that a path and a name mean.

    Args:
        path: file, folder or archive, GDAL dataset, or a source as QGIS writes it (`a.gpkg|layername=b`).
        layer: its name in the file; empty for the only one.
        name: of the layer, for messages.
        polygons: only layers that may hold polygons count.
        others: where none holds polygons, layers of points and lines count.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `no_layer`, `several_layers`.
    """
    address, options = split_address(path)
    layer = layer or options.get("layername", "")
    with reading_errors(address, name):
        if layer and not _holder(address):
            named = VectorLayer(address, layer, subset=options.get("subset", ""))
            return replace(named, columns=_columns_of(named)) if _is_table(address) else named
        found = list(_layers(address))
        if layer:
            chosen = [item for item in found if layer in (item.name, item.title)]
        elif options.get("layerid", "").isdigit():
            chosen = found[int(options["layerid"]) :][:1]
        else:
            chosen = _candidates(found, polygons, others)
    if len(chosen) > 1:
        raise _several(address, name, chosen, polygons)
    if not chosen:
        raise _no_layer(address, layer, found)
    return replace(chosen[0], subset=options.get("subset", ""))


def layer_names(path: str, name: str) -> tuple[str, ...]:
    """Return the names of the layers in a file.

    Args:
        path: as in `find_layer`.
        name: of the layer, for messages.

    Raises:
        GeoSegError: as `find_layer`.
    """
    return tuple(item.title for item in all_layers(path, name))


def all_layers(path: str, name: str) -> list[VectorLayer]:
    """Return every layer in a file, tables too.

    Args:
        path: as in `find_layer`.
        name: of the file, for messages.

    Raises:
        GeoSegError: as `find_layer`.
    """
    address, _ = split_address(path)
    with reading_errors(address, name):
        return list(_layers(address))


@contextmanager
def reading_errors(path: str, name: str, layer: str = "") -> Iterator[None]:
    """Turn errors of reading a layer into GeoSegErrors.

    Args:
        path: of the file.
        name: of the layer, for messages.
        layer: name of the layer in the file.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`.
    """
    if is_plain_file(path) and not Path(path).exists():
        raise GeoSegError(
            "file_missing",
            f"The file of layer '{name}' does not exist: {path}",
            "Was it moved or deleted? Choose the layer again.",
        )
    try:
        yield
    except READ_ERRORS as error:
        if layer and isinstance(error, DataLayerError):
            found = list(_layers(path))
            if layer not in [item.name for item in found]:
                raise _no_layer(path, layer, found) from error
        raise _unreadable(path, name, error) from error


def _unreadable(path: str, name: str, error: Exception) -> GeoSegError:
    """The error that a layer cannot be read, with GDAL's reason."""
    text, file = str(error), Path(path)
    hint = "Export it as GeoPackage in QGIS and use that."
    if ".shx" in text.lower():
        message = f"The shapefile of layer '{name}' lacks its index {file.stem}.shx."
        hint = "Copy that file to the others, or restore it in QGIS (Processing > Repair Shapefile)."
    elif isinstance(error, FeatureError):
        message = (
            f"The file of layer '{name}' is damaged: its features cannot all be read ({text.rstrip('.')})."
        )
        hint = "Get the file again, or export in QGIS what can still be read."
    else:
        message = f"The engine cannot read layer '{name}'{_reason(text, path)}: {path}"
    return GeoSegError("cannot_open", message, hint, text)


def _reason(text: str, path: str) -> str:
    """GDAL's reason in brackets, if it is short."""
    reason = text.partition("; ")[0].strip().rstrip(".")
    reason = "the file is in no known format" if "not recognized" in reason else reason
    return f" ({reason})" if reason and path not in reason and len(reason) < MAX_REASON_LENGTH else ""


def _no_layer(path: str, layer: str, found: list[VectorLayer]) -> GeoSegError:
    names = ", ".join(item.title for item in found) or "none"
    if not layer:
        return GeoSegError(
            "no_layer", f"There is no layer in {Path(path).name}.", "Choose a file that holds features."
        )
    return GeoSegError(
        "no_layer",
        f"There is no layer '{layer}' in {Path(path).name}; it has: {names}.",
        "Write the name of one of its layers.",
    )


def _several(path: str, name: str, found: list[VectorLayer], polygons: bool) -> GeoSegError:
    of_polygons = polygons and all(_declares_polygons(item) for item in found)
    what = "layers of polygons" if of_polygons else "layers"
    titles = sorted(item.title for item in found)
    listed = ", ".join(f"'{title}'" for title in titles[:12])
    more = f" and {len(found) - 12} more" if len(found) > 12 else ""
    return GeoSegError(
        "several_layers",
        f"{Path(path).name} holds {len(found)} {what} and none is named for '{name}': {listed}{more}.",
        f"Name one of them (layer={titles[0]}); label layers beside the first are named in `more`.",
    )


def _candidates(found: list[VectorLayer], polygons: bool, others: bool) -> list[VectorLayer]:
    """The possible layers where none is named: with geometry, with features, with polygons if needed."""
    spatial = [item for item in found if item.kind is not None]
    if not spatial:
        return found[:1]
    if polygons:
        declared = [item for item in spatial if _declares_polygons(item)]
        unsure = [item for item in spatial if (item.kind or "").startswith(("Unknown", "GeometryCollection"))]
        if len(declared) + len(unsure) > 1:
            unsure = [item for item in unsure if _holds_polygons(item)]
        spatial = declared + unsure or (spatial if others else spatial[:1])
    if len(spatial) > 1:
        spatial = [item for item in spatial if _feature_count(item)] or spatial[:1]
    return spatial


def _declares_polygons(layer: VectorLayer) -> bool:
    return "Polygon" in (layer.kind or "") or "Surface" in (layer.kind or "")


def _holds_polygons(layer: VectorLayer) -> bool:
    """Whether a layer of any kind of geometry has a polygon."""
    _, _, blobs, _ = pyogrio.raw.read(gdal_name(layer.dataset), layer=layer.name, columns=[])
    return any(_wkb_type(blob) in POLYGON_CODES for blob in blobs if blob)


def _wkb_type(blob: bytes) -> int:
    return (int.from_bytes(blob[1:5], "little" if blob[0] else "big") & 0x0FFFFFFF) % 1000


def _feature_count(layer: VectorLayer) -> int:
    dataset = gdal_name(layer.dataset)
    try:
        facts = pyogrio.read_info(dataset, layer=layer.name, force_feature_count=True, **layer.options)
    except GeometryError:
        return 1
    return int(facts["features"])


def _holder(address: str) -> str:
    """GDAL's prefix for containers of files: an archive, `/` for a folder; empty for anything else."""
    path = Path(address)
    if not is_plain_file(address) or path.suffix.lower() == ".gdb":
        return ""
    if path.is_dir():
        return "/" if any(_readable(item.name) for item in path.iterdir()) else ""
    return next((prefix for suffix, prefix in ARCHIVES.items() if path.name.lower().endswith(suffix)), "")


def _files_in(address: str) -> list[str]:
    """Files of features in an archive, at any depth, or in a folder; just the file where it is neither."""
    prefix = _holder(address)
    if prefix in ("", "/vsigzip/"):
        return [f"{prefix}{address}"]
    if prefix == "/":
        return sorted(str(item) for item in Path(address).iterdir() if _readable(item.name))
    found = [item.rstrip("/") for item in pyogrio.vsi_listtree(f"{prefix}{Path(address).resolve()}")]
    return [item for item in found if _readable(item)]


def _layers(address: str) -> Iterator[VectorLayer]:
    """Layers of a file, or of every file in an archive or a folder."""
    files = _files_in(address)
    found: list[VectorLayer] = []
    for name in files:
        try:
            found += _layers_of(name)
        except DataSourceError:
            if len(files) == 1 or not name.lower().endswith(PERHAPS_FEATURES):
                raise
    if not files:
        raise DataSourceError("no file of features is in it")
    titles = Counter(item.title for item in found)
    for item in found:
        part = PurePosixPath(item.dataset)
        yield replace(item, title=f"{part.parent.name}/{part.name}") if titles[item.title] > 1 else item


def _readable(name: str) -> bool:
    """Whether a file in an archive may hold features; files inside a file geodatabase belong to that."""
    path = PurePosixPath(name.rstrip("/"))
    hidden = any(part == "__MACOSX" or part.lower().endswith(".gdb") for part in path.parts[:-1])
    return path.suffix.lower() in FEATURE_FILES and not hidden


def _layers_of(dataset: str) -> Iterator[VectorLayer]:
    try:
        listed = [(str(layer), kind) for layer, kind in pyogrio.list_layers(gdal_name(dataset))]
    except GeometryError:
        listed = [(layer, _kind_of(dataset, layer)) for layer in _names_in_geopackage(dataset)]
    for layer, kind in listed:
        found = VectorLayer(dataset, layer, kind, layer)
        columns = _columns_of(found) if kind is None and _is_table(dataset) else None
        yield found if columns is None else replace(found, kind="Point", columns=columns)


def _is_table(dataset: str) -> bool:
    return dataset.lower().endswith(TABLES)


def _columns_of(layer: VectorLayer) -> tuple[str, str] | None:
    """Fields of x and y of a table without geometries; None without such fields."""
    facts = pyogrio.read_info(gdal_name(layer.dataset), layer=layer.name)
    if facts["geometry_type"] is not None:
        return None
    known = {str(field).strip().lower(): str(field) for field in facts["fields"]}
    pairs = (*zip(LONGITUDES, LATITUDES, strict=True), *XY_NAMES)
    return next(((known[x], known[y]) for x, y in pairs if x in known and y in known), None)


def _kind_of(dataset: str, layer: str) -> str | None:
    try:
        kind: str | None = pyogrio.read_info(gdal_name(dataset), layer=layer)["geometry_type"]
    except GeometryError:
        return UNSUPPORTED
    return kind


def _names_in_geopackage(dataset: str) -> list[str]:
    """Layers of a GeoPackage; one of a type that pyogrio does not support keeps it from listing them."""
    uri = f"{Path(dataset).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        rows = database.execute("SELECT table_name FROM gpkg_contents WHERE data_type = 'features'")
        return [str(row[0]) for row in rows]


def untyped(layer: VectorLayer) -> str:
    """The dataset of a layer under a virtual one that declares no type of geometry, so that any can be read."""
    source, name = (html.escape(text).translate(KEPT_SPACES) for text in (layer.dataset, layer.name))
    inner = f"<SrcDataSource>{source}</SrcDataSource><SrcLayer>{name}</SrcLayer>"
    kind = "<GeometryType>wkbUnknown</GeometryType>"
    return f'<OGRVRTDataSource><OGRVRTLayer name="{name}">{inner}{kind}</OGRVRTLayer></OGRVRTDataSource>'


def field_names(layer: VectorLayer, name: str) -> tuple[str, ...]:
    """Return the names of a layer's fields, without reading its features.

    Args:
        layer: to read.
        name: for messages.

    Raises:
        GeoSegError: `cannot_open`.
    """
    return tuple(map(str, _facts(layer, name)["fields"]))


def layer_crs(layer: VectorLayer, name: str) -> str:
    """Return WKT or authority code of a layer's CRS; empty if it has none.

    Args:
        layer: to read.
        name: for messages.

    Raises:
        GeoSegError: `cannot_open`.
    """
    return str(_facts(layer, name)["crs"] or "")


def _facts(layer: VectorLayer, name: str) -> dict[str, Any]:
    dataset = gdal_name(layer.dataset)
    with reading_errors(layer.dataset, name, layer.name):
        try:
            facts: dict[str, Any] = pyogrio.read_info(dataset, layer=layer.name, **layer.options)
        except GeometryError:
            facts = pyogrio.read_info(gdal_name(untyped(layer)))
        except UnicodeDecodeError:
            facts = pyogrio.read_info(dataset, layer=layer.name, encoding=BYTES, **layer.options)
        return {**facts, "crs": facts["crs"] or layer.stated_crs}
