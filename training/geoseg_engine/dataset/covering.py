"""The pixels that a piece of ground covers."""

from __future__ import annotations

import math

from ..contract import Grid
from ..raster.grid import Bounds, Window, affine_of


def covering(grid: Grid, bounds: Bounds, margin_px: int = 0) -> Window:
    """The window of all pixels that (xmin, ymin, xmax, ymax) touches and a margin, cut to the grid; may be empty."""
    to_pixels = ~affine_of(grid)
    xmin, ymin, xmax, ymax = bounds
    corners = ((xmin, ymin), (xmin, ymax), (xmax, ymin), (xmax, ymax))
    cols, rows = zip(*(to_pixels * corner for corner in corners), strict=True)
    top, left = math.floor(min(rows)), math.floor(min(cols))
    touched = Window(top, left, math.ceil(max(rows)) - top, math.ceil(max(cols)) - left)
    return touched.padded(margin_px).clipped(grid.height, grid.width)
