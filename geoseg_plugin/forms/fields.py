"""Declared fields as entry points hold their values: which fields they show, and what pages store of them. No Qt."""

from __future__ import annotations

import re
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from ..contract import choices_of, default_of, params_of, types_of

Kind = Literal["several", "tick", "choice", "whole", "decimal", "numbers", "text"]
"""How a field is shown: a list to tick, a tick box, a list to choose from, a number box, or a line of text."""
MAX_WHOLE = 2**31 - 1
"""Largest number that Qt's box for whole numbers holds; with a larger maximum its value turns negative."""


def grouped(cls: type, *but: str) -> list[str]:
    """Return the fields that entry points place by group, in the order of the declaration.

    Args:
        cls: dataclass that declares them.
        but: fields to leave out.
    """
    return [name for name, param in params_of(cls).items() if param.group and name not in but]


def plain_type(hint: Any) -> tuple[Any, bool]:
    """Return the type of a value that may be left out, and whether it may.

    Args:
        hint: as `types_of` gives it.
    """
    members = typing.get_args(hint) if typing.get_origin(hint) not in (tuple, typing.Literal) else ()
    if type(None) in members:
        return next(item for item in members if item is not type(None)), True
    return hint, False


def kind_of(cls: type, name: str) -> Kind:
    """Return how a field is shown; a choice between two numbers is a tick box, ticked for the second.

    Args:
        cls: dataclass that declares it.
        name: of the field.

    Raises:
        TypeError: for a field of a type that no row holds, such as bands.
    """
    plain, _optional = plain_type(types_of(cls)[name])
    choices = choices_of(cls, name)
    if choices and params_of(cls)[name].several:
        return "several"
    if plain is bool or is_pair(choices):
        return "tick"
    if choices or params_of(cls)[name].labels:
        return "choice"
    kinds: dict[Any, Kind] = {int: "whole", float: "decimal", str: "text", tuple[int, ...]: "numbers"}
    if plain not in kinds:
        raise TypeError(f"No row holds {cls.__name__}.{name}.")
    return kinds[plain]


def is_pair(choices: tuple[Any, ...]) -> bool:
    """Return whether choices are two numbers."""
    return len(choices) == 2 and all(isinstance(item, int) for item in choices)


def values_of(cls: type, name: str) -> tuple[Any, ...]:
    """Return the values of a list to choose from: those that the field may take, else those with a name.

    Args:
        cls: dataclass that declares it.
        name: of the field.
    """
    return choices_of(cls, name) or tuple(params_of(cls)[name].labels)


def row_key(cls: type, name: str) -> str:
    """Return the key under which pages store a field."""
    return params_of(cls)[name].row or name


def step_of(cls: type, name: str) -> float:
    """Return the step of a number box: as declared, else 1."""
    return params_of(cls)[name].step or 1


def lowest(cls: type, name: str) -> float:
    """Return the smallest value of a number box: that of the range, or what stands for the automatic value."""
    param, default = params_of(cls)[name], default_of(cls, name)
    low = 0 if param.low is None else param.low
    if not param.auto:
        return low
    return low - step_of(cls, name) if default is None else min(low, default)


def to_stored(cls: type, name: str, value: Any, percent: bool = False) -> Any:
    """Return a value of a field as pages store it.

    Args:
        cls: dataclass that declares it.
        name: of the field.
        value: of the field.
        percent: whether the page shows the share as percent.
    """
    kind = kind_of(cls, name)
    if kind == "several":
        return value.split("+") if isinstance(value, str) else list(value)
    if kind == "tick":
        return bool(value) if isinstance(value, bool) else value == choices_of(cls, name)[1]
    if kind == "numbers":
        return ", ".join(map(str, value))
    if value is None:
        return lowest(cls, name)
    return round(100 * value) if percent else value


def from_stored(cls: type, name: str, stored: Any, percent: bool = False) -> Any:
    """Return what a page has stored of a field as its value: the inverse of `to_stored`.

    Args:
        cls: dataclass that declares it.
        name: of the field.
        stored: by a page.
        percent: whether the page shows the share as percent.
    """
    kind = kind_of(cls, name)
    plain, optional = plain_type(types_of(cls)[name])
    if kind == "several":
        return "+".join(stored) if plain is str else tuple(stored)
    if kind == "tick":
        return bool(stored) if plain is bool else choices_of(cls, name)[bool(stored)]
    if kind == "numbers":
        return tuple(int(part) for part in re.split(r"[;,\s]+", stored) if part.isdigit())
    if kind == "text":
        return str(stored).strip()
    if kind == "choice":
        return stored
    if optional and stored < (params_of(cls)[name].low or 0):
        return None
    if percent:
        return stored / 100
    return int(stored) if kind == "whole" else round(float(stored), params_of(cls)[name].decimals)


def stored_fields(
    cls: type, names: Iterable[str], stored: Mapping[str, Any], percent: Collection[str] = ()
) -> dict[str, Any]:
    """Return the values of a page as fields of a job.

    Args:
        cls: dataclass that declares the fields.
        names: of the fields.
        stored: values of the page, by the keys of its rows.
        percent: shares that the page shows as percent.
    """
    return {name: from_stored(cls, name, stored[row_key(cls, name)], name in percent) for name in names}
