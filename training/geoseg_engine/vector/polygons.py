"""Labels as drawn: polygons, lines and points of one or several layers, or a raster of classes, with their classes.

Lines and points become areas as soon as there is a grid (`buffers`); all that follows sees areas only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import shapely

from ..contract import (
    Area,
    GeoSegError,
    Grid,
    LabelClass,
    LabelLayer,
    Labels,
    Problem,
    Source,
    counted,
    with_unlabelled,
)
from .buffers import LINE, POINT, Buffered, BufferSize, buffered
from .class_raster import RasterClasses, read_raster_classes
from .features import Features, read_drawn
from .legend import Valued, classes_of


@dataclass(frozen=True)
class LabelPolygons:
    """Areas in the requested CRS, each with a class id.

    Attributes:
        geometries: polygons and multipolygons, valid before reprojection; without a grid also lines and points.
        ids: class id of each; UNKNOWN_CLASS where it has none, EXCLUDED where the user left it out.
        classes: every class that pixels can get, ids 0..n-1; the background included if there is one.
        repaired, skipped: geometries made valid; features without usable geometry.
        problems: warnings.
        labels: settings of the job; what unlabelled pixels are is decided if the area is known.
        raster: of labels of kind `raster`; its footprint is then the only geometry, and `ids` are those of its values.
        points, lines: number of features that are drawn as such.
    """

    geometries: np.ndarray
    ids: np.ndarray
    classes: tuple[LabelClass, ...]
    repaired: int = 0
    skipped: int = 0
    problems: tuple[Problem, ...] = field(default=())
    labels: Labels | None = None
    raster: RasterClasses | None = None
    points: int = 0
    lines: int = 0

    @property
    def things(self) -> str:
        """Return what the features are, for messages; see `things_of`."""
        return things_of(len(self.geometries), self.points, self.lines)


def things_of(total: int, points: int, lines: int) -> str:
    """Return what features are, for messages: `polygons`, `points`, `lines`, or `features` where they differ.

    Args:
        total: number of features.
        points, lines: how many of them are points, and lines.
    """
    if not points and not lines:
        return "polygons"
    if total in (points, lines):
        return "points" if total == points else "lines"
    return "features"


def label_title(labels: Labels | LabelLayer) -> str:
    """Return the name of a label layer for messages."""
    return labels.name or labels.layer or Path(labels.path).stem


def read_labels(labels: Labels, on: Grid | str, area: Area | None = None) -> LabelPolygons:
    """Read labels with their classes; repairs and omissions are warnings.

    Args:
        labels: settings of the job.
        on: the grid to use them on, or its CRS where there is none yet; lines and points have no area then.
        area: where they are used; with it, what unlabelled pixels are is decided.

    Raises:
        GeoSegError: as `read_drawn`; `no_field`, `no_polygons`, `too_many_classes`; as `read_raster_classes`.
    """
    if labels.kind == "raster":
        return _read_raster(labels if area is None else with_unlabelled(labels, area), on)
    layers: list[Valued] = []
    read: list[Features] = []
    areas: list[Buffered] = []
    problems: list[Problem] = []
    drawn: tuple[Labels | LabelLayer, ...] = (labels, *labels.more)
    for layer in drawn:
        name = label_title(layer)
        found = _read_layer(layer, on)
        areas.append(_areas(found, labels, on))
        problems += [*found.problems, *_mixed(name, areas[-1]), *_size_warnings(name, labels, areas[-1])]
        values = found.columns[layer.class_field] if layer.class_field else None
        color = layer.color if isinstance(layer, LabelLayer) else ""
        things = things_of(len(found), areas[-1].points, areas[-1].lines)
        layers.append(
            Valued(name, values.values, layer.class_field, color, things=things, numeric=values.numeric)
            if values
            else Valued(name, None, "", color)
        )
        read.append(found)
    points, lines = sum(item.points for item in areas), sum(item.lines for item in areas)
    if area is not None:
        labels = with_unlabelled(labels, area, sampled=points + lines > 0)
    classes, ids, warnings = classes_of(labels, layers)
    return LabelPolygons(
        np.concatenate([item.shapes for item in areas]),
        np.concatenate([np.broadcast_to(one, len(found)) for one, found in zip(ids, read, strict=True)]),
        classes,
        sum(found.repaired for found in read),
        sum(found.skipped for found in read),
        (*problems, *warnings),
        labels,
        points=points,
        lines=lines,
    )


def _read_layer(layer: Labels | LabelLayer, on: Grid | str) -> Features:
    name = label_title(layer)
    found = read_drawn(layer.path, layer.layer, name, on, [layer.class_field] if layer.class_field else [])
    if not len(found):
        raise GeoSegError(
            "no_polygons",
            f"Layer '{name}' has no polygon, line or point.",
            "Draw some, or choose another layer.",
        )
    return found


def _areas(found: Features, labels: Labels, on: Grid | str) -> Buffered:
    """Features as areas on a grid; without one only counted."""
    if isinstance(on, str):
        dimensions = shapely.get_dimensions(found.shapes)
        return Buffered(found.shapes, int((dimensions == POINT).sum()), int((dimensions == LINE).sum()))
    return buffered(found.shapes, buffer_size(labels), on)


def buffer_size(labels: Labels) -> BufferSize:
    """Return how large points and lines of labels are."""
    return BufferSize(labels.point_radius, labels.line_width, labels.size_unit)


def _mixed(name: str, areas: Buffered) -> list[Problem]:
    """The warning that points or lines are among the polygons of a layer, which may be a mistake."""
    polygons = len(areas.shapes) - areas.points - areas.lines
    if not polygons or polygons == len(areas.shapes):
        return []
    kinds = ((polygons, "polygon"), (areas.lines, "line"), (areas.points, "point"))
    listed = ", ".join(counted(count, thing) for count, thing in kinds if count)
    return [
        Problem(
            "mixed_geometry",
            f"'{name}' holds features of several kinds, and all of them are labels: {listed}.",
            "Delete those that are no labels, or save them as a layer of their own.",
            "warning",
        )
    ]


def _size_warnings(name: str, labels: Labels, areas: Buffered) -> list[Problem]:
    """Warnings that a radius or width is below a pixel."""
    kinds = (
        ("small_points", areas.small, areas.points, "point", "radius", labels.point_radius,
         "holds no centre of a pixel at", "each labels the pixel that holds it"),
        ("thin_lines", areas.thin, areas.lines, "line", "width", labels.line_width,
         "is less than a pixel at", "each is one pixel wide"),
    )  # fmt: skip
    return [
        Problem(
            code,
            f"The {what} of {value:g} {labels.size_unit} {why} {few} of {counted(all_of, thing)} of '{name}': "
            f"{instead}.",
            f"Choose a larger {what} if a {thing} stands for more than that.",
            "warning",
        )
        for code, few, all_of, thing, what, value, why, instead in kinds
        if few
    ]


def _read_raster(labels: Labels, on: Grid | str) -> LabelPolygons:
    name = label_title(labels)
    raster = read_raster_classes(Source("labels", labels.path, name), on)
    layer = Valued(name, raster.values.tolist(), known=raster.known, things="values", numeric=True)
    classes, (ids,), problems = classes_of(replace(labels, more=()), [layer])
    footprint = np.array([raster.footprint], object)
    return LabelPolygons(footprint, ids, classes, problems=tuple(problems), labels=labels, raster=raster)
