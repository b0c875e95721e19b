"""What a field of a job is called, means and allows: declared once, beside its type, and read by every entry point.

    weight_decay: Annotated[float, Param("Weight decay", "Raise it when the model overfits.", low=0, high=1)] = 0.01

The shell takes its flag and help from it, the Toolbox its parameter, the panel its row, `problems()` its range, and the
search its candidates.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import Problem


@dataclass(frozen=True)
class Candidates:
    """Values that a search may try for a setting; the value of the automatic plan is always one of them.

    Attributes:
        values: a list to choose from; or
        low, high: a range, on a logarithmic scale with `log`; or
        factor: a range around the plan's value, from value / factor to value * factor; or
        below, above: steps around the plan's whole number.
    """

    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    factor: float = 0.0
    below: int = 0
    above: int = 0


@dataclass(frozen=True)
class Param:
    """One setting of a job.

    Attributes:
        title: name on screen; a noun.
        about: what it does and when to change it, in one or two short sentences.
        unit: of a number, such as `px`, `m`, `min`, `epochs`; empty where it has none.
        low, high: smallest and largest value, both allowed; None sets no limit.
        step: between two values in a number box; 0 takes one that suits the range.
        decimals: digits of a number box that hold all usual values.
        auto: what the field's default stands for where it is no value of its own: `automatic`, `none`, `no limit`.
        labels: value -> name on screen; a value without one is shown as it is.
        options: values to choose from, in order, where the type does not list them; the Toolbox also knows them by
            number, so new ones go to the end.
        several: several choices may be taken.
        group: heading of the settings it belongs to; empty where entry points place it by hand.
        guide: heading of the guide that explains it, as an anchor.
        key: parameter of the Toolbox; empty is the field's name in upper case.
        row: key under which the panel stores it; empty is the field's name.
        was: former names of the field, which are still read.
        search: what the job `search` may try.
        fixed: a resumed run keeps the value that it began with.
        reads: the field names a file to read.
        in_folder: file that is meant where the folder that holds it is given.
        writes: suffixes of the file that the field names as a result, none where any will do; None for other fields.
    """

    title: str
    about: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float = 0.0
    decimals: int = 2
    auto: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    several: bool = False
    group: str = ""
    guide: str = ""
    key: str = ""
    row: str = ""
    was: tuple[str, ...] = ()
    search: Candidates | None = None
    fixed: bool = False
    reads: bool = False
    in_folder: str = ""
    writes: tuple[str, ...] | None = None

    @property
    def limits(self) -> str:
        """The range as text: `0 to 1`, `1 or more`; empty without one."""
        if self.low is not None and self.high is not None:
            return f"{self.low:,.10g} to {self.high:,.10g}"
        if self.high is not None:
            return f"{self.high:,.10g} or less"
        return "" if self.low is None else f"{self.low:,.10g} or more"


def params_of(cls: Any) -> dict[str, Param]:
    """Return the declared settings of a dataclass, by field, in the order of the fields.

    Args:
        cls: a job or what a job is made of.
    """
    return _params(cls)


def types_of(cls: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields without their declarations."""
    return _types(cls)


def default_of(cls: type, name: str) -> Any:
    """Return the default of a field, `dataclasses.MISSING` where it has none."""
    found = next(item for item in dataclasses.fields(cls) if item.name == name)
    return found.default_factory() if found.default_factory is not dataclasses.MISSING else found.default


def former_names(cls: Any) -> dict[str, str]:
    """Return former name -> name of the fields that were renamed."""
    return {old: name for name, param in params_of(cls).items() for old in param.was}


def choices_of(cls: type, name: str) -> tuple[Any, ...]:
    """Return the values that a field may take, in the order of the list; empty for a field that takes any."""
    hint = types_of(cls)[name]
    plain = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    return params_of(cls)[name].options or plain


def range_problems(value: Any) -> list[Problem]:
    """List the numbers of a job, or of what a job is made of, that are outside their declared range.

    Args:
        value: an instance of a dataclass with declared settings; fields with several numbers are looked at one by one.
    """
    found = []
    for name, param in params_of(type(value)).items():
        given = getattr(value, name)
        if given == default_of(type(value), name):
            continue
        for number in given if isinstance(given, tuple) else (given,):
            if isinstance(number, int | float) and not _within(number, param):
                named = "" if param.title.lower() == name.replace("_", " ") else f" ({name})"
                unit = f" {param.unit}" if param.unit else ""
                text = f"{param.title}{named}: {number:,.10g}{unit} is out of range."
                found.append(Problem(name, text, f"Choose {param.limits}{_otherwise(value, name, param)}."))
    return found


def unknown(name: str, given: Iterable[str], known: Iterable[str]) -> list[Problem]:
    """List the given names that are not known.

    Args:
        name: of the field.
        given: names to look at.
        known: all that there are.
    """
    return [
        Problem(name, f"Unknown {name} '{item}'.", f"Choose from: {', '.join(known)}.")
        for item in given
        if item not in known
    ]


def _within(number: float, param: Param) -> bool:
    return (param.low is None or number >= param.low) and (param.high is None or number <= param.high)


def _otherwise(value: Any, name: str, param: Param) -> str:
    """The value that stands for `auto`, as the end of a sentence."""
    default = default_of(type(value), name)
    if not param.auto or (isinstance(default, int | float) and _within(default, param)):
        return ""
    return ", or leave it out" if default in (None, ()) else f", or {default} ({param.auto})"


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    """The types of the fields with their declarations."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {item.name: hints[item.name] for item in dataclasses.fields(cls)}


@functools.cache
def _params(cls: Any) -> dict[str, Param]:
    return {
        name: extra
        for name, hint in _hints(cls).items()
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, Param)
    }


@functools.cache
def _types(cls: Any) -> dict[str, Any]:
    return {
        name: hint.__origin__ if typing.get_origin(hint) is typing.Annotated else hint
        for name, hint in _hints(cls).items()
    }
