"""Augmentation of a batch on its device: what moves pixels first, then what mixes crops, then what changes values.

A direction turns with the image: aspect bands hold its sine and cosine (east and north), and a mirrored
hillside faces the other way. Where a band allows no turn, none is made: see `Directions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ..modelfile.directions import Directions
from .augment_geometry import resize, rotate_and_shift, turn, turn_each
from .augment_values import add_noise, brighten, copy_rare, cut_and_mix, drop_bands

__all__ = ["Directions", "augment", "resize", "source_size", "turn"]

SCALE = 1.25
SCALED_SHARE = 0.5
KINDS = ("flip", "turn", "scale", "brightness", "noise")


def source_size(crop_px: int, rng: np.random.Generator, kinds: Sequence[str] = KINDS) -> int:
    """Side of the crop to cut so that, resized to `crop_px`, half of the batches are scaled by up to ±25 %."""
    if "scale" not in kinds or rng.random() >= SCALED_SHARE:
        return crop_px
    return round(crop_px * float(np.exp(rng.uniform(-1, 1) * np.log(SCALE))))


def augment(
    images: Tensor,
    labels: Tensor,
    crop_px: int,
    directions: Directions,
    rng: np.random.Generator,
    kinds: Sequence[str] = KINDS,
) -> tuple[Tensor, Tensor]:
    """Turn, mirror, mix and disturb every crop of a batch in its own way.

    Args:
        images: z-scores (batch, bands, side, side); components of directions have mean 0 and one scale.
        labels: uint8 (batch, side, side).
        crop_px: side of the result.
        directions: bands that turn with the image, or that no turn leaves right.
        rng: decides everything.
        kinds: of contract.AUGMENTATIONS; those that `directions` does not allow are left out.

    Returns:
        Images and labels with side `crop_px`.
    """
    kinds = directions.allowed(kinds)
    images, labels = resize(images, labels, crop_px)
    if "flip" in kinds or "turn" in kinds:
        images, labels = turn_each(images, labels, "turn" in kinds, "flip" in kinds, directions, rng)
    if "rotate" in kinds or "shift" in kinds:
        images, labels = rotate_and_shift(
            images, labels, "rotate" in kinds, "shift" in kinds, directions, rng
        )
    if "copy_paste" in kinds:
        images, labels = copy_rare(images, labels, rng)
    if "cutmix" in kinds:
        images, labels = cut_and_mix(images, labels, rng)
    if "brightness" in kinds:
        images = brighten(images, directions, rng)
    if "noise" in kinds:
        images = add_noise(images, directions, rng)
    if "band_dropout" in kinds:
        images = drop_bands(images, directions, rng)
    return images, labels
