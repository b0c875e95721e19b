"""Plain JSON values to the types of a dataclass; whatever does not fit is named with what would."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from typing import Any, TypeVar

from .errors import GeoSegError
from .limits import LIMITS
from .parameter import former_names

T = TypeVar("T")
PLAIN = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}
PLAIN_TYPES: dict[Any, Any] = {str: str, bool: bool, int: int, float: (int, float), dict: dict}
MAX_NUMBER = sys.float_info.max
"""No number of a file is beyond it: no infinity, and no whole number that is none as a float. It is itself one: the
value of ArcGIS for pixels without any."""


def decode(cls: type[T], data: Any) -> T:
    """The dataclass that `data` describes.

    Raises:
        GeoSegError: `bad_json` for a key that is missing or unknown and for a value of another type, `out_of_range` for
            a number beyond its limits (see `limits`).
    """
    return _decode_object(cls, data, cls.__name__)


def _decode_object(cls: type[T], data: Any, name: str) -> T:
    if not isinstance(data, dict):
        raise _misfit(name, data, "an object with fields", example(cls))
    fields = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
    data = _renamed(cls, data)
    unknown = sorted(str(key) for key in data if key not in fields)
    known = f"Its fields are: {', '.join(fields)}." if fields else "It has no fields."
    if unknown:
        title = ", ".join(f"'{key}'" for key in unknown)
        raise GeoSegError("bad_json", f"{cls.__name__} has no field {title}.", known)
    missing = [key for key, item in fields.items() if key not in data and is_required(item)]
    if missing:
        title = ", ".join(f"'{key}'" for key in missing)
        raise GeoSegError("bad_json", f"{cls.__name__} lacks the field {title}.", known)
    hints = typing.get_type_hints(cls)
    values = {key: _decode_value(hints[key], item, key) for key, item in data.items()}
    for key, (minimum, maximum) in LIMITS.get(cls.__name__, {}).items():
        _check_range(key, values.get(key), minimum, maximum)
    return cls(**values)


def _renamed(cls: Any, data: dict[str, Any]) -> dict[str, Any]:
    """The data with the names that fields have now.

    Raises:
        GeoSegError: `bad_json` where a field is given under a former name too.
    """
    former = {old: new for old, new in former_names(cls).items() if old in data}
    for old, new in former.items():
        if new in data:
            raise GeoSegError(
                "bad_json",
                f"'{old}' is the former name of '{new}', and both are given.",
                f"Leave out '{old}'.",
            )
    return {former.get(key, key): item for key, item in data.items()}


def _check_range(name: str, value: Any, minimum: float, maximum: float) -> None:
    """Raise `out_of_range` unless a number, and each that a list or an object holds, is within its limits."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for item in value:
            _check_range(name, item, minimum, maximum)
    elif isinstance(value, int | float) and not minimum <= value <= maximum:
        raise GeoSegError(
            "out_of_range", f"'{name}' is {value:g}.", f"Give a number from {minimum:g} to {maximum:g}."
        )


def _decode_value(hint: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(typing.get_args(hint), value, name)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise GeoSegError("bad_json", f"'{name}' is {shown(value)}.", f"Choose {listed(choices)}.")
        return value
    if origin is tuple:
        return _decode_items(typing.get_args(hint), value, name)
    if origin is dict:
        return _decode_mapping(typing.get_args(hint), value, name)
    if dataclasses.is_dataclass(hint):
        return _decode_object(typing.cast(type, hint), value, name)
    return _decode_plain(origin or hint, value, name)


def _decode_union(members: tuple[Any, ...], value: Any, name: str) -> Any:
    """The value as the first member of a union that it fits; else the complaint of the first."""
    if value is None and type(None) in members:
        return None
    wanted = [item for item in members if item is not type(None)]
    for hint in wanted[1:]:
        if isinstance(value, PLAIN_TYPES.get(hint, ())):
            return _decode_value(hint, value, name)
    return _decode_value(wanted[0], value, name)


def _decode_mapping(members: tuple[Any, ...], value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _misfit(name, value, "an object", "{}")
    return {key: _decode_value(members[1], item, f"{name}: {key}") for key, item in value.items()}


def _decode_items(items: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...]:
    any_length = len(items) == 2 and items[1] is Ellipsis
    if not isinstance(value, (list, tuple)):
        inner = [example(items[0])] if any_length else [example(item) for item in items]
        raise _misfit(name, value, "a list", f"[{', '.join(inner)}]")
    if any_length:
        return tuple(_decode_value(items[0], item, name) for item in value)
    if len(items) != len(value):
        raise GeoSegError(
            "bad_json",
            f"'{name}' has {len(value)} value{'s' * (len(value) != 1)} instead of {len(items)}.",
            f"Write {len(items)} values.",
        )
    return tuple(_decode_value(hint, item, name) for hint, item in zip(items, value, strict=True))


def _decode_plain(hint: Any, value: Any, name: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER:
        return float(value)
    if hint is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if hint not in PLAIN:
        return value
    fits = isinstance(value, hint) and not (hint is int and isinstance(value, bool))
    if not fits or (hint in (int, float) and not abs(value) <= MAX_NUMBER):
        raise _misfit(name, value, PLAIN[hint], example(hint))
    return value


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def example(hint: Any) -> str:
    """JSON that would fit a type, with what is required only."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        required = [item.name for item in dataclasses.fields(hint) if is_required(item)]
        required = required or [item.name for item in dataclasses.fields(hint)][:1]
        return "{" + ", ".join(f'"{key}": {example(hints[key])}' for key in required) + "}"
    if typing.get_origin(hint) is typing.Literal:
        return f'"{typing.get_args(hint)[0]}"'
    return {str: '"…"', bool: "true", int: "1", float: "1.0", dict: "{}"}.get(hint, "[]")


def listed(choices: tuple[Any, ...]) -> str:
    """`a, b or c`."""
    texts = [str(item) for item in choices]
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def shown(value: Any) -> str:
    """A value that was given, short enough for a sentence."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        return "a number of more than 20 digits"
    text = f"'{value}'" if isinstance(value, str) else f"{value}"
    return text if len(text) <= 80 else f"{text[:77]}…"


def _misfit(name: str, value: Any, wanted: str, instead: str) -> GeoSegError:
    return GeoSegError(
        "bad_json", f"'{name}' is {shown(value)}, not {wanted}.", f"Write for example {instead}."
    )
