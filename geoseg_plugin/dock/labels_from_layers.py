"""Label choices of the Data page -> the contract's Labels, and what writes their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

from ..contract import GeoSegError, LabelClass, LabelLayer, Labels
from ..jobs.choices import DataChoices
from ..jobs.legend import edited
from ..layers import snapshot
from ..layers.classes import TEXT_TYPES, classes_of, single_color
from ..layers.exports import LABEL_LAYER
from ..layers.rasterclasses import raster_classes
from ..panel.texts import tr

SPLIT_WORDS = ("split", "fold", "set", "subset", "part")
Export = Callable[[], None]


def take_labels(
    choices: DataChoices, folder: Path, project: QgsProject, to_export: set[str]
) -> tuple[Labels, list[Export]]:
    """The labels as they are now; files that must be written go to `folder`.

    Raises:
        GeoSegError: `layer_gone`.
    """
    layer = project.mapLayer(choices.label_layer_id)
    if isinstance(layer, QgsRasterLayer):
        labels, exports = raster_labels(layer, folder, layer.id() in to_export)
    elif isinstance(layer, QgsVectorLayer):
        labels, exports = polygon_labels(layer, choices.class_field, folder)
    else:
        raise layer_gone(choices.label_layer_id)
    more: list[LabelLayer] = []
    if labels.kind == "polygons":
        more, more_exports = take_more(choices, folder, project)
        exports += more_exports
    classes = labels.classes
    excluded: tuple[str, ...] = ()
    edits = choices.edits
    if edits.same_as or edits.left_out:
        classes, excluded = edited(all_classes(choices, project), edits.same_as, edits.left_out)
    unlabelled: Any = "background" if choices.unlabelled == "background" else "unknown"
    found = dataclasses.replace(
        labels,
        classes=classes,
        unlabelled=unlabelled,
        excluded=excluded,
        more=tuple(more),
        border_px=choices.border_px,
        all_touched=choices.all_touched,
        min_area_px=choices.min_area_px,
    )
    return found, exports


def polygon_labels(layer: QgsVectorLayer, field: str, folder: Path) -> tuple[Labels, list[Export]]:
    """A polygon layer with its class field and the fields that could split it."""
    path = folder / "labels.gpkg"
    export = snapshot.polygon_snapshot(layer, path, [field, *split_fields_of(layer)])
    return snapshot.labels_of(layer, path, field, classes_of(layer, field), "background"), [export]


def raster_labels(layer: QgsRasterLayer, folder: Path, always_export: bool) -> tuple[Labels, list[Export]]:
    """A raster of classes; a copy is written where its file says something else than the layer."""
    raster, export = snapshot.raster_input(layer, folder=folder, always_export=always_export)
    if export is None and (raster.crs or raster.nodata is not None):
        raster, export = snapshot.raster_input(layer, folder=folder, always_export=True)
    labels = Labels(path=raster.path, name=layer.name(), classes=raster_classes(layer), kind="raster")
    return labels, [export] if export is not None else []


def take_more(
    choices: DataChoices, folder: Path, project: QgsProject
) -> tuple[list[LabelLayer], list[Export]]:
    """Further label layers."""
    found: list[LabelLayer] = []
    exports: list[Export] = []
    for number, item in enumerate(choices.more_labels, 2):
        layer = project.mapLayer(item.layer_id)
        if not isinstance(layer, QgsVectorLayer) or layer.id() == choices.label_layer_id:
            continue
        path = folder / f"labels_{number}.gpkg"
        exports.append(snapshot.polygon_snapshot(layer, path, [item.class_field]))
        color = "" if item.class_field else single_color(layer)
        found.append(LabelLayer(str(path), LABEL_LAYER, layer.name(), item.class_field, color))
    return found, exports


def all_classes(choices: DataChoices, project: QgsProject) -> tuple[LabelClass, ...]:
    """Classes of the label layer, and of further ones with a field what is new by value or name."""
    found = list(classes_of_layer(project.mapLayer(choices.label_layer_id), choices.class_field))
    for item in choices.more_labels:
        layer = project.mapLayer(item.layer_id)
        if item.class_field and isinstance(layer, QgsVectorLayer):
            known = {text.casefold() for one in found for text in (one.value, one.name)}
            fresh = [one for one in classes_of(layer, item.class_field) if one.value.casefold() not in known]
            found += fresh
    return tuple(dataclasses.replace(item, id=number) for number, item in enumerate(found))


def classes_of_layer(layer: QgsMapLayer | None, field: str) -> tuple[LabelClass, ...]:
    """Classes of a layer of either kind."""
    if isinstance(layer, QgsVectorLayer):
        return classes_of(layer, field)
    return raster_classes(layer) if isinstance(layer, QgsRasterLayer) else ()


def split_fields_of(layer: QgsVectorLayer) -> list[str]:
    """Fields that could say what trains and what tests: by their name, text or whole numbers."""
    names = [field for field in layer.fields() if field.name().lower() in SPLIT_WORDS]
    return [field.name() for field in names if field.type() in TEXT_TYPES or field.isNumeric()]


def layer_gone(layer_id: str) -> GeoSegError:
    """The error for a layer that was removed in the meantime."""
    return GeoSegError(
        "layer_gone",
        tr("The layer {} is no longer in the project.").format(layer_id),
        tr("Choose another layer."),
    )
