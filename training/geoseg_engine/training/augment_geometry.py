"""Augmentation that moves pixels: image and labels alike, directions turned with them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..contract import IGNORE
from ..modelfile.directions import Directions

SHIFT = 0.1
"""Greatest shift, as a share of the side."""
ROTATED_SHARE = 0.5


def resize(images: Tensor, labels: Tensor, crop_px: int) -> tuple[Tensor, Tensor]:
    """Bilinear for images, nearest for labels; unchanged where the side is right."""
    if images.shape[-1] == crop_px:
        return images, labels
    side = (crop_px, crop_px)
    images = functional.interpolate(images, side, mode="bilinear", align_corners=False)
    return images, functional.interpolate(labels[:, None], side, mode="nearest-exact")[:, 0]


def turn(
    images: Tensor,
    labels: Tensor,
    turns: NDArray[np.integer],
    mirrored: NDArray[np.integer],
    directions: Directions,
) -> tuple[Tensor, Tensor]:
    """Turn crops counter-clockwise by quarter turns, then mirror them left to right; directions follow.

    Args:
        images: (batch, bands, side, side), rows from north to south.
        labels: (batch, side, side).
        turns: (batch), quarter turns, 0..3.
        mirrored: (batch), 1 to mirror east and west afterwards, else 0.
    """
    side = images.shape[-1]
    places = torch.arange(side * side, device=images.device).view(side, side)
    turned = [torch.rot90(places, number) for number in range(4)]
    ways = torch.stack([*turned, *(item.flip(1) for item in turned)]).flatten(1)
    index = ways[torch.from_numpy(turns + 4 * mirrored).to(images.device)]
    moved = images.flatten(2).gather(2, index[:, None].expand(-1, images.shape[1], -1)).view_as(images)
    cosine, sine = np.array([1, 0, -1, 0])[turns], np.array([0, 1, 0, -1])[turns]
    numbers = (torch.from_numpy(item).to(images) for item in (cosine, sine, 1 - 2 * mirrored))
    return directions.turned(moved, *numbers), labels.flatten(1).gather(1, index).view_as(labels)


def turn_each(
    images: Tensor,
    labels: Tensor,
    quarter: bool,
    mirror: bool,
    directions: Directions,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Turn and mirror every crop of a batch in its own way.

    Args:
        quarter: turn by quarter turns, or by half turns where a direction allows no others.
        mirror: mirror east and west, and north and south.
    """
    step = 1 if directions.quarter_turns else 2
    turns = rng.integers(4 // step, size=len(images)) * step * quarter
    # A mirror of north and south is half a turn and a mirror of east and west.
    east, north = rng.integers(2, size=(2, len(images))) * mirror
    return turn(images, labels, (turns + 2 * north) % 4, (east + north) % 2, directions)


def rotate_and_shift(
    images: Tensor,
    labels: Tensor,
    rotate: bool,
    shift: bool,
    directions: Directions,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Rotate half of the crops by any angle and shift crops by whole pixels, up to SHIFT of the side.

    Images are bilinear, labels nearest. Beyond the crop labels are IGNORE and images mirror what lies inside, so
    that the network is not shown black corners.
    """
    batch, side = len(images), images.shape[-1]
    angles = rng.uniform(-math.pi, math.pi, batch) * (rng.random(batch) < ROTATED_SHARE) * rotate
    reach = int(SHIFT * side) * shift
    moves = rng.integers(-reach, reach + 1, size=(batch, 2)) * 2.0 / side
    cosine, sine = np.cos(angles), np.sin(angles)
    rows = np.stack([np.stack([cosine, -sine, moves[:, 0]], 1), np.stack([sine, cosine, moves[:, 1]], 1)], 1)
    matrix = torch.from_numpy(rows).to(images)
    grid = functional.affine_grid(matrix, [batch, 1, side, side], align_corners=False)
    moved = functional.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    shown = (labels.to(images.dtype) - IGNORE)[:, None]
    shown = functional.grid_sample(shown, grid, "nearest", "zeros", align_corners=False)[:, 0] + IGNORE
    north_up = torch.ones(batch, device=images.device, dtype=images.dtype)
    moved = directions.turned(moved, matrix[:, 0, 0], matrix[:, 1, 0], north_up)
    return moved, shown.round().to(labels.dtype)
