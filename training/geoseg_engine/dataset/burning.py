"""Burn labels window by window: class ids on a grid, and a count of all that happened to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from ..contract import IGNORE, Grid, Labels
from ..raster.grid import Window
from ..vector.area import burned, window_box
from ..vector.legend import EXCLUDED, UNKNOWN_CLASS
from ..vector.polygons import LabelPolygons
from ..vector.scanfill import ScanFill
from .doubtful import along_borders, border_halo_px, small_pieces
from .rasterground import RasterGround

NOTHING = 254
"""Pixel value, while burning, of ground that no polygon holds; ids end at 253."""


@dataclass
class Tally:
    """What burning counted.

    Attributes:
        pixels: class id -> labelled pixels, 0 included.
        ignored_px, overlap_px: pixels of value IGNORE; pixels that two classes claim.
        valid_px: pixels with a value in every band.
        lost_px: pixels that would have a label but lack a value in some band.
        lost_by_band: the same for each band.
        excluded_px: pixels in the area under what the user excluded.
        border_px, small_px: pixels ignored along borders, and in pieces below the least area.
        doubtful: class id -> those pixels of both kinds.
    """

    pixels: dict[int, int]
    ignored_px: int = 0
    overlap_px: int = 0
    valid_px: int = 0
    lost_px: int = 0
    lost_by_band: list[int] = field(default_factory=list)
    excluded_px: int = 0
    border_px: int = 0
    small_px: int = 0
    doubtful: dict[int, int] = field(default_factory=dict)


class Ground(Protocol):
    """What was drawn, on the pixels of a grid."""

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """Class ids (rows, cols) of a window inside the grid: IGNORE under what is unknown or excluded."""

    def claims(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        """The same ids, where two classes claim a pixel, and where it is excluded."""


class PolygonGround:
    """Polygons burnt on a grid: the later class wins, what is excluded wins over all."""

    def __init__(self, polygons: LabelPolygons, grid: Grid, fill: int, all_touched: bool) -> None:
        """Take the edges of the polygons; `fill` is the id of ground without polygon."""
        self._grid, self._fill, self._all_touched = grid, fill, all_touched
        kept = polygons.ids != EXCLUDED
        order = np.argsort(polygons.ids[kept], kind="stable")
        self._shapes = polygons.geometries[kept][order]
        ids = polygons.ids[kept][order]
        self._values = np.where(ids == UNKNOWN_CLASS, IGNORE, ids).astype(np.uint8)
        self._polygons = ScanFill(self._shapes, grid)
        self._excluded = ScanFill(polygons.geometries[~kept], grid)
        self._several = len(np.unique(ids)) > 1
        self._tree = shapely.STRtree(self._shapes) if all_touched else None

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """As `Ground`."""
        return self.claims(window)[0]

    def claims(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        """As `Ground`; two classes claim a pixel if polygons of both hold its centre."""
        ids = np.full((window.height, window.width), NOTHING, np.uint8)
        runs = self._polygons.runs(window, np.arange(len(self._values)))
        runs.paint(ids, self._values)
        overlap = np.zeros(ids.shape, bool)
        if self._several and int(runs.length.sum()) > np.count_nonzero(ids != NOTHING):
            overlap = runs.lost(ids, self._values)
        if self._all_touched:
            ids = self._touched(window)
        excluded = self._excluded.mask(window)
        ids[ids == NOTHING] = self._fill
        ids[excluded] = IGNORE
        overlap &= ~excluded
        return ids, overlap, excluded

    def _touched(self, window: Window) -> NDArray[np.uint8]:
        assert self._tree is not None
        near = np.sort(self._tree.query(window_box(self._grid, window)))
        shapes = [(self._shapes[place], int(self._values[place])) for place in near]
        return burned(shapes, self._grid, window, NOTHING, all_touched=True)


class Burner:
    """Burns windows of a label raster and keeps count."""

    def __init__(self, grid: Grid, polygons: LabelPolygons, area: shapely.Geometry | None, fill: int) -> None:
        """Index the labels.

        Args:
            grid: of the raster.
            polygons: in the grid's CRS, with what was asked for.
            area: in the grid's CRS; None is everywhere.
            fill: id of ground inside the area without label.
        """
        self.grid = grid
        labels = polygons.labels or Labels("")
        self._fill, self._border_px, self._min_area_px = fill, labels.border_px, labels.min_area_px
        self._ground: Ground = (
            RasterGround(polygons.raster, polygons.ids, grid, fill)
            if polygons.raster
            else PolygonGround(polygons, grid, fill, labels.all_touched)
        )
        self._area = None if area is None else ScanFill(np.array([area], object), grid)
        self.tally = Tally({item.id: 0 for item in polygons.classes})

    def burn(self, window: Window, values: np.ndarray | None = None) -> NDArray[np.uint8]:
        """Class ids (rows, cols) of a window.

        First what was drawn, then small pieces of it are ignored, then what lies outside the area, then the band along
        borders between the classes that are left, last what has no value.

        Args:
            window: inside the grid.
            values: the stack's values there (bands, rows, cols); pixels that lack one are ignored. None: all have.
        """
        wide = window.padded(border_halo_px(self._border_px)).clipped(self.grid.height, self.grid.width)
        core = window.within(wide)
        ids, overlap, excluded = self._ground.claims(wide)
        small = border = np.zeros(ids.shape, bool)
        if self._min_area_px > 1:
            small = small_pieces(self._ground.ids, wide, self.grid, self._min_area_px, self._fill)
        inside = np.ones(ids.shape, bool) if self._area is None else self._area.mask(wide)
        drawn = np.where(inside, ids, IGNORE)[core]
        ids[small | ~inside] = IGNORE
        if self._border_px > 0:
            border = along_borders(ids, self._border_px)
            ids[border] = IGNORE
        tally = self.tally
        tally.overlap_px += int((overlap & inside)[core].sum())
        tally.excluded_px += int((excluded & inside)[core].sum())
        self._count_doubtful(drawn, (small & inside)[core], border[core])
        ids = np.ascontiguousarray(ids[core])
        if values is None:
            tally.valid_px += ids.size
        else:
            self._drop_invalid(ids, values)
        counts = np.bincount(ids.ravel(), minlength=256)
        for class_id in tally.pixels:
            tally.pixels[class_id] += int(counts[class_id])
        tally.ignored_px += int(counts[IGNORE])
        return ids

    def _count_doubtful(
        self, drawn: NDArray[np.uint8], small: NDArray[np.bool_], border: NDArray[np.bool_]
    ) -> None:
        tally = self.tally
        tally.small_px += int(small.sum())
        tally.border_px += int(border.sum())
        for class_id, count in enumerate(np.bincount(drawn[small | border], minlength=1)):
            if count:
                tally.doubtful[class_id] = tally.doubtful.get(class_id, 0) + int(count)

    def _drop_invalid(self, ids: NDArray[np.uint8], values: np.ndarray) -> None:
        invalid = ~np.isfinite(values)
        labelled = ids != IGNORE
        lost = (invalid & labelled).sum(axis=(1, 2))
        nowhere = invalid.any(axis=0)
        tally = self.tally
        tally.lost_by_band = [
            one + int(more) for one, more in zip(tally.lost_by_band or [0] * len(lost), lost, strict=True)
        ]
        tally.lost_px += int((nowhere & labelled).sum())
        tally.valid_px += int((~nowhere).sum())
        ids[nowhere] = IGNORE
