"""What `geoseg COMMAND --help` shows of a flag: what the job declares of the field, and its default."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from .contract import Job, Param, default_of, params_of


def description(job: type[Job]) -> str:
    """Return the docstring of a job."""
    return inspect.getdoc(job) or ""


def flag_help(job: type[Job], name: str) -> str:
    """Return the help of a flag for argparse: title, what it does, its choices or range, and its default.

    Args:
        job: class of the job.
        name: of its field.
    """
    param = params_of(job)[name]
    text = ". ".join(part.rstrip(".") for part in (param.title, param.about) if part)
    extra = "; ".join(part for part in (_choices(job, name), _range(param)) if part)
    return f"{text}{f' ({extra})' * bool(extra)}{_default(job, name, param)}".replace("%", "%%")


def _choices(job: type[Job], name: str) -> str:
    """The names of a field with several choices; those of one choice stand in its place in the usage."""
    param = params_of(job)[name]
    names = ", ".join(item for item in param.options if "+" not in item)
    if param.several:
        return f"{'several joined by + of' if default_of(job, name) == 'auto' else 'one or more of'} {names}"
    return f"one of {names}" if names else ""


def _range(param: Param) -> str:
    unit = f" {param.unit}" if param.unit else ""
    return f"{param.limits}{unit}" if param.limits else param.unit


def _default(job: type[Job], name: str, param: Param) -> str:
    """What is taken where the flag is left out, in brackets; nothing for what is empty."""
    value = default_of(job, name)
    if value is dataclasses.MISSING:
        return ""
    if param.auto:
        return f" [{param.auto}]"
    if dataclasses.is_dataclass(value):
        value = _unlike_default(value)
    if isinstance(value, tuple) and all(isinstance(item, (str, int, float)) for item in value):
        value = " ".join(str(item) for item in value)
    if isinstance(value, bool):
        return " [on]" if value else ""
    return f" [{value}]" if isinstance(value, (str, int, float)) and value != "" else ""


def _unlike_default(value: Any) -> str:
    """The settings of an object that are not those of its class."""
    own = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
    return " ".join(
        f"{item.name}={own[item.name]}"
        for item in dataclasses.fields(value)
        if own[item.name] != item.default and isinstance(own[item.name], (str, int, float))
    )
