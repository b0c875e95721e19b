"""Whether label polygons are shifted against the image, by the edges of the image.

A method of our own, after the idea of contour-based registration (Li, Manjunath & Mitra 1995, A contour-based
approach to multisensor image registration): the borders of polygons are placed on the image's gradient magnitude,
moved pixel by pixel, and the position with the greatest gradient under them is compared with the original one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from ...contract import Grid
from ...raster.geodesy import pixel_size_m
from ...raster.grid import affine_of, covering_window, pixel_size
from ...stacking.reader import StackReader
from .findings import DrawnLayer, Finding

MAX_SHIFT_PX = 8
SAMPLE, FEWEST = 80, 12
"""Number of polygons that are compared, and the minimum of those with a complete image around them."""

MIN_AREA_PX, MAX_SIDE_PX, MAX_POINTS, MAX_BANDS = 25, 320, 400, 6
CLEAR_T, CLEAR_SHARE, MIN_SHIFT_PX = 6.0, 0.75, 1.5
"""Reported shifts gain by at least this number of standard errors, at this share of polygons, and are this long."""

ONE_SIDED_T = 3.0
"""Standard errors by which the gain must exceed that of the opposite shift: polygons drawn well inside an even
surface gain on all sides. For the same reason a best position at the end of the range is not reported."""


@dataclass(frozen=True)
class Shift:
    """By how much polygons would have to move to match the edges of the image.

    Attributes:
        rows, cols: pixels to move, down and to the right.
        polygons: how many were compared.
        places: their middles, (n, 2) x and y.
    """

    rows: int
    cols: int
    polygons: int
    places: np.ndarray


def estimate_shift(layer: DrawnLayer, reader: StackReader, seed: int = 42) -> Shift | None:
    """Return the clear shift between a layer's polygons and a stack, or None.

    Args:
        layer: the polygons, of which at most SAMPLE are compared.
        reader: the stack.
        seed: of the sample.

    Raises:
        GeoSegError: as `StackReader.read`.
    """
    scores, places = [], []
    for place in _sample(layer, reader.grid, np.random.default_rng(seed)):
        shape = layer.shapes[place]
        score = _edge_scores(shape, reader)
        if score is not None:
            scores.append(score)
            places.append((shape.centroid.x, shape.centroid.y))
    if len(scores) < FEWEST:
        return None
    stacked = np.stack(scores)
    best = np.unravel_index(stacked.mean(axis=0).argmax(), stacked.shape[1:])
    rows, cols = int(best[0]) - MAX_SHIFT_PX, int(best[1]) - MAX_SHIFT_PX
    there = stacked[:, best[0], best[1]]
    here = stacked[:, MAX_SHIFT_PX, MAX_SHIFT_PX]
    opposite = stacked[:, MAX_SHIFT_PX - rows, MAX_SHIFT_PX - cols]
    long = math.hypot(rows, cols) >= MIN_SHIFT_PX and max(abs(rows), abs(cols)) < MAX_SHIFT_PX
    if not (long and _clear(there - here, CLEAR_T) and _clear(there - opposite, ONE_SIDED_T)):
        return None
    return Shift(rows, cols, len(there), np.array(places))


def _clear(gains: np.ndarray, standard_errors: float) -> bool:
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return bool(gains.mean() > standard_errors * error and (gains > 0).mean() >= CLEAR_SHARE)


def shift_finding(layer: DrawnLayer, shift: Shift, grid: Grid) -> Finding:
    """Return one finding for a layer: lines from where polygons are to where the image has edges.

    Args:
        layer: the polygons.
        shift: as estimated.
        grid: of the stack.
    """
    width_m, height_m = pixel_size_m(grid, grid.height / 2, grid.width / 2)
    parts = []
    if shift.rows:
        parts.append(
            f"{abs(shift.rows)} px ({abs(shift.rows) * height_m:,.3g} m) {'down' if shift.rows > 0 else 'up'}"
        )
    if shift.cols:
        side = "to the right" if shift.cols > 0 else "to the left"
        parts.append(f"{abs(shift.cols)} px ({abs(shift.cols) * width_m:,.3g} m) {side}")
    reason = (
        f"Polygons of '{layer.name}' would fit the edges of the image better {' and '.join(parts)} "
        f"(seen at {shift.polygons} polygons)."
    )
    affine = affine_of(grid)
    x = affine.a * shift.cols + affine.b * shift.rows
    y = affine.d * shift.cols + affine.e * shift.rows
    lines = shapely.multilinestrings(np.stack([shift.places, shift.places + np.array([x, y])], axis=1))
    return Finding(lines, "labels_shifted", reason, layer.name)


def _sample(layer: DrawnLayer, grid: Grid, rng: np.random.Generator) -> np.ndarray:
    width, height = pixel_size(grid)
    drawn = layer.usable[layer.is_area[layer.usable]]
    shapes = layer.shapes[drawn]
    bounds = shapely.bounds(shapes)
    sides = np.maximum((bounds[:, 2] - bounds[:, 0]) / width, (bounds[:, 3] - bounds[:, 1]) / height)
    fit = drawn[(shapely.area(shapes) >= MIN_AREA_PX * width * height) & (sides <= MAX_SIDE_PX)]
    chosen: np.ndarray = rng.permutation(fit)[:SAMPLE]
    return chosen


def _edge_scores(shape: shapely.Geometry, reader: StackReader) -> np.ndarray | None:
    """Mean gradient under the border for every shift, (17, 17), in deviations of the window's gradient."""
    window = covering_window(reader.grid, shapely.bounds(shape), MAX_SHIFT_PX + 3)
    whole = covering_window(reader.grid, shapely.bounds(shape))
    if (
        whole.empty
        or window.height < whole.height + 2 * MAX_SHIFT_PX
        or window.width < whole.width + 2 * MAX_SHIFT_PX
    ):
        return None
    values = reader.read(window)
    step = -(-len(values) // MAX_BANDS)
    if not np.isfinite(values[::step]).all():
        return None
    edges = np.sum([_gradient(band) for band in values[::step]], axis=0)
    if not edges.any():
        return None
    edges = (edges - edges.mean()) / edges.std()
    points = _border_points(shape, reader.grid) - (window.row, window.col)
    moves = np.arange(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1)
    rows = points[:, 0] + moves[:, None, None]
    cols = points[:, 1] + moves[None, :, None]
    shape_of_all = (len(moves), len(moves), len(points))
    found = ndimage.map_coordinates(
        edges,
        [np.broadcast_to(rows, shape_of_all), np.broadcast_to(cols, shape_of_all)],
        order=1,
        mode="nearest",
    )
    scores: np.ndarray = found.mean(axis=2)
    return scores


def _gradient(band: np.ndarray) -> np.ndarray:
    """Gradient magnitude of a band smoothed by one pixel, on a scale of its own mean."""
    found: np.ndarray = ndimage.gaussian_gradient_magnitude(band.astype(float), 1.0, mode="nearest")
    mean = found.mean()
    return found / mean if mean > 0 else found


def _border_points(shape: shapely.Geometry, grid: Grid) -> np.ndarray:
    """Rows and columns (n, 2) of points along a border, one a pixel, counted from the middle of the first pixel."""
    corners = shapely.get_coordinates(shapely.segmentize(shapely.boundary(shape), min(pixel_size(grid))))
    step = -(-len(corners) // MAX_POINTS)
    cols, rows = ~affine_of(grid) * corners[::step].T
    return np.column_stack([rows, cols]) - 0.5
