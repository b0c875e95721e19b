"""What is decided from the extent, pixels and CRS of rasters alone: the grid's reference, and tiles of one raster.

Plain data without QGIS, so that the panel and the Toolbox decide the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..contract import Problem

MAX_OVERLAP = 0.5
"""Share of a raster that another may cover and still be its neighbour; more, and they show the same place."""
STRIP = 0.1
"""Of tiles that overlap by less, a stack of both as layers of their own would keep a strip only."""
SAME_PIXEL = 1e-3
"""Relative difference of pixel sizes that are still one size."""
MAX_NAMES = 3
"""Of a list of layers in a sentence."""
TILES_OF_ONE, SLIVER = "tiles_of_one", "sliver"
"""Codes of problems that merging tiles into one raster solves."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class RasterFacts:
    """A raster layer as plain data.

    Attributes:
        layer_id, name: of the layer.
        crs: authority code or WKT; two layers with equal texts have the same CRS.
        extent: xmin, ymin, xmax, ymax in units of `crs`.
        pixel: width and height of a pixel in units of `crs`, both positive.
        bands: name and data type of each band.
        projected: whether `crs` is in units of length, not in degrees.
        pixel_m2: area of a pixel in square metres.
        of_labels: whether `crs` is that of the labels.
    """

    layer_id: str
    name: str
    crs: str = ""
    extent: Box = (0.0, 0.0, 0.0, 0.0)
    pixel: tuple[float, float] = (1.0, 1.0)
    bands: tuple[tuple[str, object], ...] = ()
    projected: bool = True
    pixel_m2: float = 1.0
    of_labels: bool = False


def reference_of(rasters: Sequence[RasterFacts]) -> str:
    """Id of the layer that gives the grid its CRS, pixel size and alignment where the user chose none.

    A layer in the projected CRS of the labels goes first, then other projected layers, then one in degrees like the
    labels; among equals the finest pixel, then the most bands, then the order given. The CRS of the labels does not
    count before projected layers where it is in degrees: that is how vector files are handed on, and no reason to
    resample an image. Empty without rasters.
    """
    best = max(
        enumerate(rasters),
        key=lambda item: (
            item[1].projected and item[1].of_labels,
            item[1].projected,
            item[1].of_labels,
            -float(f"{item[1].pixel_m2:.3g}"),
            len(item[1].bands),
            -item[0],
        ),
        default=None,
    )
    return best[1].layer_id if best is not None else ""


def tile_groups(rasters: Sequence[RasterFacts], max_overlap: float = MAX_OVERLAP) -> list[list[RasterFacts]]:
    """Groups of two and more rasters that are tiles of one: same bands, CRS and pixel, side by side.

    Args:
        rasters: in the order in which groups and their members come out.
        most_overlap: largest share of the smaller of two tiles that the other covers, 0 to 1.
    """
    groups: list[list[RasterFacts]] = []
    for item in rasters:
        group = next(
            (group for group in groups if all(side_by_side(item, other, max_overlap) for other in group)),
            None,
        )
        if group is None:
            groups.append([item])
        else:
            group.append(item)
    return [group for group in groups if len(group) > 1]


def side_by_side(one: RasterFacts, other: RasterFacts, max_overlap: float = MAX_OVERLAP) -> bool:
    """Whether two rasters could be tiles of one.

    The name of an only band does not count: it often is the name of the file.

    Args:
        one: a raster.
        other: another raster.
        most_overlap: largest share of the smaller one that the other may cover, 0 to 1.
    """
    if one.crs != other.crs or len(one.bands) != len(other.bands):
        return False
    if any(abs(a - b) > SAME_PIXEL * b for a, b in zip(one.pixel, other.pixel, strict=True)):
        return False
    named = len(one.bands) > 1
    if any(a[1] != b[1] or (named and a[0] != b[0]) for a, b in zip(one.bands, other.bands, strict=True)):
        return False
    smaller = min(area(one.extent), area(other.extent))
    return smaller > 0 and area(common(one.extent, other.extent)) <= max_overlap * smaller


def strip_problem(rasters: Sequence[RasterFacts]) -> Problem | None:
    """Return the problem of tiles that are used as separate layers; None where there are no such tiles."""
    groups = tile_groups(rasters, STRIP)
    if not groups:
        return None
    group = max(groups, key=len)
    shown = ", ".join(f"'{item.name}'" for item in group[:MAX_NAMES])
    more = f" and {len(group) - MAX_NAMES} more" if len(group) > MAX_NAMES else ""
    shared = group[0].extent
    for item in group[1:]:
        shared = common(shared, item.extent)
    columns, rows = (round(length / size) for length, size in zip(sides(shared), group[0].pixel, strict=True))
    strip = f"only {columns} × {rows} pixels" if columns > 0 and rows > 0 else "no pixel"
    message = f"Layers {shown}{more} look like tiles of one raster. As separate layers they share {strip}."
    return Problem(TILES_OF_ONE, message, "Merge them into one raster, or untick all but one.")


def tiles_named(problem: Problem | Mapping[str, Any], rasters: Sequence[RasterFacts]) -> list[str]:
    """Ids of the layers that a problem of tiles speaks of; empty where merging is no answer to it.

    Layers named in the problem's details (a list, or a text with a name per line) go first, then those whose names
    are quoted in its message. Where fewer than two are found, `tiles_of_one` means the largest group of tiles;
    `sliver` is also a finding about polygons, and then means none.

    Args:
        problem: of the contract, or as JSON.
        rasters: layers that it may name.
    """
    facts = problem if isinstance(problem, Mapping) else vars(problem)
    if facts.get("code") not in (TILES_OF_ONE, SLIVER):
        return []
    details, message = facts.get("details") or (), str(facts.get("message", ""))
    names = re.split(r"\s*[\n;]\s*", details) if isinstance(details, str) else [str(item) for item in details]
    for meant in (
        [item for item in rasters if item.name in names],
        [item for item in rasters if f"'{item.name}'" in message],
    ):
        if len(meant) > 1 and tile_groups(meant) == [meant]:
            return [item.layer_id for item in meant]
    groups = tile_groups(rasters) if facts["code"] == TILES_OF_ONE else []
    return [item.layer_id for item in max(groups, key=len)] if groups else []


def union(boxes: Iterable[Box]) -> Box:
    """The box around boxes."""
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def common(one: Box, other: Box) -> Box:
    """Return what two boxes share; a box without area where they share nothing.

    Args:
        one: (xmin, ymin, xmax, ymax).
        other: in the same CRS.
    """
    west, south = max(one[0], other[0]), max(one[1], other[1])
    return west, south, max(west, min(one[2], other[2])), max(south, min(one[3], other[3]))


def sides(box: Box) -> tuple[float, float]:
    """Width and height of a box."""
    return box[2] - box[0], box[3] - box[1]


def area(box: Box) -> float:
    """Area of a box in squared units of its CRS."""
    width, height = sides(box)
    return width * height
