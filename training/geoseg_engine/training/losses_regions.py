"""Losses that compare regions: overlap of every class over the whole batch, whatever crop its pixels lie in."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .losses_pixels import Pixels

SMOOTH = 1.0
FALSE_POSITIVES, FALSE_NEGATIVES = 0.3, 0.7
NEGATIVE_WEIGHT = 0.1
BALANCE, RARE_WEIGHT, UNIFIED_FOCUS = 0.5, 0.6, 0.5
SMALLEST = 1e-6


def dice(pixels: Pixels) -> Tensor:
    """1 - soft Dice, mean of the classes present (Milletari et al. 2016, arXiv:1606.04797)."""
    shared = (pixels.probabilities * pixels.hot).sum(dim=1)
    sizes = pixels.probabilities.sum(dim=1) + pixels.hot.sum(dim=1)
    return pixels.mean_of_present(1 - (2 * shared + SMOOTH) / (sizes + SMOOTH))


def dice_wang(pixels: Pixels) -> Tensor:
    """Weighted soft Dice, which learns from negative ground too (Wang et al. 2020, doi:10.1109/ACCESS.2020.3020475).

    With g 1 for pixels of the class and 0 for others, w = v where g = 0 and 1 - v where g = 1 (v =
    NEGATIVE_WEIGHT), q = w (2p - 1) and t = w (2g - 1): 1 - (2 sum(q t) + s) / (sum(q² + t²) + s),
    from 0 to 2. Mean of all classes: to one without a pixel in the batch all ground is negative.
    """
    hot = pixels.hot
    weight = (hot * (1 - 2 * NEGATIVE_WEIGHT) + NEGATIVE_WEIGHT) * pixels.known
    guess, truth = weight * (2 * pixels.probabilities - 1), weight * (2 * hot - 1)
    shared = (guess * truth).sum(dim=1)
    sizes = (guess**2 + truth**2).sum(dim=1)
    return (1 - (2 * shared + SMOOTH) / (sizes + SMOOTH)).mean()


def tversky(pixels: Pixels) -> Tensor:
    """1 - Tversky index, mean of the classes present; misses weigh more than false alarms (Salehi et al. 2017).

    arXiv:1706.05721, with its 0.3 for false positives and 0.7 for false negatives.
    """
    return pixels.mean_of_present(1 - _index(pixels, FALSE_POSITIVES, FALSE_NEGATIVES))


def unified_focal(pixels: Pixels, asymmetric: bool = False) -> Tensor:
    """Modified focal and modified focal Tversky loss, halved each (Yeung et al. 2022, arXiv:2102.04525).

    With p of the true class, d = RARE_WEIGHT and g = UNIFIED_FOCUS: half of the mean of k (1 - p)^g (-log p), k = d
    for the rarer classes and 1 - d for the common one, and half of the mean of (1 - T)^(1 - g) over the classes
    present, T the Tversky index with d for false negatives. The asymmetric form leaves out the first power for
    the rarer classes and the second for the common one. Class weights are not used: d stands for them.
    """
    rare = pixels.truth != pixels.common
    doubt = (1 - (-pixels.surprise).exp()).clamp_min(SMALLEST) ** UNIFIED_FOCUS
    if asymmetric:
        doubt = doubt.masked_fill(rare, 1.0)
    factor = (1 - RARE_WEIGHT) + (2 * RARE_WEIGHT - 1) * rare.to(doubt.dtype)
    focal = pixels.mean(factor * doubt * pixels.surprise)

    distance = 1 - _index(pixels, 1 - RARE_WEIGHT, RARE_WEIGHT)
    powered = distance.clamp_min(SMALLEST) ** (1 - UNIFIED_FOCUS)
    if asymmetric:
        ids = torch.arange(len(distance), device=distance.device)
        powered = torch.where(ids == pixels.common, distance, powered)
    return BALANCE * focal + (1 - BALANCE) * pixels.mean_of_present(powered)


def unified_focal_asymmetric(pixels: Pixels) -> Tensor:
    """`unified_focal` that spares the rarer classes the damping of easy pixels."""
    return unified_focal(pixels, asymmetric=True)


def lovasz(pixels: Pixels) -> Tensor:
    """Surrogate of 1 - mean IoU of the classes present (Berman et al. 2018, arXiv:1705.08790).

    Errors are sorted from the largest down; each is weighted by what getting that pixel wrong too adds to
    the Jaccard loss. Pixels that do not count have error 0 and so weigh nothing. Of two classes both have the same
    errors, which are sorted once.
    """
    classes = len(pixels.logits)
    errors = (pixels.hot - pixels.probabilities).abs()
    distinct = errors[: 1 if classes == 2 else classes]
    order = _descending(distinct.detach()).expand(classes, -1)
    member = pixels.hot.gather(1, order)
    size = member.sum(dim=1, keepdim=True)
    reached = member.cumsum(dim=1)
    others = torch.arange(1, member.shape[1] + 1, device=member.device) - reached
    jaccard = 1 - (size - reached) / (size + others)
    steps = torch.diff(jaccard, dim=1, prepend=jaccard.new_zeros(classes, 1))
    return pixels.mean_of_present((errors.gather(1, order) * steps).sum(dim=1))


def _descending(values: Tensor) -> Tensor:
    """Order of every row from the largest down; on a CPU by numpy, which sorts several times as fast."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.argsort(-values.numpy(), axis=1))
    return values.argsort(dim=1, descending=True)


def _index(pixels: Pixels, false_positives: float, false_negatives: float) -> Tensor:
    """Tversky index of every class with these weights of the two kinds of error."""
    shared = (pixels.probabilities * pixels.hot).sum(dim=1)
    extra = pixels.probabilities.sum(dim=1) - shared
    missed = pixels.hot.sum(dim=1) - shared
    return (shared + SMOOTH) / (shared + false_positives * extra + false_negatives * missed + SMOOTH)
