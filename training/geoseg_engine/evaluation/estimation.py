"""Areas and accuracies of a map from a stratified sample of its classes.

Olofsson, Foody, Herold, Stehman, Woodcock & Wulder 2014, "Good practices for estimating area and assessing accuracy of
land change", Remote Sensing of Environment 148: 42-57; equation numbers are of that paper. The map's classes are the
strata. Inside a class every pixel was as likely to be drawn as any other; where pixels are not equally large (grids in
degrees), the estimates suppose that the map's mistakes do not go with their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LARGEST_VARIANCE = 0.25
"""Of a proportion seen at one point, where none can be estimated."""


@dataclass(frozen=True)
class Estimates:
    """Estimates and their standard errors, each (K,); NaN where the sample says nothing.

    Attributes:
        cells: share of the ground by class of the map (row) and true class (column), (K, K).
        shares: of the ground that each class truly has.
        users: of the ground mapped as a class, the share that is it.
        producers: of the ground that is a class, the share mapped as it.
        overall: share of the ground that is mapped right.
    """

    cells: Floats
    shares: Floats
    shares_error: Floats
    users: Floats
    users_error: Floats
    producers: Floats
    producers_error: Floats
    overall: float
    overall_error: float


def estimates(counts: NDArray[np.int64], weights: Floats) -> Estimates:
    """Estimate from points counted by class of the map and true class.

    A class with one point gets the largest variance that there is, 1/4: its own cannot be estimated.

    Args:
        counts: (K, K) points; rows are the map.
        weights: (K,) share of the mapped ground of each class, summing to 1; 0 for a class without points.
    """
    points = counts.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        within = counts / points[:, None]
        variance = np.where(
            points[:, None] > 1, within * (1 - within) / (points[:, None] - 1), LARGEST_VARIANCE
        )
        within, variance = (np.where(points[:, None] > 0, item, 0) for item in (within, variance))
        cells = weights[:, None] * within  # eq. 4
        shares = cells.sum(axis=0)  # eq. 9
        spread = weights[:, None] ** 2 * variance
        users = np.where(points > 0, np.diagonal(within), np.nan)  # eq. 2
        producers = np.diagonal(cells) / shares  # eq. 3
        own = np.diagonal(spread)
        others = spread.sum(axis=0) - own
        producers_variance = ((1 - producers) ** 2 * own + producers**2 * others) / shares**2  # eq. 7
    return Estimates(
        cells=cells,
        shares=shares,
        shares_error=np.sqrt(spread.sum(axis=0)),  # eq. 10
        users=users,
        users_error=np.where(points > 0, np.sqrt(np.diagonal(variance)), np.nan),  # eq. 6
        producers=producers,
        producers_error=np.sqrt(producers_variance),
        overall=float(np.trace(cells)),  # eq. 1
        overall_error=float(np.sqrt(own.sum())),  # eq. 5
    )


def half_widths(level: float) -> float:
    """How many standard errors an interval of this level reaches to either side, e.g. 1.96 for 0.95."""
    return NormalDist().inv_cdf((1 + level) / 2)
