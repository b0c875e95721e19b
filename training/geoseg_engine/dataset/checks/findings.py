"""Faults of label polygons, lines and points, each with a place, a reason and the feature to correct."""

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

from ...contract import Grid, LabelLayer, Labels, Problem, counted
from ...outputs import whole_file
from ...raster.grid import affine_of, full_window, pixel_size
from ...raster.sources import parse_crs
from ...stacking.stack_plan import touching
from ...vector.buffers import AREA, LINE, POINT, buffered
from ...vector.files import find_layer
from ...vector.geopackage import write_layer
from ...vector.legend import Valued, excluded_of
from ...vector.placement import moved_to
from ...vector.polygons import buffer_size, label_title, things_of
from ...vector.reading import Column, read_table
from ...vector.scan_fill import ScanFill
from ...vector.shapes import drawn_of, polygons_of, valid
from ..labels.problems import few_or_all

LAYER = "findings"
MIN_POLYGONS = 3
"""Polygons of a class that train, validation and test need, one each."""

MAX_SHARE = 0.5
"""Share of a layer's polygons from which on the rasters or a setting, not single polygons, should be changed."""

TOLERANCE_PX = 0.02
"""Accuracy of widths; a polygon that is smaller than a pixel by less is a pixel, reprojected or rounded."""

MAX_PAIRS = 20_000
"""Number of overlapping pairs that are checked, so that layers drawn twice end in reasonable time."""

