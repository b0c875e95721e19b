"""A U-Net that computes no more than what is kept of a window, and its largest levels in bands of rows.

The halo of a window is there for the deepest features. The way back up needs but a few pixels around what is kept, and
is two thirds of the work: each level of the decoder computes only those (`decoded_parts`).

Features of the first levels are most of what a U-Net holds, and all but the skip connections are looked at once. Made
band by band they are never whole: windows can be larger, which wastes less on halos, and the processor is not given
fresh memory for every operation. On a CPU neither changes a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...contract import present
from ...models.ensemble import Ensemble, Member
from ...models.unet import UNet
from ...raster.grid import Window, round_up
from ..windows import MIN_FEATURES, lengthened

LEVELS = 2
BAND_BYTES = 24 << 20
"""Of the widest features in a band. Allocators keep what is smaller than 32 MiB for the next operation."""
MIN_ROWS = 32
REACH = 2
"""Pixels that a block of two 3 × 3 convolutions looks beyond what it gives."""
Rows = Callable[[int, int], Tensor]
"""What a block is given for the rows from the first to the last, half-open."""


@dataclass(frozen=True)
class Part:
    """What one level of the decoder computes, in pixels of that level.

    Attributes:
        wanted: what it must give.
        given: what it looks at for that; begins and ends at even rows and columns.
    """

    wanted: Window
    given: Window


class BandedUNet(nn.Module):
    """A U-Net in evaluation mode that gives what it gave, or the part of it that is kept.

    Attributes:
        kept: part of the next windows whose logits are given; None is all of them.
    """

    def __init__(self, network: UNet, levels: int) -> None:
        """`levels`: how many, from the first, are computed in bands; 0 is none."""
        super().__init__()
        self.network = network
        self.levels = min(levels, len(network.up) - 1)
        self.kept: Window | None = None

    def forward(self, image: Tensor) -> Tensor:
        """Logits (1, classes, rows, cols) of what is kept; see `models.unet.UNet.forward`."""
        net, skips, features = self.network, [], image
        height, width = image.shape[2:]
        parts = decoded_parts(self.kept or Window(0, 0, height, width), height, width, len(net.up))
        for level, encode in enumerate(net.encoder):
            if level:
                features = nn.functional.max_pool2d(features, 2)
            features = self._encoded(level, features) if level < self.levels else encode(features)
            skips.append(features)
        features = halved(parts[-1].given).of(skips.pop())
        for level in reversed(range(len(net.up))):
            features = self._decoded(level, features, parts[level].given.of(skips.pop()), parts[level])
        return features

    def _encoded(self, level: int, features: Tensor) -> Tensor:
        encode = self.network.encoder[level]
        whole = Window(0, 0, *features.shape[2:])
        return in_bands(
            encode, lambda first, last: features[:, :, first:last], Part(whole, whole), channels(encode)
        )

    def _decoded(self, level: int, below: Tensor, skip: Tensor, part: Part) -> Tensor:
        """Features of a level from those of the level below; of the first level its logits."""
        net = self.network

        def joined(first: int, last: int) -> Tensor:
            raised = net.up[level](below[:, :, first // 2 : last // 2])
            return torch.cat([raised, skip[:, :, first:last]], dim=1)

        def block(features: Tensor) -> Tensor:
            made: Tensor = net.decoder[level](features)
            return made if level else net.head(made)

        return in_bands(block, joined, part, 2 * skip.shape[1] if level < self.levels else 0)


def decoded_parts(kept: Window, height: int, width: int, levels: int) -> list[Part]:
    """Return what every level of a decoder must compute for the kept pixels of a window, the first level first.

    Args:
        kept: in pixels of the window.
        height, width: size of the window, multiples of the total stride.
        levels: levels of the decoder.
    """
    parts, wanted = [], kept
    for _ in range(levels):
        top, bottom = _span(wanted.row, wanted.height, height)
        left, right = _span(wanted.col, wanted.width, width)
        parts.append(Part(wanted, Window(top, left, bottom - top, right - left)))
        wanted, height, width = halved(parts[-1].given), height // 2, width // 2
    return parts


def _span(start: int, length: int, size: int) -> tuple[int, int]:
    """First and last row (or column) to look at; never so few that a convolution adds in another order."""
    low = max(start - REACH, 0) // 2 * 2
    high = min(round_up(start + length + REACH, 2), size)
    return lengthened(low, high, MIN_FEATURES, 0, size)


def halved(window: Window) -> Window:
    """Return the same area in pixels twice as large."""
    return Window(window.row // 2, window.col // 2, window.height // 2, window.width // 2)


def in_bands(block: Callable[[Tensor], Tensor], rows: Rows, part: Part, widest: int) -> Tensor:
    """Return the output of a block, put together from bands of rows.

    Args:
        block: looks REACH pixels to either side and keeps the size.
        rows: gives the band that begins and ends at even rows, counted from the first row given.
        part: what is wanted of what is given.
        widest: channels of the widest features; 0 is one band.
    """
    height, width = part.given.height, part.given.width
    wanted, cols = part.wanted.within(part.given)
    first_row, last_row = wanted.start, wanted.stop
    fitting = max(BAND_BYTES // (4 * widest * width), MIN_ROWS) if widest else height
    count = (last_row - first_row) // fitting
    if count <= 1:
        return block(rows(0, height))[:, :, wanted, cols]
    # bands of nearly equal height: in very low ones a convolution would add in another order, see `windows`
    inner = [(first_row + (last_row - first_row) * place // count) // 2 * 2 for place in range(1, count)]
    whole = None
    for top, bottom in pairwise([first_row, *inner, last_row]):
        first, last = max(top - REACH, 0) // 2 * 2, min(round_up(bottom + REACH, 2), height)
        made = block(rows(first, last))[:, :, top - first : bottom - first, cols]
        if whole is None:
            size = (1, made.shape[1], last_row - first_row, made.shape[3])
            whole = torch.empty(size, dtype=made.dtype, memory_format=torch.channels_last)
        whole[:, :, top - first_row : bottom - first_row] = made
    return present(whole, "the block in bands")


def channels(block: nn.Module) -> int:
    """Return the largest number of output channels of a block's convolutions."""
    return max(module.out_channels for module in block.modules() if isinstance(module, nn.Conv2d))


def banded(network: nn.Module, levels: int = LEVELS) -> nn.Module:
    """Return a U-Net that computes only what is kept, band by band, or an ensemble of such; other networks unchanged.

    Args:
        network: changed in place but for the outermost.
        levels: number of levels, from the first, that are computed in bands.
    """
    if not _of_exact_unets(network):
        return network
    if isinstance(network, UNet):
        return BandedUNet(network, levels)
    if isinstance(network, Member):
        network.network = banded(network.network, levels)
    if isinstance(network, Ensemble):
        network.members = nn.ModuleList(banded(member, levels) for member in network.members)
    return network


def _of_exact_unets(network: nn.Module) -> bool:
    """Whether a network, or each of an ensemble, is a U-Net that sees a bounded neighbourhood."""
    if isinstance(network, Member):
        return _of_exact_unets(network.network)
    if isinstance(network, Ensemble):
        return all(_of_exact_unets(member) for member in network.members)
    return isinstance(network, UNet) and network.tile_exact


def unets(network: nn.Module) -> list[BandedUNet]:
    """Return the U-Nets that `banded` has made of a network."""
    return [module for module in network.modules() if isinstance(module, BandedUNet)]
