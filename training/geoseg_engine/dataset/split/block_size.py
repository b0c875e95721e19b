"""How far the values of a stack are alike: the range of an empirical variogram."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.spatial.distance import pdist

from ...contract import Grid
from ...raster.grid import Window
from ...stacking.reader import StackReader

PLACES, PLACE_PX, POINTS = 48, 32, 40
"""Windows that are read, their side, and pixels drawn of each."""

FEWEST_POINTS, FEWEST_PAIRS = 100, 30
LAGS = 24
STRUCTURED_SHARE = 0.15
"""Share of the sill that must depend on distance; less is noise without a range."""


@dataclass(frozen=True)
class Variogram:
    """An empirical variogram and the model fitted to it.

    Attributes:
        lags_px, values: middle of each class of distance in pixels and its semivariance.
        range_px: distance from which values are no more alike than anywhere; 0 where none shows.
        model: `spherical`, `exponential` or empty.
        open_ended: values still grow apart at the longest distance that was looked at, which `range_px` then is.
    """

    lags_px: np.ndarray
    values: np.ndarray
    range_px: float = 0.0
    model: str = ""
    open_ended: bool = False


def stack_variogram(reader: StackReader, seed: int = 42) -> Variogram:
    """Variogram of the first principal component of a stack's bands, from pixels of windows spread over the grid.

    Bands are put onto one scale by median and interquartile range and cut at four of them, so that a few strange
    pixels do not decide.
    """
    points, values = _sample(reader, np.random.default_rng(seed))
    if len(points) < FEWEST_POINTS:
        return Variogram(np.zeros(0), np.zeros(0))
    return fitted(*empirical(points, first_component(values), longest_lag(reader.grid)))


def longest_lag(grid: Grid) -> float:
    """Half the grid's longer side, in pixels: beyond it too few independent pairs are left (Cressie 1993)."""
    return max(grid.width, grid.height) / 2


def empirical(
    points: np.ndarray, values: np.ndarray, longest_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matheron's estimator: half the mean squared difference of the pairs in each class of distance.

    Classes grow geometrically from one pixel. Source: Cressie (1993), Statistics for Spatial Data, section 2.4.

    Args:
        points: (n, 2) rows and columns.
        values: (n,).
        longest_px: longest distance.

    Returns:
        Mean distance, semivariance and number of pairs of the classes that hold enough pairs.
    """
    distances, squares = pdist(points), pdist(values[:, None], "sqeuclidean")
    edges = np.geomspace(1.0, max(longest_px, 2.0), LAGS + 1)
    place = np.searchsorted(edges, distances, side="right") - 1
    inside = (place >= 0) & (place < LAGS)
    place, distances, squares = place[inside], distances[inside], squares[inside]
    pairs = np.bincount(place, minlength=LAGS)
    enough = pairs >= FEWEST_PAIRS
    lags = np.bincount(place, distances, LAGS)[enough] / pairs[enough]
    return lags, np.bincount(place, squares, LAGS)[enough] / pairs[enough] / 2, pairs[enough]


def fitted(lags: np.ndarray, values: np.ndarray, pairs: np.ndarray) -> Variogram:
    """Fit nugget, sill and range of a spherical and an exponential model, and keep the one that fits better.

    Weighted least squares with weights N(h) / h² (Cressie 1985): for every range of a series nugget and partial
    sill follow without iteration. The exponential model's range is the practical one, at 95 % of the sill.
    """
    if len(lags) < 4 or not values.any():
        return Variogram(lags, values)
    weights = np.sqrt(pairs) / lags
    weights /= weights.max()
    best = (math.inf, 0.0, "", 0.0)
    for reach in np.geomspace(lags[0], lags[-1], 80):
        for name, shape in (
            ("spherical", _spherical(lags / reach)),
            ("exponential", 1 - np.exp(-3 * lags / reach)),
        ):
            design = np.column_stack([np.ones_like(lags), shape]) * weights[:, None]
            (nugget, sill), residual = nnls(design, values * weights)
            share = sill / (nugget + sill) if nugget + sill else 0.0
            best = min(best, (residual, float(reach), name, share))
    _, reach, name, share = best
    if share < STRUCTURED_SHARE:
        return Variogram(lags, values)
    return Variogram(lags, values, reach, name, reach >= 0.97 * lags[-1])


def _spherical(ratio: np.ndarray) -> np.ndarray:
    return np.where(ratio < 1, 1.5 * ratio - 0.5 * ratio**3, 1.0)


def first_component(values: np.ndarray) -> np.ndarray:
    """First principal component (n,) of values (n, bands) on a robust scale; bands that never change are left out."""
    low, middle, high = np.percentile(values, (25, 50, 75), axis=0)
    spread = np.where(high > low, high - low, values.std(axis=0))
    changing = spread > 0
    if not changing.any():
        return np.zeros(len(values))
    scaled = np.clip((values[:, changing] - middle[changing]) / spread[changing], -4, 4)
    scaled -= scaled.mean(axis=0)
    _, _, axes = np.linalg.svd(scaled, full_matrices=False)
    component: np.ndarray = scaled @ axes[0]
    return component


def _sample(reader: StackReader, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 2) and their values (n, bands), some of each of several windows; those without value are skipped."""
    points, values = [np.zeros((0, 2))], [np.zeros((0, len(reader.band_names)))]
    for window in places(reader.grid, rng):
        found = reader.read(window)
        rows, cols = np.nonzero(np.isfinite(found).all(axis=0))
        if not len(rows):
            continue
        chosen = rng.choice(len(rows), min(POINTS, len(rows)), replace=False)
        points.append(np.column_stack([rows[chosen] + window.row, cols[chosen] + window.col]).astype(float))
        values.append(found[:, rows[chosen], cols[chosen]].T.astype(float))
    return np.concatenate(points), np.concatenate(values)


def places(grid: Grid, rng: np.random.Generator) -> list[Window]:
    """Small windows, one at a random place of each field of a chessboard over the grid."""
    down = max(1, round(math.sqrt(PLACES * grid.height / grid.width)))
    down = min(down, PLACES, -(-grid.height // PLACE_PX))
    across = min(max(1, PLACES // down), -(-grid.width // PLACE_PX))
    found = []
    for row in range(down):
        for col in range(across):
            top = int((row + rng.random()) * grid.height / down)
            left = int((col + rng.random()) * grid.width / across)
            top = max(0, min(top, grid.height - PLACE_PX))
            left = max(0, min(left, grid.width - PLACE_PX))
            found.append(Window(top, left, PLACE_PX, PLACE_PX).clipped(grid.height, grid.width))
    return found
