"""Which epoch is kept, and why: the latest that is not clearly worse than the best, or that of the lowest loss.

The highest of many validation scores is partly chance, the more so the fewer pixels are validated on, while weights
keep improving as the learning rate falls. So the later epoch is kept unless its score is below the highest by more
than the standard error of the difference (the one-standard-error rule of Breiman et al. 1984, turned towards
training longer). Both epochs are evaluated on the same blocks, so the error is that of paired differences,
by leaving out one block at a time (jackknife, Efron & Tibshirani 1993).

Where validation data are too few for that (see `modelfile.validation_data`), a score jumps with single pixels, and any
epoch could be called as good. The loss measures by how much pixels are right or wrong and changes smoothly, so the
epoch of the lowest mean loss over SMOOTHED epochs is kept, and it is not called the best. docs/training.md has the
figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..modelfile.validation_data import ValidationData
from ..scores.cells import ious

SMOOTHED = 3
"""Epochs over which the loss of few validation data is averaged."""
SCORES = {"miou": "mean IoU", "foreground_iou": "IoU", "f1": "mean F1"}
"""Names of the monitored scores in messages."""

Blocks = NDArray[np.int64]
"""(blocks, K, K): the confusion matrix of every validated block; rows are the truth."""
ScoreFunction = Callable[[Blocks], NDArray[np.float64]]


@dataclass
class Best:
    """The weights to keep, and the highest score.

    Attributes:
        epoch, score, weights: what is kept; the score is the monitored one, None without validation data.
        lower: whether lower scores are better.
        peak_epoch, peak, blocks: the epoch with the best score, that score, and its confusion matrices by block.
    """

    epoch: int = 0
    score: float | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    lower: bool = False
    peak_epoch: int = 0
    peak: float | None = None
    blocks: Blocks | None = None

    def is_better(self, score: float | None) -> bool:
        """Return whether a score is better than the best one; without scores the latest is."""
        if score is None or self.peak is None:
            return True
        return score < self.peak if self.lower else score > self.peak


def smoothed_loss(history: Sequence[dict[str, Any]], loss: float) -> float:
    """Return the mean validation loss of an epoch and those before it, SMOOTHED in all.

    Args:
        history: rows of the earlier epochs.
        loss: of this epoch.
    """
    before = [row["validation_loss"] for row in history[-(SMOOTHED - 1) :]]
    return float(np.mean([*before, loss]))


def selection_message(best: Best, monitor: str, validation: ValidationData) -> str:
    """Return which epoch is kept and why, in a sentence; it is called best only where validation data suffice.

    Args:
        best: the kept epoch.
        monitor: as TrainJob.monitor.
        validation: amount of validation data.
    """
    kept = f"Kept epoch {best.epoch}"
    if not validation.total:
        return f"{kept}: the last one, as there are no validation data."
    if best.score is None or best.peak is None:  # of a checkpoint that was written under another rule
        return f"{kept}."
    if not validation.is_sufficient:
        return (
            f"{kept}: lowest validation loss (mean of {SMOOTHED} epochs); too few validation data to call it best "
            f"({validation.amount()})."
        )
    if monitor == "loss":
        return f"{kept}: lowest validation loss."
    name = SCORES[monitor]
    if best.epoch == best.peak_epoch:
        return f"{kept}: highest validation {name}, {best.score:.3f}."
    return (
        f"{kept}: validation {name} {best.score:.3f}, not clearly below the highest ({best.peak:.3f} in epoch "
        f"{best.peak_epoch}), after more training."
    )


def score_function(monitor: str, binary: bool) -> ScoreFunction | None:
    """Return the function from confusion matrices (…, K, K) to the monitored score; None for the loss.

    Args:
        monitor: as TrainJob.monitor.
        binary: whether there are one background and one object class.
    """
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


def within_standard_error(blocks: Blocks | None, best: Blocks | None, score: ScoreFunction) -> bool:
    """Return whether a score is below the best on the same blocks by no more than the standard error of the difference.

    Args:
        blocks: confusion matrices (blocks, K, K) of this epoch.
        best: those of the best epoch.
        score: of confusion matrices.
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
