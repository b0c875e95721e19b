"""A U-Net whose largest levels are computed in bands of rows: the same numbers in half the memory.

Features of the first levels are most of what a U-Net holds, and all but the skip connections are looked at once. Made
band by band they are never whole: windows can be larger, which wastes less on halos, and the processor is not given
fresh memory for every operation.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..models.unet import UNet

LEVELS = 2
BAND_BYTES = 24 << 20
"""Of the widest features in a band. Allocators keep what is smaller than 32 MiB for the next operation."""
LEAST_ROWS = 32
REACH = 2
"""Rows that a block of two 3 × 3 convolutions looks beyond a band."""
Rows = Callable[[int, int], Tensor]
"""What a block is given for the rows from the first to the last, half-open."""


class BandedUNet(nn.Module):
    """A U-Net in evaluation mode that gives what it gave."""

    def __init__(self, network: UNet) -> None:
        super().__init__()
        self.network = network
        self.levels = min(LEVELS, len(network.up) - 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (1, classes, rows, cols); see `models.unet.UNet.forward`."""
        net, skips, features = self.network, [], image
        for level, encode in enumerate(net.encoder):
            if level:
                features = nn.functional.max_pool2d(features, 2)
            features = self._encoded(level, features) if level < self.levels else encode(features)
            skips.append(features)
        skips.pop()
        for level in reversed(range(len(net.up))):
            if level < self.levels:
                features = self._decoded(level, features, skips.pop())
            else:
                features = net.decoder[level](torch.cat([net.up[level](features), skips.pop()], dim=1))
        logits: Tensor = features if self.levels else net.head(features)
        return logits

    def _encoded(self, level: int, features: Tensor) -> Tensor:
        encode = self.network.encoder[level]
        return in_bands(
            encode, lambda first, last: features[:, :, first:last], features.shape[2:], channels(encode)
        )

    def _decoded(self, level: int, below: Tensor, skip: Tensor) -> Tensor:
        """Features of a level from those of the level below; of the first level its logits."""
        net = self.network

        def joined(first: int, last: int) -> Tensor:
            raised = net.up[level](below[:, :, first // 2 : last // 2])
            return torch.cat([raised, skip[:, :, first:last]], dim=1)

        def block(part: Tensor) -> Tensor:
            features: Tensor = net.decoder[level](part)
            return features if level else net.head(features)

        return in_bands(block, joined, skip.shape[2:], 2 * skip.shape[1])


def in_bands(block: Callable[[Tensor], Tensor], rows: Rows, size: torch.Size, widest: int) -> Tensor:
    """The answer of a block to the rows of a whole, put together from bands of them.

    Args:
        block: looks REACH rows to either side and keeps the number of rows.
        rows: gives the band that begins and ends at even rows.
        size: rows and columns of the whole; rows are even.
        widest: channels of the widest features.
    """
    height, width = size
    wanted = max(BAND_BYTES // (4 * widest * width), LEAST_ROWS)
    count = max(height // wanted, 1)
    # bands of nearly equal height: in very low ones a convolution would add in another order, see `halo`
    edges = [height // 2 * place // count * 2 for place in range(count + 1)]
    whole = None
    for top, bottom in pairwise(edges):
        first, last = max(top - REACH, 0), min(bottom + REACH, height)
        part = block(rows(first, last))
        if whole is None:
            whole = torch.empty(
                (1, part.shape[1], height, width), dtype=part.dtype, memory_format=torch.channels_last
            )
        whole[:, :, top:bottom] = part[:, :, top - first : bottom - first]
    assert whole is not None
    return whole


def channels(block: nn.Module) -> int:
    """The most channels that a convolution of a block gives."""
    return max(module.out_channels for module in block.modules() if isinstance(module, nn.Conv2d))


def banded(network: nn.Module) -> nn.Module:
    """The network with every U-Net in it made band by band; changed in place but for the outermost."""
    if isinstance(network, UNet):
        return BandedUNet(network) if network.tile_exact else network
    for name, part in network.named_children():
        setattr(network, name, banded(part))
    return network


def is_banded(network: nn.Module) -> bool:
    """Whether any part of a network is made band by band."""
    return any(isinstance(module, BandedUNet) for module in network.modules())
