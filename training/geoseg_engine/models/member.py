"""A network as part of an ensemble of models with statistics of their own, such as the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Member(nn.Module):
    """A network, the way from the ensemble's scores of the bands to its own, and its calibration.

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
        """What turns the ensemble's scores into the network's (times `scale`, plus `shift`), and their limits."""
        for name, values in (("scale", scale), ("shift", shift), ("low", low), ("high", high)):
            getattr(self, name).copy_(torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1))

    def set_calibration(self, inverse_temperature: float, bias: Sequence[float]) -> None:
        """What logits are multiplied by, and what is then added for each class."""
        self.inverse_temperature.copy_(torch.tensor(inverse_temperature))  # type: ignore[operator]
        self.bias.copy_(torch.tensor(bias).reshape(1, -1, 1, 1))  # type: ignore[operator]

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) whose softmax is the network's calibrated probability."""
        image = image * self.scale + self.shift  # type: ignore[operator]
        image = torch.minimum(torch.maximum(image, self.low), self.high)  # type: ignore[arg-type]
        logits: Tensor = self.network(image)
        return logits * self.inverse_temperature + self.bias  # type: ignore[operator]
