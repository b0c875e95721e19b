"""The tile index: one polygon per tile with its split and pixels per class."""

from __future__ import annotations

import itertools
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely

from ..contract import SPLITS, Grid
from ..raster.grid import Window, affine_of
from ..raster.stream import pump
from .split.cell_counts import CellCounts

STRIP_PX = 1 << 25
"""Pixels of a label raster that are in memory at a time when it is read by strips."""

STRIPS_AT_ONCE = 4
"""One being read, one waiting, one being counted, and one to spare: new memory for each would be slower."""


def tile_starts(length: int, tile_px: int, stride_px: int) -> list[int]:
    """Return the first pixels of tiles along one side; the last tile is moved inwards to end at the edge.

    Args:
        length: of the side in pixels.
        tile_px: side of a tile.
        stride_px: step between tiles.
    """
    if length <= tile_px:
        return [0]
    starts = list(range(0, length - tile_px + 1, stride_px))
    return starts if starts[-1] + tile_px == length else [*starts, length - tile_px]


class TileCounter:
    """Counts labels and splits of all tiles while the rasters pass by in windows, each pixel once.

    The borders of the tiles cut the raster into cells; a tile, overlapping or not, is a rectangle of cells, so that
    its counts are four look-ups in a summed-area table (Crow 1984, Summed-area tables for texture mapping).
    """

    def __init__(self, grid: Grid, tile_px: int, stride_px: int, classes: int) -> None:
        """Prepare to count.

        Args:
            grid: of the label raster.
            tile_px, stride_px: side of a tile and step between tiles.
            classes: class ids are 0..classes-1.
        """
        self.grid, self.tile_px = grid, tile_px
        self._rows, row_edges = _side(grid.height, tile_px, stride_px)
        self._cols, col_edges = _side(grid.width, tile_px, stride_px)
        self._edges = row_edges, col_edges
        self._labels = CellCounts(row_edges, col_edges, classes)
        self._splits = CellCounts(row_edges, col_edges, len(SPLITS))

    def add(self, window: Window, ids: np.ndarray, codes: np.ndarray | None = None) -> None:
        """Count a window's label ids and, where they are known, its splits.

        Args:
            window: of the rasters.
            ids: uint8 (rows, cols), class ids or IGNORE.
            codes: uint8 (rows, cols), index into SPLITS or NONE.
        """
        self._labels.add(window, ids)
        if codes is not None:
            self._splits.add(window, codes)

    def windows(self) -> list[Window]:
        """Return every tile, row by row."""
        height, width = min(self.tile_px, self.grid.height), min(self.tile_px, self.grid.width)
        return [Window(int(row), int(col), height, width) for row in self._rows for col in self._cols]

    def label_counts(self) -> np.ndarray:
        """Return pixels per tile and class, int64 (tiles, classes)."""
        return self._per_tile(self._labels.counts)

    def split_counts(self) -> np.ndarray:
        """Return pixels per tile and split, int64 (tiles, 3)."""
        return self._per_tile(self._splits.counts)

    def frame(self, columns: dict[int, str], belongs_share: float) -> geopandas.GeoDataFrame:
        """Return the index: tile_id, row, col, split, labelled_share and pixels per class, with the tiles as polygons.

        A tile belongs to the split of most of its pixels if that holds at least `belongs_share` of those that have
        one; otherwise it is `unused`. This is for display only: training and scores count pixels.

        Args:
            columns: class id -> name of its column.
            belongs_share: 0..1.
        """
        labels, splits = self.label_counts(), self.split_counts()
        rows = np.repeat(self._rows, len(self._cols))
        cols = np.tile(self._cols, len(self._rows))
        maximum, total = splits.argmax(axis=1), splits.sum(axis=1)
        belongs = (total > 0) & (splits.max(axis=1) >= belongs_share * total)
        names = np.where(belongs, np.array(SPLITS)[maximum], "unused")
        shares = np.round(labels.sum(axis=1) / self.tile_px**2, 4)
        return geopandas.GeoDataFrame(
            {
                "tile_id": np.arange(len(rows)),
                "row": rows,
                "col": cols,
                "split": names,
                "labelled_share": shares,
                **{name: labels[:, class_id] for class_id, name in columns.items()},
            },
            geometry=_boxes(self.grid, rows, cols, self.tile_px),
            crs=self.grid.crs,
        )

    def _per_tile(self, cells: np.ndarray) -> np.ndarray:
        tops, bottoms = _span(self._edges[0], self._rows, self.tile_px)
        lefts, rights = _span(self._edges[1], self._cols, self.tile_px)
        found = np.empty((len(tops) * len(lefts), len(cells)), np.int64)
        for value, plane in enumerate(cells):
            table = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1), np.int64)
            table[1:, 1:] = plane.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
            strips = table[bottoms] - table[tops]
            found[:, value] = (strips[:, rights] - strips[:, lefts]).ravel()
        return found


