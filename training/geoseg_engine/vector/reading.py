"""A layer as it is in its file: geometries, numbers of features, values of fields.

What cannot be read of one feature is missing there; it does not cost the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import GeometryError

from ..contract import GeoSegError, Problem, parse_json
from .files import BYTES, TABLES, VectorLayer, gdal_name, reading_errors, untyped
from .wkb import salvaged

KINDS = {
    "OFTInteger": "integer",
    "OFTInteger64": "integer",
    "OFTReal": "real",
    "OFTDate": "date",
    "OFTDateTime": "date",
    "OFTBinary": "binary",
}
"""Types of GDAL; lists are `…List`, all others texts."""

EXACT_TO = 1 << 53
"""float64 holds every whole number up to this one."""

FIRST_NAMED = 6
"""Number of features that a message lists."""


@dataclass(frozen=True)
class Column:
    """Values of a field, one per feature, NULL as None.

    Attributes:
        values: numbers as numbers, dates as the file has them, lists as lists; none of binary data.
        kind: `integer`, `real`, `boolean`, `date`, `text`, `list` or `binary`.
    """

    values: list[Any]
    kind: str = "text"

    @property
    def numeric(self) -> bool:
        """Whether the field is numeric: two texts of the same number are one value."""
        return self.kind in ("integer", "real")


@dataclass(frozen=True)
class Table:
    """Features of a layer.

    Attributes:
        crs: WKT or authority code; empty if the file has none.
        numbers: of the features in their layer, as QGIS shows them.
        shapes: in two dimensions, without curves; None without geometry, or where it cannot be read.
        mended: which of them are not as they are in the file, because GEOS could not read that.
        columns: of the requested fields.
        problems: warnings.
    """

    crs: str
    numbers: NDArray[np.int64]
    shapes: NDArray[np.object_]
    mended: NDArray[np.bool_]
    columns: dict[str, Column]
    problems: list[Problem] = field(default_factory=list)


def read_table(layer: VectorLayer, fields: Sequence[str], name: str) -> Table:
    """Read a layer.

    Args:
        layer: to read.
        fields: of the layer, whose values are read.
        name: of the layer, for messages.

    Raises:
        GeoSegError: `cannot_open`, `no_layer`, `not_polygons` for a table without geometries or coordinates,
            `not_values` for a field of binary data.
    """
    wanted = list(dict.fromkeys(fields))
    with reading_errors(layer.dataset, name, layer.name):
        facts, numbers, blobs, data = _raw(layer, wanted)
        problems: list[Problem] = []
        columns = _columns(layer, facts, data, wanted, problems, name)
    if blobs is None:
        hint = (
            "Name its coordinates lon and lat (degrees of WGS 84), or x and y (their CRS in a .prj file beside it); or "
            "load it in QGIS as points."
            if layer.dataset.lower().endswith(TABLES)
            else "Choose a layer of polygons, lines or points."
        )
        raise GeoSegError("not_polygons", f"Layer '{name}' has no geometry.", hint)
    binary = [title for title in wanted if columns[title].kind == "binary"]
    if binary:
        raise GeoSegError(
            "not_values",
            f"Field '{binary[0]}' of layer '{name}' holds binary data, not values.",
            "Choose a field of texts or numbers.",
        )
    shapes, mended = _shapes(blobs)
    return Table(facts["crs"] or layer.stated_crs, numbers, shapes, mended, columns, problems)


def read_values(layer: VectorLayer, maximum: int, name: str) -> dict[str, Column]:
    """Read the values of every field of the first features of a layer.

    Args:
        layer: to read.
        most: number of features.
        name: of the layer, for messages.

    Raises:
        GeoSegError: `cannot_open`.
    """
    with reading_errors(layer.dataset, name, layer.name):
        facts, _, _, data = _raw(layer, None, read_geometry=False, max_features=maximum)
        return _columns(layer, facts, data, list(facts["fields"]), [], name)


def _raw(
    layer: VectorLayer, fields: list[str] | None, **options: Any
) -> tuple[dict[str, Any], Any, Any, Any]:
    """What pyogrio reads: facts, numbers, geometries as WKB, a column per field; texts as bytes if UTF-8 is broken."""
    request: dict[str, Any] = {"layer": layer.name, "return_fids": True, "datetime_as_string": True}
    request |= {"columns": fields, **options, **layer.options}
    condition = " AND ".join(f"({text})" for text in (layer.subset, options.get("where", "")) if text)
    if layer.subset.strip().upper().startswith("SELECT "):
        request |= {"sql": layer.subset, "layer": None}
    elif condition:
        request |= {"where": condition, "columns": None}
    dataset = layer.dataset
    while True:
        try:
            facts, numbers, blobs, data = pyogrio.raw.read(gdal_name(dataset), **request)
            return {**facts, "bytes": "encoding" in request}, numbers, blobs, data
        except GeometryError:
            if dataset != layer.dataset:
                raise
            dataset, request["layer"] = untyped(layer), None
        except UnicodeDecodeError:
            if "encoding" in request:
                raise
            request["encoding"] = BYTES


def _shapes(blobs: NDArray[np.object_]) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Geometries in two dimensions, and which had to be assembled from readable parts."""
    with np.errstate(invalid="ignore"):
        try:
            shapes = shapely.from_wkb(blobs, on_invalid="ignore")
        except NotImplementedError:  # a curve
            shapes = np.array([_parsed(blob) for blob in blobs], object)
        shapes = shapely.force_2d(shapes)
    broken = np.array([bool(blob) for blob in blobs], bool) & shapely.is_missing(shapes)
    collections = np.flatnonzero(shapely.get_type_id(shapes) == 7)
    broken[[place for place in collections if _has_curves(shapes[place])]] = True
    broken |= ~_finite(shapes)
    for place in np.flatnonzero(broken):
        shapes[place] = salvaged(blobs[place])
    return shapes, broken & ~shapely.is_missing(shapes)


