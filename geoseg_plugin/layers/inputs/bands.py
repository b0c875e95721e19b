"""What a stack is made of, as it is now: rasters, mosaics, and bands that are added. Main thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qgis.core import QgsCoordinateReferenceSystem

from ...jobs.additions import Addition
from ...jobs.choices import RasterChoice
from ...jobs.composition import Composition, Settings, compose
from ...jobs.inputs import RasterInput
from ..bandsources import BAND_SOURCES, AdditionSnapshot
from .folder import NOWHERE, InputFolder, RasterSnapshot
from .lookup import LayerOf, raster_layer
from .rasters import raster_snapshot


@dataclass(frozen=True)
class StackSnapshot:
    """Everything that a stack is made of, at one moment.

    Attributes:
        rasters: in the order of their bands; each is one raster, or the rasters of a mosaic.
        additions: bands computed from them, from vector layers and from series.
        settings: of bands, by their names.
        reference: id of the layer that gives the grid; empty follows the rule of `reference_of`.
    """

    rasters: tuple[tuple[RasterSnapshot, ...], ...] = ()
    additions: tuple[AdditionSnapshot, ...] = ()
    settings: Settings = field(default_factory=dict)
    reference: str = ""

    def located(self, folder: InputFolder) -> Composition:
        """Return sources and bands as a job holds them, with copies in `folder`. Any thread."""
        rasters = [_mosaic([item.located(folder) for item in tiles]) for tiles in self.rasters]
        found = compose(rasters, [item.located(folder) for item in self.additions], self.settings)
        return dataclasses.replace(found, reference=found.keys.get(self.reference, found.reference))

    def composition(self) -> Composition:
        """Return the same before anything is located: what bands there are, and how they are called."""
        return self.located(InputFolder(NOWHERE))


def stack_snapshot(
    rasters: Sequence[RasterChoice],
    additions: Sequence[Addition],
    layer_of: LayerOf,
    mosaics: Mapping[str, tuple[str, ...]] | None = None,
    labels_crs: QgsCoordinateReferenceSystem | None = None,
) -> StackSnapshot:
    """Return what a stack is made of, as it is now. Main thread.

    Args:
        rasters: with what is ticked of them, in the order of their bands.
        additions: bands that are added; rasters that only they use are found here.
        layer_of: where layers are looked up.
        mosaics: id of the first layer of a mosaic -> ids of its other layers, for rasters that only additions use.
        labels_crs: CRS of the labels, which counts where the reference of the grid is chosen.

    Raises:
        GeoSegError: `layer_gone`.
    """
    snapshots = []
    for item in used_rasters(rasters, additions, mosaics or {}):
        layers = [raster_layer(layer_of, layer_id) for layer_id in item.layer_ids]
        tiles = [raster_snapshot(layer, item.bands, item.terrain, labels_crs) for layer in layers]
        snapshots.append(tuple(_in_unit(tile, item.height_unit) for tile in tiles))
    added = tuple(
        BAND_SOURCES[item.kind].snapshot(item, layer_of)
        if item.kind in BAND_SOURCES
        else AdditionSnapshot(item)
        for item in additions
    )
    return StackSnapshot(tuple(snapshots), added)


def used_rasters(
    rasters: Sequence[RasterChoice], additions: Sequence[Addition], mosaics: Mapping[str, tuple[str, ...]]
) -> list[RasterChoice]:
    """Return the rasters of which something is ticked or that additions use. Any thread.

    Args:
        rasters: in the order of their bands.
        additions: bands that are added.
        mosaics: id of the first layer of a mosaic -> ids of its other layers, for rasters that are not in the list.
    """
    by_additions = dict.fromkeys(
        layer_id for item in additions if item.kind not in BAND_SOURCES for layer_id in item.layer_ids
    )
    known = {item.layer_id for item in rasters}
    return [
        *(item for item in rasters if item.bands or item.terrain or item.layer_id in by_additions),
        *(RasterChoice(item, (), also=mosaics.get(item, ())) for item in by_additions if item not in known),
    ]


def _mosaic(tiles: Sequence[RasterInput]) -> RasterInput:
    """The first of several rasters with the files of the others."""
    return dataclasses.replace(tiles[0], more_paths=tuple(tile.path for tile in tiles[1:]))


def _in_unit(raster: RasterSnapshot, unit: str) -> RasterSnapshot:
    """The raster with heights in a unit."""
    return dataclasses.replace(raster, raster=dataclasses.replace(raster.raster, height_unit=unit))
