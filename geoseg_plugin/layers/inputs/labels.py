"""Labels as they are now: polygons, lines and points of one or more layers, or a raster of classes. Main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from qgis.core import QgsMapLayer, QgsRasterLayer, QgsVectorLayer

from ...contract import LabelClass, LabelLayer, Labels
from ..classes import classes_of, single_color
from ..exports import LABEL_LAYER, PolygonExport
from ..rasterclasses import raster_classes
from ..snapshot import polygon_snapshot
from .areas import split_fields
from .folder import NOWHERE, InputFolder, RasterSnapshot
from .rasters import class_raster_snapshot

FurtherLabels = Sequence[tuple[QgsVectorLayer, str]]
"""Further layers of labels, each with its class field; without a field a layer is one class of its name."""


@dataclass(frozen=True)
class LabelSnapshot:
    """Labels at one moment.

    Attributes:
        labels: all but the paths of files that are still to be written.
        raster: the raster of classes, if the labels are one.
        polygons: write the polygons: of the first layer (of a raster there are none), then of `labels.more`.
    """

    labels: Labels
    raster: RasterSnapshot | None = None
    polygons: tuple[PolygonExport, ...] = ()

    def located(self, folder: InputFolder) -> Labels:
        """Return the labels with polygons in `labels.gpkg`, `labels_2.gpkg` … of `folder`. Any thread."""
        first = 1 if self.raster is None else 2
        paths = [
            folder.add(export, f"labels_{number}.gpkg" if number > 1 else "labels.gpkg")
            for number, export in enumerate(self.polygons, first)
        ]
        own = paths.pop(0) if self.raster is None else self.raster.located(folder).path
        more = tuple(
            dataclasses.replace(layer, path=path) for layer, path in zip(self.labels.more, paths, strict=True)
        )
        return dataclasses.replace(self.labels, path=own, more=more)


def label_snapshot(
    layer: QgsVectorLayer | QgsRasterLayer,
    class_field: str = "",
    further: FurtherLabels = (),
    selected_only: bool = False,
) -> LabelSnapshot:
    """Return labels as they are now. Main thread.

    Args:
        layer: polygons, lines or points, or a raster of classes.
        class_field: field of the features with the class; empty for one class.
        further: more layers of features.
        selected_only: use only the features of `layer` that are selected now.
    """
    more = tuple(
        LabelLayer("", LABEL_LAYER, item.name(), field, "" if field else single_color(item))
        for item, field in further
    )
    polygons = [polygon_snapshot(item, NOWHERE, (field,)) for item, field in further]
    if isinstance(layer, QgsRasterLayer):
        labels = Labels("", name=layer.name(), classes=raster_classes(layer), kind="raster", more=more)
        return LabelSnapshot(labels, class_raster_snapshot(layer), tuple(polygons))
    fields = (class_field, *split_fields(layer))
    own = polygon_snapshot(layer, NOWHERE, fields, selected_only)
    labels = Labels(
        "", LABEL_LAYER, layer.name(), class_field, classes_of(layer, class_field, selected_only), more=more
    )
    return LabelSnapshot(labels, polygons=(own, *polygons))


def all_classes(
    layer: QgsMapLayer | None, class_field: str, further: FurtherLabels = (), selected_only: bool = False
) -> tuple[LabelClass, ...]:
    """Return the classes of a label layer, and of further ones with a field what is new by value or name. Main thread.

    Args:
        layer: polygons, a raster of classes, or None.
        class_field: field of the polygons with the class.
        further: more layers of features.
        selected_only: of `layer` only features that are selected now count.
    """
    found = list(classes_of_layer(layer, class_field, selected_only))
    for item, field in further:
        if field:
            known = {text.casefold() for one in found for text in (one.value, one.name)}
            found += [one for one in classes_of(item, field) if one.value.casefold() not in known]
    return tuple(dataclasses.replace(item, id=number) for number, item in enumerate(found))


def classes_of_layer(
    layer: QgsMapLayer | None, class_field: str, selected_only: bool = False
) -> tuple[LabelClass, ...]:
    """Return the classes of a layer of either kind. Main thread.

    Args:
        layer: polygons, a raster of classes, or None.
        class_field: field of the features with the class; empty for one class.
        selected_only: only features that are selected now count.
    """
    if isinstance(layer, QgsVectorLayer):
        return classes_of(layer, class_field, selected_only)
    return raster_classes(layer) if isinstance(layer, QgsRasterLayer) else ()
