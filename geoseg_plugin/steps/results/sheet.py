"""A map of the workspace with all that is known of it -> a sheet to print. Main thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer

from ...layers.areas import rows_of_prediction
from ...layers.notes import prediction_notes
from ...layers.results import result_kind
from ...layers.sheet import (
    DATED,
    Sheet,
    attribution_of,
    facts_of,
    heading_of,
    printed_notes,
    score_lines,
    scores_title,
    subtitle_of,
)
from ...panel.records import prediction_job
from ...panel.texts import tr
from ...records.workspace import last_result


def sheet_of(
    classes: QgsRasterLayer,
    place: Path,
    project: QgsProject,
    evaluation_of: Callable[[Path], Mapping[str, Any]],
) -> Sheet:
    """Return the sheet of a class layer.

    Args:
        classes: the layer.
        place: folder with its areas, scores and job.
        project: gives the title and the layers below.
        evaluation_of: the last evaluation of a run, by its folder; empty without one.
    """
    job, result = prediction_job(place), last_result(place)
    evaluation: Mapping[str, Any] = last_result(place / "evaluation")
    of_model = not evaluation
    if of_model and job is not None:
        evaluation = evaluation_of(Path(job.model).parent)
    made = prediction_notes(place, {"model": job.model, **result}) if job is not None else {}
    notes = printed_notes({**made, **facts_of(classes)})
    layers = (classes, *layers_below(classes, project))
    return Sheet(
        title=heading_of(classes, project),
        layers=layers,
        legend=(classes,),
        extent=classes.extent(),
        crs=classes.crs(),
        subtitle=subtitle_of(notes),
        areas=last_result(place / "areas") or rows_of_prediction(result),
        scores=tuple(score_lines(evaluation)),
        scores_title=scores_title(of_model),
        notes=notes,
        attribution=attribution_of(layers),
        name=title_of(place),
    )


def layers_below(classes: QgsRasterLayer, project: QgsProject) -> list[QgsRasterLayer]:
    """Return the images and base maps that are ticked, from the uppermost down; no results."""
    root = project.layerTreeRoot()
    ticked = {layer.id() for layer in root.checkedLayers()}
    return [
        layer
        for layer in root.layerOrder()
        if isinstance(layer, QgsRasterLayer)
        and layer.id() in ticked
        and layer.id() != classes.id()
        and not result_kind(layer)
    ]


def title_of(place: Path) -> str:
    """Return the title of a folder: its name without date."""
    title = DATED.sub("", place.name).replace("_", " ").strip()
    return tr("Map {}").format(title or place.name)
