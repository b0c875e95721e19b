"""A map of the workspace with all that is known of it -> a sheet to print. Main thread."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import QgsRasterLayer

from ...contract import GeoSegError, PredictJob
from ...jobs.train import job_of
from ...jobs.workspace import last_result
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
from ...panel.texts import tr

if TYPE_CHECKING:
    from ...panel.services import Controller


def sheet_of(classes: QgsRasterLayer, place: Path, desk: Controller) -> Sheet:
    """The sheet of a class layer whose areas, scores and job lie in a folder."""
    job, result = prediction_job(place), last_result(place)
    evaluation = last_result(place / "evaluation")
    of_model = not evaluation
    if of_model and job is not None:
        evaluation = desk.view.evaluation(Path(job.model).parent)
    made = prediction_notes(place, {"model": job.model, **result}) if job is not None else {}
    notes = printed_notes({**made, **facts_of(classes)})
    layers = (classes, *layers_below(classes, desk))
    return Sheet(
        title=heading_of(classes, desk.project),
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


def prediction_job(place: Path) -> PredictJob | None:
    """The job that made a prediction; None if a folder holds none."""
    try:
        job = job_of(place)
    except GeoSegError:
        return None
    return job if isinstance(job, PredictJob) else None


def layers_below(classes: QgsRasterLayer, desk: Controller) -> list[QgsRasterLayer]:
    """Images and base maps that are ticked, from the uppermost down; no results."""
    root = desk.project.layerTreeRoot()
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
    """A folder's name as people read it, without date."""
    words = DATED.sub("", place.name).replace("_", " ").strip()
    return tr("Map {}").format(words or place.name)
