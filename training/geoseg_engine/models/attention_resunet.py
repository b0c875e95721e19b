"""Attention Res-UNet: residual blocks (Zhang et al. 2018, arXiv:1711.10684) in a U-Net whose skip connections pass
attention gates (Oktay et al. 2018, arXiv:1804.03999).

Differs from the papers in two points: blocks normalise after the convolution, so that prediction can fold the
normalisation into it; and a gate works at the size of the skip connection, not of the level below.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import convolved, dropouts, initialise, pyramid_reach, widths


class Residual(nn.Module):
    """Two 3×3 convolutions beside a 1×1 shortcut."""

    def __init__(self, inputs: int, outputs: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolved(inputs, outputs, norm=norm),
            nn.ReLU(inplace=True),
            *convolved(outputs, outputs, norm=norm),
        )
        self.shortcut = nn.Sequential(*convolved(inputs, outputs, 1, norm=norm))
        self.drop = nn.Dropout2d(dropout) if dropout > 0 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, inputs, rows, cols) -> (batch, outputs, rows, cols)."""
        result: Tensor = self.drop(torch.relu(self.body(features) + self.shortcut(features)))
        return result


class Gate(nn.Module):
    """Additive attention: the signal from below decides how much of each pixel of the skip connection passes.

    Only 1×1 convolutions and a sigmoid, no mean over an image: the result does not depend on the window.
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.signal = nn.Sequential(*convolved(channels, inner, 1, norm=norm))
        self.skip = nn.Sequential(*convolved(channels, inner, 1, norm=norm))
        self.weight = nn.Conv2d(inner, 1, 1)

    def forward(self, signal: Tensor, skip: Tensor) -> Tensor:
        """Return the skip connection, weighted.

        Args:
            signal: from the level below (batch, channels, rows, cols).
            skip: of the same shape.

        Returns:
            (batch, channels, rows, cols).
        """
        both = torch.relu(self.signal(signal) + self.skip(skip))
        return skip * torch.sigmoid(self.weight(both))


class AttentionResUNet(nn.Module):
    """U-Net of residual blocks with attention gates; arguments as of `UNet`.

    Attributes:
        reach_px, align_px, tile_exact: see `models.Traits`; as of the U-Net.
    """

    def __init__(
        self,
        bands: int,
        classes: int,
        width: int = 32,
        levels: int = 4,
        dropout: float = 0.1,
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.align_px = 2**levels
        self.reach_px = pyramid_reach([2] * (levels + 1))
        self.tile_exact = norm == "batch"
        channels, drop = widths(width, levels), dropouts(dropout, levels)
        inputs = [bands, *channels[:-1]]
        self.encoder = nn.ModuleList(
            Residual(inputs[level], channels[level], drop[level], norm) for level in range(levels + 1)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(channels[level + 1], channels[level], 2, stride=2) for level in range(levels)
        )
        self.gates = nn.ModuleList(Gate(channels[level], norm) for level in range(levels))
        self.decoder = nn.ModuleList(
            Residual(2 * channels[level], channels[level], 0.0, norm) for level in range(levels)
        )
        self.head = nn.Conv2d(channels[0], classes, 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) of z-scores; rows and columns are multiples of `align_px`."""
        skips = []
        features = image
        for level, encode in enumerate(self.encoder):
            if level:
                features = nn.functional.max_pool2d(features, 2)
            features = encode(features)
            skips.append(features)
        for level in reversed(range(len(self.up))):
            signal = self.up[level](features)
            skip = self.gates[level](signal, skips[level])
            features = self.decoder[level](torch.cat([signal, skip], dim=1))
        logits: Tensor = self.head(features)
        return logits
