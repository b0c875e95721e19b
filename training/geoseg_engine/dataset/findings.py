"""Faults of label polygons, each with a place, a reason and the feature to mend."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import shapely

from ..contract import Grid, LabelLayer, Labels, Problem
from ..outputs import whole_file
from ..raster.grid import pixel_size
from ..raster.sources import parse_crs
from ..stacking.stackplan import touching
from ..vector.files import find_layer
from ..vector.geopackage import write_layer
from ..vector.legend import Valued, excluded_of
from ..vector.placement import moved_to
from ..vector.polygons import label_title
from ..vector.reading import Column, read_table
from ..vector.shapes import polygons_of, valid

LAYER = "findings"
FEWEST_POLYGONS = 3
"""Polygons of a class that train, validation and test need, one each."""

MENDED = {
    "tiny_polygon": (
        "smaller than what a pixel or the least area keeps",
        "Draw them larger, or delete them.",
    ),
    "sliver": ("narrower than a pixel", "Delete them, or join them with their neighbour."),
    "duplicate": ("of the same shape as another", "Delete one of the two."),
    "overlap_same_class": ("mostly under another of their class", "Join or delete them."),
}
"""Codes that nothing else complains of: which polygons, and the cure."""


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        geometry: the polygon, the part of it or the place that is wrong, in the CRS of the findings.
        code: kind of fault; the same as of the problem that counts it.
        reason: why it is one, as a sentence.
        layer: the label layer as the user sees it.
        feature: id of the feature in its layer; -1 where it is about more than one.
        class_name: its class as the field says it.
        severity: `warning` or `error`.
    """

    geometry: shapely.Geometry
    code: str
    reason: str
    layer: str
    feature: int = -1
    class_name: str = ""
    severity: str = "warning"


@dataclass
class DrawnLayer:
    """Features of one label layer as they are in the file, and on the grid's CRS.

    Attributes:
        name: as the user sees it.
        features: their ids.
        classes: their class as text; empty where there is none.
        raw: geometries as drawn, without Z; None where there is none, or none that can be read.
        shapes: valid polygons in the CRS of the findings; None where there is none.
        own_crs: of the layer.
        grid: of the findings.
    """

    name: str
    features: np.ndarray
    classes: list[str]
    raw: np.ndarray
    shapes: np.ndarray
    own_crs: pyproj.CRS
    grid: Grid
    usable: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.usable = np.flatnonzero(~shapely.is_missing(self.shapes))

    def finding(
        self, place: int, code: str, reason: str, geometry: shapely.Geometry | None = None
    ) -> Finding:
        """A finding about one feature, at its polygon unless another place is given."""
        shape = self.shapes[place] if geometry is None else geometry
        return Finding(shape, code, reason, self.name, int(self.features[place]), self.classes[place])

    def moved(self, geometry: shapely.Geometry) -> shapely.Geometry:
        """A geometry of the file in the CRS of the findings."""
        return moved_to(np.array([geometry], object), self.own_crs, self.grid)[0]


def read_drawn(labels: Labels, grid: Grid) -> list[DrawnLayer]:
    """Every feature of the label layers, faulty ones included, with polygons in the CRS of a grid."""
    named = {text: item.name for item in labels.classes for text in (item.value, *item.also) if text}
    drawn: tuple[Labels | LabelLayer, ...] = (labels, *labels.more)
    return [_read_layer(layer, grid, named, labels) for layer in drawn]


def _read_layer(layer: Labels | LabelLayer, grid: Grid, named: dict[str, str], labels: Labels) -> DrawnLayer:
    """One layer; what the user excluded is left out, and values merged into a class have its name."""
    name, field = label_title(layer), layer.class_field
    table = read_table(
        find_layer(layer.path, layer.layer, name, polygons=True), [field] if field else [], name
    )
    own = parse_crs(table.crs)
    column = table.columns.get(field, Column([name] * len(table.shapes)))
    valued = Valued(name, column.values, field, numeric=column.numeric)
    excluded = excluded_of(labels, valued) if field else frozenset()
    kept = np.array([text not in excluded for text in valued.texts], bool)
    classes = [named.get(text or "", text or "") for text in valued.texts]
    shapes = polygons_of(valid(table.shapes)[0])
    present = ~shapely.is_missing(shapes)
    shapes[present] = moved_to(shapes[present], own, grid)
    kept &= ~shapely.is_empty(shapes)  # far from the grid
    shapes[~np.isfinite(shapely.bounds(shapes)).all(axis=1)] = None
    chosen = [text for text, keep in zip(classes, kept, strict=True) if keep]
    return DrawnLayer(name, table.numbers[kept], chosen, table.shapes[kept], shapes[kept], own, grid)


def layer_faults(layer: DrawnLayer, grid: Grid, min_area_px: int = 0) -> Iterator[Finding]:
    """Faults that a feature has by itself: no polygon, invalid, outside, tiny, narrow, twice, without class."""
    yield from _without_polygon(layer)
    yield from _invalid(layer)
    yield from _off_grid(layer, grid)
    yield from _small(layer, grid, min_area_px)
    yield from _twice(layer)
    for place in layer.usable:
        if not layer.classes[place]:
            yield layer.finding(
                place, "null_class", "The field of the class is empty: the ground is ignored."
            )


