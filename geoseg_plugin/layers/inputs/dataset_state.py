"""The state of everything that a dataset is made from: equal where nothing has changed. Main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from qgis.core import QgsProject, QgsVectorLayer

from ...jobs.additions import Addition, Input, additions_to_json
from ...jobs.choices import DataChoices
from ..facts import legend_state
from .areas import ShownExtent, area_fields, split_fields
from .bands import used_rasters

StateOf = Callable[[str, Sequence[str]], dict[str, Any]]


def dataset_state(
    choices: DataChoices, project: QgsProject, shown: ShownExtent, state: StateOf
) -> dict[str, Any]:
    """Everything that a dataset is made from, part by part, as JSON-able data: equal where nothing has changed.

    Args:
        state: the state of a layer, by its id and the fields that count (`layers.facts.state_of`).
    """

    def of_layer(layer_id: str, fields: Sequence[str] = (), named: bool = True) -> dict[str, Any]:
        layer = project.mapLayer(layer_id)
        own = split_fields(layer) if isinstance(layer, QgsVectorLayer) else []
        found = state(layer_id, (*fields, *own)) if layer is not None else {}
        return found if named else {key: value for key, value in found.items() if key != "name"}

    rasters = [
        [[of_layer(layer_id) for layer_id in item.layer_ids], item.bands, item.terrain]
        for item in used_rasters(choices.rasters, choices.additions, choices.mosaic_layers)
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
    options: tuple[Any, ...] = (
        choices.unlabelled,
        choices.border_px,
        choices.all_touched,
        choices.min_area_px,
        *drawn_options(choices, project),
    )
    reference = project.mapLayer(choices.reference_layer_id)
    return {
        "rasters": [rasters, choices.settings],
        "additions": [additions_to_json(added), of_added],
        "labels": [labels, choices.class_field, more, legends, edits, options],
        "area": [choices.area_kind, *area_state(choices, project, shown, of_layer)],
        "grid": [choices.crs, choices.pixel_size, reference.name() if reference is not None else ""],
    }


def drawn_options(choices: DataChoices, project: QgsProject) -> tuple[Any, ...]:
    """Return what depends on the kind of the labels and on the selection; empty where nothing does. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    layer = project.mapLayer(choices.label_layer_id)
    selected = choices.selected_only and isinstance(layer, QgsVectorLayer)
    found: tuple[Any, ...] = (sorted(layer.selectedFeatureIds()),) if selected else ()
    if choices.sampled:
        found = (*found, choices.point_radius, choices.line_width, choices.size_unit)
    return found


def area_state(
    choices: DataChoices, project: QgsProject, shown: ShownExtent, of_layer: Callable[..., Any]
) -> list[Any]:
    """Return what an area of this kind depends on, besides the labels. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
        shown: what the map shows.
        of_layer: gives the state of a layer.
    """
    if choices.area_kind == "polygons":
        fields = area_fields(project.mapLayer(choices.area_layer_id))
        return [of_layer(choices.area_layer_id, fields, named=False)]
    if choices.area_kind == "concave_hull":
        return [choices.area_ratio]
    return [shown] if choices.area_kind == "extent" else []


def without_ids(addition: Addition) -> tuple[Input, ...]:
    """The variables of an expression without layer ids, which another project gives anew."""
    return tuple(dataclasses.replace(item, layer_id="") for item in addition.inputs)
