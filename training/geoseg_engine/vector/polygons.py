"""Label polygons: read, repaired, reprojected on a copy, and matched with their classes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
import pyogrio
import shapely

from ..contract import GeoSegError, LabelClass, Labels, Problem
from ..raster.sources import crs_text, crs_title, is_plain_file, lie_of_coordinates, parse_crs

UNKNOWN_CLASS = -1
"""Class id of a polygon whose class is not known: the ground under it is ignored."""

MOST_CLASSES = 254
PALETTE = (
    "#e41a1c", "#377eb8", "#4daf4a", "#984ea3", "#ff7f00", "#a65628", "#f781bf", "#17becf", "#bcbd22", "#1b9e77",
)  # fmt: skip
BACKGROUND = LabelClass(0, "background", "", "#d9d9d9")


@dataclass(frozen=True)
class LabelPolygons:
    """Polygons in the CRS asked for, each with a class id.

    Attributes:
        geometries: polygons and multipolygons, valid before reprojection.
        ids: class id of each; UNKNOWN_CLASS where it has none.
        classes: every class that pixels can get, ids 0..n-1; the background included if there is one.
        repaired, skipped: geometries made valid; features without usable geometry.
    """

    geometries: np.ndarray
    ids: np.ndarray
    classes: tuple[LabelClass, ...]
    repaired: int = 0
    skipped: int = 0
    problems: tuple[Problem, ...] = field(default=())


def label_title(labels: Labels) -> str:
    """How to call a label layer in a sentence."""
    return labels.name or labels.layer or Path(labels.path).stem


def read_polygons(path: str, layer: str, name: str, crs: str) -> tuple[geopandas.GeoDataFrame, int, int]:
    """Polygons of a file, valid, without Z, reprojected; curves become lines.

    Args:
        path, layer: file; an empty layer takes the first with polygons.
        name: how to call the layer in a sentence.
        crs: target CRS.

    Returns:
        The features that have polygons, how many were repaired, how many skipped.

    Raises:
        GeoSegError: `file_missing`, `cannot_open`, `not_polygons`, `no_crs`, `crs_lies`.
    """
    frame = _read(path, layer, name)
    geometry = shapely.force_2d(np.asarray(frame.geometry.array, dtype=object))
    present = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    invalid = present & ~shapely.is_valid(geometry)
    geometry[invalid] = shapely.make_valid(geometry[invalid], method="structure", keep_collapsed=False)
    kinds = set(np.unique(shapely.get_type_id(geometry[present])).tolist())
    if present.any() and not kinds & {3, 6, 7}:
        raise GeoSegError(
            "not_polygons",
            f"Layer '{name}' holds {shapely.geometry.mapping(geometry[present][0])['type']} features, not polygons.",
            "Choose a polygon layer.",
        )
    for index in np.flatnonzero(present & (shapely.get_type_id(geometry) == 7)):
        geometry[index] = polygonal(geometry[index])
    usable = present & ~shapely.is_empty(geometry) & np.isin(shapely.get_type_id(geometry), (3, 6))
    found = frame[usable].set_geometry(
        geopandas.GeoSeries(list(geometry[usable]), crs=frame.crs, index=frame.index[usable])
    )
    return _reprojected(found, name, crs), int((invalid & usable).sum()), int((~usable).sum())


def _read(path: str, layer: str, name: str) -> geopandas.GeoDataFrame:
    if is_plain_file(path) and not Path(path).exists():
        raise GeoSegError(
            "file_missing",
            f"The file of layer '{name}' does not exist: {path}",
            "Was it moved or deleted? Choose the layer again.",
        )
    try:
        frame = pyogrio.read_dataframe(path, layer=layer or _first_with_geometry(path))
    except (
        pyogrio.errors.DataSourceError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.GeometryError,
    ) as error:
        raise GeoSegError(
            "cannot_open",
            f"The engine cannot read layer '{name}': {path}",
            "Export it as GeoPackage in QGIS and use that.",
            str(error),
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise GeoSegError("not_polygons", f"Layer '{name}' has no geometry.", "Choose a polygon layer.")
    if frame.crs is None:
        raise GeoSegError(
            "no_crs",
            f"Layer '{name}' has no coordinate reference system.",
            "Set its CRS in QGIS (layer properties, Source).",
        )
    return frame


def _first_with_geometry(path: str) -> str | int:
    layers = [(name, kind) for name, kind in pyogrio.list_layers(path) if kind is not None]
    polygons = [name for name, kind in layers if "Polygon" in kind or "Surface" in kind]
    return str((polygons or [name for name, _ in layers] or [0])[0]) if layers else 0


def polygonal(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons in a collection as one multipolygon."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.MultiPolygon(list(parts[shapely.get_type_id(parts) == 3]))


def _reprojected(frame: geopandas.GeoDataFrame, name: str, crs: str) -> geopandas.GeoDataFrame:
    target, own = parse_crs(crs), parse_crs(frame.crs.to_wkt())
    if len(frame):
        xmin, ymin, xmax, ymax = frame.total_bounds
        reason = lie_of_coordinates(own, np.array([xmin, xmax]), np.array([ymin, ymax]))
        if reason:
            raise GeoSegError(
                "crs_lies",
                f"The coordinates of layer '{name}' do not fit its CRS {crs_title(crs_text(own))}: {reason}.",
                "Assign the CRS in which the coordinates really are (layer properties, Source).",
            )
    moved = frame.set_crs(own, allow_override=True).to_crs(target)
    finite = np.isfinite(moved.geometry.bounds.to_numpy()).all(axis=1) if len(moved) else np.ones(0, bool)
    return moved[finite]


def read_labels(labels: Labels, crs: str) -> LabelPolygons:
    """Read label polygons with their classes; whatever had to be repaired or left out is a warning.

    Raises:
        GeoSegError: as `read_polygons`; `no_field`, `no_polygons`, `too_many_classes`.
    """
    name = label_title(labels)
    frame, repaired, skipped = read_polygons(labels.path, labels.layer, name, crs)
    if labels.class_field and labels.class_field not in frame.columns:
        fields = ", ".join(column for column in frame.columns if column != frame.geometry.name)
        raise GeoSegError(
            "no_field",
            f"Layer '{name}' has no field '{labels.class_field}'.",
            f"Choose one of: {fields or 'it has no fields; use one class'}.",
        )
    if not len(frame):
        raise GeoSegError(
            "no_polygons", f"Layer '{name}' has no polygon.", "Draw polygons, or choose another layer."
        )
    values: list[Any] = frame[labels.class_field].tolist() if labels.class_field else [""] * len(frame)
    legend = _legend(labels, values)
    classes, ids = _class_ids(labels, legend, values)
    problems = [*_geometry_problems(name, repaired, skipped), *_class_problems(labels, values, ids)]
    return LabelPolygons(
        np.asarray(frame.geometry.array, dtype=object), ids, classes, repaired, skipped, tuple(problems)
    )


def is_null(value: Any) -> bool:
    """Whether a field is NULL: missing, or text without a letter."""
    return bool(pandas.isna(value)) or (isinstance(value, str) and not value.strip())


def value_text(value: Any) -> str:
    """A field value as text; whole numbers without a decimal point."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _number_text(text: str) -> str:
    """`1.0` and `01` as `1`; other text as it is, without regard to case."""
    try:
        number = float(text)
    except ValueError:
        return text.casefold()
    return str(int(number)) if math.isfinite(number) and number.is_integer() else str(number)


