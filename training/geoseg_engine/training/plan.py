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
LEVELS, DROPOUT, EPOCHS, PATIENCE, LEARNING_RATE = 3, 0.1, 60, 12, 1e-3
LOSS, CLASS_WEIGHTS, BY_CLASS, AVERAGE = "ce+lovasz", "sqrt", 1 / 3, 0.98
PRESET_MINUTES = {"quick": 5.0, "balanced": 0.0, "best": 480.0}
AUGMENT_FEW = ("flip", "turn", "scale", "brightness", "noise")
MANY_PIXELS = 30_000
"""Training pixels of the rarest class from which augmentation costs more than it gives: see docs/real-data.md."""


@dataclass(frozen=True)
class Plan:
    """Settings of a run: the job's, and what was found where the job left them open.

    Attributes:
        width: channels of the first level.
        levels: downsamplings.
        dropout: probability in the deepest levels.
        crop_px: side of a crop, a multiple of 2**levels.
        batch_size: crops of a step.
        steps_per_epoch, epochs, patience: how long.
        learning_rate: the highest.
        loss: names joined by `+`.
        class_weights: of contract.CLASS_WEIGHTS.
        augment: of contract.AUGMENTATIONS.
        by_class: share of crops drawn class first.
        average: decay of the running mean of the weights.
        minutes: time limit; 0 is none.
        reasons: one sentence for every number that was found.
    """

    width: int
    levels: int
    dropout: float
    crop_px: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    patience: int
    learning_rate: float
    loss: str
    class_weights: str
    augment: tuple[str, ...]
    by_class: float
    average: float
    minutes: float = 0.0
    reasons: tuple[str, ...] = ()


def make_plan(
    job: TrainJob, tile_px: int, shape: tuple[int, int], class_pixels: Sequence[int], device: torch.device
) -> Plan:
    """Fill in what the job leaves open.

    Args:
        job: settings of the user; what is not open is kept (the crop rounded up to 2**levels).
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
    levels = job.levels or LEVELS
    crop_px = find_crop(job.crop_px, levels, tile_px, shape)
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
    augment = () if job.augment == ("none",) else job.augment
    if augment == ("auto",):
        augment = AUGMENT_FEW if rarest < MANY_PIXELS else ()
        side = "under" if augment else "from"
        reasons.append(
            f"{'augmentation' if augment else 'no augmentation'}, for {rarest} pixels of the rarest class "
            f"({side} {MANY_PIXELS})"
        )
    return Plan(
        width=width,
        levels=levels,
        dropout=DROPOUT if job.dropout is None else job.dropout,
        crop_px=crop_px,
        batch_size=batch_size,
        steps_per_epoch=steps,
        epochs=job.epochs or EPOCHS,
        patience=PATIENCE if job.patience is None else job.patience,
        learning_rate=job.learning_rate or LEARNING_RATE,
        loss=LOSS if job.loss == "auto" else job.loss,
        class_weights=CLASS_WEIGHTS if job.class_weights == "auto" else job.class_weights,
        augment=augment,
        by_class=BY_CLASS if job.by_class is None else job.by_class,
        average=AVERAGE if job.average is None else job.average,
        minutes=job.max_minutes or PRESET_MINUTES[job.preset],
        reasons=tuple(reasons),
    )


def find_crop(crop_px: int, levels: int, tile_px: int, shape: tuple[int, int]) -> int:
    """Side of a crop: the tile's, but at least CROP_PX for context, and no more than the raster needs."""
    align = 2**levels
    wanted = crop_px or min(max(tile_px, CROP_PX), max(*shape, 2 * align))
    return max(-(-wanted // align), 2) * align


def _steps(train_pixels: int, batch_pixels: int) -> int:
    return min(max(round(train_pixels / batch_pixels), STEPS_MIN), STEPS_MAX)
