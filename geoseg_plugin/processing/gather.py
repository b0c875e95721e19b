"""Layers of parameters -> plain data, on the main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    QgsMapLayer,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsVectorLayer,
)

from ..contract import Area, Labels, Problem, Unlabelled
from ..jobs.inputs import RasterInput
from ..layers.classes import classes_of
from ..layers.exports import LABEL_LAYER, PolygonExport, RasterExport
from ..layers.snapshot import labels_of, needs_export, polygon_snapshot, problems, raster_export, raster_input
from .parameters import Parameters, chosen_bands, polygon_layer, tr

NOWHERE = Path("copies")


@dataclass(frozen=True)
class GatheredRaster:
    """A raster with the export that stands by for the case that the engine cannot open it.

    Attributes:
        input: what the engine gets.
        copy: writes a GeoTIFF of the same bands.
        copy_first: only QGIS can read it.
    """

    input: RasterInput
    copy: RasterExport
    copy_first: bool

    def ready(self, folder: Path, feedback: QgsProcessingFeedback) -> RasterInput:
        """What the engine can read; written to `folder` if only QGIS can read the layer."""
        return self.copied(folder, feedback) if self.copy_first else self.input

    def copied(self, folder: Path, feedback: QgsProcessingFeedback) -> RasterInput:
        """Write the copy to `folder`.

        Raises:
            GeoSegError: `export_failed`.
        """
        copy = dataclasses.replace(self.copy, path=folder / self.copy.path.name)
        feedback.pushInfo(copy.note)
        copy()
        return dataclasses.replace(self.input, path=str(copy.path), crs="", nodata=None)


def gather_rasters(
    layers: Iterable[QgsRasterLayer],
    bands: Mapping[str, tuple[int, ...]] | None = None,
    terrain: Mapping[str, tuple[str, ...]] | None = None,
) -> list[GatheredRaster]:
    """Snapshots of rasters; `bands` and `terrain` by layer id, all bands where nothing is said."""
    gathered = []
    for layer in layers:
        ticked = (bands or {}).get(layer.id(), ())
        found, export = raster_input(layer, ticked, (terrain or {}).get(layer.id(), ()), NOWHERE)
        copy = export or raster_export(layer, NOWHERE, tr("the engine cannot open its file"))
        gathered.append(GatheredRaster(found, copy, needs_export(layer)))
    return gathered


def all_bands(layer: QgsRasterLayer) -> tuple[int, ...]:
    """Every band of a layer, counting from 1."""
    return tuple(range(1, layer.bandCount() + 1))


@dataclass(frozen=True)
class GatheredLabels:
    """Label polygons (and perhaps an area) as they are now, to be written to a folder of choice."""

    labels: Labels
    export: PolygonExport

    def located(self, folder: Path) -> tuple[Labels, PolygonExport]:
        """The same with `labels.gpkg` in `folder`."""
        path = folder / "label_polygons.gpkg"
        return dataclasses.replace(self.labels, path=str(path)), dataclasses.replace(self.export, path=path)


@dataclass(frozen=True)
class GatheredArea:
    """Where labels are looked at, and what writes its polygons, if it has any."""

    area: Area
    export: PolygonExport | None = None

    def located(self, folder: Path) -> tuple[Area, list[PolygonExport]]:
        """The same with `area.gpkg` in `folder`."""
        if self.export is None:
            return self.area, []
        path = folder / "area.gpkg"
        return dataclasses.replace(self.area, path=str(path)), [dataclasses.replace(self.export, path=path)]


def gather_labels(
    layer: QgsVectorLayer, class_field: str, unlabelled: Unlabelled, selected_only: bool = False
) -> GatheredLabels:
    """Snapshot of the label polygons, with the classes of the layer's legend."""
    classes = classes_of(layer, class_field)
    return GatheredLabels(
        labels_of(layer, NOWHERE, class_field, classes, unlabelled),
        polygon_snapshot(layer, NOWHERE, (class_field,), selected_only),
    )


def gather_area(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    context: QgsProcessingContext,
    key: str = "LABELLED_AREA",
    split_field: str = "",
    otherwise: Area | None = None,
) -> GatheredArea:
    """The polygons of an optional parameter as area; `otherwise` if there are none."""
    layer, selected_only = polygon_layer(algorithm, parameters, key, context)
    if layer is None:
        return GatheredArea(otherwise or Area())
    area = Area("polygons", path=key, layer=LABEL_LAYER, split_field=split_field)
    return GatheredArea(area, polygon_snapshot(layer, NOWHERE, (split_field,), selected_only))


def layer_problems(
    algorithm: QgsProcessingAlgorithm,
    parameters: Parameters,
    context: QgsProcessingContext,
    rasters: Iterable[str] = (),
    polygons: Iterable[str] = (),
) -> list[Problem]:
    """Complaints about the layers of these parameters; optional ones may be empty."""
    layers: list[QgsMapLayer] = []
    found: list[Problem] = []
    for key in rasters:
        definition = algorithm.parameterDefinition(key)
        if definition.type() == "multilayer":
            listed = algorithm.parameterAsLayerList(dict(parameters), key, context)
            found += [no_raster(layer, key) for layer in listed if not isinstance(layer, QgsRasterLayer)]
            layers += [layer for layer in listed if isinstance(layer, QgsRasterLayer)]
        else:
            layers.append(algorithm.parameterAsRasterLayer(dict(parameters), key, context))
    for key in polygons:
        layers.append(polygon_layer(algorithm, parameters, key, context)[0])
    return found + [item for layer in layers if layer is not None for item in problems(layer)]


def no_raster(layer: QgsMapLayer, key: str) -> Problem:
    """Complaint about a layer of another kind among rasters."""
    return Problem(
        "wrong_layer",
        tr("{}: layer '{}' is no raster.").format(key, layer.name()),
        tr("Leave it out: only raster layers can be chosen here."),
    )


def band_problems(text: str, layers: list[QgsRasterLayer]) -> list[Problem]:
    """Complaint about BANDS that do not fit the layers."""
    try:
        chosen_bands(text, layers)
    except ValueError as error:
        return [Problem("bands", str(error), tr("Write for example: optical:1,3-4; dem:1"))]
    return []
