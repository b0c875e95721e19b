"""From parts to files: every file is written in one order, block by block, however the raster was cut.

So the same prediction gives the same bytes with any size of windows, in shards, and after an interruption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..channel import Channel
from ..contract import IGNORE, Grid, LabelClass
from ..raster.class_areas import class_areas
from ..raster.grid import Window
from ..raster.stream import pump
from ..raster.writer import RasterWriter
from .parts import Parts, PartsReader
from .result_layers import CLASSES, Layer, first_band

ROWS_PX, COLUMNS_PX = 512, 4096
"""What is read and written at once: a row of blocks of the files, so many columns of it."""


class Tally:
    """Pixels and ground area of each class over all windows."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.pixels = np.zeros(IGNORE + 1, np.int64)
        self.areas_m2 = np.zeros(IGNORE + 1)

    def add(self, ids: np.ndarray, window: Window) -> None:
        """Count the classes (rows, cols) of a window."""
        counts, areas_m2 = class_areas(self._grid, ids, window, range(IGNORE + 1))
        self.pixels += counts.sum(axis=0)
        self.areas_m2 += areas_m2


@dataclass(frozen=True)
class Assembly:
    """What the files have in common.

    Attributes:
        parts: all there.
        layers: of the parts.
        grid, classes: of the files.
        tags: metadata of every file.
        row, col: of the grid's first pixel among those of the parts.
    """

    parts: Parts
    layers: Sequence[Layer]
    grid: Grid
    classes: Sequence[LabelClass]
    tags: Mapping[str, str]
    row: int = 0
    col: int = 0

    def write(self, files: Mapping[str, Path], channel: Channel) -> Tally:
        """Write the layers that have a file; returns the counts of classes.

        Raises:
            GeoSegError: `not_writable`, `disk_full`.
            Cancelled: if the user stops; the file in work is not there then.
        """
        tally = Tally(self.grid)
        wanted = [layer for layer in self.layers if layer.key in files]
        total = self.grid.height * self.grid.width * sum(len(layer.bands) for layer in wanted)
        done = 0
        for layer in wanted:
            with self._writer(layer, files[layer.key]) as writer, PartsReader(self.parts) as reader:
                done = self._copy(layer, reader, writer, tally, done, total, channel)
                channel.send("progress", phase=f"finishing {files[layer.key].name}", done=0, total=1, rate="")
        return tally

    def _writer(self, layer: Layer, path: Path) -> RasterWriter:
        classes = self.classes if layer.key == CLASSES else ()
        dtype, nodata = ("float32", float("nan")) if layer.is_share else ("uint8", float(IGNORE))
        return RasterWriter(path, self.grid, dtype, nodata, layer.bands, classes, dict(self.tags))

    def _copy(
        self,
        layer: Layer,
        reader: PartsReader,
        writer: RasterWriter,
        tally: Tally,
        done: int,
        total: int,
        channel: Channel,
    ) -> int:
        """Band by band and row of blocks by row of blocks. Returns the pixels done."""
        first = first_band(self.layers, layer.key)

        def read(item: tuple[int, Window]) -> tuple[int, Window, np.ndarray]:
            codes = reader.read(first + item[0], item[1].moved(self.row, self.col))
            return *item, layer.values(codes)

        def count(item: tuple[int, Window, np.ndarray]) -> tuple[int, Window, np.ndarray]:
            nonlocal done
            if layer.key == CLASSES:
                tally.add(item[2], item[1])
            done += item[2].size
            channel.progress("write", done, total)
            return item

        items = ((band, window) for band in range(len(layer.bands)) for window in chunks(self.grid))
        pump(items, read, count, lambda item: writer.write_band(item[2], item[1], item[0] + 1))
        return done


def chunks(grid: Grid) -> Iterator[Window]:
    """Windows of whole blocks, in the order of blocks in a file."""
    for row in range(0, grid.height, ROWS_PX):
        for col in range(0, grid.width, COLUMNS_PX):
            yield Window(row, col, min(ROWS_PX, grid.height - row), min(COLUMNS_PX, grid.width - col))
