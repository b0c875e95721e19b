"""Words of a command line -> the plain data of a job's field, by the field's own type.

One rule for all: a list is repeated values (`--splits train test`), an object is `key=value` words with perhaps one
bare word (`--labels slides.gpkg class_field=kind`), and what is nested deeper is JSON, in the line or in a file
(`--bands @bands.json`).
"""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from pathlib import Path
from typing import Any

from .contract import (
    Area,
    GeoSegError,
    Source,
    file_exists,
    former_names,
    load_json,
    names_input,
    parse_json,
    split_address,
    types_of,
)

AREA_KINDS = typing.get_args(typing.get_type_hints(Area)["kind"])
NUMBERS = (int, float)


def metavar(hint: Any) -> str:
    """How a value of this type is shown in the help."""
    hint = inner(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "{" + ",".join(str(item) for item in typing.get_args(hint)) + "}"
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return "JSON" if dataclasses.is_dataclass(item) else {int: "N", float: "NUMBER"}.get(item, "TEXT")
    if (typing.get_origin(hint) or hint) is dict or dataclasses.is_dataclass(hint):
        return "KEY=VALUE"
    return {int: "N", float: "NUMBER"}.get(hint, "TEXT")


def takes_several(hint: Any) -> bool:
    """Whether a value of this type is written as several words."""
    hint = inner(hint)
    return (typing.get_origin(hint) or hint) in (tuple, dict) or dataclasses.is_dataclass(hint)


def settings(hint: Any) -> str | None:
    """What can be set in a value of this type, with the defaults; None for anything but an object."""
    hint = inner(hint)
    if not dataclasses.is_dataclass(hint):
        return None
    given = {field.name: field.default for field in dataclasses.fields(hint)}
    return ", ".join(
        name if default in ("", None, dataclasses.MISSING) else f"{name}={default}"
        for name, default in given.items()
    ).replace("%", "%%")


def value_of(flag: str, hint: Any, words: list[str]) -> Any:
    """The data of one field.

    Args:
        flag: the field's name, for complaints.
        hint: its type.
        words: what was written after the flag.

    Raises:
        GeoSegError: `bad_flag` for words that the type cannot take.
    """
    hint = inner(hint)
    if hint is not str and len(words) == 1 and is_json(words[0]):
        data = with_absolute_paths(json_of(flag, words[0]))
        return [data] if typing.get_origin(hint) is tuple and isinstance(data, dict) else data
    if typing.get_origin(hint) is tuple:
        return _list(flag, typing.get_args(hint), words)
    if dataclasses.is_dataclass(hint):
        return _object(flag, hint, words)
    if (typing.get_origin(hint) or hint) is dict:
        return {key: _number_or_text(text) for key, text in (_pair(flag, word) for word in words)}
    if len(words) != 1:
        raise GeoSegError(
            "bad_flag", f"--{flag} has {len(words)} values: {' '.join(words)}.", "Write one; quote spaces."
        )
    return _scalar(flag, hint, words[0])


def sources_of(flag: str, words: list[str], prefix: str) -> Any:
    """Sources, each a file or JSON, or all of them as one JSON list; files get the keys `prefix`1, `prefix`2 …"""
    if len(words) == 1 and is_json(words[0]) and not words[0].startswith("{"):
        data = with_absolute_paths(json_of(flag, words[0]))
        return data if isinstance(data, list) else [data]
    return [source_of(flag, word, f"{prefix}{number}") for number, word in enumerate(words, 1)]


def source_of(flag: str, word: str, key: str) -> Any:
    """A source: a file, or its JSON; `key` is its name in bands."""
    if is_json(word) and not word.startswith("["):
        return with_absolute_paths(json_of(flag, word))
    return {"key": key, "path": absolute(word), "name": Path(word).stem}


def is_json(word: str) -> bool:
    """Whether a word is JSON, or names a file of it after `@`; a file that is called so is a file."""
    return word.startswith(("[", "{", "@")) and not file_exists(word)


def json_of(flag: str, word: str) -> Any:
    """JSON in the line, or after `@` the name of its file.

    Raises:
        GeoSegError: `bad_flag` if it is none.
    """
    try:
        return load_json(Path(word[1:])) if word.startswith("@") else parse_json(word, f"--{flag}")
    except OSError as error:
        raise GeoSegError(
            "bad_flag",
            f"--{flag}: the file {word[1:]} cannot be read: {error.strerror}.",
            "Is the name right?",
        ) from error
    except GeoSegError as error:
        raise GeoSegError(
            "bad_flag", error.message, "Quote it for the shell, or write @file.json."
        ) from error


def absolute(text: str) -> str:
    """The absolute path of something that exists; any other text as it is.

    What QGIS puts behind a file, such as `|layername=a`, stays there.

    Raises:
        GeoSegError: `bad_name` for a name that is not in UTF-8, which neither GDAL nor JSON takes.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise GeoSegError(
            "bad_name", f"The name of the file {text!a} is not in UTF-8.", "Rename it."
        ) from error
    file, settings = split_address(text)
    if not file_exists(file):
        return text
    return f"{Path(file).resolve()}{text[len(file) :] if settings else ''}"


def with_absolute_paths(data: Any) -> Any:
    """The same data with every `path` and `paths` that exists made absolute, at any depth."""
    if isinstance(data, list):
        return [with_absolute_paths(item) for item in data]
    if not isinstance(data, dict):
        return data
    done = {key: with_absolute_paths(item) for key, item in data.items()}
    if isinstance(done.get("path"), str):
        done["path"] = absolute(done["path"])
    if isinstance(done.get("paths"), list):
        done["paths"] = [absolute(item) for item in done["paths"] if isinstance(item, str)]
    return done


def _list(flag: str, items: tuple[Any, ...], words: list[str]) -> list[Any]:
    item = items[0]
    if item in NUMBERS and len(words) == 1:
        words = words[0].split(",")
    return [value_of(flag, item, [word]) for word in words]


def _object(flag: str, cls: Any, words: list[str]) -> dict[str, Any]:
    hints = types_of(cls)
    hints = {**hints, **{old: hints[new] for old, new in former_names(cls).items()}}
    data: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if equals and key in hints:
            several = typing.get_origin(inner(hints[key])) is tuple and not is_json(text)
            data[key] = value_of(f"{flag} {key}", hints[key], text.split(",") if several else [text])
        elif cls is Area and word in AREA_KINDS:
            data["kind"] = word
        elif "path" in hints and "path" not in data:
            data["path"] = word
            data |= {"kind": "polygons"} if cls is Area else {}
        else:
            raise GeoSegError(
                "bad_flag",
                f"--{flag}: '{word}' is no setting.",
                f"Write key=value with one of: {', '.join(hints)}; or JSON.",
            )
    if isinstance(data.get("path"), str):
        data["path"] = os.path.abspath(data["path"])  # noqa: PTH100  # resolve() would follow links
        if cls is Source:
            data = {"key": flag, "name": Path(data["path"]).stem, **data}
    return data


def _pair(flag: str, word: str) -> tuple[str, str]:
    key, equals, text = word.partition("=")
    if not equals:
        raise GeoSegError("bad_flag", f"--{flag}: '{word}' has no value.", "Write key=value.")
    return key, text


def _scalar(flag: str, hint: Any, word: str) -> Any:
    try:
        if hint is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                word.lower()
            ]
        if typing.get_origin(hint) is typing.Literal:
            return next((item for item in typing.get_args(hint) if str(item) == word), word)
        if hint in NUMBERS:
            return hint(word)
        return absolute(word) if names_input(flag.rpartition(" ")[2]) else word
    except (ValueError, KeyError) as error:
        wanted = {int: "a whole number", float: "a number"}.get(hint, "true or false")
        raise GeoSegError("bad_flag", f"--{flag} is '{word}', not {wanted}.", "Write it again.") from error


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def inner(hint: Any) -> Any:
    """The type of an optional value."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(item for item in typing.get_args(hint) if item is not type(None))
    return hint
