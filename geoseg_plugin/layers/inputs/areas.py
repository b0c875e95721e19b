"""Areas as they are now: polygons of a layer, an extent, or what follows from labels and rasters. Main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qgis.core import QgsMapLayer, QgsVectorLayer

from ...contract import SPLITS, Area
from ..classes import TEXT_TYPES
from ..exports import LABEL_LAYER, PolygonExport
from ..snapshot import crs_text, polygon_snapshot
from .folder import NOWHERE, InputFolder

if TYPE_CHECKING:
    from qgis.gui import QgsMapCanvas

ShownExtent = tuple[tuple[float, float, float, float] | None, str]
"""Extent of the map, (xmin, ymin, xmax, ymax), and its CRS."""

SPLIT_WORDS = ("split", "fold", "set", "subset", "part")
"""Names of fields that could hold the split."""


@dataclass(frozen=True)
class AreaSnapshot:
    """An area at one moment, and what writes its polygons, if it has any."""

    area: Area
    export: PolygonExport | None = None

    def located(self, folder: InputFolder, name: str = "area.gpkg") -> Area:
        """Return the area with its polygons in a file of `folder`. Any thread.

        Args:
            folder: gets the export.
            name: of the file.
        """
        if self.export is None:
            return self.area
        return dataclasses.replace(self.area, path=folder.add(self.export, name))


def area_snapshot(layer: QgsVectorLayer, split_field: str = "", selected_only: bool = False) -> AreaSnapshot:
    """Return the polygons of a layer as an area. Main thread.

    Args:
        layer: polygon layer, with unsaved edits and filter as they are now.
        split_field: field that names train, validation and test; empty if there is none.
        selected_only: use only the features that are selected now.
    """
    fields = (split_field, *area_fields(layer))
    area = Area("polygons", layer=LABEL_LAYER, split_field=split_field)
    return AreaSnapshot(area, polygon_snapshot(layer, NOWHERE, fields, selected_only))


def located_split_areas(areas: Sequence[AreaSnapshot], folder: InputFolder) -> tuple[Area, ...]:
    """Return the areas of the splits with files `area_train.gpkg` … in a folder. Any thread.

    Args:
        areas: of train, validation and test; or none.
        folder: gets the exports.
    """
    return tuple(
        area.located(folder, f"area_{split}.gpkg") for area, split in zip(areas, SPLITS, strict=False)
    )


def area_fields(layer: QgsMapLayer | None) -> list[str]:
    """Return the fields of an area layer that are written: text fields, and those that could name a split."""
    return [*text_fields(layer), *split_fields(layer)] if isinstance(layer, QgsVectorLayer) else []


def text_fields(layer: QgsVectorLayer) -> list[str]:
    """Return the names of the text fields of a layer."""
    return [
        item.name()
        for item in layer.fields()
        if item.typeName().lower().startswith(("string", "text", "varchar"))
    ]


def split_fields(layer: QgsVectorLayer) -> list[str]:
    """Return the fields that could hold the split: by their name, text or whole numbers."""
    named = [item for item in layer.fields() if item.name().lower() in SPLIT_WORDS]
    return [item.name() for item in named if item.type() in TEXT_TYPES or item.isNumeric()]


def shown_extent(canvas: QgsMapCanvas | None) -> ShownExtent:
    """Return what the map shows; no extent without a map. Main thread."""
    if canvas is None:
        return None, ""
    box = canvas.extent()
    crs = crs_text(canvas.mapSettings().destinationCrs())
    return (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()), crs
