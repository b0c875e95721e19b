"""Points of a reference sample: drawn by what was found at them, filled in by choosing a class. Main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsAttributeEditorField,
    QgsCategorizedSymbolRenderer,
    QgsEditFormConfig,
    QgsEditorWidgetSetup,
    QgsLayerTreeGroup,
    QgsMarkerSymbol,
    QgsProject,
    QgsRendererCategory,
    QgsSimpleMarkerSymbolLayer,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtGui import QColor

from ..contract import IGNORE, LabelClass
from . import publish
from .colors import UNSEEN_POINT, class_color
from .exports import PolygonExport
from .snapshot import feature_snapshot

SAMPLE_LAYER, REFERENCE_FIELD = "sample", "reference"
"""Layer of the points in its file, and field with the true class."""

DARK = "#1b1b1b"
ANOTHER_CLASS, ANOTHER_COLOR = "another class", "#999999"
"""What a point has whose true class is none of the map's; the engine counts it as a class of its own."""


def tr(text: str) -> str:
    return publish.tr(text)


def publish_sample(
    file: Path,
    title: str,
    classes: tuple[LabelClass, ...],
    notes: dict[str, str],
    project: QgsProject | None = None,
    later: publish.Later = publish.at_once,
    group: QgsLayerTreeGroup | None = None,
) -> QgsLayerTreeGroup:
    """Show sample points, ready to be filled in, under a name of their own. Main thread.

    Args:
        file: GeoPackage with the points.
        title: of the group.
        classes: that can be chosen.
        notes: name -> text, written into the metadata.
        project: gets the layer; None is the current one.
        later: runs an action in one of the next turns of the event loop.
        group: gets the layer; None makes one.
    """
    item = sample_item(file, classes, free_name(project or QgsProject.instance()))
    return publish.publish([item], title, notes, project, later, group)


def sample_item(file: Path, classes: tuple[LabelClass, ...], name: str) -> publish.Item:
    """Return the points of a GeoPackage as a layer to publish.

    Args:
        file: GeoPackage with the points.
        classes: that can be chosen.
        name: of the layer.
    """
    return publish.Item(file, name, lambda layer: style_sample(layer, classes), SAMPLE_LAYER)


def free_name(project: QgsProject) -> str:
    """`Reference sample`, else `Sample 2 (reference)` and so on: the number is read where a list cuts the name off."""
    taken = {layer.name() for layer in project.mapLayers().values()}
    names = (
        tr("Sample {} (reference)").format(number) if number > 1 else tr("Reference sample")
        for number in count(1)
    )
    return next(name for name in names if name not in taken)


def hide_samples(group: QgsLayerTreeGroup | None) -> int:
    """Switch off the samples of a group that are on; returns how many. Nothing is lost: they stay in the tree."""
    shown = [
        node
        for node in (group.findLayers() if group is not None else ())
        if is_sample(node.layer()) and node.itemVisibilityChecked()
    ]
    for node in shown:
        node.setItemVisibilityChecked(False)
    return len(shown)


def sample_classes(rows: Iterable[Mapping[str, Any]], legend: Iterable[LabelClass]) -> tuple[LabelClass, ...]:
    """What may be found at a point, by the names that the engine will know again.

    Args:
        rows: classes on the map as the engine calls them: `id`, the value of the raster, and `name`.
        legend: of the map's layer, `value` being that of the raster; a user's style may name them otherwise.

    Returns:
        The whole legend where it calls every class as the engine does: what the map lacks may be there all the same.
    """
    rows = list(rows)
    drawn = {item.value: item for item in legend}
    if all(str(row["id"]) in drawn and drawn[str(row["id"])].name == str(row["name"]) for row in rows):
        return tuple(item for item in drawn.values() if item.value != str(IGNORE))
    return tuple(
        LabelClass(int(row["id"]), str(row["name"]), str(row["name"]), color_of(drawn, row["id"], place))
        for place, row in enumerate(rows)
    )


def color_of(drawn: Mapping[str, LabelClass], value: object, place: int) -> str:
    """The colour of a value in a legend, else one for its place.

    Args:
        drawn: colours of the map's classes.
        value: of the class.
        place: number of the class.
    """
    found = drawn.get(str(value))
    return found.color if found is not None else class_color(place)


