"""Spectral classifiers as networks, so that model file, prediction and scores are the same as for all others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .texture import Texture, feature_count

ABSENT = -1e4
"""Offset of a class without training pixels: never chosen."""


class MaximumLikelihood(nn.Module):
    """One Gaussian per class: logit = offset - |W (x - mean)|² / 2 (Swain & Davis 1978).

    `whiten` holds W and -W·mean of all classes. The squares of hundreds of bands are added in float64: in float32 the
    difference of two classes is lost in the rounding of both.
    """

    align_px = 1
    tile_exact = True

    def __init__(self, bands: int, classes: int, texture_px: Sequence[int] = ()) -> None:
        super().__init__()
        self.features = feature_count(bands, texture_px)
        self.texture = Texture(texture_px)
        self.whiten = nn.Conv2d(self.features, classes * self.features, 1)
        self.register_buffer("offset", torch.zeros(classes))
        self.reach_px = self.texture.reach_px

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, classes, rows, cols) of z-scores (batch, bands, rows, cols)."""
        return self.logits(self.texture(image))

    def logits(self, features: Tensor) -> Tensor:
        """Return logits of features that are computed already (batch, features, rows, cols)."""
        pixels = features.permute(0, 2, 3, 1).double()
        weights = self.whiten.weight[:, :, 0, 0].double().split(self.features)
        biases = self.whiten.bias.double().split(self.features)  # type: ignore[union-attr]
        squares = [
            (pixels @ weight.T + bias).square().sum(dim=3)
            for weight, bias in zip(weights, biases, strict=True)
        ]
        offset: Tensor = self.offset  # type: ignore[assignment]
        found = offset.double().reshape(1, -1, 1, 1) - 0.5 * torch.stack(squares, dim=1)
        return found.to(features.dtype)


class SpectralAngle(nn.Module):
    """Angle between a pixel's spectrum and each class's mean: logit = -scale · angle (Kruse et al. 1993).

    Bands are in units of their deviation but keep their zero, so the angle does not change with brightness, and no
    band dominates by its unit. The angle is 2·asin(|u - v| / 2) of unit vectors, exact also where it is small.
    """

    align_px = 1
    tile_exact = True

    def __init__(self, bands: int, classes: int, texture_px: Sequence[int] = ()) -> None:
        super().__init__()
        features = feature_count(bands, texture_px)
        self.texture = Texture(texture_px)
        self.register_buffer("origin", torch.zeros(features))
        self.register_buffer("directions", torch.zeros(classes, features))
        self.register_buffer("offset", torch.zeros(classes))
        self.register_buffer("scale", torch.ones(1))
        self.reach_px = self.texture.reach_px

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, classes, rows, cols) of z-scores (batch, bands, rows, cols)."""
        return self.logits(self.texture(image))

    def logits(self, features: Tensor) -> Tensor:
        """Return logits of features that are computed already (batch, features, rows, cols)."""
        origin: Tensor = self.origin  # type: ignore[assignment]
        directions: Tensor = self.directions  # type: ignore[assignment]
        offset: Tensor = self.offset  # type: ignore[assignment]
        spectrum = features + origin.reshape(1, -1, 1, 1)
        length = (spectrum * spectrum).sum(dim=1, keepdim=True).clamp_min(1e-12).sqrt()
        unit = spectrum / length
        angles = []
        for direction in directions.unbind(0):
            apart = unit - direction.reshape(1, -1, 1, 1)
            half = (apart * apart).sum(dim=1, keepdim=True).sqrt() / 2
            angles.append(2 * torch.asin(half.clamp_max(1.0)))
        return offset.reshape(1, -1, 1, 1) - self.scale * torch.cat(angles, dim=1)
