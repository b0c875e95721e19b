"""The labelled pixels of a batch, and the losses that are a mean over them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from ..contract import IGNORE

FOCUS = 2.0
SMALLEST = 1e-6


@dataclass(frozen=True)
class Pixels:
    """What a loss is computed from. Pixels come last, so that a class is one run of memory.

    Attributes:
        logits: (classes, pixels), float32 or float64.
        truth: class ids (pixels), int64; 0 where `known` is 0.
        known: 1 where a pixel counts, 0 where it is IGNORE; as `logits` in type.
        weights: of the classes.
        common: class that is background in the losses that tell it from the others.
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
        """Pixels of a batch.

        Args:
            logits: (batch, classes, rows, cols) of any floating type; half precision becomes float32.
            labels: uint8 (batch, rows, cols).
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
        return cls(values, truth, counts.to(values.dtype), weights.to(values), common)

    @cached_property
    def log_probabilities(self) -> Tensor:
        """Logarithms of the softmax (classes, pixels)."""
        return self.logits.log_softmax(dim=0)

    @cached_property
    def probabilities(self) -> Tensor:
        """Softmax (classes, pixels), 0 where the pixel does not count."""
        return self.log_probabilities.exp() * self.known

    @cached_property
    def hot(self) -> Tensor:
        """1 for the true class of a pixel that counts (classes, pixels)."""
        ids = torch.arange(len(self.logits), device=self.truth.device)[:, None]
        return (self.truth == ids) * self.known

    @cached_property
    def present(self) -> Tensor:
        """1 for classes that have a pixel in the batch, 0 for others."""
        return (self.hot.sum(dim=1) > 0).to(self.logits.dtype)

    @cached_property
    def surprise(self) -> Tensor:
        """Negative logarithm of the true class's probability (pixels)."""
        return functional.nll_loss(self.log_probabilities.T, self.truth, reduction="none")

    def mean(self, costs: Tensor, weights: Tensor | None = None) -> Tensor:
        """Mean of costs (pixels), weighted by the true class; 0 where no pixel counts."""
        share = self.known if weights is None else weights[self.truth] * self.known
        return (costs * share).sum() / share.sum().clamp_min(SMALLEST)

    def mean_of_present(self, costs: Tensor) -> Tensor:
        """Mean of costs (classes) over the classes that have a pixel in the batch; 0 where none has."""
        return (costs * self.present).sum() / self.present.sum().clamp_min(1.0)


def cross_entropy(pixels: Pixels) -> Tensor:
    """Mean of -log p of the true class, weighted by class."""
    return pixels.mean(pixels.surprise, pixels.weights)


def binary_cross_entropy(pixels: Pixels) -> Tensor:
    """One class against the rest: the logits' sigmoids judged one by one; mean over classes, weighted by true class."""
    costs = functional.binary_cross_entropy_with_logits(pixels.logits, pixels.hot, reduction="none")
    return pixels.mean(costs.mean(dim=0), pixels.weights)


def focal(pixels: Pixels) -> Tensor:
    """Mean of -(1 - p)^2 log p of the true class, weighted by class (Lin et al. 2017, arXiv:1708.02002)."""
    doubt = 1 - (-pixels.surprise).exp()
    return pixels.mean(doubt**FOCUS * pixels.surprise, pixels.weights)