def style_sample(layer: QgsVectorLayer, classes: Iterable[LabelClass]) -> None:
    """Points without a class are prominent; the form offers the classes, and another, and hides the class of the map.

    Who looks at a point must not know the map's answer, or the sample only confirms the map.

    Args:
        layer: of the points.
        classes: that can be chosen.
    """
    classes = tuple(classes)
    categories = [QgsRendererCategory("", unseen(), tr("Not interpreted yet"))]
    categories += [QgsRendererCategory(item.name, seen(item.color), item.name) for item in classes]
    categories.append(QgsRendererCategory(ANOTHER_CLASS, seen(ANOTHER_COLOR), tr("Another class")))
    layer.setRenderer(
        QgsCategorizedSymbolRenderer(f"coalesce(to_string(\"{REFERENCE_FIELD}\"), '')", categories)
    )
    names = [*({item.name: item.name} for item in classes), {tr("Another class"): ANOTHER_CLASS}]
    place = layer.fields().lookupField(REFERENCE_FIELD)
    layer.setEditorWidgetSetup(place, QgsEditorWidgetSetup("ValueMap", {"map": names}))
    layer.setFieldAlias(place, tr("Reference class"))
    show_only(layer, ("point_id", REFERENCE_FIELD))
    layer.setDisplayExpression("'" + tr("Point") + ' \' || "point_id"')
    layer.triggerRepaint()


def show_only(layer: QgsVectorLayer, names: Iterable[str]) -> None:
    """A form with these fields; the first cannot be edited.

    Args:
        layer: of the points.
        names: of the fields that the form shows.
    """
    form = layer.editFormConfig()
    form.clearTabs()
    form.setLayout(QgsEditFormConfig.EditorLayout.TabLayout)
    root = form.invisibleRootContainer()
    places = [(name, layer.fields().lookupField(name)) for name in names]
    for name, place in places:
        if place >= 0:
            root.addChildElement(QgsAttributeEditorField(name, place, root))
    form.setReadOnly(places[0][1], True)
    layer.setEditFormConfig(form)


def unseen() -> QgsMarkerSymbol:
    """A bright ring on a dark one: the map inside stays visible."""
    return ring(UNSEEN_POINT, 4.2)


def seen(color: str) -> QgsMarkerSymbol:
    """A dot in the class's colour in a dark and a light ring: one of them is visible on any map."""
    dot = {"name": "circle", "color": color, "size": "2.6", "outline_color": DARK, "outline_width": "0.4"}
    symbol = QgsMarkerSymbol.createSimple(dot)
    halo = {
        "name": "circle",
        "color": "#ffffff",
        "size": "4.2",
        "outline_color": DARK,
        "outline_width": "0.2",
    }
    symbol.insertSymbolLayer(0, QgsSimpleMarkerSymbolLayer.create(halo))
    return symbol


def ring(color: str, size_mm: float) -> QgsMarkerSymbol:
    """A hollow circle with a dark casing.

    Args:
        color: as `#rrggbb`.
        size_mm: its diameter.
    """
    plain = {"name": "circle", "size": str(size_mm), "color": "0,0,0,0", "outline_width": "0.6"}
    symbol = QgsMarkerSymbol.createSimple({**plain, "outline_color": color})
    casing = QgsSimpleMarkerSymbolLayer.create(
        {**plain, "outline_color": "0,0,0,170", "outline_width": "1.3"}
    )
    casing.setColor(QColor(0, 0, 0, 0))
    symbol.insertSymbolLayer(0, casing)
    return symbol


def is_sample(layer: object) -> bool:
    """Whether a layer of points has the field that a reference sample is filled in with."""
    return isinstance(layer, QgsVectorLayer) and layer.fields().lookupField(REFERENCE_FIELD) >= 0


def sample_snapshot(layer: QgsVectorLayer, path: Path, selected_only: bool = False) -> PolygonExport:
    """Return what writes the points as they are now, with unsaved answers. Main thread.

    Args:
        layer: of the points.
        path: GeoPackage to write.
        selected_only: only the points that are selected now.
    """
    export = feature_snapshot(layer, path, layer.fields().names(), selected_only)
    return dataclasses.replace(export, geometry=QgsWkbTypes.Type.Point)
