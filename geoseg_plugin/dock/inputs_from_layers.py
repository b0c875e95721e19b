"""Choices of the Data and Predict pages -> snapshots of layers: plain data plus exports for the task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas

from ..contract import Area, GridRequest, Labels, Problem
from ..jobs.additions import Addition, written_to
from ..jobs.composition import Composition, compose
from ..jobs.inputs import RasterInput
from ..layers import snapshot
from ..layers.exports import LABEL_LAYER
from .choices import DataChoices, RasterChoice
from .labels_from_layers import layer_gone, split_fields_of, take_labels
from .words import tr

Export = Callable[[], None]


@dataclass
class Snapshot:
    """Everything a data job needs, taken on the main thread at one moment."""

    rasters: list[RasterInput] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    grid: GridRequest = field(default_factory=GridRequest)
    area: Area = field(default_factory=Area)
    labels: Labels | None = None
    exports: list[Export] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def bands(self) -> Composition:
        """What the stack is made of."""
        return compose(self.rasters, self.additions, self.settings)


def data_problems(choices: DataChoices, project: QgsProject) -> list[Problem]:
    """Complaints about the choices and the layers themselves, known without the engine."""
    found: list[Problem] = []
    if not choices.band_count:
        found.append(Problem("no_bands", tr("No band is ticked."), tr("Tick at least one raster band.")))
    if not choices.label_layer_id:
        found.append(
            Problem("no_labels", tr("No label layer is chosen."), tr("Choose the layer with your labels."))
        )
    if choices.area_kind == "polygons" and not choices.area_layer_id:
        found.append(Problem("no_area", tr("No area layer is chosen."), tr("Choose a polygon layer.")))
    for addition in choices.additions:
        if any(project.mapLayer(layer_id) is None for layer_id in addition.layer_ids):
            found.append(
                Problem(
                    "layer_gone",
                    tr("A layer of the added band “{}” is no longer in the project.").format(addition.title),
                    tr("Remove the band from the list, or load the layer again."),
                )
            )
    used = {item.layer_id for item in choices.rasters}
    used |= {layer_id for item in choices.additions for layer_id in item.layer_ids}
    if choices.label_layer_id in used:
        found.append(
            Problem(
                "label_is_band",
                tr("The label layer is used as a band too: the model would see the answer."),
                tr("Untick it among the bands, or remove the band that was added from it."),
                "warning",
            )
        )
    ids = [*(item.layer_id for item in choices.rasters), choices.label_layer_id]
    ids += [layer_id for item in choices.rasters for layer_id in item.also]
    ids += [choices.area_layer_id] if choices.area_kind == "polygons" else []
    for layer_id in dict.fromkeys(ids):
        layer = project.mapLayer(layer_id)
        if layer is not None:
            found += snapshot.problems(layer)
    return found


def take(
    choices: DataChoices,
    folder: Path,
    project: QgsProject,
    canvas: QgsMapCanvas | None,
    to_export: set[str],
) -> Snapshot:
    """Snapshot the chosen layers; files that must be written go to `folder`.

    Args:
        to_export: ids of layers that the engine could not open, so that QGIS writes a copy.
    """
    taken = Snapshot(settings=choices.settings)
    for choice in [*choices.rasters, *unticked(choices)]:
        _take_raster(choice, folder, project, to_export, taken)
    taken.additions = [_take_addition(item, folder, project, taken) for item in choices.additions]
    taken.grid = grid_request(choices)
    taken.area = _take_area(choices, folder, project, canvas, taken)
    if choices.label_layer_id:
        taken.labels, exports = take_labels(choices, folder, project, to_export)
        taken.exports += exports
    return taken


def unticked(choices: DataChoices) -> list[RasterChoice]:
    """Layers of which nothing is ticked but that added bands are made of."""
    known = {item.layer_id for item in choices.rasters}
    also = {item[0]: item[1:] for item in choices.mosaics}
    needed = [
        layer_id
        for addition in choices.additions
        if addition.kind != "vector"
        for layer_id in addition.layer_ids
        if layer_id not in known
    ]
    return [RasterChoice(item, (), (), also.get(item, ())) for item in dict.fromkeys(needed)]


def _take_raster(
    choice: RasterChoice, folder: Path, project: QgsProject, to_export: set[str], taken: Snapshot
) -> None:
    """One source: a layer, or several that make a mosaic."""
    found: list[RasterInput] = []
    for layer_id in (choice.layer_id, *choice.also):
        raster, export = snapshot.raster_input(
            raster_layer(project, layer_id),
            choice.bands,
            choice.terrain,
            folder,
            always_export=layer_id in to_export,
        )
        found.append(raster)
        if export is not None:
            taken.exports.append(export)
            taken.notes.append(export.note)
    more = tuple(item.path for item in found[1:])
    taken.rasters.append(
        dataclasses.replace(found[0], ticked=choice.bands, layer_id=choice.layer_id, more_paths=more)
    )


def _take_addition(addition: Addition, folder: Path, project: QgsProject, taken: Snapshot) -> Addition:
    """An added band; the features of a vector layer are written as they are now."""
    if addition.kind != "vector":
        return addition
    layer = vector_layer(project, addition.layer_id)
    path = folder / f"features_{snapshot.file_stem(layer.id())[-8:]}_{len(taken.exports)}.gpkg"
    taken.exports.append(snapshot.feature_snapshot(layer, path, addition.fields))
    return written_to(addition, str(path), LABEL_LAYER, layer.name())


def grid_request(choices: DataChoices) -> GridRequest:
    """The grid as chosen; sources are r1, r2, … in the order of the ticked layers."""
    ids = [choice.layer_id for choice in choices.rasters]
    reference = choices.reference_layer_id
    key = f"r{ids.index(reference) + 1}" if reference in ids else ""
    size = (choices.pixel_size, choices.pixel_size) if choices.pixel_size else None
    return GridRequest(reference=key, crs=choices.crs, pixel_size=size)


def canvas_extent(canvas: QgsMapCanvas | None) -> tuple[tuple[float, float, float, float] | None, str]:
    """What the map shows, (xmin, ymin, xmax, ymax), and its CRS; None without a map."""
    if canvas is None:
        return None, ""
    box = canvas.extent()
    crs = snapshot.crs_text(canvas.mapSettings().destinationCrs())
    return (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()), crs


def raster_layer(project: QgsProject, layer_id: str) -> QgsRasterLayer:
    """A raster layer of the project.

    Raises:
        GeoSegError: `layer_gone`.
    """
    layer = project.mapLayer(layer_id)
    if not isinstance(layer, QgsRasterLayer):
        raise layer_gone(layer_id)
    return layer


def vector_layer(project: QgsProject, layer_id: str) -> QgsVectorLayer:
    """A vector layer of the project.

    Raises:
        GeoSegError: `layer_gone`.
    """
    layer = project.mapLayer(layer_id)
    if not isinstance(layer, QgsVectorLayer):
        raise layer_gone(layer_id)
    return layer


def text_fields(layer: QgsVectorLayer) -> list[str]:
    """Names of the text fields of a layer."""
    return [
        item.name()
        for item in layer.fields()
        if item.typeName().lower().startswith(("string", "text", "varchar"))
    ]


def _take_area(
    choices: DataChoices, folder: Path, project: QgsProject, canvas: QgsMapCanvas | None, taken: Snapshot
) -> Area:
    if choices.area_kind == "polygons" and choices.area_layer_id:
        layer = vector_layer(project, choices.area_layer_id)
        path = folder / "area.gpkg"
        fields = [*text_fields(layer), *split_fields_of(layer)]
        taken.exports.append(snapshot.polygon_snapshot(layer, path, fields))
        return Area("polygons", str(path), LABEL_LAYER)
    if choices.area_kind == "extent":
        extent, crs = canvas_extent(canvas)
        return Area("extent", extent=extent, extent_crs=crs)
    return Area(choices.area_kind, ratio=choices.area_ratio)  # type: ignore[arg-type]
