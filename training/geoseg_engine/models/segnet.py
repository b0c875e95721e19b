"""SegNet (Badrinarayanan et al. 2017, arXiv:1511.00561): the decoder puts values back where the encoder's maxima were.

The paper keeps the index of each maximum. An index jumps when two values swap by rounding, and then ONNX Runtime and
PyTorch, or two windows of a raster, differ by a whole feature. So a maximum is put back here by how close a value is to
it: 1 at the maximum, falling to 0 at TIE below. Values that differ by more than TIE, nearly all, are treated as in the
paper.
"""

from __future__ import annotations

from torch import Tensor, nn

from .blocks import double, dropouts, initialise, pyramid_reach, widths

TIE = 0.02
"""Values closer than this to a maximum, in units of normalised features, share its place."""


class SegNet(nn.Module):
    """Encoder and decoder, joined by the positions of the maxima only; arguments as of `UNet`.

    Every level has two convolutions each way (the paper's VGG-16 has up to three).

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
        self.reach_px = pyramid_reach([2] * levels + [0])
        self.tile_exact = norm == "batch"
        channels, drop = widths(width, levels - 1), dropouts(dropout, levels - 1)
        inputs = [bands, *channels[:-1]]
        outputs = [channels[0], *channels[:-1]]
        self.encoder = nn.ModuleList(
            double(inputs[level], channels[level], drop[level], norm) for level in range(levels)
        )
        self.decoder = nn.ModuleList(
            double(channels[level], outputs[level], norm=norm) for level in range(levels)
        )
        self.head = nn.Conv2d(channels[0], classes, 1)
        initialise(self)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (batch, classes, rows, cols) of z-scores; rows and columns are multiples of `align_px`."""
        places = []
        features = image
        for encode in self.encoder:
            features = encode(features)
            pooled = nn.functional.max_pool2d(features, 2)
            places.append(maxima(features, pooled))
            features = pooled
        for level in reversed(range(len(self.decoder))):
            features = self.decoder[level](upsample(features) * places[level])
        logits: Tensor = self.head(features)
        return logits


def maxima(features: Tensor, pooled: Tensor) -> Tensor:
    """Return where the maxima of 2×2 pixels are, without gradient.

    Args:
        features: (batch, channels, rows, cols).
        pooled: their maxima (batch, channels, rows / 2, cols / 2).

    Returns:
        (batch, channels, rows, cols), 1 at a maximum, falling to 0 where a value is TIE or more below it.
    """
    places: Tensor = (1 - (upsample(pooled) - features) / TIE).clamp(0, 1).detach()
    return places


def upsample(features: Tensor) -> Tensor:
    """Return every pixel twice in rows and columns."""
    return nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
