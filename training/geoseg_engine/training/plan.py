"""The numbers of a training run that the user left open, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..contract import TrainJob

CPU_WIDTH, GPU_WIDTH = 16, 32
CPU_BATCH_PIXELS, GPU_BATCH_PIXELS = 8 * 128 * 128, 16 * 256 * 256
CROP_PX = 128
STEPS_MIN, STEPS_MAX = 20, 200
MANY_PIXELS = 30_000
"""Training pixels of the rarest class from which augmentation costs more than it gives: see docs/real-data.md."""


@dataclass(frozen=True)
class Plan:
    """Settings of a run.

    Attributes:
        width: channels of the first level.
        crop_px: side of a crop, a multiple of 2**levels.
        batch_size: crops of a step.
        steps_per_epoch, epochs: how long.
        augment: whether crops are turned, scaled and brightened.
        reasons: one sentence for every number that was found.
    """

    width: int
    crop_px: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    augment: bool = True
    reasons: tuple[str, ...] = ()


def make_plan(
    job: TrainJob, tile_px: int, shape: tuple[int, int], class_pixels: Sequence[int], device: torch.device
) -> Plan:
    """Fill in what the job leaves at 0.

    Args:
        job: settings of the user; what is not 0 is kept (the crop rounded up to 2**levels).
        tile_px: side of the dataset's tiles.
        shape: rows and columns of the scene.
        class_pixels: labelled pixels of each class in the train split.
        device: GPU or CPU.
    """
    on_gpu = device.type == "cuda"
    reasons = []
    width = job.width or (GPU_WIDTH if on_gpu else CPU_WIDTH)
    if not job.width:
        reasons.append(f"{width} channels at the first level, for a {'GPU' if on_gpu else 'CPU'}")
    crop_px = find_crop(job, tile_px, shape)
    if not job.crop_px:
        reasons.append(f"crops of {crop_px} px, for tiles of {tile_px} px on {shape[0]} × {shape[1]} pixels")
    budget = GPU_BATCH_PIXELS if on_gpu else CPU_BATCH_PIXELS
    batch_size = job.batch_size or min(max(budget // crop_px**2, 4), 64)
    if not job.batch_size:
        reasons.append(f"{batch_size} crops a step, {batch_size * crop_px**2 / 1e6:.2f} Mpx")
    steps = job.steps_per_epoch or _steps(sum(class_pixels), batch_size * crop_px**2)
    if not job.steps_per_epoch:
        reasons.append(f"{steps} steps an epoch, for {sum(class_pixels)} labelled pixels")
    rarest = min((pixels for pixels in class_pixels if pixels), default=0)
    augment = job.augment and rarest < MANY_PIXELS
    if job.augment:
        side = "under" if augment else "from"
        reasons.append(
            f"{'augmentation' if augment else 'no augmentation'}, for {rarest} pixels of the rarest class "
            f"({side} {MANY_PIXELS})"
        )
    return Plan(width, crop_px, batch_size, steps, job.epochs, augment, tuple(reasons))


def find_crop(job: TrainJob, tile_px: int, shape: tuple[int, int]) -> int:
    """Side of a crop: the tile's, but at least CROP_PX for context, and no more than the raster needs."""
    align = 2**job.levels
    wanted = job.crop_px or min(max(tile_px, CROP_PX), max(*shape, 2 * align))
    return max(-(-wanted // align), 2) * align


def _steps(train_pixels: int, batch_pixels: int) -> int:
    return min(max(round(train_pixels / batch_pixels), STEPS_MIN), STEPS_MAX)
