"""Choices of the Data and Predict pages -> snapshots of layers: plain data plus exports for the task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsMapLayer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas

from ..contract import Area, GridRequest, Labels, Problem
from ..jobs.additions import Addition, Input, additions_to_json, written_to
from ..jobs.choices import DataChoices, RasterChoice
from ..jobs.composition import Composition, compose
from ..jobs.inputs import RasterInput
from ..jobs.rasterfacts import RasterFacts, strip_problem
from ..layers import snapshot
from ..layers.exports import LABEL_LAYER
from ..layers.facts import legend_state, raster_facts
from ..layers.results import result_kind
from ..panel.texts import tr
from .labels_from_layers import layer_gone, split_fields_of, take_labels

Export = Callable[[], None]
StateOf = Callable[[str, Sequence[str]], dict[str, Any]]


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


def missing_choices(choices: DataChoices) -> list[Problem]:
    """What must still be chosen before a dataset can be prepared."""
    found: list[Problem] = []
    if not choices.band_count:
        found.append(Problem("no_bands", tr("No band is ticked."), tr("Tick at least one raster band.")))
    if not choices.label_layer_id:
        found.append(
            Problem("no_labels", tr("No label layer is chosen."), tr("Choose the layer with your labels."))
        )
    if choices.area_kind == "polygons" and not choices.area_layer_id:
        found.append(Problem("no_area", tr("No area layer is chosen."), tr("Choose a polygon layer.")))
    return found


def data_problems(choices: DataChoices, project: QgsProject) -> list[Problem]:
    """Complaints about the choices and the layers themselves, known without the engine; what is missing is in it."""
    found = missing_choices(choices)
    for addition in choices.additions:
        if any(project.mapLayer(layer_id) is None for layer_id in addition.layer_ids):
            found.append(
                Problem(
                    "layer_gone",
                    tr("A layer of the added band “{}” is no longer in the project.").format(addition.title),
                    tr("Remove the band from the list, or load the layer again."),
                )
            )
    strip = strip_problem(facts_of(choices, project))
    if strip is not None:
        found.append(strip)
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
    found += [result_warning(layer) for layer in result_layers(choices, project)]
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
        _take_raster(choice, folder, project, to_export, taken, labels_crs_of(choices, project))
    taken.additions = [_take_addition(item, folder, project, taken) for item in choices.additions]
    taken.grid = grid_request(choices, taken.bands.keys)
    taken.area = _take_area(choices, folder, project, canvas, taken)
    if choices.label_layer_id:
        taken.labels, exports = take_labels(choices, folder, project, to_export)
        taken.exports += exports
    return taken


def labels_crs_of(choices: DataChoices, project: QgsProject) -> QgsCoordinateReferenceSystem | None:
    """The CRS of the label layer; None without one."""
    layer = project.mapLayer(choices.label_layer_id)
    return layer.crs() if layer is not None else None


def facts_of(choices: DataChoices, project: QgsProject) -> list[RasterFacts]:
    """Facts of the ticked rasters that are still in the project, each mosaic as one."""
    found = []
    for choice in choices.rasters:
        layers = [project.mapLayer(layer_id) for layer_id in (choice.layer_id, *choice.also)]
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer.isValid()]
        if rasters and rasters[0].id() == choice.layer_id:
            found.append(raster_facts(rasters, labels_crs_of(choices, project)))
    return found


def result_layers(choices: DataChoices, project: QgsProject) -> list[QgsRasterLayer]:
    """Ticked rasters that are results of GeoSeg."""
    layers = [project.mapLayer(item.layer_id) for item in choices.rasters]
    return [layer for layer in layers if isinstance(layer, QgsRasterLayer) and result_kind(layer)]


def result_warning(layer: QgsRasterLayer) -> Problem:
    """A result is among the inputs."""
    return Problem(
        "result_is_band",
        tr("Layer '{}' is a result of GeoSeg: a model that sees it learns an earlier answer.").format(
            layer.name()
        ),
        tr("Untick it, unless that is what you want."),
        "warning",
    )


def inputs_of(
    choices: DataChoices, project: QgsProject, canvas: QgsMapCanvas | None, state: StateOf
) -> dict[str, Any]:
    """Everything that a dataset is made from, part by part, as JSON-able data: equal where nothing has changed.

    Args:
        state: the state of a layer, by its id and the fields that count (`layers.facts.state_of`).
    """

    def of_layer(layer_id: str, fields: Sequence[str] = (), named: bool = True) -> dict[str, Any]:
        layer = project.mapLayer(layer_id)
        own = split_fields_of(layer) if isinstance(layer, QgsVectorLayer) else []
        found = state(layer_id, (*fields, *own)) if layer is not None else {}
        return found if named else {key: value for key, value in found.items() if key != "name"}

    rasters = [
        [[of_layer(layer_id) for layer_id in (item.layer_id, *item.also)], item.bands, item.terrain]
        for item in (*choices.rasters, *unticked(choices))
    ]
    added = [dataclasses.replace(item, layer_id="", inputs=without_ids(item)) for item in choices.additions]
    of_added = [
        [of_layer(layer_id, item.fields) for layer_id in item.layer_ids] for item in choices.additions
    ]
    labels = of_layer(choices.label_layer_id, [choices.class_field], named=False)
    fields = [(choices.label_layer_id, choices.class_field)]
    fields += [(item.layer_id, item.class_field) for item in choices.more_labels]
    legends = [legend_state(project.mapLayer(layer_id), field) for layer_id, field in fields]
    more = [[of_layer(item.layer_id, [item.class_field]), item.class_field] for item in choices.more_labels]
    edits = (choices.edits.same_as, choices.edits.left_out)
    options = (choices.unlabelled, choices.border_px, choices.all_touched, choices.min_area_px)
    reference = project.mapLayer(choices.reference_layer_id)
    return {
        "rasters": [rasters, choices.settings],
        "additions": [additions_to_json(added), of_added],
        "labels": [labels, choices.class_field, more, legends, edits, options],
        "area": [choices.area_kind, *area_state(choices, project, canvas, of_layer)],
        "grid": [choices.crs, choices.pixel_size, reference.name() if reference is not None else ""],
    }


def area_state(
    choices: DataChoices, project: QgsProject, canvas: QgsMapCanvas | None, of_layer: Callable[..., Any]
) -> list[Any]:
    """What an area of this kind depends on, besides the labels."""
    if choices.area_kind == "polygons":
        fields = area_fields(project.mapLayer(choices.area_layer_id))
        return [of_layer(choices.area_layer_id, fields, named=False)]
    if choices.area_kind == "concave_hull":
        return [choices.area_ratio]
    return [canvas_extent(canvas)] if choices.area_kind == "extent" else []


def without_ids(addition: Addition) -> tuple[Input, ...]:
    """The variables of an expression without layer ids, which another project gives anew."""
    return tuple(dataclasses.replace(item, layer_id="") for item in addition.inputs)


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
    choice: RasterChoice,
    folder: Path,
    project: QgsProject,
    to_export: set[str],
    taken: Snapshot,
    labels_crs: QgsCoordinateReferenceSystem | None,
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
    facts = raster_facts([raster_layer(project, choice.layer_id)], labels_crs)
    taken.rasters.append(
        dataclasses.replace(
            found[0], ticked=choice.bands, layer_id=choice.layer_id, more_paths=more, facts=facts
        )
    )


def _take_addition(addition: Addition, folder: Path, project: QgsProject, taken: Snapshot) -> Addition:
    """An added band; the features of a vector layer are written as they are now."""
    if addition.kind != "vector":
        return addition
    layer = vector_layer(project, addition.layer_id)
    path = folder / f"features_{snapshot.file_stem(layer.id())[-8:]}_{len(taken.exports)}.gpkg"
    taken.exports.append(snapshot.feature_snapshot(layer, path, addition.fields))
    return written_to(addition, str(path), LABEL_LAYER, layer.name())


def grid_request(choices: DataChoices, keys: Mapping[str, str]) -> GridRequest:
    """The grid as chosen; `keys` are those of the sources, by layer id."""
    key = keys.get(choices.reference_layer_id, "")
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


def area_fields(layer: QgsMapLayer | None) -> list[str]:
    """Fields of an area layer that are written along: its text fields, and those that could name a split."""
    return [*text_fields(layer), *split_fields_of(layer)] if isinstance(layer, QgsVectorLayer) else []


def _take_area(
    choices: DataChoices, folder: Path, project: QgsProject, canvas: QgsMapCanvas | None, taken: Snapshot
) -> Area:
    if choices.area_kind == "polygons" and choices.area_layer_id:
        layer = vector_layer(project, choices.area_layer_id)
        path = folder / "area.gpkg"
        taken.exports.append(snapshot.polygon_snapshot(layer, path, area_fields(layer)))
        return Area("polygons", str(path), LABEL_LAYER)
    if choices.area_kind == "extent":
        extent, crs = canvas_extent(canvas)
        return Area("extent", extent=extent, extent_crs=crs)
    return Area(choices.area_kind, ratio=choices.area_ratio)  # type: ignore[arg-type]
