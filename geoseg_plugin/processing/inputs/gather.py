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
)

from ...contract import Area, Labels, Problem
from ...jobs.inputs import RasterInput
from ...layers.exports import LABEL_LAYER, PolygonExport, RasterExport
from ...layers.facts import raster_facts
from ...layers.snapshot import (
    needs_export,
    polygon_snapshot,
    problems,
    raster_export,
    raster_input,
    value_bands,
)
from ..parameters import Parameters, polygon_layer, tr

NOWHERE = Path("copies")
COPIES = "inputs"
"""Folder for copies of layers inside a folder that the user chose, where files of the user's own may lie."""


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
    labels: QgsMapLayer | None = None,
) -> list[GatheredRaster]:
    """Snapshots of rasters; `bands` and `terrain` by layer id, all bands where nothing is said.

    `labels` has a say in which raster is the reference of the grid (see `reference_of`).
    """
    labels_crs = labels.crs() if labels is not None else None
    gathered = []
    for layer in layers:
        ticked = (bands or {}).get(layer.id(), value_bands(layer))
        found, export = raster_input(layer, ticked, (terrain or {}).get(layer.id(), ()), NOWHERE)
        facts = raster_facts([layer], labels_crs)
        found = dataclasses.replace(found, ticked=ticked, layer_id=layer.id(), facts=facts)
        copy = export or raster_export(layer, NOWHERE, tr("the engine cannot open its file"))
        gathered.append(GatheredRaster(found, copy, needs_export(layer)))
    return gathered


@dataclass(frozen=True)
class GatheredLabels:
    """Labels (and perhaps an area) as they are now; polygons are to be written to a folder of choice.

    Attributes:
        labels: the first layer, or a label raster, with all options.
        exports: write the polygons: of the first layer (of a raster there are none), then of `labels.more`.
    """

    labels: Labels
    exports: tuple[PolygonExport, ...] = ()

    def located(self, folder: Path) -> tuple[Labels, list[PolygonExport]]:
        """The same with `label_polygons.gpkg`, `label_polygons_2.gpkg` … in `folder`."""
        paths = [
            folder / f"label_polygons{f'_{number}' if number > 1 else ''}.gpkg"
            for number in range(1, len(self.exports) + 1)
        ]
        exports = [
            dataclasses.replace(export, path=path) for export, path in zip(self.exports, paths, strict=True)
        ]
        files = [str(path) for path in paths]
        own = self.labels.path if self.labels.kind == "raster" else files.pop(0)
        more = tuple(
            dataclasses.replace(layer, path=path) for layer, path in zip(self.labels.more, files, strict=True)
        )
        return dataclasses.replace(self.labels, path=own, more=more), exports


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
