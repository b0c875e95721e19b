"""Several networks as one, whose result is the mean of their probabilities (Lakshminarayanan et al. 2017,
arXiv:1612.01474), in one model file. Used for the folds of a cross-validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn


class Member(nn.Module):
    """A network, the conversion from the ensemble's scores of the bands to its own, and its calibration.

    Attributes:
        reach_px, align_px, tile_exact: of the network.
    """

    def __init__(self, network: nn.Module, bands: int, classes: int) -> None:
        super().__init__()
        self.network = network
        self.reach_px, self.align_px = int(network.reach_px), int(network.align_px)  # type: ignore[arg-type]
        self.tile_exact = bool(network.tile_exact)
        for name, value in (("scale", 1.0), ("shift", 0.0), ("low", -torch.inf), ("high", torch.inf)):
            self.register_buffer(name, torch.full((1, bands, 1, 1), value))
        self.register_buffer("inverse_temperature", torch.ones(()))
        self.register_buffer("bias", torch.zeros(1, classes, 1, 1))

    def set_scales(
        self, scale: Sequence[float], shift: Sequence[float], low: Sequence[float], high: Sequence[float]
    ) -> None:
        """Set the conversion of the ensemble's scores into the network's: times `scale`, plus `shift`, clipped.

        Args:
            scale: per band.
            shift: per band.
            low: minimum score per band.
            high: maximum score per band.
        """
        for name, values in (("scale", scale), ("shift", shift), ("low", low), ("high", high)):
            getattr(self, name).copy_(torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1))

    def set_calibration(self, inverse_temperature: float, bias: Sequence[float]) -> None:
        """Set the calibration of the network.

        Args:
            inverse_temperature: factor of the logits.
            bias: added per class.
        """
        self.inverse_temperature.copy_(torch.tensor(inverse_temperature))  # type: ignore[operator]
        self.bias.copy_(torch.tensor(bias).reshape(1, -1, 1, 1))  # type: ignore[operator]

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, classes, rows, cols) whose softmax is the network's calibrated probability."""
        image = image * self.scale + self.shift  # type: ignore[operator]
        image = torch.minimum(torch.maximum(image, self.low), self.high)  # type: ignore[arg-type]
        logits: Tensor = self.network(image)
        return logits * self.inverse_temperature + self.bias  # type: ignore[operator]


class Ensemble(nn.Module):
    """Networks of the same bands and classes.

    Attributes:
        reach_px: the widest of the members', rounded up to `align_px`.
        align_px: the smallest that fits all members.
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
        """Return the logarithm of the mean probability (batch, classes, rows, cols), in float32 or better."""
        parts = []
        for member in self.members:
            logits = member(image)
            parts.append(self.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32))))
        return torch.logsumexp(torch.stack(parts), dim=0) - math.log(len(parts))
