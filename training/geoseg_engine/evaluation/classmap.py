"""A raster of classes as stored in its file: its classes, the class of each pixel, the area of each class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from ..channel import Channel
from ..contract import IGNORE, GeoSegError, Grid, LabelClass, Source
from ..raster.class_areas import class_areas
from ..raster.grid import Window, affine_of
from ..raster.nodata import no_values
from ..raster.pixel_values import check_exact
from ..raster.sources import open_source, source_grid
from ..raster.writer import read_classes
from ..vector.class_raster import class_values, read_raster_classes

STRIP_PX, CELL_PX = 1 << 22, 512
"""Pixels counted at once; side of what is read around points."""

UNKNOWN = 254


class ClassMap:
    """An open raster of classes.

    Attributes:
        name: how to call it in a sentence.
        grid: its pixels.
        classes: in order of their ids, which are the raster's values.
        ours: the file lists all its classes; of others only those are known that occur.
        named: the file says what its classes are called.
    """

    def __init__(self, source: Source, dataset: Any, classes: tuple[LabelClass, ...], ours: bool) -> None:
        """Look at an open dataset; `classes` are all that its values mean."""
        self.name, self._source, self._dataset = source.name, source, dataset
        self.ours, self.named = ours, ours or any(item.name != item.value for item in classes)
        self.grid: Grid = source_grid(source, dataset)
        self.classes = tuple(sorted(classes, key=lambda item: item.id))
        self._values = np.array([item.id for item in self.classes])
        self._table = _table(dataset, self._values)

    def places(self, window: Window) -> NDArray[np.uint8]:
        """(rows, cols) of a window inside the grid: index into `classes`, IGNORE where there is no class.

        Raises:
            GeoSegError: `unknown_class` for a value that is no class, `cannot_read` for a damaged file.
        """
        if self._table is None:
            return self._found(*class_values(self._source, self._dataset, window))
        try:
            places: NDArray[np.uint8] = self._table[self._dataset.read(1, window=window.rasterio)]
        except RasterioError as error:
            raise GeoSegError(
                "cannot_read",
                f"'{self.name}' is damaged: rows {window.row} to {window.row + window.height} cannot be read.",
                "Make the file again.",
                str(error),
            ) from error
        if (places == UNKNOWN).any():
            raise self._unknown()
        return places

    def _found(self, values: NDArray[Any], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
        own = self._values.astype(values.dtype)
        places = np.minimum(np.searchsorted(own, np.where(known, values, own[0])), len(own) - 1)
        if (own[places] != values)[known].any():
            raise self._unknown()
        return np.where(known, places, IGNORE).astype(np.uint8)

    def _unknown(self) -> GeoSegError:
        known = ", ".join(str(item.id) for item in self.classes)
        return GeoSegError(
            "unknown_class",
            f"'{self.name}' has pixels whose value is none of its classes ({known}).",
            "Make the file again, or remove its metadata so that its values are read.",
        )

    def at(self, xs: NDArray[Any], ys: NDArray[Any]) -> NDArray[np.int64]:
        """Return the index into `classes` at points; -1 outside the raster and where there is no class.

        Args:
            xs, ys: (n,) coordinates in the raster's CRS.
        """
        cols, rows = ~affine_of(self.grid) * (np.asarray(xs, float), np.asarray(ys, float))
        rows, cols = np.floor(rows).astype(np.int64), np.floor(cols).astype(np.int64)
        inside = (rows >= 0) & (rows < self.grid.height) & (cols >= 0) & (cols < self.grid.width)
        found = np.full(len(rows), -1, np.int64)
        across = -(-self.grid.width // CELL_PX)
        cells = np.where(inside, rows // CELL_PX * across + cols // CELL_PX, -1)
        for cell in np.unique(cells[inside]).tolist():
            row, col = cell // across * CELL_PX, cell % across * CELL_PX
            window = Window(row, col, CELL_PX, CELL_PX).clipped(self.grid.height, self.grid.width)
            here = np.flatnonzero(cells == cell)
            found[here] = self.places(window)[rows[here] - row, cols[here] - col]
        return np.where(found == IGNORE, -1, found)


@dataclass(frozen=True)
class ClassAreas:
    """What a class map holds.

    Attributes:
        rows_px: pixels of each class in each row, int32 (rows, K).
        pixels: of each class, int64 (K,).
        area_m2: of each class on the ellipsoid, float64 (K,).
    """

    rows_px: NDArray[np.int32]
    pixels: NDArray[np.int64]
    area_m2: NDArray[np.float64]


@contextmanager
def class_map(path: Path) -> Iterator[ClassMap]:
    """Open a raster of classes: ours names its classes, in any other every value is one.

    Raises:
        GeoSegError: as `open_source`, `read_raster_classes`.
    """
    source = Source("classes", str(path), path.stem)
    with open_source(source, classes=True) as dataset:
        classes = read_classes(dataset)
        yield ClassMap(source, dataset, classes or third_party_classes(source), bool(classes))


def third_party_classes(source: Source) -> tuple[LabelClass, ...]:
    """Return a class for every value that occurs, named by the raster's categories.

    Raises:
        GeoSegError: `not_classes` for values that are no whole numbers; as `check_exact`, `read_raster_classes`.
    """
    found = read_raster_classes(source)
    check_exact(found.values, source.name)
    broken = found.values[found.values % 1 != 0]
    if broken.size:
        raise GeoSegError(
            "not_classes",
            f"'{source.name}' has values that are no whole numbers, such as {broken[0]:g}.",
            "Choose a raster of classes, not of probabilities or measurements.",
        )
    return tuple(
        LabelClass(int(value), item.name, item.value, item.color)
        for value, item in zip(found.values, found.known, strict=True)
    )


def map_areas(found: ClassMap, channel: Channel, phase: str) -> ClassAreas:
    """Count pixels and area of a class map in strips.

    Args:
        found: the map.
        channel: for progress and cancelling.
        phase: name of the progress.
    """
    grid, count = found.grid, len(found.classes)
    rows_px = np.zeros((grid.height, count), np.int32)
    area_m2 = np.zeros(count)
    for strip in strips(grid):
        channel.progress(phase, strip.row, grid.height)
        counts, areas_m2 = class_areas(grid, found.places(strip), strip, range(count))
        rows_px[strip.row : strip.row + strip.height] = counts
        area_m2 += areas_m2
    channel.progress(phase, grid.height, grid.height)
    return ClassAreas(rows_px, rows_px.sum(axis=0, dtype=np.int64), area_m2)


def strips(grid: Grid) -> Iterator[Window]:
    """Windows over the whole width, from the top down."""
    rows = max(STRIP_PX // grid.width, 1)
    for row in range(0, grid.height, rows):
        yield Window(row, 0, min(rows, grid.height - row), grid.width)


def _table(dataset: Any, values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Value of a byte raster -> index of its class; None for what has to be looked up in another way."""
    plain = dataset.dtypes[0] == "uint8" and dataset.scales[0] == 1 and dataset.offsets[0] == 0
    if not plain or not no_values(dataset)[0].simple:
        return None
    table = np.full(256, UNKNOWN, np.uint8)
    table[values] = np.arange(len(values))
    if dataset.nodata in range(256):
        table[int(dataset.nodata)] = IGNORE
    return table
