"""DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611) on a ResNet of our own.

Differs from the paper in two points. There is no image pooling branch: it takes the mean of the whole image, so its
result would depend on the window. And the atrous rates are 2, 4, 6 instead of 6, 12, 18: at 1/16 of the size, crops of
128 to 256 pixels have 8 to 16 left, and wider rates would see nothing but padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..raster.grid import round_up
from .blocks import convolved, initialise
from .resnet import DEPTHS, ResNet

LOW = 48
"""Channels that the fine features are reduced to, as in the paper."""


class DeepLabV3Plus(nn.Module):
    """ResNet, parallel atrous convolutions, and a decoder that sees the fine features again.

    Args:
        bands, classes: input and output channels.
        encoder: `resnet18` or `resnet50`.
        dropout: of whole channels before the decoder.
        rates: dilations of the parallel convolutions, in pixels of 1/16 of the size.

    Attributes:
        reach_px, align_px, tile_exact: see `models.Traits`.
    """

    tile_exact, align_px = True, 16

    def __init__(
        self,
        bands: int,
        classes: int,
        encoder: str = "resnet18",
        dropout: float = 0.1,
        rates: Sequence[int] = (2, 4, 6),
    ) -> None:
        super().__init__()
        if encoder not in DEPTHS:
            raise ValueError(f"unknown encoder {encoder!r}: {', '.join(DEPTHS)}")
        self.encoder = ResNet(encoder, bands)
        inner = min(256, self.encoder.high // 4)
        self.scales = nn.ModuleList(
            nn.Sequential(
                *convolved(self.encoder.high, inner, 3 if rate else 1, rate or 1), nn.ReLU(inplace=True)
            )
            for rate in (0, *rates)
        )
        self.project = nn.Sequential(
            *convolved(inner * (1 + len(rates)), inner, 1), nn.ReLU(inplace=True), nn.Dropout2d(dropout)
        )
        self.fine = nn.Sequential(*convolved(self.encoder.low, LOW, 1), nn.ReLU(inplace=True))
        self.decoder = nn.Sequential(
            *convolved(inner + LOW, inner),
            nn.ReLU(inplace=True),
            *convolved(inner, inner),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(inner, classes, 1)
        self.reach_px = round_up(_reach(self.encoder.layer_reach, max(rates, default=0)), self.align_px)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) of z-scores; rows and columns are multiples of 16."""
        low, high = self.encoder(image)
        scales = torch.cat([scale(high) for scale in self.scales], dim=1)
        both = torch.cat([upsample(self.project(scales)), self.fine(low)], dim=1)
        return upsample(self.head(self.decoder(both)))


def upsample(features: Tensor) -> Tensor:
    """Return four times the rows and columns, linearly between the two nearest pixels."""
    return nn.functional.interpolate(features, scale_factor=4.0, mode="bilinear", align_corners=False)


def _reach(layer_reach: Sequence[tuple[int, int]], rate: int) -> int:
    """Follow the first pixel of an aligned window back to the image, as `blocks.pyramid_reach` does."""
    first = _before(0) - 2
    first = _before(first) - rate
    for stride, reach in reversed(layer_reach):
        first = stride * first - reach
    return -first


def _before(first: int) -> int:
    """The first pixel that linear upsampling by 4 reads for pixel `first`."""
    return math.floor((first + 0.5) / 4 - 0.5)
