"""Masking parts of an image in an encoder made of convolutions, as in SparK (Tian et al. 2023, arXiv:2301.03580).

Patches are masked in the image, and again in the features after every convolution and normalisation, so that
nothing leaks from one patch to another by the reach of the kernels, and normalisation counts visible pixels only.
That is what sparse convolutions would do, computed densely. The network's own decoder reconstructs what is masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_PATCH_PX = 16


class Masking:
    """The visible patches of the current batch.

    Args:
        network: changed in place; names of its parameters are kept.
        encoder: those of its modules that must not see what is masked.
    """

    def __init__(self, network: nn.Module, encoder: Sequence[nn.Module]) -> None:
        self.network = network
        self._visible = torch.ones(1, 1, 1, 1)
        inside = {id(module) for part in encoder for module in part.modules()}
        for name, module in list(network.named_modules()):
            if id(module) not in inside:
                continue
            if isinstance(module, nn.BatchNorm2d):
                _replace(network, name, VisibleBatchNorm(module, self))
            elif isinstance(module, nn.Conv2d | nn.GroupNorm | nn.InstanceNorm2d):
                module.register_forward_hook(self._hide)

    def reconstruct(self, images: Tensor, visible: Tensor) -> Tensor:
        """Return the network's reconstruction of the image.

        Args:
            images: scores (batch, bands, rows, cols), without NaN.
            visible: 0 or 1 for every patch (batch, 1, patch rows, patch cols).

        Returns:
            Scores (batch, bands, rows, cols).
        """
        self._visible = visible
        return self.network(self.visible_at(images) * images)  # type: ignore[no-any-return]

    def visible_at(self, features: Tensor) -> Tensor:
        """Return 1 where features (batch, channels, rows, cols) are visible: (batch, 1, rows, cols)."""
        return functional.interpolate(self._visible, features.shape[-2:]).to(features.dtype)

    def _hide(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output * self.visible_at(output)


class VisibleBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of visible pixels; masked ones stay 0."""

    def __init__(self, plain: nn.BatchNorm2d, masking: Masking) -> None:
        super().__init__(plain.num_features, plain.eps, plain.momentum)
        self._parameters.update(plain._parameters)
        self._buffers.update(plain._buffers)
        self._hiding = (masking,)  # in a tuple, since the network must not become part of its part

    def forward(self, input: Tensor) -> Tensor:
        visible = self._hiding[0].visible_at(input).float()
        if not self.training:
            return (super().forward(input) * visible).to(input.dtype)
        values, count = input.float(), visible.sum().clamp_min(1)
        mean = (values * visible).sum((0, 2, 3)) / count
        away = (values - mean[:, None, None]) * visible
        variance = away.square().sum((0, 2, 3)) / count
        with torch.no_grad():
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance, momentum)  # type: ignore[union-attr]
            self.num_batches_tracked += 1  # type: ignore[operator]
        scale = self.weight / (variance + self.eps).sqrt()
        shifted = away * scale[:, None, None] + self.bias[:, None, None]
        return (shifted * visible).to(input.dtype)


def patch_px(align_px: int) -> int:
    """Return the side of a patch: a multiple of the coarsest stride, so that none is half masked in any feature."""
    return -(-MIN_PATCH_PX // align_px) * align_px


def draw_visible(random: np.random.Generator, batch_size: int, side: int, share: float) -> Tensor:
    """Draw the visible patches of a batch.

    Args:
        random: random numbers.
        batch_size: number of images.
        side: patches along a side of an image.
        share: fraction of the patches that is masked, 0..1; at least one is, never all.

    Returns:
        float32 (batch, 1, side, side), 1 where visible.
    """
    hidden = min(max(round(share * side**2), 1), side**2 - 1)
    visible = np.ones((batch_size, side**2), dtype=np.float32)
    for row in visible:
        row[random.permutation(side**2)[:hidden]] = 0
    return torch.from_numpy(visible.reshape(batch_size, 1, side, side))


def reconstruction_loss(reconstructed: Tensor, images: Tensor, visible: Tensor) -> Tensor:
    """Return the mean squared error of masked scores; NaN does not count.

    Args:
        reconstructed: (batch, bands, rows, cols).
        images: (batch, bands, rows, cols), NaN where there is no value.
        visible: (batch, 1, patch rows, patch cols), 1 where visible.
    """
    visible_at = functional.interpolate(visible, images.shape[-2:])
    scored = (visible_at == 0) & torch.isfinite(images)
    error = (reconstructed.float() - torch.nan_to_num(images)).square() * scored
    return error.sum() / scored.sum().clamp_min(1)


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, module)
