"""Labels as drawn: polygons of one or several layers, or a raster of classes, matched with their classes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..contract import GeoSegError, Grid, LabelClass, LabelLayer, Labels, Problem, Source
from .class_raster import RasterClasses, read_raster_classes
from .features import Features, read_polygons
from .legend import Valued, classes_of


@dataclass(frozen=True)
class LabelPolygons:
    """Polygons in the requested CRS, each with a class id.

    Attributes:
        geometries: polygons and multipolygons, valid before reprojection.
        ids: class id of each; UNKNOWN_CLASS where it has none, EXCLUDED where the user left it out.
        classes: every class that pixels can get, ids 0..n-1; the background included if there is one.
        repaired, skipped: geometries made valid; features without usable geometry.
        problems: warnings.
        labels: settings of the job.
        raster: of labels of kind `raster`; its footprint is then the only geometry, and `ids` are those of its values.
    """

    geometries: np.ndarray
    ids: np.ndarray
    classes: tuple[LabelClass, ...]
    repaired: int = 0
    skipped: int = 0
    problems: tuple[Problem, ...] = field(default=())
    labels: Labels | None = None
    raster: RasterClasses | None = None


def label_title(labels: Labels | LabelLayer) -> str:
    """Return the name of a label layer for messages."""
    return labels.name or labels.layer or Path(labels.path).stem


def read_labels(labels: Labels, on: Grid | str) -> LabelPolygons:
    """Read label polygons with their classes; repairs and omissions are warnings.

    Args:
        labels: settings of the job.
        on: the grid to use them on, or its CRS where there is none yet.

    Raises:
        GeoSegError: as `read_polygons`; `no_field`, `no_polygons`, `too_many_classes`; as `read_raster_classes`.
    """
    if labels.kind == "raster":
        return _read_raster(labels, on)
    layers: list[Valued] = []
    read: list[Features] = []
    drawn: tuple[Labels | LabelLayer, ...] = (labels, *labels.more)
    for layer in drawn:
        name = label_title(layer)
        fields = [layer.class_field] if layer.class_field else []
        found = read_polygons(layer.path, layer.layer, name, on, fields)
        if not len(found):
            raise GeoSegError(
                "no_polygons", f"Layer '{name}' has no polygon.", "Draw polygons, or choose another layer."
            )
        values = found.columns[layer.class_field] if layer.class_field else None
        color = layer.color if isinstance(layer, LabelLayer) else ""
        layers.append(
            Valued(name, values.values, layer.class_field, color, numeric=values.numeric)
            if values
            else Valued(name, None, "", color)
        )
        read.append(found)
    classes, ids, warnings = classes_of(labels, layers)
    return LabelPolygons(
        np.concatenate([found.shapes for found in read]),
        np.concatenate([np.broadcast_to(one, len(found)) for one, found in zip(ids, read, strict=True)]),
        classes,
        sum(found.repaired for found in read),
        sum(found.skipped for found in read),
        (*(problem for found in read for problem in found.problems), *warnings),
        labels,
    )


def _read_raster(labels: Labels, on: Grid | str) -> LabelPolygons:
    name = label_title(labels)
    raster = read_raster_classes(Source("labels", labels.path, name), on)
    layer = Valued(name, raster.values.tolist(), known=raster.known, things="values", numeric=True)
    classes, (ids,), problems = classes_of(replace(labels, more=()), [layer])
    footprint = np.array([raster.footprint], object)
    return LabelPolygons(footprint, ids, classes, problems=tuple(problems), labels=labels, raster=raster)
