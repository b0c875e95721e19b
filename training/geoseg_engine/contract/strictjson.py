"""The one reader of JSON that others may have written: damaged, of another program, or made to do harm.

RFC 8259 leaves open what a reader does with numbers that are none, with keys that come twice and with endless nesting;
here all are refused, so that what is read means the same to every reader and fits into memory.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .errors import GeoSegError

MAX_BYTES = 64 << 20
"""Of a text; the job of a mosaic of 100,000 files has 15 MB."""
MAX_LEVELS = 64
"""Of lists and objects in each other; what is written here has fewer than 20."""
MIN_INTEGER, MAX_INTEGER = -(1 << 63), (1 << 64) - 1
"""64 bits, with a sign or without."""


def parse_json(text: str | bytes, name: str) -> Any:
    """The value that a JSON text holds.

    Args:
        text: as text, or as UTF-8 with or without byte order mark.
        name: what the text is, for the error: the name of a file.

    Raises:
        GeoSegError: `bad_json` for a text that is too long, is no UTF-8 or no JSON, nests deeper than MOST_LEVELS, or
            holds NaN, an infinity, a whole number beyond 64 bits, a key twice in one object or the character NUL.
    """
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f"it has {len(text) / 1e6:,.0f} MB, more than {MAX_BYTES / 1e6:,.0f}")
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = json.loads(
            text,
            parse_constant=_check_constant,
            parse_int=_integer,
            parse_float=_finite,
            object_pairs_hook=_object,
        )
        _check_depth_and_nul(value, "\\u0000" in text)
    except RecursionError as error:
        raise _unfit(name, f"it nests deeper than {MAX_LEVELS} levels") from error
    except ValueError as error:
        raise _unfit(name, str(error)) from error
    return value


def load_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        OSError: where the file cannot be read.
        GeoSegError: `bad_json` as `parse_json`.
    """
    with path.open("rb") as file:
        return parse_json(file.read(MAX_BYTES + 1), path.name)


def kept_json(path: Path) -> Any:
    """The value in a JSON file; None where the file is missing or damaged."""
    try:
        return load_json(path)
    except (OSError, GeoSegError):
        return None


def _unfit(name: str, why: str) -> GeoSegError:
    return GeoSegError(
        "bad_json", f"{name} is not valid JSON: {why}.", "Write the file again, or choose another one."
    )


def _check_constant(word: str) -> None:
    raise ValueError(f"{word} is no number of JSON")


def _integer(digits: str) -> int:
    if len(digits) > 20 or not MIN_INTEGER <= int(digits) <= MAX_INTEGER:
        raise ValueError(f"the number {digits[:20]}… has more than 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise ValueError(f"the key '{twice[:40]}' comes twice")
    return found


def _check_depth_and_nul(value: Any, may_hold_nul: bool) -> None:
    """Look at a value level by level; an escaped NUL is the only way in for one.

    Raises:
        ValueError: for what is too deep or holds NUL, which ends a path or a name for most libraries.
    """
    level, depth = [value], 0
    while level:
        if depth > MAX_LEVELS:
            raise ValueError(f"it nests deeper than {MAX_LEVELS} levels")
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
                below += item if may_hold_nul else ()
            elif isinstance(item, list):
                below += item
            elif may_hold_nul and isinstance(item, str) and "\0" in item:
                raise ValueError(
                    f"the text '{item.partition(chr(0))[0][:40]}' goes on with the character NUL"
                )
        level, depth = below, depth + 1