def count_labels(labels: Path, counter: TileCounter) -> None:
    """Count a label raster in one pass: whole rows of blocks are read while the ones before are counted.

    One thread unpacks and one counts; more threads would compete for memory bandwidth.

    Args:
        labels: the label raster.
        counter: gets every window.
    """
    with rasterio.open(labels) as raster:
        block = raster.block_shapes[0][0]
        height = max(STRIP_PX // raster.width // block, 1) * block
        places = itertools.cycle(np.empty((STRIPS_AT_ONCE, height, raster.width), np.uint8))
        strips = [
            Window(row, 0, min(height, raster.height - row), raster.width)
            for row in range(0, raster.height, height)
        ]
        pump(
            strips,
            lambda strip: (strip, raster.read(1, window=strip.rasterio, out=next(places)[: strip.height])),
            lambda read: counter.add(*read),
            lambda _: None,
        )


def without_empty_tiles(
    tiles: geopandas.GeoDataFrame,
    columns: dict[int, str],
    background: bool,
    min_labelled_share: float,
    empty_share: float,
    seed: int,
) -> geopandas.GeoDataFrame:
    """Remove tiles with too few labelled pixels, and some of those with only background, from an index.

    Args:
        tiles: see `TileCounter.frame`.
        columns: class id -> name of its column.
        background: whether class 0 is background; else no tile is empty.
        min_labelled_share: minimum labelled share of a tile, 0..1.
        empty_share: share of the tiles with nothing but background that is kept, 0..1.
        seed: of the random choice of these.
    """
    keep = tiles["labelled_share"].to_numpy() >= min_labelled_share
    objects = [name for class_id, name in columns.items() if class_id > 0]
    if background and empty_share < 1 and objects:
        has_object = tiles[objects].to_numpy().sum(axis=1) > 0
        empty = np.flatnonzero(keep & ~has_object & (tiles[columns[0]].to_numpy() > 0))
        order = np.random.default_rng(seed).permutation(empty)
        keep[order[round(empty_share * len(empty)) :]] = False
    return tiles[keep].reset_index(drop=True)


def _side(length: int, tile_px: int, stride_px: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixels of the tiles along a side, and all borders of tiles."""
    starts = np.array(tile_starts(length, tile_px, stride_px))
    ends = np.minimum(starts + tile_px, length)
    return starts, np.unique([0, *starts.tolist(), *ends.tolist(), length])


def _span(edges: np.ndarray, starts: np.ndarray, tile_px: int) -> tuple[np.ndarray, np.ndarray]:
    """First cell of each tile and the one after its last."""
    ends = np.minimum(starts + tile_px, edges[-1])
    return np.searchsorted(edges, starts), np.searchsorted(edges, ends)


def _boxes(grid: Grid, rows: np.ndarray, cols: np.ndarray, tile_px: int) -> np.ndarray:
    affine = affine_of(grid)
    x0, y0 = affine * (cols, rows)
    x1, y1 = affine * (np.minimum(cols + tile_px, grid.width), np.minimum(rows + tile_px, grid.height))
    boxes: np.ndarray = shapely.box(
        np.minimum(x0, x1), np.minimum(y0, y1), np.maximum(x0, x1), np.maximum(y0, y1)
    )
    return boxes
