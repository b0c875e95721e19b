"""Losses over the labelled pixels of a batch, in float32 whatever precision the network ran in.

Pixel losses are a mean over the labelled pixels; region losses compare the overlap of each class over the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..contract import IGNORE, LOSSES, GeoSegError
from .transfer import sent

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits (batch, classes, rows, cols) and labels uint8 (batch, rows, cols); returns a scalar."""

FOCUS = 2.0
SMALLEST = 1e-6
SMOOTH = 1.0
FALSE_POSITIVES, FALSE_NEGATIVES = 0.3, 0.7
NEGATIVE_WEIGHT = 0.1
BALANCE, RARE_WEIGHT, UNIFIED_FOCUS = 0.5, 0.6, 0.5


@dataclass(frozen=True)
class Pixels:
    """The input of a loss. Pixels are the last axis, so that a class is contiguous in memory.

    Attributes:
        logits: (classes, pixels), float32 or float64.
        truth: class ids (pixels), int64; 0 where `known` is 0.
        known: 1 where a pixel counts, 0 where it is IGNORE; as `logits` in type.
        weights: of the classes.
        common: class that is background in the losses that separate it from the others.
    """

    logits: Tensor
    truth: Tensor
    known: Tensor
    weights: Tensor
    common: int = 0

    @classmethod
    def of(
        cls, logits: Tensor, labels: Tensor, weights: Tensor, common: int = 0, compact: bool | None = None
    ) -> Pixels:
        """Return the pixels of a batch.

        Args:
            logits: (batch, classes, rows, cols) of any floating type; half precision becomes float32.
            labels: uint8 (batch, rows, cols), IGNORE where unlabelled.
            weights: of the classes.
            common: index of the background class.
            compact: whether ignored pixels are left out, which saves work but makes a GPU wait; None does it on a CPU.
        """
        values = logits.transpose(0, 1).flatten(1)
        values = values if values.dtype == torch.float64 else values.float()
        flat = labels.flatten()
        counts = flat != IGNORE
        if compact is None:
            compact = logits.device.type == "cpu"
        if compact:
            chosen = counts.nonzero()[:, 0]
            if len(chosen) < len(flat):
                values, flat, counts = values[:, chosen], flat[chosen], counts[chosen]
        truth = flat.long().masked_fill(~counts, 0)
        return cls(values, truth, counts.to(values.dtype), weights.to(values.dtype).to(values.device), common)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """Logarithms of the softmax (classes, pixels)."""
        return self.logits.log_softmax(dim=0)

    @cached_property
    def probabilities(self) -> Tensor:
        """Softmax (classes, pixels), 0 where the pixel does not count."""
        return self.log_probabilities.exp() * self.known

    @cached_property
    def one_hot(self) -> Tensor:
        """1 for the true class of a pixel that counts (classes, pixels)."""
        ids = torch.arange(len(self.logits), device=self.truth.device)[:, None]
        return (self.truth == ids) * self.known

    @cached_property
    def present(self) -> Tensor:
        """1 for classes that have a pixel in the batch, 0 for others."""
        return (self.one_hot.sum(dim=1) > 0).to(self.logits.dtype)

    @cached_property
    def log_loss(self) -> Tensor:
        """Negative logarithm of the true class's probability (pixels)."""
        return functional.nll_loss(self.log_probabilities.T, self.truth, reduction="none")

    def mean(self, costs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the mean of a cost over the pixels that count; 0 where none counts.

        Args:
            costs: (pixels).
            weights: per class (classes), applied by the true class; None weighs all alike.
        """
        share = self.known if weights is None else weights[self.truth] * self.known
        return (costs * share).sum() / share.sum().clamp_min(SMALLEST)

    def mean_of_present(self, costs: Tensor) -> Tensor:
        """Return the mean of costs (classes) over the classes that have a pixel in the batch; 0 where none has."""
        return (costs * self.present).sum() / self.present.sum().clamp_min(1.0)


def cross_entropy(pixels: Pixels) -> Tensor:
    """Return the mean of -log p of the true class, weighted by class."""
    return pixels.mean(pixels.log_loss, pixels.weights)


def binary_cross_entropy(pixels: Pixels) -> Tensor:
    """Return the cross-entropy of every class against the rest.

    Sigmoids of the logits are compared one by one; mean over the classes, weighted by true class.
    """
    costs = functional.binary_cross_entropy_with_logits(pixels.logits, pixels.one_hot, reduction="none")
    return pixels.mean(costs.mean(dim=0), pixels.weights)


def focal(pixels: Pixels) -> Tensor:
    """Return the mean of -(1 - p)^2 log p of the true class, weighted by class (Lin et al. 2017, arXiv:1708.02002)."""
    error = 1 - (-pixels.log_loss).exp()
    return pixels.mean(error**FOCUS * pixels.log_loss, pixels.weights)


def dice(pixels: Pixels) -> Tensor:
    """Return 1 - soft Dice, mean of the classes present (Milletari et al. 2016, arXiv:1606.04797)."""
    shared = (pixels.probabilities * pixels.one_hot).sum(dim=1)
    sizes = pixels.probabilities.sum(dim=1) + pixels.one_hot.sum(dim=1)
    return pixels.mean_of_present(1 - (2 * shared + SMOOTH) / (sizes + SMOOTH))


def dice_wang(pixels: Pixels) -> Tensor:
    """Return a weighted soft Dice loss that learns from negative pixels too.

    With g 1 for pixels of the class and 0 for others, w = v where g = 0 and 1 - v where g = 1 (v =
    NEGATIVE_WEIGHT), q = w (2p - 1) and t = w (2g - 1): 1 - (2 sum(q t) + s) / (sum(q² + t²) + s),
    from 0 to 2. Mean of all classes: for one without a pixel in the batch all pixels are negative. Source: Wang et al.
    2020, doi:10.1109/ACCESS.2020.3020475.
    """
    one_hot = pixels.one_hot
    weight = (one_hot * (1 - 2 * NEGATIVE_WEIGHT) + NEGATIVE_WEIGHT) * pixels.known
    guess, truth = weight * (2 * pixels.probabilities - 1), weight * (2 * one_hot - 1)
    shared = (guess * truth).sum(dim=1)
    sizes = (guess**2 + truth**2).sum(dim=1)
    return (1 - (2 * shared + SMOOTH) / (sizes + SMOOTH)).mean()


def tversky(pixels: Pixels) -> Tensor:
    """Return 1 - Tversky index, mean of the classes present; misses weigh more than false alarms.

    Source: Salehi et al. 2017, arXiv:1706.05721, with its 0.3 for false positives and 0.7 for false negatives.
    """
    return pixels.mean_of_present(1 - _index(pixels, FALSE_POSITIVES, FALSE_NEGATIVES))


def unified_focal(pixels: Pixels, asymmetric: bool = False) -> Tensor:
    """Return the unified focal loss: half modified focal loss, half modified focal Tversky loss.

    With p of the true class, d = RARE_WEIGHT and g = UNIFIED_FOCUS: half of the mean of k (1 - p)^g (-log p), k = d
    for the rarer classes and 1 - d for the common one, and half of the mean of (1 - T)^(1 - g) over the classes
    present, T the Tversky index with d for false negatives. Class weights are not used: d replaces them. Source: Yeung
    et al. 2022, arXiv:2102.04525.

    Args:
        pixels: labelled pixels of a batch.
        asymmetric: leave out the first power for the rarer classes and the second for the common one.
    """
    rare = pixels.truth != pixels.common
    error = (1 - (-pixels.log_loss).exp()).clamp_min(SMALLEST) ** UNIFIED_FOCUS
    if asymmetric:
        error = error.masked_fill(rare, 1.0)
    factor = (1 - RARE_WEIGHT) + (2 * RARE_WEIGHT - 1) * rare.to(error.dtype)
    focal = pixels.mean(factor * error * pixels.log_loss)

    distance = 1 - _index(pixels, 1 - RARE_WEIGHT, RARE_WEIGHT)
    powered = distance.clamp_min(SMALLEST) ** (1 - UNIFIED_FOCUS)
    if asymmetric:
        ids = torch.arange(len(distance), device=distance.device)
        powered = torch.where(ids == pixels.common, distance, powered)
    return BALANCE * focal + (1 - BALANCE) * pixels.mean_of_present(powered)


def unified_focal_asymmetric(pixels: Pixels) -> Tensor:
    """Return `unified_focal` without damping easy pixels of the rarer classes."""
    return unified_focal(pixels, asymmetric=True)


def lovasz(pixels: Pixels) -> Tensor:
    """Return the Lovász-softmax loss: a surrogate of 1 - mean IoU of the classes present.

    Errors are sorted in descending order; each is weighted by what a further wrong pixel adds to the Jaccard loss.
    Pixels that do not count have error 0 and so no weight. Two classes have the same errors, which are sorted once.
    Source: Berman et al. 2018, arXiv:1705.08790.
    """
    classes = len(pixels.logits)
    errors = (pixels.one_hot - pixels.probabilities).abs()
    distinct = errors[: 1 if classes == 2 else classes]
    order = _descending(distinct.detach()).expand(classes, -1)
    member = pixels.one_hot.gather(1, order)
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
    shared = (pixels.probabilities * pixels.one_hot).sum(dim=1)
    extra = pixels.probabilities.sum(dim=1) - shared
    missed = pixels.one_hot.sum(dim=1) - shared
    return (shared + SMOOTH) / (shared + false_positives * extra + false_negatives * missed + SMOOTH)


TERMS: dict[str, Callable[[Pixels], Tensor]] = {
    "ce": cross_entropy,
    "bce": binary_cross_entropy,
    "dice": dice,
    "dice_wang": dice_wang,
    "focal": focal,
    "tversky": tversky,
    "unified_focal": unified_focal,
    "unified_focal_asymmetric": unified_focal_asymmetric,
    "lovasz": lovasz,
}
"""Function of each of contract.LOSSES."""


def loss_of(name: str, class_weights: Sequence[float], common: int = 0) -> Loss:
    """Return the loss function of a job. A batch without labels has loss 0 and gradient 0.

    Args:
        name: of contract.LOSSES, joined by `+`: their sum.
        class_weights: per class; used by `ce`, `bce` and `focal`.
        common: class that the unified focal losses treat as background: the most frequent one.

    Raises:
        GeoSegError: `loss` for a name that is unknown.
    """
    unknown = [part for part in name.split("+") if part not in TERMS]
    if unknown:
        raise GeoSegError("loss", f"Unknown loss '{unknown[0]}'.", f"Choose from: {', '.join(LOSSES)}.")
    terms = [TERMS[part] for part in name.split("+")]
    numbers = np.array(class_weights, np.float64)
    held: dict[tuple[torch.device, torch.dtype], Tensor] = {}  # sent to a device once, not at every step

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        kind = logits.device, torch.float64 if logits.dtype == torch.float64 else torch.float32
        weights = held[kind] if kind in held else held.setdefault(kind, sent(numbers, *kind))
        with torch.autocast(logits.device.type, enabled=False):
            pixels = Pixels.of(logits, labels, weights, common)
            total = pixels.logits.sum() * 0.0
            for term in terms:
                total = total + term(pixels)
            return total

    return loss
