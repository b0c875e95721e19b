"""Classes of labels: from the values of one or several layers to ids, names and colours."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..contract import GeoSegError, LabelClass, Labels, Problem, counted, present

UNKNOWN_CLASS = -1
"""Class id of labels of an unknown class: their pixels are ignored unless a known class claims them."""

EXCLUDED = -2
"""Class id of labels that the user excluded: their pixels are ignored, whatever else claims them."""

MAX_CLASSES = 254
PALETTE = (
    "#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#a65628", "#f781bf", "#17becf", "#bcbd22", "#1b9e77",
)  # fmt: skip
BACKGROUND = LabelClass(0, "background", "", "#d9d9d9")
WHOLE_NUMBER = re.compile(r"[+-]?\d+(\.0*)?")
PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
"""A word that is sorted as a number; `1e5`, `0x10`, `1_1`, `1,5`, `inf` and `nan` are not."""

NUMBER = re.compile(PLAIN_NUMBER.pattern + r"([eE][+-]?\d{1,3})?")


@dataclass(frozen=True)
class Valued:
    """Class values of one layer.

    Attributes:
        name: of the layer, for messages.
        values: of its features, or of its pixels; None for a layer that is one class.
        field: of the values.
        color: of the class of a layer that is one class.
        known: names and colours that the layer itself gives to its values, in order; empty if it gives none.
        things: what has the values.
        numeric: the values are numbers; texts are words, even if they look like numbers.
    """

    name: str
    values: list[Any] | None
    field: str = ""
    color: str = ""
    known: tuple[LabelClass, ...] = ()
    things: str = "polygons"
    numeric: bool = False

    @cached_property
    def texts(self) -> list[str | None]:
        """The values as texts, None for NULL."""
        return [None if is_null(value) else value_text(value) for value in self.values or ()]

    @cached_property
    def different(self) -> list[str]:
        """The different texts, numbers first and by size."""
        number = NUMBER if self.numeric else PLAIN_NUMBER

        def place(text: str) -> tuple[int, float, str]:
            return (0, _exact(text), text) if number.fullmatch(text) else (1, 0, text)

        return sorted({text for text in self.texts if text is not None}, key=place)


def classes_of(
    labels: Labels, layers: list[Valued]
) -> tuple[tuple[LabelClass, ...], list[np.ndarray], list[Problem]]:
    """Number the classes and give every value of every layer its id.

    The legend is the one of the job, else the values of the first layer in order. Classes of further layers are
    added: by value, by name, or at its end. A class that is itself called background gets id 0 when unlabelled
    pixels are background.

    Args:
        labels: legend, exclusions, and the meaning of unlabelled pixels.
        layers: the first is the labels' own, the others `labels.more`.

    Returns:
        Classes with ids 0..n-1; per layer the id of each value (one id for a layer that is one class),
        UNKNOWN_CLASS or EXCLUDED; warnings about values.

    Raises:
        GeoSegError: `too_many_classes`.
    """
    legend = _legend(labels, layers[0])
    for layer in layers[1:]:
        legend += _joining(labels, legend, layer)
    classes, id_of_place = _numbered(labels, legend)
    if len(classes) > MAX_CLASSES:
        raise _too_many(layers[0], len(classes))
    ids, problems = [], []
    for number, layer in enumerate(layers):
        if layer.values is None:
            place = 0 if number == 0 else _place_by_name(legend, layer.name)
            ids.append(np.array([id_of_place[place]], np.int32))
            continue
        lookup = Lookup(legend, excluded_of(labels, layer), layer.numeric, by_name=number > 0)
        known = {text: lookup.place(text) for text in (None, *layer.different)}
        places = [known[text] for text in layer.texts]
        found = np.array([place if place < 0 else id_of_place[place] for place in places], np.int32)
        ids.append(found)
        problems += _class_problems(layer, found)
    return classes, ids, [*_not_excluded(labels, layers), *problems]


class Lookup:
    """Finds the place of a value in a legend.

    Words are compared as they are written, else without regard to case where that is one class; numbers by what they
    mean, so `1.0` and `01` of a legend are the number 1 of a field.
    """

    def __init__(
        self,
        legend: list[LabelClass],
        excluded: frozenset[str] = frozenset(),
        numeric: bool = False,
        by_name: bool = False,
    ) -> None:
        """Index the legend by values, merged values and, if requested, names.

        Args:
            legend: classes in order.
            excluded: values, as `excluded_of` finds them.
            numeric: the values to find are numbers.
            by_name: classes are also found by name.
        """
        self._key = key_of(numeric)
        self._excluded = excluded
        self._by_text: dict[str, int] = {}
        for place, item in enumerate(legend):
            for text in (item.value, *item.also):
                self._by_text.setdefault(value_text(text), place)
        counts = Counter(self._key(text) for text in self._by_text)
        self._by_key = {
            self._key(text): place for text, place in self._by_text.items() if counts[self._key(text)] == 1
        }
        if by_name:
            for place, item in enumerate(legend):
                self._by_key.setdefault(self._key(item.name.strip()), place)

    def place(self, value: Any) -> int:
        """Return the place in the legend, UNKNOWN_CLASS or EXCLUDED."""
        if is_null(value):
            return UNKNOWN_CLASS
        text = value_text(value)
        if text in self._excluded:
            return EXCLUDED
        return self._by_text.get(text, self._by_key.get(self._key(text), UNKNOWN_CLASS))


def excluded_of(labels: Labels, layer: Valued) -> frozenset[str]:
    """Return the values of a layer that the user excluded: those written so, else those that are equal by their key.

    Args:
        labels: with the exclusions.
        layer: with the values that occur.
    """
    texts, key = set(layer.different), key_of(layer.numeric)
    found: set[str] = set()
    for wanted in map(value_text, labels.excluded):
        found |= {wanted} & texts or {text for text in texts if key(text) == key(wanted)}
    return frozenset(found)


def is_null(value: Any) -> bool:
    """Return whether a field is NULL: missing, no number, text without a letter, or a list of nothing else."""
    if isinstance(value, (list, tuple)):
        return all(is_null(item) for item in value)
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, (float, np.floating)) and math.isnan(value))


def value_text(value: Any) -> str:
    """Return a field value as text: whole numbers without a decimal point, of a list its items, objects as JSON."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(item) for item in value if not is_null(item))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value).strip()


