"""Weights of classes in a loss, from how many training pixels each has."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

OVERLAP = 0.9999
"""How much a further pixel repeats what earlier ones of its class said; the greatest that Cui et al. tried."""


def class_weights(counts: Sequence[int], kind: str) -> list[float]:
    """Weights whose mean over the training pixels is 1; 0 for a class without pixels.

    With n pixels of a class and N of all, before scaling:
        none: 1.
        inverse: N / n.
        sqrt: the square root of N / n.
        median: the median of the classes' n, divided by n; up to scale the same as `inverse` where every class is
            looked for everywhere, as here (Eigen & Fergus 2015, arXiv:1411.4734).
        effective: (1 - b) / (1 - b^n) with b = OVERLAP (Cui et al. 2019, arXiv:1901.05555): as `inverse` for rare
            classes, and alike for all that have many times 1 / (1 - b) pixels.

    Args:
        counts: training pixels of every class.
        kind: of contract.CLASS_WEIGHTS.

    Raises:
        KeyError: for another kind.
    """
    total = sum(counts)
    if not total:
        return [1.0] * len(counts)
    middle = statistics.median(count for count in counts if count)
    rule = {
        "none": lambda n: 1.0,
        "inverse": lambda n: total / n,
        "sqrt": lambda n: (total / n) ** 0.5,
        "median": lambda n: middle / n,
        "effective": lambda n: (1 - OVERLAP) / (1 - OVERLAP**n),
    }[kind]
    raw = [rule(count) if count else 0.0 for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / total
    return [weight / mean for weight in raw]
