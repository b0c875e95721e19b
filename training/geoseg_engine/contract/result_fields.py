"""Results as others may have changed them: what a reader counts on has its type, or is left out as if it were absent.

Results are open: every job adds fields of its own, and readers take what they know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def is_number(value: Any) -> bool:
    """Whether a value is a number, or nothing where it is not known."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _are_intervals(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and all(is_number(item) if key in OF_INTERVALS else _is_pair(item) for key, item in value.items())
    )


def _is_pair(value: Any) -> bool:
    """Two numbers, or nothing; a table of pairs for each class."""
    if isinstance(value, dict):
        return all(_is_pair(pair) for pair in value.values())
    if isinstance(value, list) and value and all(isinstance(pair, list) or pair is None for pair in value):
        return all(_is_pair(pair) for pair in value)
    return value is None or (isinstance(value, list) and len(value) == 2 and all(map(is_number, value)))


OF_INTERVALS = ("blocks", "block_px")
"""Numbers that stand beside intervals and say what they come from."""

FIELDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("miou", "foreground_iou", "overall_accuracy", "kappa", "rank", "train_s", "predict_s"), is_number
    ),
    **dict.fromkeys(("epochs_run", "mpx_per_s", "changed_px", "resumed_parts", "seconds_left"), is_number),
    **dict.fromkeys(("device", "sentence", "color"), _is_text),
    **dict.fromkeys(("classes", "warnings", "problems", "rows"), _are_rows),
    "intervals": _are_intervals,
    **dict.fromkeys(("architecture", "plan"), _is_object),
}
"""Fields that mean the same in every result."""
FIELDS_OF_ROWS: dict[str, Callable[[Any], bool]] = {**FIELDS, "warnings": _are_texts}
"""Those of a row in a result, which has its warnings in words."""


def known_fields(
    result: dict[str, Any], fields: Mapping[str, Callable[[Any], bool]] = FIELDS
) -> dict[str, Any]:
    """The result, and rows in it, without the fields whose value is of another type than they have.

    Args:
        result: an object of a file or of an event.
        fields: name to what its value must be.
    """
    found = {}
    for key, value in result.items():
        if key in fields and not fields[key](value):
            continue
        rows = bool(value) and _are_rows(value)
        found[key] = [known_fields(row, FIELDS_OF_ROWS) for row in value] if rows else value
    return found
