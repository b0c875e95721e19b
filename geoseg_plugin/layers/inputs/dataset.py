"""Choices of the Data page -> the inputs of its jobs. Main thread."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import cast

from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer, QgsVectorLayer

from ...contract import Area, AreaKind, GridRequest, LabelClass, Labels, Unlabelled
from ...jobs.choices import DataChoices
from ...jobs.composition import Composition
from ...jobs.legend import edited
from ...jobs.rasterfacts import RasterFacts
from ..facts import raster_facts
from .areas import AreaSnapshot, ShownExtent, area_snapshot
from .bands import stack_snapshot
from .folder import Export, InputFolder
from .labels import LabelSnapshot, all_classes, label_snapshot
from .lookup import layer_gone, vector_layer


@dataclass(frozen=True)
class DataInputs:
    """Everything that a data job needs, as it was on the main thread at one moment.

    Attributes:
        bands: sources and bands of the stack.
        grid: as chosen; without a reference that of `bands` counts.
        area: where labels are complete.
        labels: None while no layer is chosen.
        folder: gets the files that are written.
    """

    bands: Composition
    grid: GridRequest
    area: Area
    labels: Labels | None
    folder: InputFolder

    @property
    def exports(self) -> list[Export]:
        """Return what must be written before the job runs."""
        return self.folder.exports

    @property
    def notes(self) -> list[str]:
        """Return a sentence for each raster that is copied."""
        return self.folder.notes


def data_inputs(
    choices: DataChoices,
    folder: InputFolder,
    project: QgsProject,
    shown: ShownExtent = (None, ""),
) -> DataInputs:
    """Return the chosen layers as the inputs of a job, as they are now. Main thread.

    Args:
        choices: of the page.
        folder: gets what is written.
        project: that has the layers.
        shown: what the map shows, for an area that is this.

    Raises:
        GeoSegError: `layer_gone`.
    """
    labels_crs = labels_crs_of(choices, project)
    stack = stack_snapshot(
        choices.rasters, choices.additions, project.mapLayer, choices.mosaic_layers, labels_crs
    )
    stack = dataclasses.replace(stack, settings=choices.settings, reference=choices.reference_layer_id)
    labels = label_inputs(choices, project).located(folder) if choices.label_layer_id else None
    size = (choices.pixel_size, choices.pixel_size) if choices.pixel_size else None
    return DataInputs(
        bands=stack.located(folder),
        grid=GridRequest(crs=choices.crs, pixel_size=size),
        area=area_inputs(choices, project, shown).located(folder),
        labels=labels,
        folder=folder,
    )


def label_inputs(choices: DataChoices, project: QgsProject) -> LabelSnapshot:
    """Return the labels as they are now, with what the user set for them. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.

    Raises:
        GeoSegError: `layer_gone`.
    """
    layer = project.mapLayer(choices.label_layer_id)
    if not isinstance(layer, (QgsRasterLayer, QgsVectorLayer)):
        raise layer_gone(choices.label_layer_id)
    further = further_labels(choices, project) if isinstance(layer, QgsVectorLayer) else []
    selected_only = choices.selected_only and isinstance(layer, QgsVectorLayer)
    found = label_snapshot(layer, choices.class_field, further, selected_only)
    classes = found.labels.classes
    excluded: tuple[str, ...] = ()
    edits = choices.edits
    if edits.same_as or edits.left_out:
        every = chosen_classes(choices, project)
        classes, excluded = edited(every, edits.same_as, edits.left_out)
    unlabelled: Unlabelled = "background" if choices.unlabelled == "background" else "unknown"
    labels = dataclasses.replace(
        found.labels,
        classes=classes,
        unlabelled=unlabelled,
        excluded=excluded,
        border_px=choices.border_px,
        all_touched=choices.all_touched,
        min_area_px=choices.min_area_px,
        point_radius=choices.point_radius,
        line_width=choices.line_width,
        size_unit="m" if choices.size_unit == "m" else "px",
    )
    return dataclasses.replace(found, labels=labels)


def further_labels(choices: DataChoices, project: QgsProject) -> list[tuple[QgsVectorLayer, str]]:
    """Return the further label layers that are still in the project, with their class fields.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    layers = [(project.mapLayer(item.layer_id), item.class_field) for item in choices.more_labels]
    return [
        (layer, field)
        for layer, field in layers
        if isinstance(layer, QgsVectorLayer) and layer.id() != choices.label_layer_id
    ]


def chosen_classes(choices: DataChoices, project: QgsProject) -> tuple[LabelClass, ...]:
    """Return the classes of the label layer, and of further ones with a field what is new. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    layers = [(project.mapLayer(item.layer_id), item.class_field) for item in choices.more_labels]
    further = [(layer, field) for layer, field in layers if isinstance(layer, QgsVectorLayer)]
    layer = project.mapLayer(choices.label_layer_id)
    return all_classes(layer, choices.class_field, further, choices.selected_only)


def area_inputs(choices: DataChoices, project: QgsProject, shown: ShownExtent) -> AreaSnapshot:
    """Return the chosen area as it is now. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
        shown: what the map shows, for an area that is this.

    Raises:
        GeoSegError: `layer_gone`.
    """
    if choices.area_kind == "polygons" and choices.area_layer_id:
        return area_snapshot(vector_layer(project.mapLayer, choices.area_layer_id))
    if choices.area_kind == "extent":
        return AreaSnapshot(Area("extent", extent=shown[0], extent_crs=shown[1]))
    return AreaSnapshot(Area(cast(AreaKind, choices.area_kind), ratio=choices.area_ratio))


def labels_crs_of(choices: DataChoices, project: QgsProject) -> QgsCoordinateReferenceSystem | None:
    """Return the CRS of the label layer; None without one. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    layer = project.mapLayer(choices.label_layer_id)
    return layer.crs() if layer is not None else None


def facts_of(choices: DataChoices, project: QgsProject) -> list[RasterFacts]:
    """Return the facts of the ticked rasters that are still in the project, each mosaic as one. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    found = []
    for choice in choices.rasters:
        layers = [project.mapLayer(layer_id) for layer_id in (choice.layer_id, *choice.also)]
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer.isValid()]
        if rasters and rasters[0].id() == choice.layer_id:
            found.append(raster_facts(rasters, labels_crs_of(choices, project)))
    return found
