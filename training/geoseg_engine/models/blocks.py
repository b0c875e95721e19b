"""Pieces that several networks are made of, and the reach of a pyramid of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from ..raster.grid import up_to

GROUPS = 8
WIDEST = 512


def normalisation(kind: str, channels: int) -> nn.Module:
    """`batch` (Ioffe & Szegedy 2015), `group` (Wu & He 2018) or `instance` (Ulyanov et al. 2016).

    Only batch normalisation is the same for every window once training is over.
    """
    if kind == "group":
        return nn.GroupNorm(math.gcd(GROUPS, channels), channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    raise ValueError(f"unknown normalisation {kind!r}: batch, group or instance")


def convolved(
    inputs: int, outputs: int, size: int = 3, dilation: int = 1, norm: str = "batch"
) -> list[nn.Module]:
    """A same-padded convolution (`size` odd) and its normalisation, to stand in a Sequential."""
    padding = dilation * (size // 2)
    return [
        nn.Conv2d(inputs, outputs, size, padding=padding, dilation=dilation),
        normalisation(norm, outputs),
    ]


def double(inputs: int, outputs: int, dropout: float = 0.0, norm: str = "batch") -> nn.Sequential:
    """Two 3×3 convolutions, each with normalisation and ReLU; then dropout of whole channels."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [*convolved(channels, outputs, norm=norm), nn.ReLU(inplace=True)]
    if dropout > 0:
        layers.append(nn.Dropout2d(dropout))
    return nn.Sequential(*layers)


def widths(width: int, levels: int) -> list[int]:
    """Channels of every level: doubled from one to the next, at most WIDEST."""
    return [min(width * 2**level, max(WIDEST, width)) for level in range(levels + 1)]


def dropouts(dropout: float, levels: int) -> list[float]:
    """Dropout of every level: only the two deepest have any, the first none."""
    return [dropout if level >= max(levels - 1, 1) else 0.0 for level in range(levels + 1)]


def initialise(network: nn.Module) -> None:
    """Draw the weights of all convolutions for ReLU (He et al. 2015, arXiv:1502.01852); biases begin at zero.

    Weights without memory, on the device `meta`, are left alone: drawing them loads torch's compiler, a second or more.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def pyramid_reach(blocks: Sequence[int]) -> int:
    """How many pixels beyond an aligned window its output depends on, rounded up to a multiple of the alignment.

    Follows the first pixel of a window down the decoder and up the encoder: a block looks `blocks[level]` pixels
    further, on the way down and up, an upsampling by 2 at the parent, a downsampling by 2 at the children.

    Args:
        blocks: pixels that the block of each level looks to every side, of that level's size; the deepest, which
            is passed once, is last.
    """
    *upper, deepest = blocks
    first = 0
    for look in upper:
        first = (first - look) // 2
    first -= deepest
    for look in reversed(upper):
        first = 2 * first - look
    return up_to(-first, 2 ** len(upper))
