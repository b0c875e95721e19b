"""Burn labels window by window: class ids on a grid, with a count of labelled, ignored and lost pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from ...contract import IGNORE, Grid, Labels, present
from ...raster.grid import Window
from ...raster.interpolation import pixels_at
from ...raster.resample import inside_source, mapping, source_pixels, source_window
from ...raster.sources import open_source, source_grid
from ...vector.area import burn_shapes, window_box
from ...vector.class_raster import RasterClasses, class_values
from ...vector.legend import EXCLUDED, UNKNOWN_CLASS
from ...vector.polygons import LabelPolygons
from ...vector.scan_fill import ScanFill
from .label_errors import along_borders, border_halo_px, small_patches

SOURCE_LIMIT_PX = 1 << 24
"""Label pixels read at once; where a window needs more it is halved."""


class PlacedClassRaster:
    """A raster of classes on a grid: each pixel takes the class of the label pixel that holds its centre.

    Pixels outside the label raster are IGNORE. Pixels of nodata are unlabelled.
    """

    def __init__(self, classes: RasterClasses, ids: NDArray[np.int32], grid: Grid, fill: int) -> None:
        """Find how the grid is placed on the raster.

        Args:
            classes: what the raster holds.
            ids: class id of each of its values, UNKNOWN_CLASS or EXCLUDED.
            grid: of the stack.
            fill: id of unlabelled pixels.
        """
        self._classes, self._fill = classes, fill
        self._excluded = ids == EXCLUDED
        self._ids = np.where((ids == UNKNOWN_CLASS) | (ids == EXCLUDED), IGNORE, ids).astype(np.uint8)
        with open_source(classes.source, classes=True) as dataset:
            self._mapping = mapping(grid, source_grid(classes.source, dataset))

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """Return class ids; see `BurntLabels.ids`."""
        return self.claims(window)[0]

    def claims(self, window: Window) -> tuple[NDArray[np.uint8], None, NDArray[np.bool_]]:
        """Return claims; see `BurntLabels.claims`. No pixel has two classes."""
        place, inside = self._places(window)
        ids = np.where(inside, np.uint8(self._fill), np.uint8(IGNORE))
        known = place >= 0
        ids[known] = self._ids[place[known]]
        excluded = np.zeros(ids.shape, bool)
        excluded[known] = self._excluded[place[known]]
        return ids, None, excluded

    def _places(self, window: Window) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Number of each pixel's value, -1 without one, and whether the raster covers the pixel."""
        rows, cols = source_pixels(self._mapping, window)
        part = source_window(self._mapping, rows, cols, 1)
        if part.height * part.width > SOURCE_LIMIT_PX and window.height > 1:
            half = window.height // 2
            upper = self._places(Window(window.row, window.col, half, window.width))
            lower = self._places(Window(window.row + half, window.col, window.height - half, window.width))
            return np.concatenate([upper[0], lower[0]]), np.concatenate([upper[1], lower[1]])
        inside = inside_source(self._mapping.source, rows, cols)
        result = np.full(inside.shape, -1, np.int32)
        if inside.any():
            with open_source(self._classes.source, classes=True) as dataset:
                raw, known = class_values(self._classes.source, dataset, part)
            places = np.searchsorted(self._classes.values, raw).astype(np.int32)
            places[~known] = -1
            result[inside] = places[pixels_at(rows[inside]) - part.row, pixels_at(cols[inside]) - part.col]
        return result, inside


NOTHING = 254
"""Pixel value, while burning, where there is no polygon; ids end at 253."""

FEW_CLASSES, COUNT_PX = 16, 1 << 20


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
        border_px, small_px: pixels ignored along borders, and in patches below the minimum area.
        suspicious: class id -> ignored pixels of both kinds.
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
    suspicious: dict[int, int] = field(default_factory=dict)


Mask = NDArray[np.bool_]
Claims = tuple[NDArray[np.uint8], Mask | None, Mask | None]
"""Class ids, where two classes claim a pixel, where it is excluded; None is nowhere."""


class BurntLabels(Protocol):
    """Labels on the pixels of a grid."""

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """Return class ids, uint8 (rows, cols), of a window inside the grid; IGNORE where unknown or excluded."""

    def claims(self, window: Window) -> Claims:
        """Return the same ids, where two classes claim a pixel, and where pixels are excluded; None is nowhere."""


class BurntPolygons:
    """Polygons burnt on a grid: the later class wins, and excluded polygons win over all classes."""

    def __init__(self, polygons: LabelPolygons, grid: Grid, fill: int, all_touched: bool) -> None:
        """Index the polygons.

        Args:
            polygons: in the grid's CRS.
            grid: of the stack.
            fill: id of pixels without polygon.
            all_touched: every pixel that a polygon touches counts, instead of those whose centre it holds.
        """
        self._grid, self._fill, self._all_touched = grid, fill, all_touched
        kept = polygons.ids != EXCLUDED
        order = np.argsort(polygons.ids[kept], kind="stable")
        self._shapes = polygons.geometries[kept][order]
        ids = polygons.ids[kept][order]
        self._values = np.where(ids == UNKNOWN_CLASS, IGNORE, ids).astype(np.uint8)
        self._polygons = ScanFill(self._shapes, grid)
        self._excluded = None if kept.all() else ScanFill(polygons.geometries[~kept], grid)
        self._tree = shapely.STRtree(self._shapes) if all_touched else None

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """Return class ids; see `BurntLabels.ids`."""
        return self.claims(window)[0]

    def claims(self, window: Window) -> Claims:
        """Return claims; see `BurntLabels.claims`. Two classes claim a pixel if polygons of both hold its centre."""
        ids = np.full((window.height, window.width), NOTHING, np.uint8)
        runs = self._polygons.runs(window, np.arange(len(self._values)))
        overlap = runs.paint_classes(ids, self._values, NOTHING)
        if self._all_touched:
            ids = self._touched(window)
        np.copyto(ids, np.uint8(self._fill), where=ids == NOTHING)
        if self._excluded is None:
            return ids, overlap, None
        excluded = self._excluded.mask(window)
        ids[excluded] = IGNORE
        return ids, None if overlap is None else overlap & ~excluded, excluded

    def _touched(self, window: Window) -> NDArray[np.uint8]:
        tree = present(self._tree, "the index of polygons")
        near = np.sort(tree.query(window_box(self._grid, window)))
        shapes = [(self._shapes[place], int(self._values[place])) for place in near]
        return burn_shapes(shapes, self._grid, window, NOTHING, all_touched=True)


