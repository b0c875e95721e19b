"""The U-Net of Ronneberger et al. 2015 (arXiv:1505.04597), same-padded and with batch normalisation.

Everything in it looks only at a bounded neighbourhood, so prediction by windows can be exact.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UNet(nn.Module):
    """Encoder and decoder with skip connections.

    Args:
        bands: input channels.
        classes: output channels (logits).
        width: channels of the first level; doubled at every level below, at most 512.
        levels: downsamplings.
        dropout: probability with which whole channels of the two deepest blocks are zeroed in training.

    Attributes:
        reach_px, align_px, tile_exact: see `models.Traits`.
    """

    def __init__(
        self, bands: int, classes: int, width: int = 32, levels: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.align_px = 2**levels
        self.reach_px = reach(levels)
        self.tile_exact = True
        channels = [min(width * 2**level, max(512, width)) for level in range(levels + 1)]
        inputs = [bands, *channels[:-1]]
        self.encoder = nn.ModuleList(
            block(i, o, dropout if level >= max(levels - 1, 1) else 0.0)
            for level, (i, o) in enumerate(zip(inputs, channels, strict=True))
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(channels[level + 1], channels[level], 2, stride=2) for level in range(levels)
        )
        self.decoder = nn.ModuleList(
            block(2 * channels[level], channels[level], 0.0) for level in range(levels)
        )
        self.head = nn.Conv2d(channels[0], classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) of z-scores (batch, bands, rows, cols).

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


def block(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    """Two 3×3 convolutions, each with batch normalisation and ReLU; then dropout of whole channels."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    if dropout > 0:
        layers.append(nn.Dropout2d(dropout))
    return nn.Sequential(*layers)


def reach(levels: int) -> int:
    """How many pixels beyond an aligned window its output depends on, rounded up to a multiple of 2**levels.

    Follows the first pixel of a window down the decoder and up the encoder: two 3×3 convolutions look one
    pixel further each, a 2×2 transposed convolution looks at the parent, a 2×2 pooling at the children.
    """
    first = 0
    for _ in range(levels):
        first = (first - 2) // 2
    first -= 2
    for _ in range(levels):
        first = 2 * first - 2
    align = 2**levels
    return -(first // align) * align
