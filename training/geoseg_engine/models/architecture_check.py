"""What an architecture may ask for, checked before a network of it is built.

An architecture comes out of a model file, a checkpoint or a job: a width of 100,000 would ask for 36 GB, and a thousand
levels for as many layers, before anything could say that the file is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..contract import GeoSegError
from ..contract.decoding import shown
from ..contract.limits import MOST_BANDS, MOST_LEVELS, MOST_MEMBERS, MOST_WIDTH

NUMBERS: dict[str, tuple[float, float]] = {
    "bands": (1, MOST_BANDS),
    "classes": (1, MOST_BANDS),
    "width": (1, MOST_WIDTH),
    "levels": (1, MOST_LEVELS),
    "dropout": (0, 1),
    "features": (1, MOST_BANDS * 64),
    "trees": (1, 1e6),
}
"""Least and greatest of a setting; all but `dropout` are whole numbers."""
LISTS: dict[str, tuple[int, float, float]] = {"texture_px": (16, 1, 255), "rates": (8, 1, 64)}
"""Most entries of a list of whole numbers, and the least and greatest of each."""
LONGEST_NAME = 80


def refuse_impossible(architecture: Any) -> None:
    """Raise if an architecture is none that a network can be built of, with those of its members.

    Raises:
        GeoSegError: `architecture` with the value that does not fit.
    """
    for number, each in enumerate(_networks(architecture)):
        if number > 2 * MOST_MEMBERS:
            raise _impossible(f"it has more than {MOST_MEMBERS} members")
        if not isinstance(each, dict) or not _is_name(each.get("name")):
            raise _impossible(f"{shown(each)} is no object with a name")
        for key, value in each.items():
            _refuse_setting(key, value)


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


def _refuse_setting(key: str, value: Any) -> None:
    if key in NUMBERS:
        least, most = NUMBERS[key]
        if not _is_number(value, whole=key != "dropout") or not least <= value <= most:
            raise _impossible(f"its {key} is {shown(value)}, not a number from {least:g} to {most:g}")
    elif key in LISTS:
        entries, least, most = LISTS[key]
        if (
            not isinstance(value, list | tuple)
            or len(value) > entries
            or not all(_is_number(item, whole=True) and least <= item <= most for item in value)
        ):
            raise _impossible(f"its {key} is {shown(value)}, not numbers from {least:g} to {most:g}")
    elif key not in ("members", "network") and not _is_name(value):
        raise _impossible(f"its {shown(key)} is {shown(value)}, not a name")


def _is_number(value: Any, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME


def _impossible(why: str) -> GeoSegError:
    return GeoSegError(
        "architecture",
        f"No network can be built from this architecture: {why}.",
        "Choose another model, or smaller settings. Is the file damaged?",
    )
