"""ResUNet-a, light (Diakogiannis et al. 2020, arXiv:1904.00592): residual blocks of parallel dilated convolutions.

Light means: one head instead of the paper's four, dilations up to 7 instead of 31, and no pyramid scene pooling. That
pooling uses means of the whole image, so its result would depend on the window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import convolved, dropouts, initialise, pyramid_reach, widths

DILATIONS = ((1, 3, 7), (1, 3, 7), (1, 3))
"""Of the levels from the first; deeper ones have no dilation."""


class Parallel(nn.Module):
    """Sum of the input and of branches with several dilations; two 3×3 convolutions in each."""

    def __init__(self, channels: int, dilations: tuple[int, ...], dropout: float, norm: str) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                *convolved(channels, channels, dilation=dilation, norm=norm),
                nn.ReLU(inplace=True),
                *convolved(channels, channels, dilation=dilation, norm=norm),
            )
            for dilation in dilations
        )
        self.drop = nn.Dropout2d(dropout) if dropout > 0 else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels, rows, cols), unchanged in shape."""
        total = features
        for branch in self.branches:
            total = total + branch(features)
        result: Tensor = self.drop(torch.relu(total))
        return result


class ResUNetA(nn.Module):
    """Encoder and decoder of dilated residual blocks; arguments as of `UNet`.

    Downsampling is a 2×2 convolution with stride 2, upsampling repeats pixels.

    Attributes:
        reach_px, align_px, tile_exact: see `models.Traits`.
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
        dilations = [DILATIONS[level] if level < len(DILATIONS) else (1,) for level in range(levels + 1)]
        self.align_px = 2**levels
        self.reach_px = pyramid_reach([2 * max(each) for each in dilations])
        self.tile_exact = norm == "batch"
        channels, drop = widths(width, levels), dropouts(dropout, levels)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels[level - 1], channels[level], 2, stride=2)
                if level
                else nn.Conv2d(bands, channels[0], 1),
                Parallel(channels[level], dilations[level], drop[level], norm),
            )
            for level in range(levels + 1)
        )
        self.combine = nn.ModuleList(
            nn.Sequential(
                *convolved(channels[level + 1] + channels[level], channels[level], 1, norm=norm),
                nn.ReLU(inplace=True),
            )
            for level in range(levels)
        )
        self.decoder = nn.ModuleList(
            Parallel(channels[level], dilations[level], 0.0, norm) for level in range(levels)
        )
        self.head = nn.Conv2d(channels[0], classes, 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) of z-scores; rows and columns are multiples of `align_px`."""
        skips = []
        features = image
        for encode in self.encoder:
            features = encode(features)
            skips.append(features)
        for level in reversed(range(len(self.decoder))):
            upsampled = nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = self.decoder[level](self.combine[level](torch.cat([upsampled, skips[level]], dim=1)))
        logits: Tensor = self.head(features)
        return logits