class Burner:
    """Burns windows of a label raster and keeps count."""

    def __init__(self, grid: Grid, polygons: LabelPolygons, area: shapely.Geometry | None, fill: int) -> None:
        """Index the labels.

        Args:
            grid: of the raster.
            polygons: in the grid's CRS, with the settings of the labels.
            area: in the grid's CRS; None is everywhere.
            fill: id of unlabelled pixels inside the area.
        """
        self.grid = grid
        labels = polygons.labels or Labels("")
        self._fill, self._border_px, self._min_area_px = fill, labels.border_px, labels.min_area_px
        self._labels: BurntLabels = (
            PlacedClassRaster(polygons.raster, polygons.ids, grid, fill)
            if polygons.raster
            else BurntPolygons(polygons, grid, fill, labels.all_touched)
        )
        self._area = None if area is None else ScanFill(np.array([area], object), grid)
        self.tally = Tally({item.id: 0 for item in polygons.classes})

    def claims(self, window: Window) -> Claims:
        """Return the claims on a padded window; counts nothing, so another thread may call it ahead of `burn`."""
        return self._labels.claims(self._wide(window))

    def _wide(self, window: Window) -> Window:
        return window.padded(border_halo_px(self._border_px)).clipped(self.grid.height, self.grid.width)

    def burn(
        self, window: Window, values: np.ndarray | None = None, claims: Claims | None = None
    ) -> NDArray[np.uint8]:
        """Return class ids, uint8 (rows, cols), of a window, and add them to the tally.

        Ignored are, in this order: small patches, pixels outside the area, the band along borders between the
        classes that are left, and pixels without value.

        Args:
            window: inside the grid.
            values: the stack's values there (bands, rows, cols); pixels that lack one are ignored. None: all have one.
            claims: the result of `claims`, if it is known already.
        """
        wide = self._wide(window)
        core = window.within(wide)
        ids, overlap, excluded = claims or self.claims(window)
        inside = None if self._area is None else self._area.mask(wide)
        small = None
        if self._min_area_px > 1:
            small = small_patches(self._labels.ids, wide, self.grid, self._min_area_px, self._fill)
        if inside is not None:
            ids[~inside] = IGNORE
        drawn = ids
        if small is not None or self._border_px > 0:
            ids = self._without_suspicious(drawn, small, core)
        tally = self.tally
        tally.overlap_px += _count(overlap, inside, core)
        tally.excluded_px += _count(excluded, inside, core)
        ids = np.ascontiguousarray(ids[core])
        if values is None:
            tally.valid_px += ids.size
        else:
            self._drop_invalid(ids, values)
        counts = class_counts(ids, list(tally.pixels))
        for class_id, px in counts.items():
            tally.pixels[class_id] += px
        tally.ignored_px += ids.size - sum(counts.values())
        return ids

    def _without_suspicious(
        self, drawn: NDArray[np.uint8], small: Mask | None, core: tuple[slice, slice]
    ) -> NDArray[np.uint8]:
        """Ids with small patches ignored, then the band along borders; both counted in the core."""
        ids, tally = drawn.copy(), self.tally
        if small is not None:
            ids[small] = IGNORE
            tally.small_px += int((small & (drawn != IGNORE))[core].sum())
        if self._border_px > 0:
            border = along_borders(ids, self._border_px)
            ids[border] = IGNORE
            tally.border_px += int(border[core].sum())
        dropped = drawn[core][ids[core] != drawn[core]]
        for class_id, px in class_counts(dropped, list(tally.pixels)).items():
            tally.suspicious[class_id] = tally.suspicious.get(class_id, 0) + px
        return ids

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


def class_counts(ids: NDArray[np.uint8], class_ids: list[int]) -> dict[int, int]:
    """Count the pixels of each class; few classes are compared one by one, which is faster than a histogram.

    Args:
        ids: uint8 class ids of any shape.
        class_ids: to count, 0..255.

    Returns:
        Class id -> pixels, 0 included.
    """
    if len(class_ids) <= FEW_CLASSES:
        return {class_id: int(np.count_nonzero(ids == class_id)) for class_id in class_ids}
    flat, counts = ids.reshape(-1), np.zeros(256, np.int64)
    for start in range(0, len(flat), COUNT_PX):
        counts += np.bincount(flat[start : start + COUNT_PX], minlength=256)
    return {class_id: int(counts[class_id]) for class_id in class_ids}


def _count(mask: Mask | None, inside: Mask | None, core: tuple[slice, slice]) -> int:
    if mask is None:
        return 0
    return int(np.count_nonzero((mask if inside is None else mask & inside)[core]))
