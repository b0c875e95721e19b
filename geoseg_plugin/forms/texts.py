"""Texts of declared settings, translated. No Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..contract import Param, choices_of, default_of, params_of
from .fields import is_pair

Translate = Callable[[str, str], str]
"""Returns the translation of a text, from its context and the text."""


def untranslated(_context: str, text: str) -> str:
    """Return a text as it is written."""
    return text


_translate: Translate = untranslated


def translate_by(translate: Translate) -> None:
    """Translate texts by a function from now on; until then they stay as they are written.

    Args:
        translate: as `QCoreApplication.translate`.
    """
    global _translate
    _translate = translate


def tr(text: str) -> str:
    """Return the translation of a text."""
    return _translate("GeoSeg", text) if text else ""


def title(param: Param) -> str:
    """Return the title of a setting without unit."""
    return tr(param.title)


def toolbox_title(cls: type, name: str) -> str:
    """Return the title of a parameter with unit and automatic value, as `Crop size (px; 0: automatic)`.

    A unit that the title names is left out; numbers that stand for no and yes are explained, as `4: no; 8: yes`.

    Args:
        cls: dataclass that declares the field.
        name: of the field.
    """
    param = params_of(cls)[name]
    shown, unit = title(param), tr(param.unit)
    named = unit.lower() in shown.lower().split()
    extras = [part for part in ("" if named else unit, automatic(cls, name), pair_text(cls, name)) if part]
    return f"{shown} ({'; '.join(extras)})" if extras else shown


def automatic(cls: type, name: str) -> str:
    """Return which value stands for automatic, as `0: automatic`; empty where none does."""
    param = params_of(cls)[name]
    default = default_of(cls, name)
    if not param.auto or isinstance(default, str) or param.several:
        return ""
    value = tr("empty") if default in (None, ()) else f"{default:g}"
    return f"{value}: {tr(param.auto)}"


def pair_text(cls: type, name: str) -> str:
    """Return which of two numbers means no and which yes, as `4: no; 8: yes`; empty for other fields."""
    choices = choices_of(cls, name)
    return f"{choices[0]}: {tr('no')}; {choices[1]}: {tr('yes')}" if is_pair(choices) else ""


def choice_names(cls: type, name: str) -> dict[Any, str]:
    """Return value -> name on screen of a field with a list of choices."""
    param = params_of(cls)[name]
    return {value: tr(text) or value for value, text in param.labels.items()}


def has_default(cls: type, name: str) -> bool:
    """Return whether a field has a default."""
    return default_of(cls, name) is not dataclasses.MISSING