def rare_classes(layers: list[DrawnLayer], grid: Grid, tile_px: int) -> Iterator[Finding]:
    """Classes with fewer polygons on the rasters than there are splits; a finding at each of their polygons.

    A polygon as large as several tiles counts as so many, since blocks cut it.
    """
    width, height = pixel_size(grid)
    places = [
        (layer, place)
        for layer in layers
        for place, inside in zip(layer.usable, touching(layer.shapes[layer.usable], grid), strict=True)
        if inside and layer.classes[place]
    ]
    counts = Counter(layer.classes[place] for layer, place in places)
    pieces: Counter[str] = Counter()
    for layer, place in places:
        tiles = shapely.area(layer.shapes[place]) / (width * height * tile_px**2)
        pieces[layer.classes[place]] += max(1, int(tiles))
    for layer, place in places:
        name = layer.classes[place]
        if pieces[name] < FEWEST_POLYGONS:
            reason = (
                f"Class '{name}' has {counts[name]} polygon{'s' if counts[name] > 1 else ''} on the rasters: too few "
                "to train, validate and test."
            )
            yield layer.finding(place, "class_too_rare", reason)


def _without_polygon(layer: DrawnLayer) -> Iterator[Finding]:
    """Features that have no place of their own are put into the middle of the layer, to be found there."""
    if len(layer.usable) == len(layer.raw):
        return
    middle = shapely.Point(0, 0)
    if len(layer.usable):
        middle = shapely.box(*shapely.total_bounds(layer.shapes[layer.usable])).centroid
    for place in np.flatnonzero(shapely.is_missing(layer.shapes)):
        drawn = layer.raw[place]
        if drawn is None or shapely.is_empty(drawn):
            reason = "The feature has no usable geometry; it is shown in the middle of the layer."
            yield layer.finding(place, "no_geometry", reason, middle)
        else:
            kind = shapely.get_type_id(drawn)
            reason = "The polygon has no area." if kind in (3, 6) else f"The feature is a {drawn.geom_type}."
            yield layer.finding(place, "no_geometry", reason, layer.moved(shapely.centroid(drawn)))


def _invalid(layer: DrawnLayer) -> Iterator[Finding]:
    present = ~(shapely.is_missing(layer.raw) | shapely.is_empty(layer.raw))
    for place in np.flatnonzero(present & ~shapely.is_valid(layer.raw)):
        said = shapely.is_valid_reason(layer.raw[place])
        found = re.match(r"(.*?)\[(\S+) (\S+?)\]$", said)
        text = found.group(1).strip() if found else said
        point = (
            shapely.Point(float(found.group(2)), float(found.group(3)))
            if found
            else layer.raw[place].centroid
        )
        reason = f"The polygon is invalid: {text.lower()}. It was repaired on a copy."
        yield layer.finding(place, "invalid_geometry", reason, layer.moved(point))


def _off_grid(layer: DrawnLayer, grid: Grid) -> Iterator[Finding]:
    for place in layer.usable[~touching(layer.shapes[layer.usable], grid)]:
        yield layer.finding(
            place, "labels_outside", "The polygon lies outside the ground that the rasters share."
        )


def _small(layer: DrawnLayer, grid: Grid, min_area_px: int) -> Iterator[Finding]:
    width, height = pixel_size(grid)
    shapes = layer.shapes[layer.usable]
    area_px = shapely.area(shapes) / (width * height)
    breadth_px = (
        2 * shapely.area(shapes) / np.maximum(shapely.length(shapes), 1e-300) / np.sqrt(width * height)
    )
    least = max(1, min_area_px)
    for place, area, breadth in zip(layer.usable, area_px, breadth_px, strict=True):
        if area < least:
            what = "a pixel" if least == 1 else f"the {least} pixels that a piece must have"
            yield layer.finding(
                place, "tiny_polygon", f"The polygon covers {area:.2g} pixels, less than {what}."
            )
        elif breadth < 1:
            yield layer.finding(place, "sliver", f"The polygon is on average {breadth:.2g} pixels broad.")


def _twice(layer: DrawnLayer) -> Iterator[Finding]:
    seen: dict[bytes, int] = {}
    for place, key in zip(
        layer.usable, shapely.to_wkb(shapely.normalize(layer.shapes[layer.usable])), strict=True
    ):
        first = seen.setdefault(key, int(place))
        if first != place:
            reason = f"The polygon is the same as that of feature {layer.features[first]}."
            yield layer.finding(place, "duplicate", reason)


def problems_of(findings: list[Finding]) -> list[Problem]:
    """A warning with a count for each kind of fault that nothing else complains of."""
    problems = []
    for code, (what, hint) in MENDED.items():
        for layer, count in Counter(item.layer for item in findings if item.code == code).items():
            text = f"Polygons of '{layer}' {what}: {count}."
            problems.append(Problem(code, text, hint, "warning"))
    rare = sorted({item.reason for item in findings if item.code == "class_too_rare"})
    hint = "Draw more of it in other places, or join it with another class."
    problems += [Problem("class_too_rare", reason, hint, "warning") for reason in rare]
    hint = "Compare polygons and image on the map, and move the layer that is wrong."
    problems += [
        Problem(item.code, item.reason, hint, "warning") for item in findings if item.code == "labels_shifted"
    ]
    return problems


def write_findings(findings: list[Finding], path: Path, crs: str) -> None:
    """Write the layer `findings` of a GeoPackage: one feature a fault, in the CRS of the rasters.

    Raises:
        GeoSegError: `not_writable`, `disk_full`, `write_failed`.
    """
    frame = geopandas.GeoDataFrame(
        {
            "code": [item.code for item in findings],
            "reason": [item.reason for item in findings],
            "severity": [item.severity for item in findings],
            "feature": np.array([item.feature for item in findings], np.int64),
            "class": [item.class_name for item in findings],
            "layer": [item.layer for item in findings],
        },
        geometry=[item.geometry for item in findings],
        crs=crs,
    )
    with whole_file(path) as partial:
        write_layer(frame, partial, LAYER, geometry_type="Unknown")
