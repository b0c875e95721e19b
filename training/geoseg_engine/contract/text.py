"""Names that every format can hold: XML, JSON, SVG and GDAL's metadata take no control characters."""

from __future__ import annotations

import json
import re
from typing import Any

_BREAKS = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]+")
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_HALVES = re.compile("[\ud800-\udfff]")
_FOLDERS = re.compile(
    r"""(?<![^\s"'`(=\[,;|:])(?:file://)?(?:/|\\\\|[A-Za-z]:[\\/]|~[\\/])(?![\s/])"""
    r"""(?:(?:(?!\.\w{1,6}[\s,;:])[^\\/\n"<>|*?])*[^\\/\s"<>|*?][\\/]+)+"""
)
"""The folders of an absolute path; names with spaces are taken in as long as no ending such as `.tif` comes before."""
_CONNECTION = re.compile(r"(?:PG|PostgreSQL|MYSQL|MSSQL|OCI|ODBC|SDE):", re.IGNORECASE)
_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def plain_text(text: str) -> str:
    """The text on one line, without control characters; a half of a character that is none becomes U+FFFD."""
    if text.isprintable():
        return text
    return _HALVES.sub("\ufffd", _UNFIT.sub("", _BREAKS.sub(" ", text)))


def json_text(value: Any, indent: int | None = None) -> str:
    """Return JSON as people read it; escaped where a text would break lines or cannot be written as UTF-8.

    Args:
        value: plain values.
        indent: spaces per level; None is one line.

    Raises:
        ValueError: for NaN and infinities.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return json.dumps(value, indent=indent, allow_nan=False) if _ESCAPED.search(text) else text


def without_folders(text: str) -> str:
    """The text with names in place of paths: folders tell whose machine it was, and how its disk is ordered."""
    return _FOLDERS.sub("", text)


def file_name(path: str) -> str:
    """The name of a file or GDAL dataset without its folders; of a database nothing but its kind."""
    if _CONNECTION.match(path):
        return path.partition(":")[0]
    if '"' in path or "|" in path:
        return without_folders(path)
    return re.split(r"[\\/]", path.rstrip("/\\"))[-1].partition("?")[0]


def names_only(value: Any) -> Any:
    """Plain data whose texts are without folders."""
    if isinstance(value, dict):
        return {key: names_only(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [names_only(item) for item in value]
    return without_folders(value) if isinstance(value, str) else value


def make_plain(item: object, *fields: str) -> None:
    """Replace text fields of a frozen dataclass by their plain text; for `__post_init__`."""
    for field in fields:
        text = getattr(item, field)
        if isinstance(text, str):
            object.__setattr__(item, field, plain_text(text))
