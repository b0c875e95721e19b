"""Choices of the Predict page -> snapshots of layers: plain data plus exports for the task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qgis.core import QgsProject, QgsRasterLayer
from qgis.gui import QgsMapCanvas

from ..contract import Area, Problem, Source
from ..jobs.choices import PredictChoices
from ..layers import snapshot
from ..layers.exports import LABEL_LAYER
from ..layers.results import result_kind
from ..panel.texts import tr
from .inputs_from_layers import Export, canvas_extent, vector_layer
from .slots import Need, channel_sources, slot_sources


@dataclass(frozen=True)
class Applied:
    """The model of the page as far as the engine has told of it.

    Attributes:
        needs: slots of a model of ours.
        channels: names of the channels of a model of another program.
        ensemble: whether it is made of several.
    """

    needs: tuple[Need, ...] = ()
    channels: tuple[str, ...] = ()
    ensemble: bool = False

    @property
    def known(self) -> bool:
        """Whether the engine has read the model."""
        return bool(self.needs or self.channels)


@dataclass
class Taken:
    """What a prediction needs, taken on the main thread at one moment; `settings` are fields of the job."""

    sources: tuple[Source, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    exports: list[Export] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take(
    choices: PredictChoices,
    model: Applied,
    folder: Path,
    project: QgsProject,
    canvas: QgsMapCanvas | None,
    to_export: set[str],
) -> Taken:
    """Snapshot the chosen layers; files that must be written go to `folder`.

    Raises:
        GeoSegError: `layer_gone`.
    """
    taken = Taken(settings=dict(choices.settings))
    if model.channels:
        taken.sources, bands, taken.exports = channel_sources(
            choices.channels, model.channels, folder, project, to_export
        )
        taken.settings["foreign_bands"] = bands
    else:
        taken.sources, taken.exports, taken.notes = slot_sources(
            model.needs, choices.slots, folder, project, to_export, choices.bindings
        )
    if choices.place == "map":
        taken.settings["extent"], taken.settings["extent_crs"] = canvas_extent(canvas)
    elif choices.place == "rectangle":
        taken.settings["extent"], taken.settings["extent_crs"] = choices.rectangle, choices.rectangle_crs
    elif choices.place == "polygons":
        path = folder / "area.gpkg"
        layer = vector_layer(project, choices.area_layer_id)
        taken.exports.append(snapshot.polygon_snapshot(layer, path))
        taken.settings["area"] = Area("polygons", str(path), LABEL_LAYER)
    return taken


def problems_of(choices: PredictChoices, model: Applied, project: QgsProject) -> list[Problem]:
    """What is missing, and what is wrong with the layers themselves; known without the engine."""
    found = []
    rasters = [need.source.key for need in model.needs if need.kind == "raster"]
    if not all(choices.slots.get(key) for key in rasters):
        hint = tr("Choose a raster layer for every line above.")
        found.append(Problem("no_layer", tr("A layer is missing."), hint))
    if len(choices.channels) < len(model.channels):
        hint = tr("Load a raster layer, and choose a band for every channel.")
        found.append(Problem("no_layer", tr("A band is missing."), hint))
    for key, binding in choices.bindings.items():
        layer, most = project.mapLayer(choices.slots.get(key, "")), max(binding.values())
        if isinstance(layer, QgsRasterLayer) and most > max(snapshot.value_bands(layer), default=0):
            found.append(band_missing(layer, most))
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
            found += snapshot.problems(layer)
    return found


def band_missing(layer: QgsRasterLayer, number: int) -> Problem:
    """A layer has fewer bands than the model takes from it."""
    said = tr("Layer '{}' has {} bands; the model takes band {}.").format(
        layer.name(), len(snapshot.value_bands(layer)), number
    )
    hint = tr("Choose another layer, or another band under “Which band is which”.")
    return Problem("missing_bands", said, hint)


def rasters_of(choices: PredictChoices, project: QgsProject) -> list[QgsRasterLayer]:
    """The raster layers that are chosen."""
    ids = [*choices.slots.values(), *(layer_id for layer_id, _band in choices.channels)]
    layers = [project.mapLayer(layer_id) for layer_id in dict.fromkeys(ids)]
    return [layer for layer in layers if isinstance(layer, QgsRasterLayer)]


def band_list(project: QgsProject) -> list[tuple[str, str, int]]:
    """Every band of every raster layer that is no result: title, layer id, band."""
    found = []
    for layer in in_order(project):
        if isinstance(layer, QgsRasterLayer) and not result_kind(layer):
            for band in snapshot.value_bands(layer):
                found.append((f"{layer.name()}, {layer.bandName(band)}", layer.id(), band))
    return found


def in_order(project: QgsProject) -> Sequence[Any]:
    """Layers of the project as the layer tree shows them, the others after them."""
    tree = [node.layer() for node in project.layerTreeRoot().findLayers()]
    shown = [layer for layer in tree if layer is not None]
    return [*shown, *(layer for layer in project.mapLayers().values() if layer not in shown)]
