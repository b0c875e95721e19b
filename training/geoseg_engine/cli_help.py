"""What `geoseg COMMAND --help` says of a flag: what the job's docstring says of the field, and its default."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from . import contract
from .contract import Job

ATTRIBUTES = "Attributes:"
FIELDS = re.compile(r" {4}(?P<names>\w+(?:, \w+)*): (?P<text>.+)")
CHOICES = re.compile(r"\bof ([A-Z][A-Z_]{3,})\b")
COMMON = {
    "bands": "left out: all bands",
    "output": "where the result goes",
    "seed": "of all that is random",
    "device": "`auto`, `cpu`, `cuda` or `cuda:N`",
}
"""What is said of fields that need no word in a docstring."""


def about(job: type[Job]) -> str:
    """The docstring without its list of fields."""
    return (inspect.getdoc(job) or "").partition(ATTRIBUTES)[0].strip()


def words_of(job: type[Job]) -> dict[str, str]:
    """What is said of every field: by the docstring, or COMMON; lists of choices are spelled out. With the default."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(job) or "").partition(ATTRIBUTES)[2].splitlines():
        if match := FIELDS.fullmatch(line):
            names = match["names"].split(", ")
            found |= dict.fromkeys(names, match["text"])
        else:
            found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return {
        field.name: (
            spelled(found.get(field.name, COMMON.get(field.name, "")).rstrip(".")) + default_of(field)
        ).strip()
        for field in dataclasses.fields(job)
    }


def spelled(text: str) -> str:
    """The text with the names of lists of choices replaced by the choices; safe for argparse."""

    def choices(match: re.Match[str]) -> str:
        known = getattr(contract, match[1], None)
        return f"one of {', '.join(known)}" if isinstance(known, (tuple, dict)) else match[0]

    return CHOICES.sub(choices, text).replace("%", "%%")


def unlike_default(value: Any) -> str:
    """The settings of an object that are not those of its class: what is taken without the flag, and not with it."""
    if not dataclasses.is_dataclass(value):
        return ""
    own = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return " ".join(
        f"{item.name}={own[item.name]}"
        for item in dataclasses.fields(value)
        if own[item.name] != item.default and isinstance(own[item.name], (str, int, float))
    )


def default_of(field: dataclasses.Field[Any]) -> str:
    """What is taken where the flag is left out, in brackets; nothing for what is empty."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = unlike_default(field.default_factory())
    if isinstance(value, tuple) and all(isinstance(item, (str, int, float)) for item in value):
        value = " ".join(str(item) for item in value)
    if isinstance(value, bool):
        return " [on]" if value else ""
    return f" [{value}]".replace("%", "%%") if isinstance(value, (str, int, float)) and value != "" else ""
