"""Choices of the Predict page -> the inputs of a prediction, and what is wrong with them. Main thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer

from ...contract import Problem, Source
from ...jobs.choices import PredictChoices
from ...jobs.modelinputs import ModelInput
from ..results import result_kind
from ..snapshot import problems, tr, value_bands
from .areas import ShownExtent, area_snapshot
from .folder import Export, InputFolder
from .lookup import raster_layer, vector_layer
from .model_inputs import channel_sources, input_sources
from .rasters import raster_snapshot


@dataclass(frozen=True)
class ModelNeeds:
    """What the model of the page needs, as far as the engine has read it.

    Attributes:
        inputs: sources of a model of ours.
        channels: names of the channels of a third-party model.
        ensemble: whether it is made of several.
    """

    inputs: tuple[ModelInput, ...] = ()
    channels: tuple[str, ...] = ()
    ensemble: bool = False

    @property
    def known(self) -> bool:
        """Whether the engine has read the model."""
        return bool(self.inputs or self.channels)


@dataclass(frozen=True)
class PredictionInputs:
    """What a prediction needs, as it was on the main thread at one moment.

    Attributes:
        sources: of the job.
        settings: further fields of the job.
        folder: gets the files that are written; None where nothing is.
    """

    sources: tuple[Source, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    folder: InputFolder | None = None

    @property
    def exports(self) -> list[Export]:
        """Return what must be written before the job runs."""
        return self.folder.exports if self.folder is not None else []

    @property
    def notes(self) -> list[str]:
        """Return a sentence for each raster that is copied."""
        return self.folder.notes if self.folder is not None else []


def prediction_inputs(
    choices: PredictChoices,
    model: ModelNeeds,
    folder: InputFolder,
    project: QgsProject,
    shown: ShownExtent = (None, ""),
) -> PredictionInputs:
    """Return the chosen layers as the inputs of a prediction, as they are now. Main thread.

    Args:
        choices: of the page.
        model: what it needs.
        folder: gets what is written.
        project: that has the layers.
        shown: what the map shows, for a prediction of this.

    Raises:
        GeoSegError: `layer_gone`.
    """
    settings = dict(choices.settings)
    if model.channels:
        layers = {layer_id: raster_layer(project.mapLayer, layer_id) for layer_id, _band in choices.channels}
        rasters = {layer_id: raster_snapshot(layer) for layer_id, layer in layers.items()}
        channels = [(rasters[layer_id], band) for layer_id, band in choices.channels]
        sources, settings["foreign_bands"] = channel_sources(channels, model.channels, folder)
    else:
        sources = input_sources(model.inputs, choices.slots, project.mapLayer, folder, choices.bindings)
    if choices.place == "map":
        settings["extent"], settings["extent_crs"] = shown
    elif choices.place == "rectangle":
        settings["extent"], settings["extent_crs"] = choices.rectangle, choices.rectangle_crs
    elif choices.place == "polygons":
        layer = vector_layer(project.mapLayer, choices.area_layer_id)
        settings["area"] = area_snapshot(layer).located(folder)
    return PredictionInputs(sources, settings, folder)


def prediction_problems(choices: PredictChoices, model: ModelNeeds, project: QgsProject) -> list[Problem]:
    """Return what is missing, and the problems of the layers themselves. Main thread.

    Args:
        choices: of the page.
        model: what it needs.
        project: that has the layers.
    """
    found = []
    rasters = [item.source.key for item in model.inputs if item.kind == "raster"]
    if not all(choices.slots.get(key) for key in rasters):
        hint = tr("Choose a raster layer for every line above.")
        found.append(Problem("no_layer", tr("A layer is missing."), hint))
    if len(choices.channels) < len(model.channels):
        hint = tr("Load a raster layer, and choose a band for every channel.")
        found.append(Problem("no_layer", tr("A band is missing."), hint))
    for key, binding in choices.bindings.items():
        layer, last = project.mapLayer(choices.slots.get(key, "")), max(binding.values())
        if isinstance(layer, QgsRasterLayer) and last > max(value_bands(layer), default=0):
            found.append(band_missing(layer, last))
    if choices.place == "polygons" and not choices.area_layer_id:
        found.append(Problem("no_area", tr("No area layer is chosen."), tr("Choose a polygon layer.")))
    if choices.place == "rectangle" and choices.rectangle is None:
        hint = tr("Draw it on the map, or enter its corners.")
        found.append(Problem("no_extent", tr("There is no rectangle yet."), hint))
    ids = [*choices.slots.values(), *(layer_id for layer_id, _band in choices.channels)]
    ids += [choices.area_layer_id] if choices.place == "polygons" else []
    for layer_id in dict.fromkeys(ids):
        layer = project.mapLayer(layer_id)
        if layer is not None and (isinstance(layer, QgsRasterLayer) or layer_id == choices.area_layer_id):
            found += problems(layer)
    return found


def band_missing(layer: QgsRasterLayer, number: int) -> Problem:
    """Return the problem of a layer with fewer bands than the model reads. Main thread.

    Args:
        layer: that is chosen.
        number: of the band that the model reads, from 1.
    """
    message = tr("Layer '{}' has {} bands; the model reads band {}.").format(
        layer.name(), len(value_bands(layer)), number
    )
    hint = tr("Choose another layer, or another band under “Which band is which”.")
    return Problem("missing_bands", message, hint)


def band_list(project: QgsProject) -> list[tuple[str, str, int]]:
    """Every band of every raster layer that is no result: title, layer id, band."""
    found = []
    for layer in in_order(project):
        if isinstance(layer, QgsRasterLayer) and not result_kind(layer):
            for band in value_bands(layer):
                found.append((f"{layer.name()}, {layer.bandName(band)}", layer.id(), band))
    return found


def in_order(project: QgsProject) -> Sequence[Any]:
    """Layers of the project as the layer tree shows them, the others after them."""
    tree = [node.layer() for node in project.layerTreeRoot().findLayers()]
    shown = [layer for layer in tree if layer is not None]
    return [*shown, *(layer for layer in project.mapLayers().values() if layer not in shown)]
