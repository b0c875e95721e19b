"""Several networks that answer together: the mean of their probabilities (Lakshminarayanan et al. 2017,
arXiv:1612.01474), as one network in one model file. Used for the folds of a cross-validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Networks of the same bands and classes.

    Attributes:
        reach_px: the widest of the members', rounded up to `align_px`.
        align_px: the least that suits all members.
        tile_exact: whether all members are.
        log_softmax: over the classes of (batch, classes, rows, cols).
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.align_px = math.lcm(*(int(member.align_px) for member in members))  # type: ignore[arg-type]
        widest = max(int(member.reach_px) for member in members)  # type: ignore[arg-type]
        self.reach_px = -(-widest // self.align_px) * self.align_px
        self.tile_exact = all(bool(member.tile_exact) for member in members)
        self.log_softmax: Callable[[Tensor], Tensor] = partial(torch.log_softmax, dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logarithm of the mean probability (batch, classes, rows, cols), at least in float32."""
        parts = []
        for member in self.members:
            logits = member(image)
            parts.append(self.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32))))
        return torch.logsumexp(torch.stack(parts), dim=0) - math.log(len(parts))
