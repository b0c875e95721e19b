"""Classes that a user merges or leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from ..contract import LabelClass


def edited(
    classes: Iterable[LabelClass], same_as: Mapping[str, str], left_out: Iterable[str]
) -> tuple[tuple[LabelClass, ...], tuple[str, ...]]:
    """The legend after merging and leaving out, and the values whose pixels are ignored.

    Args:
        classes: of the label layer, by value.
        same_as: value -> value of the class that it counts as; chains are followed.
        left_out: values whose pixels are ignored, with those of classes merged into them.
    """
    known = {item.value: item for item in classes}
    out = [value for value in left_out if value in known]
    into = {value: target_of(value, same_as, known) for value in known}
    kept: list[LabelClass] = []
    merged: dict[str, list[str]] = {value: [] for value in known}
    for value, target in into.items():
        if target != value:
            merged[target] += [value, *known[value].also]
    for value, item in known.items():
        if into[value] == value and value not in out:
            kept.append(dataclasses.replace(item, id=len(kept), also=(*item.also, *merged[value])))
    ignored = [value for value, target in into.items() if target in out]
    return tuple(kept), tuple(ignored)


def target_of(value: str, same_as: Mapping[str, str], known: Mapping[str, LabelClass]) -> str:
    """Return the class that a value ends up in; a circle leaves it where it is.

    Args:
        value: of a class.
        same_as: value -> value of the class that it counts as.
        known: classes by their values.
    """
    seen = [value]
    while (following := same_as.get(seen[-1], "")) in known and following not in seen:
        seen.append(following)
    is_circle = same_as.get(seen[-1], "") in seen
    return value if is_circle else seen[-1]
