"""A label raster on the pixels of a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...contract import IGNORE, Grid
from ...raster.grid import Window
from ...raster.interpolation import pixels_at
from ...raster.resample import inside_source, mapping, needed, source_pixels
from ...raster.sources import open_source, source_grid
from ...vector.labelraster import RasterClasses, class_values
from ...vector.legend import EXCLUDED, UNKNOWN_CLASS

SOURCE_LIMIT_PX = 1 << 24
"""Label pixels read at once; where a window needs more it is halved."""


class RasterGround:
    """Classes of the label pixel that holds a pixel's centre.

    Outside the label raster the ground is IGNORE: nothing is known of it. Where the raster has nodata it is ground
    without label.
    """

    def __init__(self, classes: RasterClasses, ids: NDArray[np.int32], grid: Grid, fill: int) -> None:
        """Find how the grid lies on the raster.

        Args:
            classes: what the raster holds.
            ids: class id of each of its values, UNKNOWN_CLASS or EXCLUDED.
            grid: the pixels asked for.
            fill: id of ground without label.
        """
        self._classes, self._fill = classes, fill
        self._excluded = ids == EXCLUDED
        self._ids = np.where((ids == UNKNOWN_CLASS) | (ids == EXCLUDED), IGNORE, ids).astype(np.uint8)
        with open_source(classes.source, classes=True) as dataset:
            self._mapping = mapping(grid, source_grid(classes.source, dataset))

    def ids(self, window: Window) -> NDArray[np.uint8]:
        """As `Ground`."""
        return self.claims(window)[0]

    def claims(self, window: Window) -> tuple[NDArray[np.uint8], None, NDArray[np.bool_]]:
        """As `Ground`; no pixel has two classes."""
        place, inside = self._places(window)
        ids = np.where(inside, np.uint8(self._fill), np.uint8(IGNORE))
        known = place >= 0
        ids[known] = self._ids[place[known]]
        excluded = np.zeros(ids.shape, bool)
        excluded[known] = self._excluded[place[known]]
        return ids, None, excluded

    def _places(self, window: Window) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Number of each pixel's value, -1 without one, and whether the pixel lies on the raster."""
        rows, cols = source_pixels(self._mapping, window)
        part = needed(self._mapping, rows, cols, 1)
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
