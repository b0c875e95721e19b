"""Which epoch is kept: the latest that is not clearly worse than the best.

The highest of many validation scores is partly luck, the more so the less ground is validated on, while weights go on
getting better as the learning rate falls. So the later epoch is kept unless its score falls short of the highest by
more than the standard error of the difference (the one-standard-error rule of Breiman et al. 1984, turned towards
training longer). Both epochs are judged on the same blocks of ground, so the error is that of paired differences,
by leaving out one block at a time (jackknife, Efron & Tibshirani 1993). Where the ground is too little to be blocks, it
comes as one, and the latest epoch is kept. docs/training.md has the figures behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..scores.cells import ious

Blocks = NDArray[np.int64]
"""(blocks, K, K): the confusion matrix of every validated block; rows are the truth."""
Scored = Callable[[Blocks], NDArray[np.float64]]


@dataclass
class Best:
    """The weights to keep, and the highest score.

    Attributes:
        epoch, score, weights: what is kept; the score is the monitored one, None where nothing is validated on.
        lower: whether lower scores are better.
        peak_epoch, peak, blocks: the epoch with the best score, that score, and what was validated in it.
    """

    epoch: int = 0
    score: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    lower: bool = False
    peak_epoch: int = 0
    peak: float | None = None
    blocks: Blocks | None = None

    def better(self, score: float | None) -> bool:
        """Whether a score beats the best one; without scores the latest wins."""
        if score is None or self.peak is None:
            return True
        return score < self.peak if self.lower else score > self.peak


def score_of(monitor: str, binary: bool) -> Scored | None:
    """The monitored score of confusion matrices (…, K, K); None of a score that no matrix tells."""
    if monitor == "loss":
        return None
    if monitor == "foreground_iou" and binary:
        return lambda matrices: ious(matrices)[..., 1]
    f1 = monitor == "f1"

    def mean(matrices: Blocks) -> NDArray[np.float64]:
        found = np.where(matrices.sum(axis=-1) > 0, ious(matrices), np.nan)
        values = 2 * found / (1 + found) if f1 else found
        known = np.maximum((~np.isnan(values)).sum(axis=-1), 1)
        return np.asarray(np.nansum(values, axis=-1) / known, np.float64)

    return mean


def as_good(blocks: Blocks | None, best: Blocks | None, score: Scored) -> bool:
    """Whether the score of some blocks falls short of the best on the same by no more than the standard error.

    Where there is one block only, nobody can tell, and any score is as good.
    """
    if blocks is None or best is None or len(blocks) != len(best):
        return False
    count = len(blocks)
    differences = score(best.sum(axis=0) - best) - score(blocks.sum(axis=0) - blocks)
    known = differences[~np.isnan(differences)]
    if len(known) < 2:
        return True
    error = np.sqrt((count - 1) / len(known) * ((known - known.mean()) ** 2).sum())
    return bool(score(best.sum(axis=0)) - score(blocks.sum(axis=0)) <= error)