MOSTLY_SHARE = 0.5


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        geometry: the polygon, or the part of it that is wrong, in the CRS of the findings.
        code: kind of fault, equal to that of the problem that counts it.
        reason: a sentence.
        layer: the label layer as the user sees it.
        feature: id of the feature in its layer; -1 where it is about more than one.
        class_name: its class as in the field.
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
        shapes: valid areas in the CRS of the findings, discs for points and strips for lines; None where there is none.
        placed: valid polygons, lines and points there.
        own_crs: of the layer.
        grid: of the findings.
    """

    name: str
    features: np.ndarray
    classes: list[str]
    raw: np.ndarray
    shapes: np.ndarray
    placed: np.ndarray
    own_crs: pyproj.CRS
    grid: Grid
    usable: np.ndarray = field(init=False)
    is_area: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.usable = np.flatnonzero(~shapely.is_missing(self.shapes))
        self.is_area = shapely.get_dimensions(self.placed) == AREA

    @property
    def things(self) -> str:
        """Return what the usable features are, for messages."""
        kinds = shapely.get_dimensions(self.placed[self.usable])
        return things_of(len(kinds), int((kinds == POINT).sum()), int((kinds == LINE).sum()))

    def thing(self, place: int) -> str:
        """Return what a feature is, for messages.

        Args:
            place: index of the feature in the layer.
        """
        return {POINT: "point", LINE: "line"}.get(int(shapely.get_dimensions(self.placed[place])), "polygon")

    def finding(
        self, place: int, code: str, reason: str, geometry: shapely.Geometry | None = None
    ) -> Finding:
        """Return a finding about one feature, at its area unless another geometry is given.

        Args:
            place: index of the feature in the layer.
            code: kind of fault.
            reason: a sentence.
            geometry: in the CRS of the findings.
        """
        shape = self.shapes[place] if geometry is None else geometry
        return Finding(shape, code, reason, self.name, int(self.features[place]), self.classes[place])

    def moved(self, geometry: shapely.Geometry) -> shapely.Geometry:
        """Return a geometry of the file in the CRS of the findings."""
        return moved_to(np.array([geometry], object), self.own_crs, self.grid)[0]


def read_drawn(labels: Labels, grid: Grid) -> list[DrawnLayer]:
    """Read every feature of the label layers, faulty ones included, with areas in the CRS of a grid.

    Args:
        labels: with further layers.
        grid: of the findings.

    Raises:
        GeoSegError: as `find_layer` and `read_table`.
    """
    named = {text: item.name for item in labels.classes for text in (item.value, *item.also) if text}
    drawn: tuple[Labels | LabelLayer, ...] = (labels, *labels.more)
    return [_read_layer(layer, grid, named, labels) for layer in drawn]


def _read_layer(layer: Labels | LabelLayer, grid: Grid, named: dict[str, str], labels: Labels) -> DrawnLayer:
    """One layer; what the user excluded is left out, and values merged into a class have its name."""
    name, field = label_title(layer), layer.class_field
    table = read_table(
        find_layer(layer.path, layer.layer, name, polygons=True, others=True), [field] if field else [], name
    )
    own = parse_crs(table.crs)
    column = table.columns.get(field, Column([name] * len(table.shapes)))
    valued = Valued(name, column.values, field, numeric=column.numeric)
    excluded = excluded_of(labels, valued) if field else frozenset()
    kept = np.array([text not in excluded for text in valued.texts], bool)
    classes = [named.get(text or "", text or "") for text in valued.texts]
    placed = drawn_of(valid(table.shapes)[0])
    present = ~shapely.is_missing(placed)
    placed[present] = moved_to(placed[present], own, grid)
    kept &= ~shapely.is_empty(placed)  # far from the grid
    placed[~np.isfinite(shapely.bounds(placed)).all(axis=1)] = None
    placed = placed[kept]
    chosen = [text for text, keep in zip(classes, kept, strict=True) if keep]
    shapes = buffered(placed, buffer_size(labels), grid).shapes
    return DrawnLayer(name, table.numbers[kept], chosen, table.shapes[kept], shapes, placed, own, grid)


def layer_faults(layer: DrawnLayer, grid: Grid, min_area_px: int = 0) -> Iterator[Finding]:
    """Yield the faults of single features: no geometry, invalid, outside, tiny, narrow, duplicate, without class.

    Args:
        layer: the features.
        grid: of the rasters.
        min_area_px: polygons of a smaller area are tiny; at least 1.
    """
    yield from _without_polygon(layer)
    yield from _invalid(layer)
    inside = touching(layer.shapes[layer.usable], grid)
    for place in layer.usable[~inside]:
        reason = f"The {layer.thing(place)} is outside the area that the rasters share."
        yield layer.finding(place, "labels_outside", reason)
    yield from _small(layer, layer.usable[inside & layer.is_area[layer.usable]], grid, min_area_px)
    yield from _twice(layer)
    for place in layer.usable:
        if not layer.classes[place]:
            yield layer.finding(
                place, "null_class", "The class field is empty: the pixels under it are ignored."
            )


def rare_classes(layers: list[DrawnLayer], grid: Grid, tile_px: int) -> Iterator[Finding]:
    """Yield a finding at each feature of a class with fewer features on the rasters than there are splits.

    A polygon as large as several tiles counts as that many, since blocks cut it.

    Args:
        layers: all label layers.
        grid: of the rasters.
        tile_px: side of a tile.
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
        if pieces[name] < MIN_POLYGONS:
            reason = (
                f"Class '{name}' has {counted(counts[name], layer.things[:-1])} on the rasters: too few for training, "
                "validation and test."
            )
            yield layer.finding(place, "class_too_rare", reason)


def _without_polygon(layer: DrawnLayer) -> Iterator[Finding]:
    """Features without a polygon; those without a place are shown in the middle of the layer."""
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
        message = shapely.is_valid_reason(layer.raw[place])
        found = re.match(r"(.*?)\[(\S+) (\S+?)\]$", message)
        text = found.group(1).strip() if found else message
        point = (
            shapely.Point(float(found.group(2)), float(found.group(3)))
            if found
            else layer.raw[place].centroid
        )
        reason = f"The polygon is invalid: {text.lower()}. It was repaired on a copy."
        yield layer.finding(place, "invalid_geometry", reason, layer.moved(point))


