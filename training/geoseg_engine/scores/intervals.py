"""Confidence intervals of scores by block bootstrap: the evaluated pixels are only a sample.

Pixels of one block are alike and carry the same information. So whole blocks are drawn with replacement, and the score
is computed for each draw (Efron & Tibshirani 1993; blocks: Künsch 1989). Drawing single pixels would give intervals
that are far too narrow. For few blocks the percentiles are taken farther out, as Student's t is wider than the normal
distribution (Hesterberg 2015, doi:10.1080/00031305.2015.1089789).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from ..contract import LabelClass
from .cells import ious
from .metrics import background_and_object

DRAWS, AT_ONCE = 1000, 100
LEVEL = 0.95
DEFAULT_BLOCK_PX = 64
"""Side of blocks of a dataset that was not split by blocks."""
FEW_BLOCKS = 8


def intervals(
    matrices: NDArray[np.int64], classes: Sequence[LabelClass], block_px: int, seed: int = 0
) -> dict[str, Any]:
    """95 % intervals of the scores.

    Args:
        matrices: (blocks, K, K), the confusion matrix of every evaluated block; rows are the truth.
        classes: in the order of the matrices.
        block_px: side of a block, passed on.
        seed: of the draws.

    Returns:
        JSON-able: miou, foreground_iou, per_class (a list), each [low, high] or None where there is none (one block,
        a class that the truth does not hold); blocks, block_px.
    """
    count = len(matrices)
    empty = {"miou": None, "foreground_iou": None, "per_class": [None] * len(classes)}
    facts = {"blocks": count, "block_px": block_px}
    if count < 2:
        return {**empty, **facts}
    random = np.random.default_rng(seed)
    flat = matrices.reshape(count, -1).astype(np.float64)
    drawn = [
        random.multinomial(count, np.full(count, 1 / count), AT_ONCE) @ flat for _ in range(DRAWS // AT_ONCE)
    ]
    sums = np.concatenate(drawn).reshape(-1, *matrices.shape[1:])
    values = np.where(sums.sum(axis=2) > 0, ious(sums), np.nan)
    with np.errstate(invalid="ignore"):
        means = np.nansum(values, axis=1) / (~np.isnan(values)).sum(axis=1)
    edge = outer_share(count)
    per_class = [_interval(column, edge) for column in values.T]
    return {
        "miou": _interval(means, edge),
        "foreground_iou": per_class[1] if background_and_object(classes) else None,
        "per_class": per_class,
        **facts,
    }


def interval_warnings(found: dict[str, Any]) -> list[str]:
    """Return warnings about intervals, one sentence each."""
    blocks, side = found["blocks"], found["block_px"]
    if blocks < 2:
        return [
            f"All evaluated pixels are in one block of {side} px: the uncertainty of the scores is unknown."
        ]
    if blocks < FEW_BLOCKS:
        return [
            f"The intervals of the scores are based on only {blocks} blocks of {side} px and may be too narrow."
        ]
    return []


def outer_share(blocks: int) -> float:
    """Return the share of the draws outside either end of an interval: 2.5 % for many blocks, less for few."""
    spread = float(stdtrit(blocks - 1, (1 - LEVEL) / 2)) * (blocks / (blocks - 1)) ** 0.5
    return float(ndtr(spread))


def _interval(values: NDArray[np.float64], edge: float) -> list[float] | None:
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    return [round(float(value), 6) for value in np.quantile(known, (edge, 1 - edge))]
