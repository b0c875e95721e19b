"""Losses over the labelled pixels of a batch, in float32 whatever the network ran in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..contract import LOSSES, GeoSegError
from .losses_pixels import Pixels, binary_cross_entropy, cross_entropy, focal
from .losses_regions import dice, dice_wang, lovasz, tversky, unified_focal, unified_focal_asymmetric

Loss = Callable[[Tensor, Tensor], Tensor]
"""Takes logits (batch, classes, rows, cols) and labels uint8 (batch, rows, cols); returns a scalar."""

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
"""What computes each of contract.LOSSES."""


def loss_of(name: str, class_weights: Sequence[float], common: int = 0) -> Loss:
    """The loss of a job. A batch without labels costs 0 and has gradient 0.

    Args:
        name: of contract.LOSSES, joined by `+`: their sum.
        class_weights: one a class; used by `ce`, `bce` and `focal`.
        common: class that the unified focal losses take as background: the most frequent one.

    Raises:
        GeoSegError: `loss` for a name that is unknown.
    """
    unknown = [part for part in name.split("+") if part not in TERMS]
    if unknown:
        raise GeoSegError("loss", f"Unknown loss '{unknown[0]}'.", f"Choose from: {', '.join(LOSSES)}.")
    terms = [TERMS[part] for part in name.split("+")]
    weights = torch.tensor(class_weights, dtype=torch.float64)

    def loss(logits: Tensor, labels: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            pixels = Pixels.of(logits, labels, weights, common)
            total = pixels.logits.sum() * 0.0
            for term in terms:
                total = total + term(pixels)
            return total

    return loss
