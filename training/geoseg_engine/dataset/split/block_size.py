"""How large the blocks of a split should be, and why: from the variogram of the bands and the size of objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from scipy.optimize import nnls
from scipy.spatial.distance import pdist

from ...contract import IGNORE, Grid
from ...raster.geodesy import pixel_size_m
from ...raster.grid import Window
from ...stacking.reader import StackReader

PLACES, PLACE_PX, POINTS = 48, 32, 40
"""Windows that are read, their side, and pixels sampled in each."""

MIN_POINTS, MIN_PAIRS = 100, 30
LAGS = 24
STRUCTURED_SHARE = 0.15
"""Minimum share of the sill that depends on distance; below it the bands are noise without a range."""

TILES_PER_BLOCK = 4
OBJECTS_PER_BLOCK = 4
STRIPS, STRIP_ROWS = 8, 64


@dataclass(frozen=True)
class Variogram:
    """An empirical variogram and the model fitted to it.

    Attributes:
        lags_px, values: middle of each class of distance in pixels and its semivariance.
        range_px: distance from which values are no more alike than anywhere; 0 without a range.
        model: `spherical`, `exponential` or empty.
        open_ended: values still grow apart at the longest distance that was examined, which `range_px` then is.
    """

    lags_px: np.ndarray
    values: np.ndarray
    range_px: float = 0.0
    model: str = ""
    open_ended: bool = False


def stack_variogram(reader: StackReader, seed: int = 42) -> Variogram:
    """Return the variogram of the first principal component of a stack's bands, from windows spread over the grid.

    Bands are scaled by median and interquartile range and clipped at four of them, so that a few extreme pixels do
    not decide.

    Args:
        reader: the stack.
        seed: of the sampled pixels.
    """
    points, values = _sample(reader, np.random.default_rng(seed))
    if len(points) < MIN_POINTS:
        return Variogram(np.zeros(0), np.zeros(0))
    return fitted_variogram(*empirical_variogram(points, first_component(values), longest_lag(reader.grid)))


def longest_lag(grid: Grid) -> float:
    """Half the grid's longer side, in pixels: beyond it too few independent pairs are left (Cressie 1993)."""
    return max(grid.width, grid.height) / 2


