"""Labels as they were drawn: polygons of one or several layers, or a raster of classes, matched with their classes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..contract import GeoSegError, LabelClass, LabelLayer, Labels, Problem, Source, counted
from .features import read_polygons, refuse_field
from .labelraster import RasterClasses, read_raster_classes
from .legend import Valued, classes_of, is_null

__all__ = ["LabelPolygons", "is_null", "label_title", "read_labels"]


@dataclass(frozen=True)
class LabelPolygons:
    """Polygons in the CRS asked for, each with a class id.

    Attributes:
        geometries: polygons and multipolygons, valid before reprojection.
        ids: class id of each; UNKNOWN_CLASS where it has none, EXCLUDED where the user left it out.
        classes: every class that pixels can get, ids 0..n-1; the background included if there is one.
        repaired, skipped: geometries made valid; features without usable geometry.
        problems: what there is to say, as warnings.
        labels: what was asked for.
        raster: of labels of kind `raster`; its footprint is the one geometry then, and `ids` are those of its values.
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
    """How to call a label layer in a sentence."""
    return labels.name or labels.layer or Path(labels.path).stem


def read_labels(labels: Labels, crs: str) -> LabelPolygons:
    """Read label polygons with their classes; whatever had to be repaired or left out is a warning.

    Raises:
        GeoSegError: as `read_polygons`; `no_field`, `no_polygons`, `too_many_classes`; as `read_raster_classes`.
    """
    if labels.kind == "raster":
        return _read_raster(labels, crs)
    layers: list[Valued] = []
    geometries: list[np.ndarray] = []
    problems: list[Problem] = []
    total_repaired = total_skipped = 0
    drawn: tuple[Labels | LabelLayer, ...] = (labels, *labels.more)
    for layer in drawn:
        name = label_title(layer)
        frame, repaired, skipped = read_polygons(layer.path, layer.layer, name, crs)
        if layer.class_field:
            refuse_field(frame.columns.drop(frame.geometry.name), layer.class_field, name)
        if not len(frame):
            raise GeoSegError(
                "no_polygons", f"Layer '{name}' has no polygon.", "Draw polygons, or choose another layer."
            )
        values = frame[layer.class_field].tolist() if layer.class_field else None
        color = layer.color if isinstance(layer, LabelLayer) else ""
        layers.append(Valued(name, values, layer.class_field, color))
        geometries.append(np.asarray(frame.geometry.array, dtype=object))
        problems += _geometry_problems(name, repaired, skipped)
        total_repaired, total_skipped = total_repaired + repaired, total_skipped + skipped
    classes, found, said = classes_of(labels, layers)
    ids = [np.broadcast_to(ids, len(shapes)) for ids, shapes in zip(found, geometries, strict=True)]
    return LabelPolygons(
        np.concatenate(geometries),
        np.concatenate(ids),
        classes,
        total_repaired,
        total_skipped,
        (*problems, *said),
        labels,
    )


def _read_raster(labels: Labels, crs: str) -> LabelPolygons:
    name = label_title(labels)
    raster = read_raster_classes(Source("labels", labels.path, name), crs)
    layer = Valued(name, raster.values.tolist(), known=raster.known, things="values")
    classes, (ids,), problems = classes_of(replace(labels, more=()), [layer])
    footprint = np.array([raster.footprint], object)
    return LabelPolygons(footprint, ids, classes, problems=tuple(problems), labels=labels, raster=raster)


def _geometry_problems(name: str, repaired: int, skipped: int) -> list[Problem]:
    problems = []
    if skipped:
        problems.append(
            Problem(
                "no_geometry",
                f"{counted(skipped, 'feature')} of '{name}' without a polygon {'is' if skipped == 1 else 'are'} left "
                "out.",
                "Draw their polygons, or leave them: they do not count.",
                "warning",
            )
        )
    if repaired:
        problems.append(
            Problem(
                "invalid_geometry",
                f"{counted(repaired, 'polygon')} of '{name}' {'is' if repaired == 1 else 'are'} invalid "
                "(self-crossing) and repaired on a copy.",
                "Look at them with Vector > Geometry Tools > Check Validity.",
                "warning",
            )
        )
    return problems
