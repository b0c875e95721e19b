"""Plain JSON values to the types of a dataclass; whatever does not fit is named with what would."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from .errors import GeoSegError

T = TypeVar("T")
PLAIN = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "an object"}


def decode(cls: type[T], data: Any) -> T:
    """The dataclass that `data` describes.

    Raises:
        GeoSegError: `bad_json` for a key that is missing or unknown and for a value of another type.
    """
    return _decode_object(cls, data, cls.__name__)


def _decode_object(cls: type[T], data: Any, name: str) -> T:
    if not isinstance(data, dict):
        raise _misfit(name, data, "an object with fields", example(cls))
    fields = {item.name: item for item in dataclasses.fields(cls)}  # type: ignore[arg-type]
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
    return cls(**{key: _decode_value(hints[key], item, key) for key, item in data.items()})


def _decode_value(hint: Any, value: Any, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        inner = next(item for item in typing.get_args(hint) if item is not type(None))
        return _decode_value(inner, value, name)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise GeoSegError("bad_json", f"'{name}' is {shown(value)}.", f"Choose {listed(choices)}.")
        return value
    if origin is tuple:
        return _decode_items(typing.get_args(hint), value, name)
    if dataclasses.is_dataclass(hint):
        return _decode_object(typing.cast(type, hint), value, name)
    return _decode_plain(origin or hint, value, name)


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
    if hint is float and (value is None or (isinstance(value, int) and not isinstance(value, bool))):
        return value if value is None else float(value)  # None is a NaN or an infinity
    if hint is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if hint not in PLAIN:
        return value
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
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
    text = f"'{value}'" if isinstance(value, str) else f"{value}"
    return text if len(text) <= 80 else f"{text[:77]}…"


def _misfit(name: str, value: Any, wanted: str, instead: str) -> GeoSegError:
    return GeoSegError(
        "bad_json", f"'{name}' is {shown(value)}, not {wanted}.", f"Write for example {instead}."
    )
