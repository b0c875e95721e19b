"""Augmentation that moves pixels: image and labels alike, directions turned with them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..contract import IGNORE
from .augment_directions import Directions

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
    images: Tensor, labels: Tensor, turns: int, mirrored: bool, directions: Directions
) -> tuple[Tensor, Tensor]:
    """Turn counter-clockwise by quarter turns, then mirror left to right; directions follow.

    Args:
        images: (batch, bands, rows, cols), rows from north to south.
        labels: (batch, rows, cols).
        turns: quarter turns, 0..3.
        mirrored: whether to mirror east and west afterwards.
    """
    images, labels = torch.rot90(images, turns, (-2, -1)), torch.rot90(labels, turns, (-2, -1))
    if mirrored:
        images, labels = images.flip(-1), labels.flip(-1)
    if turns or mirrored:
        cosine, sine = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[turns]
        numbers = (
            images.new_full((len(images),), value) for value in (cosine, sine, -1.0 if mirrored else 1.0)
        )
        images = directions.turned(images, *numbers)
    return images, labels


def turn_each(
    images: Tensor,
    labels: Tensor,
    quarter: bool,
    mirror: bool,
    directions: Directions,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Turn and mirror every crop of a batch in its own way.

    Args:
        quarter: turn by quarter turns, or by half turns where a direction allows no others.
        mirror: mirror east and west, and north and south.
    """
    step = 1 if directions.quarter_turns else 2
    turns = random.integers(4 // step, size=len(images)) * step if quarter else np.zeros(len(images), int)
    mirrored = random.integers(2, size=len(images)) * mirror
    turns = (turns + 2 * random.integers(2, size=len(images)) * mirror) % 4
    moved_images, moved_labels = torch.empty_like(images), torch.empty_like(labels)
    for way in range(8):
        chosen = np.flatnonzero((turns == way // 2) & (mirrored == way % 2))
        if len(chosen):
            places = torch.from_numpy(chosen).to(images.device)
            moved_images[places], moved_labels[places] = turn(
                images[places], labels[places], way // 2, bool(way % 2), directions
            )
    return moved_images, moved_labels


def rotate_and_shift(
    images: Tensor,
    labels: Tensor,
    rotate: bool,
    shift: bool,
    directions: Directions,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Rotate half of the crops by any angle and shift crops by whole pixels, up to SHIFT of the side.

    Images are bilinear, labels nearest. Beyond the crop labels are IGNORE and images mirror what lies inside, so
    that the network is not shown black corners.
    """
    batch, side = len(images), images.shape[-1]
    angles = random.uniform(-math.pi, math.pi, batch) * (random.random(batch) < ROTATED_SHARE) * rotate
    reach = int(SHIFT * side) * shift
    moves = random.integers(-reach, reach + 1, size=(batch, 2)) * 2.0 / side
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
