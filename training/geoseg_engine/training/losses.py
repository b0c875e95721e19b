"""Losses over the labelled pixels of a batch, in float32 whatever the network ran in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ..contract import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits (batch, classes, rows, cols) and labels uint8 (batch, rows, cols); returns a scalar."""


def loss_of(name: str, class_weights: Sequence[float]) -> Loss:
    """The loss of a job: `ce`, `ce+dice` or `ce+lovasz`. A batch without labels costs 0 and has gradient 0."""
    terms: list[Callable[[Tensor, Tensor], Tensor]] = []
    if name == "ce+dice":
        terms.append(dice)
    if name == "ce+lovasz":
        terms.append(lovasz_softmax)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            flat, truth = labelled(logits.float(), labels)
            if not truth.numel():
                return logits.float().sum() * 0.0
            weights = torch.tensor(class_weights, dtype=torch.float32, device=flat.device)
            total = cross_entropy(flat, truth, weights)
            if terms:
                probabilities = flat.softmax(dim=1)
                for term in terms:
                    total = total + term(probabilities, truth)
            return total

    return loss


def class_weights(counts: Sequence[int]) -> list[float]:
    """Square root of the inverse frequency, scaled so that the mean over pixels is 1; 0 for an absent class."""
    total = sum(counts)
    raw = [(total / count) ** 0.5 if count else 0.0 for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / max(total, 1)
    return [weight / mean if mean else 1.0 for weight in raw]


def labelled(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (pixels, classes) and class ids (pixels) of the pixels that are not IGNORE."""
    known = labels != IGNORE
    return logits.permute(0, 2, 3, 1)[known], labels[known].long()


def cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of the negative log likelihood; divided by the clamped sum of weights."""
    cost = functional.cross_entropy(logits, truth, weight=weights, reduction="sum")
    return cost / weights[truth].sum().clamp_min(1e-6)


def dice(probabilities: Tensor, truth: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice over the batch, mean of the classes present (Milletari et al. 2016, arXiv:1606.04797)."""
    hot = functional.one_hot(truth, probabilities.shape[1]).to(probabilities.dtype)
    shared = (probabilities * hot).sum(dim=0)
    sizes = probabilities.sum(dim=0) + hot.sum(dim=0)
    scores = (2 * shared + smooth) / (sizes + smooth)
    return 1 - scores[hot.sum(dim=0) > 0].mean()


def lovasz_softmax(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Surrogate of 1 - mean IoU of the classes present (Berman et al. 2018, arXiv:1705.08790).

    Errors are sorted from the largest down; each is weighted by what getting that pixel wrong too adds to
    the Jaccard loss.
    """
    costs = []
    for index in range(probabilities.shape[1]):
        member = (truth == index).float()
        size = member.sum()
        if size == 0:
            continue
        errors = (member - probabilities[:, index]).abs()
        errors, order = errors.sort(descending=True)
        member = member[order]
        missed = member.cumsum(0)
        added = (1 - member).cumsum(0)
        jaccard = 1 - (size - missed) / (size + added)
        steps = torch.diff(jaccard, prepend=jaccard.new_zeros(1))
        costs.append(torch.dot(errors, steps))
    return torch.stack(costs).mean()
