"""Classes of a vector layer, in the order and colours of its legend. Main thread; the layer is only read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsExpression,
    QgsField,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)
from qgis.PyQt.QtCore import QMetaType

from ..contract import LabelClass
from .colors import class_color
from .exports import value_text
from .legendclasses import LEGEND_FIELD, MAX_LOOKED_AT, has_legend_classes, legend_classes

TEXT_TYPES = (QMetaType.Type.QString, QMetaType.Type.QChar)
COUNTED_TYPES = (
    QMetaType.Type.Int,
    QMetaType.Type.UInt,
    QMetaType.Type.LongLong,
    QMetaType.Type.ULongLong,
    QMetaType.Type.Bool,
)
MEASURED_TYPES = (QMetaType.Type.Double,)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)")
"""A text that is put in order by size; `2E1`, `1_1`, `0x10`, `1,5`, `inf` and `nan` are text."""


def class_fields(layer: QgsVectorLayer) -> list[str]:
    """Fields that can name a class, the likeliest first.

    The field that the legend shows comes first, then text, whole numbers, other numbers; dates, binary and
    list fields are left out.
    """
    shown = legend_field(layer)
    groups: list[list[str]] = [[], [], [], []]
    for field in layer.fields():
        kind = field.type()
        if field.name() == shown:
            groups[0].append(field.name())
        elif kind in TEXT_TYPES:
            groups[1].append(field.name())
        elif kind in COUNTED_TYPES:
            groups[2].append(field.name())
        elif kind in MEASURED_TYPES:
            groups[3].append(field.name())
    return [name for group in groups for name in group]


def legend_field(layer: QgsVectorLayer) -> str:
    """The field of a categorised legend; empty for other legends and for expressions."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return ""
    name = renderer.classAttribute().strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    return name if layer.fields().lookupField(name) >= 0 else ""


def classes_of(layer: QgsVectorLayer, field: str, selected_only: bool = False) -> tuple[LabelClass, ...]:
    """The classes of the layer, ids counted from 0 (the engine gives the final ones).

    Legend order, names and colours come from a categorised legend of the same field; legend entries
    without a feature are left out, values without a legend entry follow in sorted order with colours of
    ours. Without a field there is one class: the layer itself; for the field `geoseg_legend` the legend's
    ranges or rules are the classes. Unsaved edits count. NULL is no class.

    Args:
        layer: of polygons, lines or points.
        field: with the class; empty for one class.
        selected_only: only features that are selected now count.
    """
    if not field:
        return (LabelClass(0, layer.name(), "", single_color(layer)),)
    if field == LEGEND_FIELD:
        legend = legend_classes(layer) if has_legend_classes(layer) else []
        return tuple(
            LabelClass(number, name, value, color) for number, (value, name, color) in enumerate(legend)
        )
    index = layer.fields().lookupField(field)
    if index < 0:
        return ()
    found = values_of(layer, index, selected_only)
    known = [item for item in legend_entries(layer, field) if item[0] in found]
    missing = in_order(found - {value for value, _, _ in known})
    used = {color for _, _, color in known}
    spare = [color for color in map(class_color, range(64)) if color not in used]
    entries = known + [(value, value, spare[number % len(spare)]) for number, value in enumerate(missing)]
    return tuple(
        LabelClass(number, name, value, color) for number, (value, name, color) in enumerate(unequal(entries))
    )


def values_of(layer: QgsVectorLayer, index: int, selected_only: bool = False) -> set[str]:
    """The values of a field as texts, of the features that count: unsaved edits in, other kinds of geometry out.

    In layers that are not too long, features without geometry are left out too. Quick in long ones where the provider
    can list values: it ignores edits, counts features of every kind in a file of mixed ones, and fails on lists.

    Args:
        layer: of polygons, lines or points.
        index: of the field.
        selected_only: only features that are selected now count.
    """
    field = QgsExpression.quotedColumnRef(layer.fields().at(index).name())
    if selected_only or 0 <= layer.featureCount() <= MAX_LOOKED_AT:
        drawn = f"if(is_empty_or_null($geometry), NULL, {field})"
        values, _ = QgsVectorLayerUtils.getValues(layer, drawn, selected_only)
    elif layer.isModified() or "geometrytype=" in layer.source() or not is_simple(layer.fields().at(index)):
        values, _ = QgsVectorLayerUtils.getValues(layer, field)
    else:
        values = layer.uniqueValues(index)
    return {text for text in map(value_text, values) if text is not None}


def is_simple(field: QgsField) -> bool:
    """Whether a field holds texts or numbers."""
    return field.type() in (*TEXT_TYPES, *COUNTED_TYPES, *MEASURED_TYPES)


def legend_entries(layer: QgsVectorLayer, field: str) -> list[tuple[str, str, str]]:
    """Return (value, name, colour) of a categorised legend of this field, in its order; each value once. Main thread.

    Args:
        layer: of polygons.
        field: that the legend must show.
    """
    if legend_field(layer) != field:
        return []
    entries: dict[str, tuple[str, str, str]] = {}
    for category in layer.renderer().categories():
        values = category.value() if isinstance(category.value(), (list, tuple)) else [category.value()]
        texts = [text for text in map(value_text, values) if text is not None]
        symbol = category.symbol()
        color = symbol.color().name() if symbol is not None else "#808080"
        for text in texts:
            name = category.label().strip() if len(texts) == 1 else text
            entries.setdefault(text, (text, name or text, color))
    return list(entries.values())


def single_color(layer: QgsVectorLayer) -> str:
    """The colour a layer is drawn in, if it is drawn in one; else the first of ours."""
    renderer = layer.renderer()
    if isinstance(renderer, QgsSingleSymbolRenderer) and renderer.symbol() is not None:
        return str(renderer.symbol().color().name())
    return class_color(0)


def in_order(values: Iterable[str]) -> list[str]:
    """Return numbers by size, then texts in alphabetical order."""

    def key(text: str) -> tuple[int, float, str]:
        return (0, float(text), text) if NUMBER.fullmatch(text) else (1, 0.0, text.casefold())

    return sorted(values, key=key)


def unequal(entries: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The entries with names that differ: a name used twice gets its value added."""
    names = [name for _, name, _ in entries]
    return [
        (value, f"{name} ({value})" if names.count(name) > 1 else name, color)
        for value, name, color in entries
    ]
