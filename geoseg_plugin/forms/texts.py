"""Texts of declared settings, translated. No Qt."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..contract import Param, default_of, params_of

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
    """Return the title of a parameter with its unit and its automatic value, as `Crop size (px; 0: automatic)`.

    Args:
        cls: dataclass that declares the field.
        name: of the field.
    """
    param = params_of(cls)[name]
    extras = [part for part in (tr(param.unit), automatic(cls, name)) if part]
    return f"{title(param)} ({'; '.join(extras)})" if extras else title(param)


def automatic(cls: type, name: str) -> str:
    """Return which value stands for automatic, as `0: automatic`; empty where none does."""
    param = params_of(cls)[name]
    default = default_of(cls, name)
    if not param.auto or isinstance(default, str) or param.several:
        return ""
    return f"{tr('empty') if default in (None, ()) else f'{default:g}'}: {tr(param.auto)}"


def choice_names(cls: type, name: str) -> dict[Any, str]:
    """Return value -> name on screen of a field with a list of choices."""
    param = params_of(cls)[name]
    return {value: tr(text) or value for value, text in param.labels.items()}


def has_default(cls: type, name: str) -> bool:
    """Return whether a field has a default."""
    return default_of(cls, name) is not dataclasses.MISSING
