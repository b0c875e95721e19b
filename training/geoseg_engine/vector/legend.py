"""Classes of labels: from the values of one or several layers to ids, names and colours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas

from ..contract import GeoSegError, LabelClass, Labels, Problem, counted

UNKNOWN_CLASS = -1
"""Class id of what has a class that is not known: its ground is ignored unless a known class claims it."""

EXCLUDED = -2
"""Class id of what the user excluded: its ground is ignored, whatever else claims it."""

MOST_CLASSES = 254
PALETTE = (
    "#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#a65628", "#f781bf", "#17becf", "#bcbd22", "#1b9e77",
)  # fmt: skip
BACKGROUND = LabelClass(0, "background", "", "#d9d9d9")


@dataclass(frozen=True)
class Valued:
    """What one layer says of classes.

    Attributes:
        name: how to call the layer in a sentence.
        values: of its features, or of its pixels; None for a layer that is one class.
        field: where the values stand.
        color: of the class of a layer that is one class.
        known: names and colours that the layer itself gives to its values, in order; empty if it gives none.
        things: what has the values.
    """

    name: str
    values: list[Any] | None
    field: str = ""
    color: str = ""
    known: tuple[LabelClass, ...] = ()
    things: str = "polygons"


def classes_of(
    labels: Labels, layers: list[Valued]
) -> tuple[tuple[LabelClass, ...], list[np.ndarray], list[Problem]]:
    """Number the classes and give every value of every layer its id.

    The legend is the one asked for, else the values of the first layer in order. What further layers bring joins
    it: by value, by name, or at its end. A class that is itself called background takes id 0 when unlabelled
    ground is background.

    Args:
        labels: legend, exclusions, and what unlabelled ground means.
        layers: the first is the labels' own, the others `labels.more`.

    Returns:
        Classes with ids 0..n-1; per layer the id of each value (one id for a layer that is one class),
        UNKNOWN_CLASS or EXCLUDED; what there is to say about values.

    Raises:
        GeoSegError: `too_many_classes`.
    """
    legend = _legend(labels, layers[0])
    for layer in layers[1:]:
        legend += _joining(labels, legend, layer)
    classes, id_of_place = _numbered(labels, legend)
    if len(classes) > MOST_CLASSES:
        raise _too_many(layers[0], len(classes))
    ids, problems = [], []
    for number, layer in enumerate(layers):
        if layer.values is None:
            place = 0 if number == 0 else _place_by_name(legend, layer.name)
            ids.append(np.array([id_of_place[place]], np.int32))
            continue
        lookup = Lookup(labels, legend, by_name=number > 0)
        known = {value: lookup.place(value) for value in set(layer.values)}
        places = [known[value] for value in layer.values]
        found = np.array([place if place < 0 else id_of_place[place] for place in places], np.int32)
        ids.append(found)
        problems += _class_problems(layer, found)
    return classes, ids, problems


class Lookup:
    """Finds the place of a value in a legend; text and numbers are compared without regard to how they are written."""

    def __init__(self, labels: Labels, legend: list[LabelClass], by_name: bool = False) -> None:
        """Index the legend by values, merged values and, if asked for, names."""
        self._excluded = {_number_text(text) for text in labels.excluded}
        self._by_text: dict[str, int] = {}
        for place, item in enumerate(legend):
            for text in (item.value, *item.also):
                self._by_text.setdefault(value_text(text), place)
        counts = Counter(_number_text(text) for text in self._by_text)
        self._by_number = {
            _number_text(text): place
            for text, place in self._by_text.items()
            if counts[_number_text(text)] == 1
        }
        if by_name:
            for place, item in enumerate(legend):
                self._by_number.setdefault(_number_text(item.name.strip()), place)

    def place(self, value: Any) -> int:
        """Place in the legend, UNKNOWN_CLASS or EXCLUDED."""
        if is_null(value):
            return UNKNOWN_CLASS
        text = value_text(value)
        if _number_text(text) in self._excluded:
            return EXCLUDED
        return self._by_text.get(text, self._by_number.get(_number_text(text), UNKNOWN_CLASS))


def is_null(value: Any) -> bool:
    """Whether a field is NULL: missing, or text without a letter."""
    return bool(pandas.isna(value)) or (isinstance(value, str) and not value.strip())


def value_text(value: Any) -> str:
    """A field value as text; whole numbers without a decimal point."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def distinct(values: Iterable[Any]) -> list[str]:
    """The different values as text, numbers first and by size; NULL left out."""
    return sorted({value_text(value) for value in values if not is_null(value)}, key=_sort_key)


def _number_text(text: str) -> str:
    """`1.0` and `01` as `1`; other text as it is, without regard to case."""
    try:
        number = float(text)
    except ValueError:
        return text.casefold()
    return str(int(number)) if math.isfinite(number) and number.is_integer() else str(number)


def _sort_key(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _legend(labels: Labels, layer: Valued) -> list[LabelClass]:
    if layer.values is None:
        given = list(labels.classes if labels.more else labels.classes[:1])
        return given or [LabelClass(0, layer.name, "", PALETTE[0])]
    if labels.classes:
        return list(labels.classes)
    if layer.known:
        excluded = Lookup(labels, [])
        return [item for item in layer.known if excluded.place(item.value) != EXCLUDED]
    return _new_classes(labels, [], layer)


def _joining(labels: Labels, legend: list[LabelClass], layer: Valued) -> list[LabelClass]:
    """Classes that a further layer adds to the legend."""
    if layer.values is not None:
        return _new_classes(labels, legend, layer)
    if _place_by_name(legend, layer.name) >= 0:
        return []
    return [LabelClass(0, layer.name, "", layer.color or PALETTE[len(legend) % len(PALETTE)])]


def _new_classes(labels: Labels, legend: list[LabelClass], layer: Valued) -> list[LabelClass]:
    lookup = Lookup(labels, legend, by_name=True)
    found = [text for text in distinct(layer.values or []) if lookup.place(text) == UNKNOWN_CLASS]
    if len(found) > MOST_CLASSES:
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
    background = labels.unlabelled == "background"
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
        f"{where} has {count} different values; {MOST_CLASSES} classes are possible.",
        "Choose what holds the class, or style the layer with fewer categories.",
    )


def _class_problems(layer: Valued, ids: np.ndarray) -> list[Problem]:
    assert layer.values is not None
    problems = []
    whole = f"{counted(len(layer.values), layer.things[:-1])} of '{layer.name}'"
    unknown = [layer.values[place] for place in np.flatnonzero(ids == UNKNOWN_CLASS)]
    nulls = sum(is_null(value) for value in unknown)
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
    strange = Counter(value_text(value) for value in unknown if not is_null(value))
    if strange:
        most = ", ".join(f"'{text}' ({count})" for text, count in strange.most_common(6))
        problems.append(
            Problem(
                "not_in_legend",
                f"{strange.total()} of {whole} {'has' if strange.total() == 1 else 'have'} a class that is not in the "
                f"legend: {most}; the pixels there are ignored.",
                "Add the value to the layer's categories, or correct it.",
                "warning",
            )
        )
    return problems
