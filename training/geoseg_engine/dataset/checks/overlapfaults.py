"""Label polygons that claim the same ground."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely

from ...contract import Grid, counted
from ...raster.grid import pixel_size
from .findings import DrawnLayer, Finding

MOST_PAIRS = 20_000
"""Pairs that are looked at: enough for anybody to mend, and an end for layers drawn twice."""

MOSTLY_SHARE = 0.5


def overlap_faults(layers: list[DrawnLayer], grid: Grid) -> Iterator[Finding]:
    """Ground of at least a pixel that two polygons of different classes claim, and polygons mostly under their like.

    Polygons of the same shape and class are `duplicate` and not told again.
    """
    owners = np.array(
        [(number, place) for number, layer in enumerate(layers) for place in layer.usable]
    ).reshape(-1, 2)
    if not len(owners):
        return
    shapes = np.array([layers[number].shapes[place] for number, place in owners], object)
    shapes[~shapely.is_valid(shapes)] = shapely.make_valid(shapes[~shapely.is_valid(shapes)])
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    chosen = one < other
    one, other = one[chosen][:MOST_PAIRS], other[chosen][:MOST_PAIRS]
    shared = shapely.intersection(shapes[one], shapes[other])
    width, height = pixel_size(grid)
    areas = shapely.area(shared)
    for index in np.flatnonzero(areas >= width * height):
        first, second = owners[one[index]], owners[other[index]]
        smaller = min(float(shapely.area(shapes[one[index]])), float(shapely.area(shapes[other[index]])))
        yield from _told(
            layers, first, second, shared[index], areas[index] / (width * height), areas[index] / smaller
        )


def _told(
    layers: list[DrawnLayer],
    first: np.ndarray,
    second: np.ndarray,
    ground: shapely.Geometry,
    px: float,
    share: float,
) -> Iterator[Finding]:
    layer, other_layer = layers[first[0]], layers[second[0]]
    name, other_name = layer.classes[first[1]], other_layer.classes[second[1]]
    shape, other_shape = layer.shapes[first[1]], other_layer.shapes[second[1]]
    other = f"feature {other_layer.features[second[1]]}"
    if other_layer is not layer:
        other += f" of '{other_layer.name}'"
    if name != other_name:
        claimed = counted(round(px), "pixel")
        reason = f"Class '{name}' and class '{other_name}' of {other} both claim {claimed}."
        yield layer.finding(int(first[1]), "overlap", reason, ground)
    elif share >= MOSTLY_SHARE and not shapely.equals(shape, other_shape):
        reason = f"It covers {counted(round(px), 'pixel')} that {other} of the same class covers too."
        yield layer.finding(int(first[1]), "overlap_same_class", reason, ground)
