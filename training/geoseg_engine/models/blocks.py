"""Building blocks that several networks share, and the reach of a pyramid of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from ..raster.grid import round_up

GROUPS = 8
WIDEST = 512


def normalisation(kind: str, channels: int) -> nn.Module:
    """Return a normalisation layer.

    Only batch normalisation is the same for every window once training is over.

    Args:
        kind: `batch` (Ioffe & Szegedy 2015), `group` (Wu & He 2018) or `instance` (Ulyanov et al. 2016).
        channels: number of channels.

    Raises:
        ValueError: for another kind.
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
    """Return a same-padded convolution and its normalisation, for a Sequential.

    Args:
        inputs: input channels.
        outputs: output channels.
        size: side of the kernel, odd.
        dilation: distance of the kernel's pixels.
        norm: `batch`, `group` or `instance`.
    """
    padding = dilation * (size // 2)
    return [
        nn.Conv2d(inputs, outputs, size, padding=padding, dilation=dilation),
        normalisation(norm, outputs),
    ]


def double(inputs: int, outputs: int, dropout: float = 0.0, norm: str = "batch") -> nn.Sequential:
    """Return two 3×3 convolutions, each with normalisation and ReLU, then dropout of whole channels.

    Args:
        inputs: input channels.
        outputs: output channels.
        dropout: probability, 0..1.
        norm: `batch`, `group` or `instance`.
    """
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [*convolved(channels, outputs, norm=norm), nn.ReLU(inplace=True)]
    if dropout > 0:
        layers.append(nn.Dropout2d(dropout))
    return nn.Sequential(*layers)


def widths(width: int, levels: int) -> list[int]:
    """Return the channels per level: doubled from one to the next, at most WIDEST.

    Args:
        width: channels of the first level.
        levels: downsamplings.

    Returns:
        `levels` + 1 numbers.
    """
    return [min(width * 2**level, max(WIDEST, width)) for level in range(levels + 1)]


def dropouts(dropout: float, levels: int) -> list[float]:
    """Return the dropout per level: only the two deepest have any, the first none.

    Args:
        dropout: probability, 0..1.
        levels: downsamplings.

    Returns:
        `levels` + 1 numbers.
    """
    return [dropout if level >= max(levels - 1, 1) else 0.0 for level in range(levels + 1)]


def initialise(network: nn.Module) -> None:
    """Draw the weights of all convolutions for ReLU (He et al. 2015, arXiv:1502.01852); biases are zero.

    Weights without memory, on the device `meta`, are left alone: drawing them loads torch's compiler, a second or more.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def pyramid_reach(blocks: Sequence[int]) -> int:
    """Return how many pixels outside an aligned window its output depends on, rounded up to the alignment.

    Follows the first pixel of a window down the decoder and up the encoder: a block reaches `blocks[level]` pixels
    further, on the way down and up, an upsampling by 2 its parent pixel, a downsampling by 2 the child pixels.

    Args:
        blocks: reach of each level's block to every side, in pixels of that level; the deepest, which is passed once,
            is last.
    """
    *upper, deepest = blocks
    first = 0
    for reach in upper:
        first = (first - reach) // 2
    first -= deepest
    for reach in reversed(upper):
        first = 2 * first - reach
    return round_up(-first, 2 ** len(upper))
