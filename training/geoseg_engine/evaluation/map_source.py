"""The map to evaluate, a raster of classes or polygons, as class ids on the pixels of any grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, EvaluateJob, GeoSegError, Grid, LabelClass, Labels, Problem, split_address
from ..dataset.labels.burning import BurntPolygons
from ..raster.grid import Window, pixel_size
from ..raster.interpolation import pixels_at
from ..raster.resample import inside_source, mapping, source_pixels, source_window
from ..raster.sources import crs_text, parse_crs
from ..vector.files import field_names, find_layer, layer_crs
from ..vector.polygons import LabelPolygons, read_labels
from .classmap import class_map
from .evaluator import joined_classes

VECTOR_SUFFIXES = (
    ".gpkg",
    ".shp",
    ".geojson",
    ".json",
    ".fgb",
    ".gml",
    ".kml",
    ".kmz",
    ".gdb",
    ".sqlite",
    ".zip",
)
CLASS_FIELD = "class_name"
"""Field of polygons of ours; taken where no other is named."""

SOURCE_LIMIT_PX = 1 << 24
"""Pixels of the map read at once; where a window needs more it is halved."""

Table = NDArray[np.uint8]
Ids = Callable[[Window], NDArray[np.uint8]]
"""Class ids (rows, cols) of a window inside a grid, IGNORE where the map says nothing."""


@dataclass(frozen=True)
class MapSource:
    """The map to evaluate.

    Attributes:
        name: its name in sentences.
        classes: its classes, in order.
        crs: its CRS.
        grid: its pixels; None for polygons.
        named: whether the file names its classes.
        complete: `classes` are all that it could have, not only those that occur.
        single: it is polygons of one class, named like their layer.
        on: (grid, table) -> its ids there; the table gives the id of each of `classes`.
        polygons: in their own CRS; None for a raster.
        problems: warnings about it.
    """

    name: str
    classes: tuple[LabelClass, ...]
    crs: str
    grid: Grid | None
    named: bool
    complete: bool
    single: bool
    on: Callable[[Grid, Table], Ids]
    polygons: LabelPolygons | None = None
    problems: tuple[Problem, ...] = ()


@contextmanager
def open_map(job: EvaluateJob, folder: Path) -> Iterator[MapSource]:
    """Open the prediction of a job.

    Args:
        job: the evaluation.
        folder: folder of the job.

    Raises:
        GeoSegError: as `class_map`, `read_labels`.
    """
    path = folder / job.prediction
    file = Path(split_address(str(path))[0])
    if job.prediction_field or job.prediction_layer or file.suffix.lower() in VECTOR_SUFFIXES:
        yield polygon_map(path, job.prediction_layer, job.prediction_field)
        return
    with class_map(path) as found:

        def on(grid: Grid, table: Table) -> Ids:
            return ClassesOnGrid(found, grid, table).ids

        yield MapSource(
            found.name, found.classes, found.grid.crs, found.grid, found.named, found.ours, False, on
        )


def polygon_map(path: Path, layer: str, field: str) -> MapSource:
    """Return polygons as a map: pixels without a polygon are background.

    Args:
        path: the file, with layer options as QGIS writes them.
        layer: name of the layer; may be empty.
        field: field of the classes; empty takes that of our own polygons.

    Raises:
        GeoSegError: as `read_labels`.
    """
    file, settings = split_address(str(path))
    name = layer or settings.get("layername") or Path(file).stem
    place = find_layer(str(path), layer, name, polygons=True)
    fields = field_names(place, name)
    field = field or (CLASS_FIELD if CLASS_FIELD in fields else "")
    labels = Labels(str(path), layer, name, field, unlabelled="background")
    crs = crs_text(parse_crs(layer_crs(place, name) or "EPSG:4326"))  # without one, reading it is refused
    polygons = read_labels(labels, crs)
    if polygons.points + polygons.lines == len(polygons.geometries):
        raise GeoSegError(
            "not_polygons",
            f"Layer '{name}' holds {polygons.things}, but a map consists of areas.",
            "Choose a polygon layer, or a class raster.",
        )

    def on(grid: Grid, table: Table) -> Ids:
        burnt = BurntPolygons(read_labels(labels, grid), grid, 0, all_touched=False)
        wide = np.append(table, np.full(IGNORE + 1 - len(table), IGNORE, np.uint8))
        return lambda window: wide[burnt.ids(window)]

    return MapSource(
        name, polygons.classes, crs, None, True, False, not field, on, polygons, polygons.problems
    )


class ClassRasterReader(Protocol):
    """Pixels with an index each, such as a `ClassMap`."""

    @property
    def grid(self) -> Grid:
        """Its pixels."""

    def places(self, window: Window) -> NDArray[np.uint8]:
        """(rows, cols) of a window inside the grid: index, IGNORE where there is none."""


class ClassesOnGrid:
    """Classes of a raster on the pixels of a grid: each takes the class of the map pixel at its centre."""

    def __init__(self, found: ClassRasterReader, grid: Grid, table: Table) -> None:
        """Map the grid to the raster; `table` gives the id of each of its classes."""
        self._found, self._mapping = found, mapping(grid, found.grid)
        self._table = np.full(IGNORE + 1, IGNORE, np.uint8)
        self._table[: len(table)] = table

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """Return the ids (rows, cols) of a window inside the grid."""
        shift = self._mapping.shift
        if shift is None:
            return self._nearest(window)
        own = self._found.grid
        there = window.moved(*shift)
        inside = there.clipped(own.height, own.width)
        ids = np.full((window.height, window.width), IGNORE, np.uint8)
        if not inside.empty:
            ids[inside.within(there)] = self._table[self._found.places(inside)]
        return ids

    def _nearest(self, window: Window) -> NDArray[np.uint8]:
        rows, cols = source_pixels(self._mapping, window)
        part = source_window(self._mapping, rows, cols, 1)
        if part.height * part.width > SOURCE_LIMIT_PX and window.height > 1:
            half = window.height // 2
            upper = Window(window.row, window.col, half, window.width)
            lower = Window(window.row + half, window.col, window.height - half, window.width)
            return np.concatenate([self._nearest(upper), self._nearest(lower)])
        inside = inside_source(self._mapping.source, rows, cols)
        ids = np.full(inside.shape, IGNORE, np.uint8)
        if inside.any():
            at_rows, at_cols = pixels_at(rows[inside]) - part.row, pixels_at(cols[inside]) - part.col
            ids[inside] = self._table[self._found.places(part)[at_rows, at_cols]]
        return ids


def map_classes(
    found: MapSource, wanted: Sequence[LabelClass]
) -> tuple[tuple[LabelClass, ...], Table, list[Problem]]:
    """Join the classes of a map and a dataset as `joined_classes`: by name, or by number if the map names none.

    Args:
        found: the map.
        wanted: classes of the dataset.

    Raises:
        GeoSegError: `other_classes`.
    """
    ids = {item.id for item in wanted}
    if found.named or not ids >= {item.id for item in found.classes}:
        return joined_classes(found.classes, wanted)
    return tuple(wanted), np.array([item.id for item in found.classes], np.uint8), []


def resampling_warning(found: MapSource, grid: Grid) -> list[Problem]:
    """Return the warning that a map is evaluated on other pixels than its own.

    Args:
        found: the map.
        grid: pixels of the labels.
    """
    if found.grid is None or mapping(grid, found.grid).shift is not None:
        return []
    own, other = (f"{width:g} × {height:g}" for width, height in map(pixel_size, (found.grid, grid)))
    return [
        Problem(
            "resampled_map",
            f"The pixels of '{found.name}' ({own}) are not those of the labels ({other}). Each pixel of the labels is "
            "compared with the map pixel at its centre.",
            "Predict on the grid of the labels to evaluate the model without resampling.",
            "warning",
        )
    ]
