"""One value for a block of pixels: their mean, or of codes the commonest."""

from __future__ import annotations

import math

import numpy as np


def coarsened(values: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """Mean of the valid values in blocks; NaN where fewer than half are valid.

    Args:
        values: (bands, rows, cols), NaN where invalid, starting at a block's corner; the last may be cut.
        factors: block size (rows, cols).
    """
    if factors == (1, 1):
        return values
    bands, height, width = values.shape
    rows, cols = math.ceil(height / factors[0]), math.ceil(width / factors[1])
    padded = np.full((bands, rows * factors[0], cols * factors[1]), np.nan, np.float64)
    padded[:, :height, :width] = values
    blocks = padded.reshape(bands, rows, factors[0], cols, factors[1])
    valid = np.isfinite(blocks)
    count = valid.sum(axis=(2, 4))
    total = np.where(valid, blocks, 0).sum(axis=(2, 4))
    exists = np.zeros((rows * factors[0], cols * factors[1]), bool)
    exists[:height, :width] = True
    size = exists.reshape(rows, factors[0], cols, factors[1]).sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(2 * count >= size, total / count, np.nan)


def commonest(values: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """The most frequent valid value in blocks, the smallest of several; NaN where fewer than half are valid.

    Args and result as of `coarsened`.
    """
    if factors == (1, 1):
        return values
    bands, height, width = values.shape
    rows, cols = math.ceil(height / factors[0]), math.ceil(width / factors[1])
    padded = np.full((bands, rows * factors[0], cols * factors[1]), np.nan, np.float32)
    padded[:, :height, :width] = values
    blocks = padded.reshape(bands, rows, factors[0], cols, factors[1]).transpose(2, 4, 0, 1, 3)
    ordered = np.sort(blocks.reshape(-1, bands, rows, cols), axis=0)
    best, best_run = ordered[0].copy(), np.zeros(ordered.shape[1:], np.int32)
    run = np.zeros_like(best_run)
    for place, layer in enumerate(ordered):
        run = np.where(layer == ordered[place - 1], run + 1, 1) if place else np.ones_like(run)
        longer = (run > best_run) & np.isfinite(layer)
        best[longer] = layer[longer]
        best_run[longer] = run[longer]
    sizes = _block_sizes(height, factors[0])[:, None] * _block_sizes(width, factors[1])
    enough = 2 * np.isfinite(ordered).sum(axis=0) >= sizes
    return np.where(enough, best, np.float32(np.nan))


def _block_sizes(length: int, factor: int) -> np.ndarray:
    """Pixels in each block of an axis; the last may be cut."""
    starts = np.arange(0, length, factor)
    return np.minimum(starts + factor, length) - starts
