"""What is wrong with the choices of the Data page, known without the engine. Main thread."""

from __future__ import annotations

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer

from ...contract import Problem
from ...jobs.choices import DataChoices
from ...jobs.rasterfacts import strip_problem
from ..results import result_kind
from ..snapshot import problems, tr
from .dataset import facts_of


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
    """Return the problems of the choices and of the layers themselves, with what is missing. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
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
                tr("The label layer is used as a band too: the model would see the reference labels."),
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
            found += problems(layer, labels=layer_id == choices.label_layer_id)
    return [*found, *selection_problems(choices, project)]


def selection_problems(choices: DataChoices, project: QgsProject) -> list[Problem]:
    """Return the problem that only selected features are to be used and none is selected. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    layer = project.mapLayer(choices.label_layer_id)
    if not choices.selected_only or not isinstance(layer, QgsVectorLayer) or layer.selectedFeatureCount():
        return []
    return [
        Problem(
            "nothing_selected",
            tr("Only selected features are to be used, but none of layer '{}' is selected.").format(
                layer.name()
            ),
            tr("Select features on the map, or untick 'Selected features only'."),
        )
    ]


def result_layers(choices: DataChoices, project: QgsProject) -> list[QgsRasterLayer]:
    """Return the ticked rasters that are results of GeoSeg. Main thread.

    Args:
        choices: of the page.
        project: that has the layers.
    """
    layers = [project.mapLayer(item.layer_id) for item in choices.rasters]
    return [layer for layer in layers if isinstance(layer, QgsRasterLayer) and result_kind(layer)]


def result_warning(layer: QgsRasterLayer) -> Problem:
    """A result is among the inputs."""
    return Problem(
        "result_is_band",
        tr("Layer '{}' is a result of GeoSeg: a model that sees it learns an earlier prediction.").format(
            layer.name()
        ),
        tr("Untick it, unless that is what you want."),
        "warning",
    )
