"""The decision: class weights under which the most probable class gives the highest mean IoU.

The class with the largest probability has the fewest errors, which is not the class with the best overlap:
IoU does not count the pixels of a large class that are right. Of two classes the weights are a threshold: with weights
(1, w) a pixel is of the second where its probability is above 1 / (1 + w).

Always the mean over the classes is raised, also for one class against a background: the IoU of the object alone is
highest for a weak model where nearly everything is given to the object, which makes a useless map.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = np.exp(np.linspace(-3.0, 3.0, 49))
"""Candidate factors of a weight; the middle one is 1."""
ROUNDS = 4
MIN_GAIN = 0.002
"""Minimum gain in mean IoU on one half of the pixels of a weight that was found on the other."""
GAIN_FRACTION = 0.9
"""Fraction of the best gain that is enough for a weight nearer to 1."""


def decision_weights(
    shares: NDArray[Any],
    truth: NDArray[np.int64],
    half: NDArray[np.bool_],
    plain: NDArray[np.float64] | None = None,
    weighted: NDArray[np.bool_] | None = None,
) -> tuple[float, ...]:
    """Search the weights of the decision, one class after the other, until none gains.

    The search starts from the model's own decision: a calibration on few pixels that are unlike the rest may give right
    confidence there and spoil the map everywhere.

    Args:
        shares: calibrated probabilities (classes, pixels).
        truth: class ids (pixels,).
        half: True for the pixels of one half, which should be an area of its own.
        plain: weights under which the classes are those before calibration; None where it moved none.
        weighted: (classes,) which classes have enough pixels to be weighted; None for all. The IoU of the others does
            not count, and they keep their weight relative to the mean of the weighted ones.

    Returns:
        Weights whose largest is 1, or, where not all classes are weighted, whose geometric mean over these is 1 and the
        others' 1; empty where the probabilities decide as well.
    """
    count = len(shares)
    known = np.ones(count, bool) if weighted is None else weighted
    weights = _start(shares, truth, half, plain, known)
    for _ in range(ROUNDS):
        before = weights.copy()
        for index in range(1, count) if count == 2 else np.flatnonzero(known):
            weights[index] *= _best_factor(shares, weights, index, truth, half, known)
        if np.array_equal(before, weights):
            break
    if (weights[known] == weights[known][0]).all():
        return ()
    largest = weights.max() if known.all() else np.exp(np.log(weights[known]).mean())
    return tuple(round(float(value), 6) for value in np.where(known, weights / largest, 1.0))


def _start(
    shares: NDArray[Any],
    truth: NDArray[np.int64],
    half: NDArray[np.bool_],
    plain: NDArray[np.float64] | None,
    known: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Equal weights, where the calibrated probabilities decide better on both halves than the model; else `plain`."""
    equal = np.ones(len(shares))
    if plain is None:
        return equal
    middle = len(STEPS) // 2
    for part in (half, ~half):
        if not known[truth[part]].any():
            return plain.copy()
        given, own = (
            _mean_ious(shares[:, part], weights, 0, truth[part], known)[middle] for weights in (equal, plain)
        )
        if given < own + MIN_GAIN:
            return plain.copy()
    return equal


def _best_factor(
    shares: NDArray[Any],
    weights: NDArray[np.float64],
    index: int,
    truth: NDArray[np.int64],
    half: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> float:
    """The factor of one weight, from STEPS: found on each half and checked on the other, the one nearer to 1.

    It is 1 unless both halves hold the class and what either finds gains on the other.
    """
    middle, gains = len(STEPS) // 2, []
    for part in (half, ~half):
        if not (truth[part] == index).any():
            return 1.0
        values = _mean_ious(shares[:, part], weights, index, truth[part], known)
        gains.append(values - values[middle])
    found = []
    for own, other in (gains, gains[::-1]):
        good = np.flatnonzero(own >= max(GAIN_FRACTION * float(own.max()), MIN_GAIN))
        if not good.size:
            return 1.0
        place = int(good[np.abs(good - middle).argmin()])
        if other[place] < MIN_GAIN:
            return 1.0
        found.append(place)
    return float(STEPS[min(found, key=lambda place: abs(place - middle))])


def _mean_ious(
    shares: NDArray[Any],
    weights: NDArray[np.float64],
    index: int,
    truth: NDArray[np.int64],
    known: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Mean IoU of the known classes that the truth holds, for every factor of the weight of class `index`.

    A pixel goes to the class from the factor on at which it overtakes the best of the others, so that one
    histogram holds the confusion matrices of all factors.
    """
    count, steps = len(shares), len(STEPS)
    weighted = shares * weights[:, None]
    own = weighted[index].copy()
    weighted[index] = -1
    rival = weighted.argmax(axis=0)
    needed = weighted.max(axis=0) / np.maximum(own, np.finfo(np.float64).tiny)
    # the first factor that is as large as needed; of a tie, the class that comes first
    before = rival < index
    place = np.where(before, np.searchsorted(STEPS, needed, "right"), np.searchsorted(STEPS, needed, "left"))
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
    return np.asarray(ious[(support[:, 0] > 0) & known].mean(axis=0))
