"""Patch-to-pixel CNN: a small network that classifies the pixel in the middle of a patch, computed for all at once.

Classifiers of this kind cut a patch around every pixel and repeat nearly the same work for each. Here the image is
padded once, and poolings keep every pixel while what follows is dilated: the à-trous algorithm of Holschneider et al.
1989, for dense outputs Giusti et al. 2013 (arXiv:1302.1700) and Sermanet et al. 2014 (arXiv:1312.6229). The result is
that of the patches, at the cost of one pass per pixel.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import initialise, normalisation, widths

LAST = 3
"""Side of a patch's features before the dense layer."""


class PatchCNN(nn.Module):
    """Levels of two 3×3 convolutions and a pooling of 3×3 by 2, then a dense layer, all without padding.

    Outside the image a patch holds zeros, the mean of every band.

    Args:
        bands, classes: input and output channels.
        width: channels of the first level, doubled at every further one.
        levels: poolings; a patch has 11, 27, 59 … pixels a side.
        dropout: of the dense layer, 0..1.

    Attributes:
        patch_px: side of the patch that decides a pixel's class.
        reach_px, align_px, tile_exact: see `models.Traits`.
    """

    tile_exact, align_px = True, 1

    def __init__(
        self, bands: int, classes: int, width: int = 32, levels: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        channels = widths(width, levels)
        layers: list[nn.Module] = []
        inputs, step = bands, 1
        for outputs in channels[:levels]:
            for channel in (inputs, outputs):
                layers += _valid_convolution(channel, outputs, 3, step)
            layers.append(nn.MaxPool2d(3, stride=1, dilation=step))
            inputs, step = outputs, 2 * step
        self.encoder = nn.Sequential(*layers)
        dense = _valid_convolution(inputs, channels[levels], LAST, step)
        self.dense = nn.Sequential(*dense, nn.Dropout(dropout))
        self.head = nn.Conv2d(channels[levels], classes, 1)
        self.patch_px = patch_px(levels)
        self.reach_px = self.patch_px // 2
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, classes, rows, cols) of z-scores (batch, bands, rows, cols) of any size."""
        return self.patches(nn.functional.pad(image, [self.reach_px] * 4))

    def patches(self, image: Tensor) -> Tensor:
        """Return logits of the pixels that have a whole patch; `reach_px` fewer on every side."""
        logits: Tensor = self.head(self.dense(self.encoder(image)))
        return logits


def patch_px(levels: int) -> int:
    """Return the side of the patch of a number of levels: a pooling leaves (n - 1) / 2, two convolutions n - 4."""
    side = LAST
    for _ in range(levels):
        side = 2 * side + 1 + 4
    return side


def _valid_convolution(inputs: int, outputs: int, size: int, dilation: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, size, dilation=dilation),
        normalisation("batch", outputs),
        nn.ReLU(inplace=True),
    ]