def _parsed(blob: bytes | None) -> shapely.Geometry | None:
    try:
        return shapely.from_wkb(blob, on_invalid="ignore")
    except NotImplementedError:
        return None


def _has_curves(collection: shapely.Geometry) -> bool:
    parts = shapely.get_parts(collection)
    while (shapely.get_type_id(parts) == 7).any():
        parts = shapely.get_parts(parts)
    return bool((shapely.get_type_id(parts) > 7).any())


def _finite(shapes: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Which geometries have no corner that is infinite or no number."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    finite = np.ones(len(shapes), bool)
    finite[owner[~np.isfinite(points).all(axis=1)]] = False
    return finite


def _columns(
    layer: VectorLayer,
    facts: dict[str, Any],
    data: Sequence[NDArray[Any]],
    wanted: Sequence[str],
    problems: list[Problem],
    name: str,
) -> dict[str, Column]:
    """Columns by the name of their field; warnings about them are added to `problems`."""
    kinds = zip(facts["fields"], facts["ogr_types"], facts["ogr_subtypes"], data, strict=True)
    return {kind[0]: _column(layer, facts, kind, problems, name) for kind in kinds if kind[0] in wanted}


def _column(
    layer: VectorLayer,
    facts: dict[str, Any],
    field: tuple[str, str, str, NDArray[Any]],
    problems: list[Problem],
    name: str,
) -> Column:
    title, gdal, subtype, data = field
    kind = KINDS.get(gdal, "list" if gdal.endswith("List") else "text")
    if kind == "binary":
        return Column([], kind)
    if subtype == "OFSTBoolean" and kind == "integer":
        return Column([None if np.isnan(item) else bool(item) for item in data.astype(float)], "boolean")
    if kind in ("integer", "real"):
        values = _numbers(layer, title, kind, data)
        problems += _wide(values, title, name)
        return Column(values, kind)
    values = [item.tolist() if isinstance(item, np.ndarray) else item for item in data]
    if facts["bytes"] or _states_no_encoding(layer, facts):
        values = _decoded(values, facts["bytes"], title, name, problems)
    return Column([_from_json(item) for item in values] if subtype == "OFSTJSON" else values, kind)


def _numbers(layer: VectorLayer, title: str, kind: str, data: NDArray[Any]) -> list[Any]:
    """Numbers of a field; pyogrio makes whole numbers decimals where one is NULL, so wide ones are read once more."""
    if data.dtype.kind != "f":
        return data.tolist()
    known = ~np.isnan(data)
    values: list[Any] = [
        item if is_known else None for item, is_known in zip(data.tolist(), known, strict=True)
    ]
    if kind == "real":
        return values
    if known.any() and np.abs(data[known]).max() >= EXACT_TO:
        quoted = title.replace('"', '""')
        facts, _, _, columns = _raw(layer, [title], where=f'"{quoted}" IS NOT NULL', read_geometry=False)
        exact = columns[list(facts["fields"]).index(title)].tolist()
    else:
        exact = data[known].astype(np.int64).tolist()
    for place, item in zip(np.flatnonzero(known).tolist(), exact, strict=True):
        values[place] = item
    return values


def _wide(values: list[Any], title: str, name: str) -> list[Problem]:
    """Decimals so large that neighbouring whole numbers are one, as ids of more than 64 bits are kept."""
    large = [item for item in values if isinstance(item, float) and EXACT_TO <= abs(item) < float("inf")]
    if not large:
        return []
    return [
        Problem(
            "wide_numbers",
            f"Field '{title}' of '{name}' holds numbers beyond {EXACT_TO:,} as decimals ({large[0]:.17g}): ids that "
            "differ may be the same there.",
            "Store ids as text, or number the classes anew.",
            "warning",
        )
    ]


def _states_no_encoding(layer: VectorLayer, facts: dict[str, Any]) -> bool:
    """Whether a shapefile does not state its encoding; GDAL assumes western European then."""
    path = Path(layer.dataset)
    known = (path.with_suffix(suffix).exists() for suffix in (".cpg", ".CPG"))
    return facts["encoding"] == BYTES and path.suffix.lower() == ".shp" and path.exists() and not any(known)


def _decoded(values: list[Any], broken: bool, title: str, name: str, problems: list[Problem]) -> list[Any]:
    """Texts read as bytes: UTF-8 where they are, else Windows-1252.

    Args:
        values: texts whose characters are bytes, and anything else.
        broken: the file states UTF-8, so texts that are not are reported; else texts become UTF-8 only if all
            of them are.
    """
    found = [_utf8(item) if isinstance(item, str) else item for item in values]
    wrong = [place for place, item in enumerate(found) if item is None and values[place] is not None]
    if not broken:
        return values if wrong else found
    for place in wrong:
        found[place] = _windows(values[place])
    if wrong:
        listed = ", ".join(repr(text) for text in dict.fromkeys(found[place] for place in wrong[:3]))
        problems.append(
            Problem(
                "bad_encoding",
                f"Texts of field '{title}' of '{name}' that are not in the encoding that the file states are read as "
                f"Windows-1252: {len(wrong)} ({listed}).",
                "Are they right? Else save the layer in the encoding that its texts have.",
                "warning",
            )
        )
    return found


def _utf8(item: str) -> str | None:
    """Bytes as UTF-8; None if they are none."""
    try:
        return item.encode(BYTES).decode()
    except UnicodeError:
        return None


def _windows(item: str) -> str:
    try:
        return item.encode(BYTES).decode("cp1252")
    except UnicodeError:
        return item


def _from_json(item: Any) -> Any:
    """Lists and objects that the file holds as JSON; numbers and texts stay as they are written."""
    if not isinstance(item, str) or item[:1] not in ("[", "{"):
        return item
    try:
        return parse_json(item, "A value")
    except GeoSegError:
        return item


def features_named(numbers: NDArray[np.int64]) -> str:
    """`number 7`, or `numbers 2, 5, 7 and 12 more`."""
    first = ", ".join(map(str, numbers[:FIRST_NAMED].tolist()))
    more = f" and {len(numbers) - FIRST_NAMED} more" if len(numbers) > FIRST_NAMED else ""
    return f"number{'s' * (len(numbers) > 1)} {first}{more}"