def number_of(value: Any) -> float:
    """Return a field's value as a number; NaN for a word such as `1,5`, `0x10` and `inf`."""
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value.strip()) else math.nan
    return float(value) if isinstance(value, (int, float)) else math.nan


def key_of(numeric: bool) -> Callable[[str], str]:
    """Return the key by which texts are one value: numbers by value, words without regard to case."""
    return _number_key if numeric else _word_key


def _word_key(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _number_key(text: str) -> str:
    """`1.0`, `01` and `1e0` as `1`, exact at any size; text that is no number without regard to case."""
    return value_text(_exact(text)) if NUMBER.fullmatch(text) else _word_key(text)


def _exact(text: str) -> float:
    """A text that is a number; a whole one as such, whatever its size."""
    return int(text.partition(".")[0]) if WHOLE_NUMBER.fullmatch(text) else float(text)


def _legend(labels: Labels, layer: Valued) -> list[LabelClass]:
    if layer.values is None:
        given = list(labels.classes if labels.more else labels.classes[:1])
        return given or [LabelClass(0, layer.name, "", PALETTE[0])]
    if labels.classes:
        return list(labels.classes)
    if layer.known:
        excluded = excluded_of(labels, layer)
        return [item for item in layer.known if item.value not in excluded]
    return _new_classes(labels, [], layer)


def _joining(labels: Labels, legend: list[LabelClass], layer: Valued) -> list[LabelClass]:
    """Classes that a further layer adds to the legend."""
    if layer.values is not None:
        return _new_classes(labels, legend, layer)
    if _place_by_name(legend, layer.name) >= 0:
        return []
    return [LabelClass(0, layer.name, "", layer.color or PALETTE[len(legend) % len(PALETTE)])]


def _new_classes(labels: Labels, legend: list[LabelClass], layer: Valued) -> list[LabelClass]:
    lookup = Lookup(legend, excluded_of(labels, layer), layer.numeric, by_name=True)
    found = [text for text in layer.different if lookup.place(text) == UNKNOWN_CLASS]
    if len(found) > MAX_CLASSES:
        raise _too_many(layer, len(found))
    return [
        LabelClass(0, text, text, PALETTE[place % len(PALETTE)])
        for place, text in enumerate(found, len(legend))
    ]


def _place_by_name(legend: list[LabelClass], name: str) -> int:
    names = [item.name.strip().casefold() for item in legend]
    return names.index(name.strip().casefold()) if name.strip().casefold() in names else -1


def _numbered(labels: Labels, legend: list[LabelClass]) -> tuple[tuple[LabelClass, ...], list[int]]:
    """The classes with their ids, and the id of each place of the legend."""
    background = labels.unlabelled != "unknown"
    own = _place_by_name(legend, BACKGROUND.name) if background else -1
    order = [own] * (own >= 0) + [place for place in range(len(legend)) if place != own]
    first = int(background and own < 0)
    ids = [0] * len(legend)
    for id, place in enumerate(order, first):
        ids[place] = id
    classes = [replace(legend[place], id=ids[place]) for place in order]
    return tuple([BACKGROUND] * first + classes), ids


def _too_many(layer: Valued, count: int) -> GeoSegError:
    where = f"Field '{layer.field}' of '{layer.name}'" if layer.field else f"'{layer.name}'"
    return GeoSegError(
        "too_many_classes",
        f"{where} has {count} different values; {MAX_CLASSES} classes are possible.",
        "Choose what holds the class, or style the layer with fewer categories.",
    )


def _not_excluded(labels: Labels, layers: list[Valued]) -> list[Problem]:
    """Values to be left out that no layer has."""
    keys = [{key_of(layer.numeric)(text) for text in layer.different} for layer in layers]
    missing = [
        text
        for text in map(value_text, labels.excluded)
        if not any(key_of(layer.numeric)(text) in known for layer, known in zip(layers, keys, strict=True))
    ]
    if not missing:
        return []
    return [
        Problem(
            "nothing_excluded",
            f"Nothing has the value {', '.join(repr(text) for text in missing[:6])} that was to be left out.",
            "Write it as the field has it; texts that look like numbers are compared letter by letter.",
            "warning",
        )
    ]


def _class_problems(layer: Valued, ids: np.ndarray) -> list[Problem]:
    values = present(layer.values, "the column of classes")
    problems = []
    whole = f"{counted(len(values), layer.things[:-1])} of '{layer.name}'"
    unknown = [layer.texts[place] for place in np.flatnonzero(ids == UNKNOWN_CLASS)]
    nulls = unknown.count(None)
    if nulls:
        problems.append(
            Problem(
                "null_class",
                f"{nulls} of {whole} {'has' if nulls == 1 else 'have'} no value in field '{layer.field}'; the pixels "
                "there are ignored.",
                "Fill in the field, or choose another class field.",
                "warning",
            )
        )
    strange = Counter(text for text in unknown if text is not None)
    if strange:
        maximum = ", ".join(f"'{text}' ({count})" for text, count in strange.most_common(6))
        problems.append(
            Problem(
                "not_in_legend",
                f"{strange.total()} of {whole} {'has' if strange.total() == 1 else 'have'} a class that is not in the "
                f"legend: {maximum}; the pixels there are ignored.",
                "Add the value to the layer's categories, or correct it.",
                "warning",
            )
        )
    return problems
