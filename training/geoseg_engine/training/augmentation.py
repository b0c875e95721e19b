"""Augmentation of a batch on its device: pixels are moved first, then crops are mixed, then values are changed.

Components of a direction follow the geometry: aspect bands hold its sine and cosine (east and north), and a mirrored
hillside faces the other way. Where a band does not allow a rotation, none is made: see `DirectionalBands`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..contract import IGNORE
from ..modelfile.directional_bands import DirectionalBands
from .transfer import sent

SCALE = 1.25
SCALED_SHARE = 0.5
KINDS = ("flip", "turn", "scale", "brightness", "noise")
SHIFT = 0.1
"""Maximum shift, as a fraction of the side."""
ROTATED_SHARE = 0.5
BRIGHTNESS, CONTRAST, NOISE = 0.1, 0.1, 0.05
"""Standard deviations, in z-scores; contrast is relative."""
DROPPED_SHARE = 0.1
MIXED_SHARE = 0.5
MIXED_AREA = (0.05, 0.4)
"""Fractions: of bands that are dropped, of crops that receive a part of another crop, of the area of that part."""


def source_size(crop_px: int, rng: np.random.Generator, kinds: Sequence[str] = KINDS) -> int:
    """Return the side of the crops to cut for a batch; resized to `crop_px`, half of the batches are scaled.

    Args:
        crop_px: side of a training crop in pixels.
        rng: decides whether and how far the batch is scaled.
        kinds: of contract.AUGMENTATIONS; without "scale" the side is `crop_px`.

    Returns:
        Side in pixels, `crop_px` / SCALE to `crop_px` · SCALE.
    """
    if "scale" not in kinds or rng.random() >= SCALED_SHARE:
        return crop_px
    return round(crop_px * float(np.exp(rng.uniform(-1, 1) * np.log(SCALE))))


def augment(
    images: Tensor,
    labels: Tensor,
    crop_px: int,
    directions: DirectionalBands,
    rng: np.random.Generator,
    kinds: Sequence[str] = KINDS,
) -> tuple[Tensor, Tensor]:
    """Rotate, mirror, mix and disturb every crop of a batch, each in its own way.

    Args:
        images: z-scores (batch, bands, side, side); components of directions have mean 0 and one scale.
        labels: uint8 (batch, side, side).
        crop_px: side of the result in pixels.
        directions: bands whose values follow a rotation, or that allow none.
        rng: decides everything.
        kinds: of contract.AUGMENTATIONS; those that `directions` does not allow are left out.

    Returns:
        Images and labels with side `crop_px`.
    """
    kinds = directions.allowed(kinds)
    images, labels = resize(images, labels, crop_px)
    if "flip" in kinds or "turn" in kinds:
        images, labels = rotate_quarters_and_mirror(
            images, labels, "turn" in kinds, "flip" in kinds, directions, rng
        )
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


def resize(images: Tensor, labels: Tensor, crop_px: int) -> tuple[Tensor, Tensor]:
    """Resample crops to another side: images bilinearly, labels by nearest neighbour.

    Args:
        images: (batch, bands, side, side).
        labels: (batch, side, side).
        crop_px: side of the result in pixels; crops that have it are returned as they are.

    Returns:
        Images and labels with side `crop_px`.
    """
    if images.shape[-1] == crop_px:
        return images, labels
    side = (crop_px, crop_px)
    images = functional.interpolate(images, side, mode="bilinear", align_corners=False)
    return images, functional.interpolate(labels[:, None], side, mode="nearest-exact")[:, 0]


def rotate_quarters(
    images: Tensor,
    labels: Tensor,
    quarters: NDArray[np.integer],
    mirrored: NDArray[np.integer],
    directions: DirectionalBands,
) -> tuple[Tensor, Tensor]:
    """Rotate crops counter-clockwise by multiples of 90°, then mirror them left to right; directions follow.

    Args:
        images: (batch, bands, side, side), rows from north to south.
        labels: (batch, side, side).
        quarters: (batch), number of rotations by 90°, 0..3.
        mirrored: (batch), 1 to mirror east and west afterwards, else 0.
        directions: bands that hold components of a direction.

    Returns:
        Images and labels of the same shapes.
    """
    side = images.shape[-1]
    places = torch.arange(side * side, device=images.device).view(side, side)
    rotated = [torch.rot90(places, number) for number in range(4)]
    ways = torch.stack([*rotated, *(item.flip(1) for item in rotated)]).flatten(1)
    index = ways[sent(quarters + 4 * mirrored, images.device)]
    moved = images.flatten(2).gather(2, index[:, None].expand(-1, images.shape[1], -1)).view_as(images)
    cosine, sine = np.array([1, 0, -1, 0])[quarters], np.array([0, 1, 0, -1])[quarters]
    numbers = (sent(item, images.device, images.dtype) for item in (cosine, sine, 1 - 2 * mirrored))
    return directions.rotate_components(moved, *numbers), labels.flatten(1).gather(1, index).view_as(labels)


def rotate_quarters_and_mirror(
    images: Tensor,
    labels: Tensor,
    quarter: bool,
    mirror: bool,
    directions: DirectionalBands,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Rotate every crop of a batch by its own multiple of 90° and mirror it or not.

    Args:
        images: (batch, bands, side, side), rows from north to south.
        labels: (batch, side, side).
        quarter: whether to rotate by 90°, or by 180° where a band allows nothing else.
        mirror: whether to mirror east and west, and north and south.
        directions: bands that hold components of a direction.
        rng: draws rotation and mirroring of each crop.

    Returns:
        Images and labels of the same shapes.
    """
    step = 1 if directions.allows_quarter_rotation else 2
    quarters = rng.integers(4 // step, size=len(images)) * step * quarter
    # Mirroring north and south is a rotation by 180° and mirroring east and west.
    east, north = rng.integers(2, size=(2, len(images))) * mirror
    return rotate_quarters(images, labels, (quarters + 2 * north) % 4, (east + north) % 2, directions)


def rotate_and_shift(
    images: Tensor,
    labels: Tensor,
    rotate: bool,
    shift: bool,
    directions: DirectionalBands,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Rotate half of the crops by any angle and shift crops by whole pixels, up to SHIFT of the side.

    Images are resampled bilinearly, labels by nearest neighbour. Outside the crop labels are IGNORE and images are
    reflected, so that the network sees no black corners.

    Args:
        images: (batch, bands, side, side).
        labels: (batch, side, side).
        rotate: whether to rotate.
        shift: whether to shift.
        directions: bands that hold components of a direction.
        rng: draws angle and shift of each crop.

    Returns:
        Images and labels of the same shapes.
    """
    batch, side = len(images), images.shape[-1]
    angles = rng.uniform(-math.pi, math.pi, batch) * (rng.random(batch) < ROTATED_SHARE) * rotate
    reach = int(SHIFT * side) * shift
    moves = rng.integers(-reach, reach + 1, size=(batch, 2)) * 2.0 / side
    cosine, sine = np.cos(angles), np.sin(angles)
    rows = np.stack([np.stack([cosine, -sine, moves[:, 0]], 1), np.stack([sine, cosine, moves[:, 1]], 1)], 1)
    matrix = sent(rows, images.device, images.dtype)
    grid = functional.affine_grid(matrix, [batch, 1, side, side], align_corners=False)
    moved = functional.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    shown = (labels.to(images.dtype) - IGNORE)[:, None]
    shown = functional.grid_sample(shown, grid, "nearest", "zeros", align_corners=False)[:, 0] + IGNORE
    north_up = torch.ones(batch, device=images.device, dtype=images.dtype)
    moved = directions.rotate_components(moved, matrix[:, 0, 0], matrix[:, 1, 0], north_up)
    return moved, shown.round().to(labels.dtype)


def brighten(images: Tensor, directions: DirectionalBands, rng: np.random.Generator) -> Tensor:
    """Change brightness and contrast by crop and band; components of directions keep their values.

    Args:
        images: z-scores (batch, bands, rows, cols).
        directions: bands that keep their values.
        rng: draws the changes, with standard deviations BRIGHTNESS and CONTRAST.

    Returns:
        Images of the same shape.
    """
    batch, bands = images.shape[:2]
    # Half of a crop's change is shared by its bands (light, haze), half is each band's own.
    shift, gain = (
        (rng.normal(size=(batch, 1)) + rng.normal(size=(batch, bands))) / np.sqrt(2) for _ in range(2)
    )
    shift[:, directions.bands] = gain[:, directions.bands] = 0
    return torch.addcmul(_column(BRIGHTNESS * shift, images), images, _column(1 + CONTRAST * gain, images))


def add_noise(images: Tensor, directions: DirectionalBands, rng: np.random.Generator) -> Tensor:
    """Add Gaussian noise to every pixel, of another strength in every crop; components of directions keep their values.

    Args:
        images: z-scores (batch, bands, rows, cols).
        directions: bands that keep their values.
        rng: draws the strength of each crop, a standard deviation of 0..NOISE.

    Returns:
        Images of the same shape.
    """
    strength = rng.uniform(0, NOISE, size=(len(images), 1)).repeat(images.shape[1], axis=1)
    strength[:, directions.bands] = 0
    generator = torch.Generator(images.device).manual_seed(int(rng.integers(2**31)))
    speckle = torch.randn(images.shape, generator=generator, device=images.device)
    return torch.addcmul(images, speckle, _column(strength, images))


def drop_bands(images: Tensor, directions: DirectionalBands, rng: np.random.Generator) -> Tensor:
    """Set a fraction of the bands of every crop to their mean, never all; both components of a direction go together.

    Args:
        images: z-scores (batch, bands, rows, cols).
        directions: pairs of bands that are kept or dropped together.
        rng: draws the bands of each crop, each with probability DROPPED_SHARE.

    Returns:
        Images of the same shape.
    """
    batch, bands = images.shape[:2]
    kept = rng.random((batch, bands)) >= DROPPED_SHARE
    for east, north in directions.pairs:
        kept[:, north] = kept[:, east]
    kept[~kept.any(axis=1)] = True
    return images * _column(kept.astype(np.float32), images)


def cut_and_mix(images: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Replace a rectangle in half of the crops by the same rectangle of another crop (CutMix).

    Source: Yun et al. 2019, arXiv:1905.04899.

    Args:
        images: (batch, bands, side, side).
        labels: (batch, side, side).
        rng: draws crops and rectangles; a rectangle covers MIXED_AREA of a crop.

    Returns:
        Images and labels of the same shapes.
    """
    batch, side = len(images), images.shape[-1]
    area = rng.uniform(*MIXED_AREA, batch) * (rng.random(batch) < MIXED_SHARE)
    shape = rng.uniform(0.5, 2.0, batch)
    sides = np.stack([np.sqrt(area * shape), np.sqrt(area / shape)], 1).clip(0, 1)
    start = rng.random((batch, 2)) * (1 - sides) * side
    edges = np.ceil(np.stack([start, start + sides * side])).astype(np.int64)
    first, end = sent(edges, images.device)[..., None]
    place = torch.arange(side, device=images.device)
    inside = (place >= first) & (place < end)
    mask = inside[:, 0, :, None] & inside[:, 1, None, :]
    return _put(images, labels, mask, _donors(images, rng))


def copy_rare(images: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Paste the pixels of the rarest class of another crop into half of the crops (copy-paste).

    The class is that of the donor crop with the fewest pixels in the batch, and never the most frequent class of all.
    Source: Ghiasi et al. 2021, arXiv:2012.07177.

    Args:
        images: (batch, bands, side, side).
        labels: (batch, side, side).
        rng: draws the crops.

    Returns:
        Images and labels of the same shapes.
    """
    donors = _donors(images, rng)
    flat = labels.flatten(1).long()
    counts = torch.zeros((len(images), 256), device=labels.device)
    counts.scatter_add_(1, flat, torch.ones_like(flat, dtype=counts.dtype))
    counts[:, IGNORE] = 0
    total = counts.sum(dim=0)
    rarity = torch.where(counts > 0, total, torch.inf)
    rarity.index_fill_(1, total.argmax()[None], torch.inf)  # an index in brackets would wait for the number
    pixels, rare = rarity[donors].min(dim=1)
    gets = sent(rng.random(len(images)) < MIXED_SHARE, images.device)
    mask = (labels[donors] == rare[:, None, None]) & (gets & torch.isfinite(pixels))[:, None, None]
    return _put(images, labels, mask, donors)


def _donors(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Another crop for every crop of the batch."""
    batch = len(images)
    apart = int(rng.integers(1, batch)) if batch > 1 else 0
    return sent((np.arange(batch) + apart) % batch, images.device)


def _put(images: Tensor, labels: Tensor, mask: Tensor, donors: Tensor) -> tuple[Tensor, Tensor]:
    """Replace pixels by the donors' where the mask (batch, rows, cols) is set."""
    return torch.where(mask[:, None], images[donors], images), torch.where(mask, labels[donors], labels)


def _column(values: np.ndarray, images: Tensor) -> Tensor:
    """Numbers (batch, bands) as a factor of images (batch, bands, rows, cols)."""
    return sent(values.astype(np.float32), images.device, images.dtype)[:, :, None, None]
