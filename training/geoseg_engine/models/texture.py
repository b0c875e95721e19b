"""Texture features: mean and standard deviation of every band in windows around a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

FLOOR = 1e-4
"""Added to variances before the root: on uniform areas rounding would otherwise look like texture."""


class Texture(nn.Module):
    """Bands, then per window size the bands' means, then their deviations.

    Only pixels inside the image count; a pixel without value counts with the z-score 0.
    """

    def __init__(self, sizes: Sequence[int] = ()) -> None:
        """Set the sides of the windows in pixels, odd."""
        super().__init__()
        self.means = nn.ModuleList(_mean(size) for size in sizes)
        self.reach_px = max(sizes, default=1) // 2

    def forward(self, image: Tensor) -> Tensor:
        """(batch, bands, rows, cols) -> (batch, `feature_count`, rows, cols)."""
        parts = [image]
        for mean in self.means:
            middle = mean(image)
            variance = mean(image * image) - middle * middle
            parts += [middle, torch.sqrt(variance.clamp_min(0) + FLOOR)]
        return torch.cat(parts, dim=1) if len(parts) > 1 else image


def feature_count(bands: int, sizes: Sequence[int]) -> int:
    """Return the number of features; feature i belongs to band i % bands.

    Args:
        bands: number of bands.
        sizes: sides of the windows in pixels.
    """
    return bands * (1 + 2 * len(sizes))


def _mean(size: int) -> nn.Sequential:
    """Mean along columns, then along rows: the same as over the square, in 2·size instead of size² steps."""
    down = nn.AvgPool2d((size, 1), stride=1, padding=(size // 2, 0), count_include_pad=False)
    across = nn.AvgPool2d((1, size), stride=1, padding=(0, size // 2), count_include_pad=False)
    return nn.Sequential(down, across)
