"""How many points a stratified sample needs, and how many of them each class gets.

Olofsson et al. 2014, Remote Sensing of Environment 148: 42-57, section 5.1; Cochran 1977, "Sampling Techniques",
equations 5.25 and 5.26.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
MIN_POINTS = 2
"""Points of a class, if it has so many pixels: of fewer no variance can be taken."""
MIN_RARE, MAX_RARE = 10, 50
"""Points of a rare class in a small and in a large sample; 50 is what Olofsson et al. advise."""


def points_needed(weights: Floats, expected: Floats, standard_error: float, pixels: int) -> int:
    """Points with which the overall accuracy has a standard error (eq. 13 of Olofsson et al.).

    Args:
        weights: (K,) share of each class.
        expected: (K,) its user's accuracy, as expected.
        standard_error: wanted.
        pixels: of all classes.
    """
    deviation = np.sqrt(expected * (1 - expected))
    finite = float(weights @ deviation**2) / pixels
    return max(math.ceil(float(weights @ deviation) ** 2 / (standard_error**2 + finite) - 1e-9), 1)


def allocate(count: int, weights: Floats, pixels: Counts, how: str, minimum: int) -> Counts:
    """Points of each class: at least FEWEST and at most its pixels.

    Args:
        count: of all points.
        weights: (K,) share of each class.
        pixels: (K,) of each class, all above 0.
        how: `proportional` to the weights, `equal`, or `mixed`: proportional, but no class below `least`; where
            `least` for all would be more than `count`, equal.
        least: of a class with `mixed`; negative takes a tenth of `count`, from 10 to 50.
    """
    if minimum < 0:
        minimum = min(max(count // 10, MIN_RARE), MAX_RARE)
    if how == "mixed":
        rare = _rare(count, weights, minimum)
        how = "equal" if rare.all() else how
    if how == "equal":
        wanted = np.full(len(weights), count / len(weights))
    elif how == "proportional":
        wanted = count * weights / weights.sum()
    else:
        wanted = np.where(rare, float(minimum), 0.0)
        wanted[~rare] = (count - minimum * rare.sum()) * weights[~rare] / weights[~rare].sum()
    return np.minimum(np.maximum(_whole(wanted), MIN_POINTS), pixels)


def class_errors(expected: Floats, points: Counts, pixels: Counts) -> Floats:
    """Return the expected standard error (K,) of the user's accuracy of each class.

    Args:
        expected: (K,) expected user's accuracy, 0 to 1.
        points: (K,) points of each class.
        pixels: (K,) pixels of each class.
    """
    known = np.maximum(points, 1)
    return np.asarray(np.sqrt(expected * (1 - expected) / known * (1 - points / pixels)), np.float64)


def expected_error(weights: Floats, expected: Floats, points: Counts, pixels: Counts) -> float:
    """Return the expected standard error of the overall accuracy.

    Args:
        weights: (K,) share of the area of each class.
        expected: (K,) expected user's accuracy, 0 to 1.
        points: (K,) points of each class.
        pixels: (K,) pixels of each class.
    """
    variance = weights**2 * expected * (1 - expected) / points * (1 - points / pixels)
    return math.sqrt(float(variance.sum()))


def _rare(count: int, weights: Floats, minimum: int) -> NDArray[np.bool_]:
    """Classes that would get fewer than `least` of what those above it leave."""
    rare = np.zeros(len(weights), bool)
    while not rare.all():
        rest = (count - minimum * rare.sum()) * weights / weights[~rare].sum()
        more = ~rare & (rest < minimum)
        if not more.any():
            break
        rare |= more
    return rare


def _whole(wanted: Floats) -> Counts:
    """Whole numbers of the same sum: the largest remainders are rounded up."""
    found = np.floor(wanted + 1e-9).astype(np.int64)
    missing = round(float(wanted.sum())) - int(found.sum())
    order = np.argsort(found - wanted, kind="stable")
    found[order[:missing]] += 1
    return found
