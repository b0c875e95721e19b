"""Results as others may have changed them: what a reader counts on has its type, or is left out as if it were absent.

Results are open: every job adds fields of its own, and readers take what they know.
"""

from __future__ import annotations

from collections.abc import Callable
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


def _are_intervals(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(_is_pair(pair) for pair in value.values()))


def _is_pair(value: Any) -> bool:
    """Two numbers, or nothing; a table of pairs for each class."""
    if isinstance(value, dict):
        return all(_is_pair(pair) for pair in value.values())
    if isinstance(value, list) and value and all(isinstance(pair, list) or pair is None for pair in value):
        return all(_is_pair(pair) for pair in value)
    return value is None or (isinstance(value, list) and len(value) == 2 and all(map(is_number, value)))


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


def known_fields(result: dict[str, Any]) -> dict[str, Any]:
    """The result, and rows in it, without the fields of FIELDS whose value is of another type than they have."""
    found = {}
    for key, value in result.items():
        if key in FIELDS and not FIELDS[key](value):
            continue
        found[key] = [known_fields(row) for row in value] if value and _are_rows(value) else value
    return found
