"""Limits of an architecture, checked before a network of it is built.

An architecture comes from a model file, a checkpoint or a job: a width of 100,000 would need 36 GB, and a thousand
levels as many layers, before anything could report that the file is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..contract import GeoSegError
from ..contract.decoding import shown
from ..contract.limits import MAX_BANDS, MAX_LEVELS, MAX_MEMBERS, MAX_WIDTH

NUMBERS: dict[str, tuple[float, float]] = {
    "bands": (1, MAX_BANDS),
    "classes": (1, MAX_BANDS),
    "width": (1, MAX_WIDTH),
    "levels": (1, MAX_LEVELS),
    "dropout": (0, 1),
    "features": (1, MAX_BANDS * 64),
    "trees": (1, 1e6),
}
"""Minimum and maximum of a setting; all but `dropout` are whole numbers."""
LISTS: dict[str, tuple[int, float, float]] = {"texture_px": (16, 1, 255), "rates": (8, 1, 64)}
"""Maximum length of a list of whole numbers, and minimum and maximum of its entries."""
LONGEST_NAME = 80


def check_architecture(architecture: Any) -> None:
    """Check that a network can be built of an architecture, and of those of its members.

    Raises:
        GeoSegError: `architecture` with the value that does not fit.
    """
    for number, each in enumerate(_networks(architecture)):
        if number > 2 * MAX_MEMBERS:
            raise _architecture_error(f"it has more than {MAX_MEMBERS} members")
        if not isinstance(each, dict) or not _is_name(each.get("name")):
            raise _architecture_error(f"{shown(each)} is no object with a name")
        for key, value in each.items():
            _check_setting(key, value)


def _networks(architecture: Any) -> Iterator[Any]:
    """An architecture, and those inside it."""
    waiting = [architecture]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, dict):
            members = each.get("members", [])
            waiting += members if isinstance(members, list | tuple) else [members]
            waiting += [each["network"]] if "network" in each else []


def _check_setting(key: str, value: Any) -> None:
    if key in NUMBERS:
        low, high = NUMBERS[key]
        if not _is_number(value, whole=key != "dropout") or not low <= value <= high:
            raise _architecture_error(f"its {key} is {shown(value)}, not a number from {low:g} to {high:g}")
    elif key in LISTS:
        entries, low, high = LISTS[key]
        if (
            not isinstance(value, list | tuple)
            or len(value) > entries
            or not all(_is_number(item, whole=True) and low <= item <= high for item in value)
        ):
            raise _architecture_error(f"its {key} is {shown(value)}, not numbers from {low:g} to {high:g}")
    elif key not in ("members", "network") and not _is_name(value):
        raise _architecture_error(f"its {shown(key)} is {shown(value)}, not a name")


def _is_number(value: Any, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME


def _architecture_error(why: str) -> GeoSegError:
    return GeoSegError(
        "architecture",
        f"No network can be built from this architecture: {why}.",
        "Choose another model, or smaller settings; the file may be damaged.",
    )
