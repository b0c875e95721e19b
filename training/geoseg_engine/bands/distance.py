"""True distance to the nearest of points, lines and polygons, by window.

Lines and boundaries are sampled as points at most half a pixel apart; the nearest of them is found in a k-d tree
(Bentley 1975). Each line is cut in the same places whatever the window, so a pixel's distance does not depend
on it.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..contract import Grid
from ..raster.crs import check_unit_known, unit_m
from ..raster.geodesy import pixel_size_m, plane_of, positions_m
from ..raster.grid import Window, affine_of
from ..raster.sources import parse_crs
from ..vector.scan_fill import ScanFill
from ..vector.shapes import simple_parts

STEP_PX = 0.5
DEFAULT_LIMIT_PX = 50
TRUE_SCALE = 0.005
"""Maximum relative error of map distances up to which distances are measured on the map."""

Floats = NDArray[np.float64]


def default_limit_m(grid: Grid) -> float:
    """Return the length of 50 pixels in the middle of the grid."""
    return DEFAULT_LIMIT_PX * max(pixel_size_m(grid, grid.height / 2, grid.width / 2))


class Distance:
    """Metres to the nearest feature, at most `limit_m`."""

    def __init__(self, shapes: NDArray[np.object_], grid: Grid, limit_m: float) -> None:
        """Index the lines and boundaries of features.

        Args:
            shapes: of any type, in the grid's CRS.
            grid: of the stack.
            limit_m: largest distance.
        """
        self._grid, self._limit_m = grid, limit_m
        parts, _ = simple_parts(shapes)
        points, of = shapely.get_coordinates(_lines(parts), return_index=True)
        cols, rows = ~affine_of(grid) * (points[:, 0], points[:, 1])
        same = of[1:] == of[:-1]
        edges = np.stack([cols[:-1][same], rows[:-1][same], cols[1:][same], rows[1:][same]])
        dots = shapely.get_coordinates(parts[shapely.get_type_id(parts) == 0])
        cols, rows = ~affine_of(grid) * (dots[:, 0], dots[:, 1])
        self._edges = np.concatenate([edges, np.stack([cols, rows, cols, rows])], axis=1)
        self._polygons = ScanFill(parts[shapely.get_type_id(parts) == 3], grid)
        self._measured = Measure(grid)

    def read(self, window: Window) -> NDArray[np.float32]:
        """Return metres, float32 (rows, cols), of a window inside the grid."""
        result = np.full((window.height, window.width), self._limit_m, np.float32)
        samples = self._samples(window)
        if len(samples):
            cols, rows = np.meshgrid(
                np.arange(window.col, window.col + window.width) + 0.5,
                np.arange(window.row, window.row + window.height) + 0.5,
            )
            tree = cKDTree(self._measured.metres(samples[:, 0], samples[:, 1]))
            centres = self._measured.metres(cols.ravel(), rows.ravel())
            found, _ = tree.query(centres, distance_upper_bound=self._limit_m, workers=-1)
            result = np.minimum(found, self._limit_m).astype(np.float32).reshape(result.shape)
        result[self._polygons.mask(window)] = 0
        return result

    def _samples(self, window: Window) -> Floats:
        """(points, 2) columns and rows along lines and boundaries that can be within the limit of the window."""
        down, across = self._measured.reach_px(window, self._limit_m)
        low = np.array([window.col - across, window.row - down])
        high = np.array([window.col + window.width + across, window.row + window.height + down])
        x1, y1, x2, y2 = self._edges
        near = (np.maximum(x1, x2) >= low[0]) & (np.minimum(x1, x2) <= high[0])
        near &= (np.maximum(y1, y2) >= low[1]) & (np.minimum(y1, y2) <= high[1])
        edges = self._edges[:, near]
        steps = np.ceil(np.hypot(edges[2] - edges[0], edges[3] - edges[1]) / STEP_PX).astype(np.int64)
        counts = steps + 1
        edge = np.repeat(np.arange(len(counts)), counts)
        share = (np.arange(len(edge)) - (np.cumsum(counts) - counts)[edge]) / np.maximum(steps, 1)[edge]
        points = edges[:2, edge] + share * (edges[2:, edge] - edges[:2, edge])
        inside = ((points >= low[:, None]) & (points <= high[:, None])).all(axis=0)
        found: Floats = points[:, inside].T
        return found


class Measure:
    """Positions whose straight distance is the true distance.

    On the map where its scale is true to TRUE_SCALE all over the grid; else in space, on the ellipsoid (the chord is
    shorter than the arc by 1e-7 over 10 km).
    """

    def __init__(self, grid: Grid) -> None:
        """Choose map or ellipsoid for a grid.

        Raises:
            GeoSegError: `unknown_unit`.
        """
        crs = parse_crs(grid.crs)
        self._grid = grid
        check_unit_known(crs, "A distance")
        self._unit_m = unit_m(crs) or 1.0
        self._plane = plane_of(grid).scale_error < TRUE_SCALE

    def metres(self, cols: Floats, rows: Floats) -> Floats:
        """Return positions in metres, (points, 2) on the map or (points, 3) in space.

        Args:
            cols, rows: (points,) in pixels of the grid.
        """
        a, b, _, d, e, _ = self._grid.transform
        if self._plane:
            return np.column_stack([a * cols + b * rows, d * cols + e * rows]) * self._unit_m
        return np.ascontiguousarray(positions_m(self._grid, rows, cols).T)

    def reach_px(self, window: Window, limit_m: float) -> tuple[float, float]:
        """Return the rows and columns around a window that hold all positions within a distance.

        Args:
            window: of the grid.
            limit_m: the distance.
        """
        cols = [window.col, window.col + window.width / 2, window.col + window.width]
        rows = [window.row, window.row + window.height]
        sizes = [pixel_size_m(self._grid, row, col) for row in rows for col in cols]
        down = 1.05 * limit_m / min(height for _, height in sizes) + 2
        sizes = [
            pixel_size_m(self._grid, row, col) for row in (rows[0] - down, rows[1] + down) for col in cols
        ]
        narrowest = min(width for width, _ in sizes)
        across = (
            1.05 * limit_m / narrowest + 2
            if math.isfinite(narrowest) and narrowest > 0
            else 2.0 * self._grid.width
        )
        return down, across


def _lines(parts: NDArray[np.object_]) -> NDArray[np.object_]:
    """Rings of polygons and the lines among parts."""
    kinds = shapely.get_type_id(parts)
    return np.concatenate([shapely.get_rings(parts[kinds == 3]), parts[(kinds == 1) | (kinds == 2)]])
