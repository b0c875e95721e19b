"""The decision: class weights under which the most probable class gives the highest IoU.

The class with the largest probability is the one that is wrong least often, which is not the one that overlaps best:
IoU does not count the pixels of a large class that are right. For one class against a background the weights
are a threshold: with weights (1, w) a pixel is of the object where its probability is above 1 / (1 + w).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import LabelClass

STEPS = np.exp(np.linspace(-3.0, 3.0, 49))
"""Factors that are tried for a weight; the middle one is 1."""
ROUNDS = 4
LEAST_GAIN = 0.002
"""What a weight must gain in IoU in each half of the pixels."""
KEPT_GAIN = 0.9
"""Of the best gain, so much is enough for a weight that is nearer to 1."""


def class_weights(
    shares: NDArray[Any], truth: NDArray[np.int64], classes: Sequence[LabelClass], half: NDArray[np.bool_]
) -> tuple[float, ...]:
    """Search the weights, one class after the other, until none gains in both halves.

    Args:
        shares: calibrated probabilities (classes, pixels).
        truth: class ids (pixels,).
        classes: one class against a background is judged by its own IoU, others by the mean of those present.
        half: True for the pixels of one half, which should be a ground of its own.

    Returns:
        Weights whose largest is 1; empty where the probabilities decide as well.
    """
    count = len(shares)
    binary = count == 2 and classes[0].name.strip().casefold() == "background"
    weights = np.ones(count)
    for _ in range(ROUNDS):
        before = weights.copy()
        for index in range(1, count) if count == 2 else range(count):
            weights[index] *= _best_factor(shares, weights, index, truth, half, binary)
        if np.array_equal(before, weights):
            break
    if (weights == weights[0]).all():
        return ()
    return tuple(round(float(value), 6) for value in weights / weights.max())


def _best_factor(
    shares: NDArray[Any],
    weights: NDArray[np.float64],
    index: int,
    truth: NDArray[np.int64],
    half: NDArray[np.bool_],
    binary: bool,
) -> float:
    """The factor of one weight, from STEPS; 1 unless another gains in both halves."""
    one = _ious(shares[:, half], weights, index, truth[half], binary)
    other = _ious(shares[:, ~half], weights, index, truth[~half], binary)
    middle = len(STEPS) // 2
    gain = np.minimum(one - one[middle], other - other[middle])
    if not np.nanmax(np.where(np.isnan(gain), -1, gain)) >= LEAST_GAIN:
        return 1.0
    good = np.flatnonzero(gain >= max(KEPT_GAIN * float(np.nanmax(gain)), LEAST_GAIN))
    return float(STEPS[good[np.abs(good - middle).argmin()]])


def _ious(
    shares: NDArray[Any],
    weights: NDArray[np.float64],
    index: int,
    truth: NDArray[np.int64],
    binary: bool,
) -> NDArray[np.float64]:
    """IoU for every factor of the weight of class `index`; NaN where nothing is to be judged.

    A pixel goes to the class from the factor on at which it overtakes the best of the others, so that one
    histogram holds the confusion matrices of all factors.
    """
    count, steps = len(shares), len(STEPS)
    weighted = shares * weights[:, None]
    own = weighted[index].copy()
    weighted[index] = -1
    rival = weighted.argmax(axis=0)
    needed = weighted.max(axis=0) / np.maximum(own, np.finfo(np.float64).tiny)
    place = np.searchsorted(STEPS, needed, side="left")  # the first factor that is as large as needed
    cells = (truth * count + rival) * (steps + 1) + place
    histogram = np.bincount(cells, minlength=count * count * (steps + 1)).reshape(count, count, steps + 1)
    taken = histogram.cumsum(axis=2)[:, :, :steps]
    matrices = histogram.sum(axis=2)[:, :, None] - taken
    matrices[:, index] = taken.sum(axis=1)
    hits = np.einsum("iis->is", matrices)
    support = matrices.sum(axis=1)
    union = support + matrices.sum(axis=0) - hits
    with np.errstate(invalid="ignore", divide="ignore"):
        ious = hits / union
    if binary:
        return np.where(support[1] > 0, ious[1], np.nan)
    present = support[:, 0] > 0
    return np.asarray(ious[present].mean(axis=0)) if present.any() else np.full(steps, np.nan)
