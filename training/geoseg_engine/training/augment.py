"""Augmentation of a batch on its device: turns and mirrors, scale, brightness, contrast, noise.

A direction turns with the image: aspect bands hold its sine and cosine (east and north), and a mirrored
hillside faces the other way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..contract import Band

BRIGHTNESS, CONTRAST, NOISE = 0.1, 0.1, 0.05
"""Standard deviations, in z-scores; contrast is relative."""
SCALE = 1.25
SCALED_SHARE = 0.5


@dataclass(frozen=True)
class Directions:
    """Which bands are components of a direction.

    Attributes:
        pairs: (east, north) band numbers, of one source each.
        lone_east, lone_north: components whose partner is not in the stack; no quarter turns then.
    """

    pairs: tuple[tuple[int, int], ...] = ()
    lone_east: tuple[int, ...] = ()
    lone_north: tuple[int, ...] = ()

    @classmethod
    def of(cls, bands: Sequence[Band]) -> Directions:
        """Find aspect_sin and aspect_cos of the same source."""
        east = {band.source: i for i, band in enumerate(bands) if band.derive == "aspect_sin"}
        north = {band.source: i for i, band in enumerate(bands) if band.derive == "aspect_cos"}
        both = sorted(east.keys() & north.keys())
        return cls(
            tuple((east[key], north[key]) for key in both),
            tuple(index for key, index in east.items() if key not in north),
            tuple(index for key, index in north.items() if key not in east),
        )

    @property
    def quarter_turns(self) -> bool:
        """Whether turns by 90° are possible."""
        return not (self.lone_east or self.lone_north)

    @property
    def bands(self) -> list[int]:
        """All bands that hold a component."""
        return [index for pair in self.pairs for index in pair] + [*self.lone_east, *self.lone_north]


def source_size(crop_px: int, random: np.random.Generator) -> int:
    """Side of the crop to cut so that, resized to `crop_px`, the batch is scaled by up to ±25 %."""
    if random.random() >= SCALED_SHARE:
        return crop_px
    return round(crop_px * float(np.exp(random.uniform(-1, 1) * np.log(SCALE))))


def augment(
    images: Tensor, labels: Tensor, crop_px: int, directions: Directions, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Turn, mirror and disturb every crop of a batch in its own way.

    Args:
        images: z-scores (batch, bands, side, side); components of directions have mean 0 and one scale.
        labels: uint8 (batch, side, side).
        crop_px: side of the result.
        directions: bands that turn with the image.
        random: decides everything.

    Returns:
        Images and labels with side `crop_px`.
    """
    images, labels = resize(images, labels, crop_px)
    turned = []
    for image, label in zip(images, labels, strict=True):
        turns = int(random.integers(4)) if directions.quarter_turns else 2 * int(random.integers(2))
        turned.append(turn(image, label, turns, bool(random.integers(2)), directions))
    images = torch.stack([image for image, _ in turned])
    labels = torch.stack([label for _, label in turned])
    return disturb(images, directions, random), labels


def resize(images: Tensor, labels: Tensor, crop_px: int) -> tuple[Tensor, Tensor]:
    """Bilinear for images, nearest for labels; unchanged where the side is right."""
    if images.shape[-1] == crop_px:
        return images, labels
    side = (crop_px, crop_px)
    images = functional.interpolate(images, side, mode="bilinear", align_corners=False)
    return images, functional.interpolate(labels[:, None], side, mode="nearest-exact")[:, 0]


def turn(
    image: Tensor, label: Tensor, turns: int, mirrored: bool, directions: Directions
) -> tuple[Tensor, Tensor]:
    """Turn counter-clockwise by quarter turns, then mirror left to right; directions follow.

    Args:
        image: (bands, rows, cols), rows from north to south.
        label: (rows, cols).
        turns: quarter turns, 0..3.
        mirrored: whether to mirror east and west afterwards.
    """
    image, label = torch.rot90(image, turns, (1, 2)), torch.rot90(label, turns, (0, 1))
    if mirrored:
        image, label = image.flip(2), label.flip(1)
    if not directions.bands or not (turns or mirrored):
        return image, label
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    side = -1 if mirrored else 1
    image = image.clone()
    for east, north in directions.pairs:
        old_east, old_north = image[east].clone(), image[north].clone()
        image[east] = side * (cosine * old_east - sine * old_north)
        image[north] = sine * old_east + cosine * old_north
    for east in directions.lone_east:
        image[east] *= side * cosine
    for north in directions.lone_north:
        image[north] *= cosine
    return image, label


def disturb(images: Tensor, directions: Directions, random: np.random.Generator) -> Tensor:
    """Brightness and contrast by crop and band, noise by pixel; directions are left as they are."""
    batch, bands = images.shape[:2]
    # Half of a crop's change is shared by its bands (light, haze), half is each band's own.
    shift, gain = (
        (random.normal(size=(batch, 1)) + random.normal(size=(batch, bands))) / np.sqrt(2) for _ in range(2)
    )
    noise = random.uniform(0, NOISE, size=(batch, 1)).repeat(bands, axis=1)
    steady = directions.bands
    shift[:, steady] = gain[:, steady] = noise[:, steady] = 0
    generator = torch.Generator(images.device).manual_seed(int(random.integers(2**31)))
    speckle = torch.randn(images.shape, generator=generator, device=images.device)

    def column(values: np.ndarray, scale: float = 1.0) -> Tensor:
        return torch.from_numpy((values * scale).astype(np.float32)).to(images.device)[:, :, None, None]

    return images * (1 + column(gain, CONTRAST)) + column(shift, BRIGHTNESS) + speckle * column(noise)
