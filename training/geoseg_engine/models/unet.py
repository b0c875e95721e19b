"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597), same-padded and normalised.

With batch normalisation every layer depends on a bounded neighbourhood only, so prediction by windows can be exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import double, dropouts, initialise, pyramid_reach, widths


class UNet(nn.Module):
    """Encoder and decoder with skip connections.

    Args:
        bands: input channels.
        classes: output channels (logits).
        width: channels of the first level; doubled at every level below, at most 512.
        levels: downsamplings.
        dropout: probability with which whole channels of the two deepest blocks are zeroed in training.
        norm: `batch`, `group` or `instance`; only with `batch` are windows exact.

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
        self.align_px = 2**levels
        self.reach_px = reach(levels)
        self.tile_exact = norm == "batch"
        channels, drop = widths(width, levels), dropouts(dropout, levels)
        inputs = [bands, *channels[:-1]]
        self.encoder = nn.ModuleList(
            double(inputs[level], channels[level], drop[level], norm) for level in range(levels + 1)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(channels[level + 1], channels[level], 2, stride=2) for level in range(levels)
        )
        self.decoder = nn.ModuleList(
            double(2 * channels[level], channels[level], norm=norm) for level in range(levels)
        )
        self.head = nn.Conv2d(channels[0], classes, 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, classes, rows, cols) of z-scores (batch, bands, rows, cols).

        Rows and columns must be multiples of `align_px`.
        """
        skips = []
        features = image
        for level, encode in enumerate(self.encoder):
            if level:
                features = nn.functional.max_pool2d(features, 2)
            features = encode(features)
            skips.append(features)
        for level in reversed(range(len(self.up))):
            features = self.decoder[level](torch.cat([self.up[level](features), skips[level]], dim=1))
        logits: Tensor = self.head(features)
        return logits


def reach(levels: int) -> int:
    """Return the reach in pixels of a U-Net with a number of levels, whose blocks are two 3×3 convolutions."""
    return pyramid_reach([2] * (levels + 1))