def _legend(labels: Labels, values: list[Any]) -> list[LabelClass]:
    if not labels.class_field:
        given = labels.classes[0] if labels.classes else None
        return [given or LabelClass(0, label_title(labels), "", PALETTE[0])]
    if labels.classes:
        return list(labels.classes)
    found = sorted({value_text(value) for value in values if not is_null(value)}, key=_sort_key)
    if len(found) > MOST_CLASSES:
        raise GeoSegError(
            "too_many_classes",
            f"Field '{labels.class_field}' of '{label_title(labels)}' has {len(found)} different values; "
            f"{MOST_CLASSES} classes are possible.",
            "Choose the field that holds the class, or style the layer with fewer categories.",
        )
    return [LabelClass(0, text, text, PALETTE[index % len(PALETTE)]) for index, text in enumerate(found)]


def _sort_key(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _class_ids(
    labels: Labels, legend: list[LabelClass], values: list[Any]
) -> tuple[tuple[LabelClass, ...], np.ndarray]:
    """Number the classes and give every polygon its id.

    A class of the legend that is itself called background takes id 0 when unlabelled ground is background.
    """
    background = labels.unlabelled == "background"
    own = [item for item in legend if background and item.name.strip().casefold() == BACKGROUND.name]
    others = [item for item in legend if item not in own]
    first = [replace(own[0], id=0)] if own else [BACKGROUND] if background else []
    classes = [*first, *(replace(item, id=len(first) + index) for index, item in enumerate(others))]
    by_text = {value_text(item.value): item.id for item in classes if item is not BACKGROUND}
    counts = Counter(_number_text(text) for text in by_text)
    by_number = {_number_text(text): id for text, id in by_text.items() if counts[_number_text(text)] == 1}

    def id_of(value: Any) -> int:
        if not labels.class_field:
            return classes[-1].id
        if is_null(value):
            return UNKNOWN_CLASS
        text = value_text(value)
        return by_text.get(text, by_number.get(_number_text(text), UNKNOWN_CLASS))

    return tuple(classes), np.array([id_of(value) for value in values], np.int32)


def _geometry_problems(name: str, repaired: int, skipped: int) -> list[Problem]:
    problems = []
    if skipped:
        problems.append(
            Problem(
                "no_geometry",
                f"{skipped} features of '{name}' have no polygon and are left out.",
                "Delete them, or draw their polygons.",
                "warning",
            )
        )
    if repaired:
        problems.append(
            Problem(
                "invalid_geometry",
                f"{repaired} polygons of '{name}' are invalid (they cross themselves) and were repaired on a copy.",
                "Look at them with Vector > Geometry Tools > Check Validity.",
                "warning",
            )
        )
    return problems


def _class_problems(labels: Labels, values: list[Any], ids: np.ndarray) -> list[Problem]:
    if not labels.class_field:
        return []
    name, problems = label_title(labels), []
    nulls = sum(is_null(value) for value in values)
    if nulls:
        problems.append(
            Problem(
                "null_class",
                f"{nulls} polygons of '{name}' have no value in field '{labels.class_field}'; the ground under them "
                "is ignored.",
                "Fill in the field, or delete these polygons.",
                "warning",
            )
        )
    strange = Counter(
        value_text(value)
        for value, id in zip(values, ids, strict=True)
        if id == UNKNOWN_CLASS and not is_null(value)
    )
    if strange:
        most = ", ".join(f"'{text}' ({count})" for text, count in strange.most_common(6))
        problems.append(
            Problem(
                "not_in_legend",
                f"{strange.total()} polygons of '{name}' have a class that is not in the legend: {most}; the ground "
                "under them is ignored.",
                "Add the value to the layer's categories, or correct it.",
                "warning",
            )
        )
    return problems