def width_px(shapes: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the width of polygons in pixels: the diameter of the largest circle inside, where a pixel is one by one.

    That is the side of a square, the short side of a strip, the diameter of a disc; of a polygon with a narrow tail
    the widest place counts. Twice area by perimeter never exceeds it (Osserman 1979, Bonnesen-style isoperimetric
    inequalities), so the circle is computed only where that is below a pixel, or where there are holes.

    Args:
        shapes: polygons in the CRS of the grid.
        grid: whose pixels count, in both directions.

    Returns:
        Float (n,), exact where it is below 1; elsewhere at least 1, but perhaps too small.
    """
    to_pixels = ~affine_of(grid)
    placed = shapely.transform(shapes, lambda points: np.column_stack(to_pixels * points.T))
    found = 2 * shapely.area(placed) / np.maximum(shapely.length(placed), 1e-300)
    _, ring_of = shapely.get_rings(placed, return_index=True)
    holes = np.bincount(ring_of, minlength=len(placed)) - shapely.get_num_geometries(placed)
    narrow = np.flatnonzero((found < 1) | (holes > 0))
    circles = shapely.maximum_inscribed_circle(placed[narrow], tolerance=TOLERANCE_PX)
    found[narrow] = 2 * shapely.length(circles)
    return np.asarray(found)


def _small(layer: DrawnLayer, places: np.ndarray, grid: Grid, min_area_px: int) -> Iterator[Finding]:
    width, height = pixel_size(grid)
    shapes = layer.shapes[places]
    area_px = shapely.area(shapes) / (width * height)
    min_px = max(1, min_area_px)
    for place, area, across in zip(places, area_px, width_px(shapes, grid), strict=True):
        if area < min_px - TOLERANCE_PX:
            what = "one pixel" if min_px == 1 else f"the minimum area of {min_px} pixels"
            reason = f"The polygon has an area of {area:.2g} px, less than {what}."
            yield layer.finding(place, "tiny_polygon", reason)
        elif across < 1 - TOLERANCE_PX:
            yield layer.finding(place, "sliver", f"The polygon is at most {across:.2g} px wide.")


def _twice(layer: DrawnLayer) -> Iterator[Finding]:
    seen: dict[tuple[bytes, str], int] = {}
    shapes = shapely.to_wkb(shapely.normalize(layer.placed[layer.usable]))
    for place, shape in zip(layer.usable, shapes, strict=True):
        first = seen.setdefault((shape, layer.classes[place]), int(place))
        if first != place:
            reason = f"The {layer.thing(place)} repeats feature {layer.features[first]} exactly."
            yield layer.finding(place, "duplicate", reason)


def problems_of(findings: list[Finding], layers: list[DrawnLayer], min_area_px: int = 0) -> list[Problem]:
    """Return a warning with a count for each kind of fault that no other check reports.

    Args:
        findings: all faults.
        layers: all label layers.
        min_area_px: as of `layer_faults`.
    """
    problems = []
    for layer in layers:
        own = [item for item in findings if item.layer == layer.name]
        for code in ("tiny_polygon", "sliver", "duplicate", "overlap_same_class"):
            count = len({item.feature for item in own if item.code == code})
            if count:
                problems.append(_polygons_problem(code, layer, count, min_area_px))
    rare = sorted({item.reason for item in findings if item.code == "class_too_rare"})
    problems += few_or_all(
        [Problem("class_too_rare", reason, "Draw more of it in other places.", "warning") for reason in rare],
        f"{len(rare)} classes have too few {_things(layers)} on the rasters for training, validation and test.",
        "Draw more of them in other places, or check that the right field is chosen as class field.",
    )
    hint = "Compare polygons and image on the map, and move the layer that is wrong."
    problems += [
        Problem(item.code, item.reason, hint, "warning") for item in findings if item.code == "labels_shifted"
    ]
    return problems


def _things(layers: list[DrawnLayer]) -> str:
    """What the features of all layers are, for messages."""
    found = {layer.things for layer in layers}
    return found.pop() if len(found) == 1 else "features"


def _polygons_problem(code: str, layer: DrawnLayer, count: int, min_area_px: int) -> Problem:
    """One sentence about some, most or all polygons of a layer; the fix depends on how many they are."""
    total = len(layer.usable)
    whole = f"{counted(total, layer.things[:-1])} of '{layer.name}'"
    of_all = f"All {whole}" if count == total else f"{count} of {whole}"
    if total == 1:
        of_all = f"The only {layer.things[:-1]} of '{layer.name}'"
    be, s = ("is", "s") if count == 1 else ("are", "")
    maximum = count >= MAX_SHARE * total
    coarse = (
        "The pixels are too large for these polygons: choose a smaller pixel size if a raster has it, draw larger "
        "polygons, or let every pixel count that a polygon touches."
    )
    fewer = (
        "They give few labels or none. Show them on the map and draw them larger, or leave them as they are."
    )
    if code == "tiny_polygon" and min_area_px > 1:
        what = f"{be} smaller than the minimum area of {min_area_px} pixels"
        hint = (
            "Choose a smaller minimum area."
            if maximum
            else "Draw them larger, or choose a smaller minimum area."
        )
    elif code in ("tiny_polygon", "sliver"):
        what = f"{be} {'smaller' if code == 'tiny_polygon' else 'narrower'} than a pixel"
        hint = coarse if maximum else fewer
    elif code == "duplicate":
        what = f"repeat{s} another one exactly"
        hint = "The labels are still correct; Delete duplicate geometries (Processing) keeps one of each."
    else:
        what = f"overlap{s} mostly with another one of the same class"
        hint = "The labels are still correct; Dissolve (Processing) merges them."
    return Problem(code, f"{of_all} {what}.", hint, "warning")


def write_findings(findings: list[Finding], path: Path, crs: str) -> None:
    """Write the layer `findings` of a GeoPackage: one feature per fault.

    Args:
        findings: all faults; none gives an empty layer.
        path: of the GeoPackage.
        crs: of the geometries.

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


def overlap_faults(layers: list[DrawnLayer], grid: Grid) -> Iterator[Finding]:
    """Yield overlaps of at least a pixel between features of different classes, and polygons mostly under another one.

    Polygons of the same shape and class are `duplicate` and not reported again. Where points or lines are in it, an
    overlap is what both claim: the pixels whose centres it holds.

    Args:
        layers: all label layers.
        grid: of the rasters.
    """
    owners = np.array(
        [(number, place) for number, layer in enumerate(layers) for place in layer.usable]
    ).reshape(-1, 2)
    if not len(owners):
        return
    shapes = np.array([layers[number].shapes[place] for number, place in owners], object)
    shapes[~shapely.is_valid(shapes)] = shapely.make_valid(shapes[~shapely.is_valid(shapes)])
    is_area = np.array([layers[number].is_area[place] for number, place in owners], bool)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    chosen = one < other
    one, other = one[chosen][:MAX_PAIRS], other[chosen][:MAX_PAIRS]
    shared = shapely.intersection(shapes[one], shapes[other])
    width, height = pixel_size(grid)
    areas_px = shapely.area(shared) / (width * height)
    drawn = ~(is_area[one] & is_area[other])
    areas_px[drawn] = _pixels_held(shared[drawn], grid)
    for index in np.flatnonzero(areas_px >= 1):
        first, second = owners[one[index]], owners[other[index]]
        smaller = min(float(shapely.area(shapes[one[index]])), float(shapely.area(shapes[other[index]])))
        share = 0.0 if drawn[index] else areas_px[index] * (width * height) / smaller
        yield from _overlap_findings(layers, first, second, shared[index], areas_px[index], share)


def _pixels_held(shapes: np.ndarray, grid: Grid) -> np.ndarray:
    """(n,) number of pixels whose centres areas hold."""
    if not len(shapes):
        return np.zeros(0)
    found = polygons_of(shapes)
    found[shapely.is_missing(found)] = shapely.Polygon()
    runs = ScanFill(found, grid).runs(full_window(grid), np.arange(len(found)))
    return np.bincount(runs.feature, weights=runs.length, minlength=len(found))


def _overlap_findings(
    layers: list[DrawnLayer],
    first: np.ndarray,
    second: np.ndarray,
    shared: shapely.Geometry,
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
        yield layer.finding(int(first[1]), "overlap", reason, shared)
    elif share >= MOSTLY_SHARE and not shapely.equals(shape, other_shape):
        reason = f"It covers {counted(round(px), 'pixel')} that {other} of the same class covers too."
        yield layer.finding(int(first[1]), "overlap_same_class", reason, shared)
