"""Rasters with equal bands that lie side by side, taken as tiles of one mosaic."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from qgis.core import QgsRasterLayer

from ..jobs.additions import Addition, Input
from ..jobs.inputs import RasterInput
from ..layers.snapshot import band_name, value_bands

MOST_OVERLAP = 0.5
"""Share of a raster that another may cover and still be its neighbour; more, and they show the same ground."""


def tiles_of_mosaics(layers: Sequence[QgsRasterLayer]) -> dict[str, str]:
    """Layer id -> id of the first layer of its mosaic, for layers that are not that first one.

    Layers are tiles of one mosaic if number, names and type of their bands and their CRS agree and none covers
    more than half of another.
    """
    groups: list[list[QgsRasterLayer]] = []
    for layer in layers:
        group = next((group for group in groups if all(side_by_side(layer, item) for item in group)), None)
        if group is None:
            groups.append([layer])
        else:
            group.append(layer)
    return {layer.id(): group[0].id() for group in groups for layer in group[1:]}


def side_by_side(one: QgsRasterLayer, other: QgsRasterLayer) -> bool:
    """Whether two rasters could be tiles of one mosaic."""
    if kind(one) != kind(other) or one.crs() != other.crs():
        return False
    shared = one.extent().intersect(other.extent()).area()
    return shared <= MOST_OVERLAP * min(one.extent().area(), other.extent().area())


def kind(layer: QgsRasterLayer) -> tuple[object, ...]:
    """What tiles of one mosaic have in common."""
    provider = layer.dataProvider()
    return tuple((band_name(provider, band), provider.dataType(band)) for band in value_bands(layer))


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
