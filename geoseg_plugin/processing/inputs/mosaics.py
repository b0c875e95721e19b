"""Rasters with equal bands that lie side by side, taken as tiles of one mosaic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from qgis.core import QgsRasterLayer

from ...jobs.additions import Addition, Input
from ...jobs.inputs import RasterInput
from ...jobs.rasterfacts import tile_groups
from ...layers.facts import raster_facts


def tiles_of_mosaics(layers: Sequence[QgsRasterLayer]) -> dict[str, str]:
    """Layer id -> id of the first layer of its mosaic, for layers that are not that first one."""
    groups = tile_groups([raster_facts([layer]) for layer in layers])
    return {item.layer_id: group[0].layer_id for group in groups for item in group[1:]}


def merged(
    inputs: Sequence[RasterInput], additions: Sequence[Addition], same: Mapping[str, str]
) -> tuple[list[RasterInput], list[Addition]]:
    """Inputs with the further tiles put into the first of their mosaic, and additions that name that first."""
    rasters = []
    for item in inputs:
        tiles = [other for other in inputs if same.get(other.layer_id) == item.layer_id]
        if item.layer_id in same:
            continue
        paths = tuple(other.path for other in tiles)
        terrain = next((one.terrain for one in (item, *tiles) if one.terrain), ())
        rasters.append(dataclasses.replace(item, more_paths=paths, terrain=terrain))
    return rasters, [_renamed(item, same) for item in additions]


def _renamed(addition: Addition, same: Mapping[str, str]) -> Addition:
    def place(item: Input) -> Input:
        return dataclasses.replace(item, layer_id=same.get(item.layer_id, item.layer_id))

    return dataclasses.replace(
        addition,
        layer_id=same.get(addition.layer_id, addition.layer_id),
        inputs=tuple(place(item) for item in addition.inputs),
    )