def empirical_variogram(
    points: np.ndarray, values: np.ndarray, longest_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate a variogram: half the mean squared difference of the pairs in each distance class (Matheron).

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
    enough = pairs >= MIN_PAIRS
    lags = np.bincount(place, distances, LAGS)[enough] / pairs[enough]
    return lags, np.bincount(place, squares, LAGS)[enough] / pairs[enough] / 2, pairs[enough]


def fitted_variogram(lags: np.ndarray, values: np.ndarray, pairs: np.ndarray) -> Variogram:
    """Fit nugget, sill and range of a spherical and an exponential model, and return the one that fits better.

    Weighted least squares with weights N(h) / h² (Cressie 1985): for every range of a series nugget and partial
    sill follow without iteration. The exponential model's range is the practical one, at 95 % of the sill.

    Args:
        lags: mean distance in pixels of each class.
        values: semivariance of each class.
        pairs: number of pairs of each class.
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
    for window in sample_windows(reader.grid, rng):
        found = reader.read(window)
        rows, cols = np.nonzero(np.isfinite(found).all(axis=0))
        if not len(rows):
            continue
        chosen = rng.choice(len(rows), min(POINTS, len(rows)), replace=False)
        points.append(np.column_stack([rows[chosen] + window.row, cols[chosen] + window.col]).astype(float))
        values.append(found[:, rows[chosen], cols[chosen]].T.astype(float))
    return np.concatenate(points), np.concatenate(values)


def sample_windows(grid: Grid, rng: np.random.Generator) -> list[Window]:
    """Return small windows, one at a random place of each cell of a coarse grid.

    Args:
        grid: of the stack.
        rng: gives the places.
    """
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


@dataclass(frozen=True)
class Scale:
    """Distances over which the data are alike.

    Attributes:
        range_px: distance up to which the bands' values are alike, by their variogram; 0 without a range.
        open_ended: they still are at the longest distance that was examined, which `range_px` then is.
        object_px: typical width of an object of the labels; 0 without objects.
    """

    range_px: float = 0.0
    open_ended: bool = False
    object_px: float = 0.0


def measure_scale(reader: StackReader, labels: Path, background: bool, seed: int) -> Scale:
    """Measure the range of the variogram of a stack, and the width of the objects in its labels.

    Blocks smaller than the range leave training pixels next to test pixels that look the same (Roberts et al.
    2017, Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure).

    Args:
        reader: the stack.
        labels: the label raster.
        background: class 0 is background and has no objects.
        seed: of the sampled pixels.
    """
    found = stack_variogram(reader, seed)
    return Scale(found.range_px, found.open_ended, object_width_px(labels, background))


def object_width_px(labels: Path, background: bool) -> float:
    """Return the diameter in pixels of a disc with the mean chord of the labelled objects; 0 if rows meet none.

    The mean chord of a disc is π/4 of its diameter. Rows of eight strips are read.

    Args:
        labels: the label raster.
        background: class 0 is background and has no objects.
    """
    first = 1 if background else 0
    pixels = runs = 0
    with rasterio.open(labels) as raster:
        for row in np.unique(np.linspace(0, max(raster.height - STRIP_ROWS, 0), STRIPS).astype(int)):
            strip = Window(int(row), 0, min(STRIP_ROWS, raster.height), raster.width)
            ids = raster.read(1, window=strip.rasterio)
            inside = (ids >= first) & (ids != IGNORE)
            begins = inside.copy()
            begins[:, 1:] &= ids[:, 1:] != ids[:, :-1]
            pixels, runs = pixels + int(inside.sum()), runs + int(begins.sum())
    return pixels / runs * 4 / math.pi if runs else 0.0


def preferred_block_px(scale: Scale, tile_px: int, grid: Grid) -> int:
    """Return the side of a block before the number of blocks is considered: whole tiles, at least four.

    Args:
        scale: of the data.
        tile_px: side of a tile.
        grid: of the label raster; a tenth of its longer side is used where the data show no scale.
    """
    if scale.range_px:
        wanted = scale.range_px
    elif scale.object_px:
        wanted = OBJECTS_PER_BLOCK * scale.object_px
    else:
        wanted = max(grid.width, grid.height) / 10
    return max(TILES_PER_BLOCK, math.ceil(wanted / tile_px)) * tile_px


def block_reason(scale: Scale, block_px: int, wanted_px: int, grid: Grid) -> str:
    """Return why blocks have their side, as text to follow a colon.

    Args:
        scale: of the data.
        block_px: side that was chosen.
        wanted_px: side that was preferred.
        grid: of the label raster.
    """
    if scale.range_px:
        far = "at least to" if scale.open_ended else "up to about"
        why = f"the bands' values are alike {far} {_length(scale.range_px, grid)}"
        enough = block_px >= scale.range_px
    elif scale.object_px:
        why = f"objects are about {_length(scale.object_px, grid)} wide, and the bands show no range of their own"
        enough = block_px >= OBJECTS_PER_BLOCK * scale.object_px
    else:
        why, enough = "four tiles or a tenth of the raster", block_px >= wanted_px
    if enough:
        return why
    return f"{why}, but larger blocks would be too few to give every split its share of every class"


def _length(length_px: float, grid: Grid) -> str:
    width, height = pixel_size_m(grid, grid.height / 2, grid.width / 2)
    metres = length_px * math.sqrt(width * height)
    rounded = float(f"{metres:.2g}")
    return (
        f"{rounded:,.0f} m ({length_px:.0f} px)" if rounded >= 10 else f"{rounded:g} m ({length_px:.0f} px)"
    )
