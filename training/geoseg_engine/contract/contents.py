"""What is in a file, as short texts: equal texts mean equal contents, whenever the file was written."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from .addresses import split_address

CHUNK_BYTES = 1 << 20
MAX_FEATURES = 100_000
"""Features of a layer that are told apart; of a larger one only the whole is known."""
SHAPEFILE = (".shp", ".dbf", ".shx", ".prj", ".cpg")
GEOPACKAGE = ".gpkg"
DIGITS = 16
MAGIC, HEADER_BYTES, ENVELOPE_BYTES = b"GP", 8, (0, 32, 48, 48, 64)
"""Of a geometry in a GeoPackage: how it begins, the length of its header, and that of the bounds behind it by kind."""


def digest(part: Any) -> str:
    """Return a short text, equal for equal data; what JSON does not know goes in as text.

    Args:
        part: plain values.
    """
    text = json.dumps(part, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]


def stamp(path: Path) -> list[int]:
    """Return size in bytes and time of change in nanoseconds of a file; empty where there is none.

    Args:
        path: of the file.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return []
    return [found.st_size, found.st_mtime_ns]


def file_digest(path: Path) -> str:
    """Return a short text for the bytes of a file; empty where it cannot be read.

    Args:
        path: of the file.
    """
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                found.update(chunk)
    except (OSError, ValueError):
        return ""
    return found.hexdigest()[:DIGITS]


def raster_state(address: str) -> Any:
    """Return what tells one state of a raster from another: size and time of its file, or its name if it is none.

    Args:
        address: path or GDAL dataset name.
    """
    file, _ = split_address(address)
    return stamp(Path(file)) or address


def layer_state(address: str, layer: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the content of a vector layer: of a GeoPackage feature by feature, of other files as a whole.

    A GeoPackage that QGIS has written anew with the same features has the same state.

    Args:
        address: path of the file.
        layer: name inside it; empty is the only one.
        fields: that count; geometries always do.

    Returns:
        `whole`, a short text, and where they are known `features`, a sorted list with a short text each.
    """
    file, settings = split_address(address)
    path, layer = Path(file), layer or settings.get("layername", "")
    if path.suffix.lower() == GEOPACKAGE:
        features = _features(path, layer, fields)
        if features is not None:
            known = {"features": features} if len(features) <= MAX_FEATURES else {}
            return {"whole": digest(features), **known}
    beside = SHAPEFILE if path.suffix.lower() == ".shp" else (path.suffix,)
    return {"whole": digest([file_digest(path.with_suffix(suffix)) for suffix in beside])}


def feature_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many features were added and how many are gone; one that was edited is in both. None if unknown.

    Args:
        before, now: as of `layer_state`.
    """
    lists = before.get("features"), now.get("features")
    if not all(isinstance(item, list) for item in lists):
        return None
    old, new = ({str(name) for name in item or ()} for item in lists)
    return len(new - old), len(old - new)


def _features(path: Path, layer: str, fields: tuple[str, ...]) -> list[str] | None:
    """A short text per feature of a layer of a GeoPackage, sorted; None where it cannot be read so."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            tables = database.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall()
            found = [item for item in tables if item[0] == layer or (not layer and len(tables) == 1)]
            if not found:
                return None
            table, geometry = found[0]
            columns = {str(row[1]) for row in database.execute(f"PRAGMA table_info({_quoted(table)})")}
            names = ", ".join(
                _quoted(name) for name in (geometry, *(name for name in fields if name in columns))
            )
            rows = database.execute(f"SELECT {names} FROM {_quoted(table)}")  # nosec B608  # names of its own schema
            return sorted(_row_digest(row) for row in rows)
    except (OSError, ValueError, sqlite3.Error):
        return None


def _quoted(name: str) -> str:
    escaped = str(name).replace('"', '""')
    return f'"{escaped}"'


def _shape(blob: bytes) -> bytes:
    """The geometry as WKB, without the header, in which one program writes bounds and another does not."""
    kind = (blob[3] >> 1) & 7 if len(blob) > HEADER_BYTES and blob.startswith(MAGIC) else 0
    if not blob.startswith(MAGIC) or kind >= len(ENVELOPE_BYTES):
        return blob
    return blob[HEADER_BYTES + ENVELOPE_BYTES[kind] :]


def _row_digest(row: tuple[Any, ...]) -> str:
    found = hashlib.sha256()
    geometry, *values = row
    found.update(_shape(geometry) if isinstance(geometry, bytes) else b"")
    for value in values:
        found.update(repr(value).encode("utf-8", "surrogatepass"))
        found.update(b"\0")
    return found.hexdigest()[:DIGITS]
