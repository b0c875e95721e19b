"""The automatic mode: the settings of a training that the user left open, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..contract import TrainJob
from ..contract.training_jobs import AUTO, NONE
from .data_survey import Survey

# What the plan follows from; the figures behind it are in docs/training.md.
CPU_WIDTH, GPU_WIDTH, BEST_FACTOR = 16, 32, 2
CPU_BATCH_PIXELS, GPU_BATCH_PIXELS = 8 * 128 * 128, 16 * 256 * 256
CROP_PX, CPU_CROP_MAX, GPU_CROP_MAX = 128, 128, 256
OBJECTS_ACROSS = 2
"""A crop is as wide as so many typical objects, within the limits above."""
CROPS_ACROSS, CROP_LEAST = 2, 32
"""So many crops of an object or more fit across the ground with labels: what always holds all is learnt by heart."""
STEPS_MIN, STEPS_MAX = 20, 200
LEVELS, BEST_LEVELS, DROPOUT = 3, 4, 0.1
EPOCHS, PATIENCE = 60, 12
BEST_EPOCHS, BEST_PATIENCE = 300, 40
LEARNING_RATES = {"adamw": 1e-3, "sgd": 2e-2}
LOSS, CLASS_WEIGHTS, BY_CLASS, AVERAGE = "ce+lovasz", "sqrt", 1 / 3, 0.98
EVEN = 0.5
"""Classes weigh the same where the rarest has at least this share of the pixels of the most frequent one."""
PRESET_MINUTES = {"quick": 5.0, "balanced": 0.0, "best": 480.0}
AUGMENT_FEW: tuple[str, ...] = ("flip", "turn", "scale", "brightness", "noise")
MANY_PIXELS = 30_000
"""Training pixels of the rarest class from which augmentation costs more than it gives: see docs/real-data.md."""
FIRST_EPOCH_S = 1.5
"""The first epoch has fewer steps where they would take longer than this: somebody waits for a sign of life."""
FIRST_STEPS_MIN = 4
EPOCHS_IN_BUDGET = 12
"""A time limit holds at least so many epochs, of fewer steps where need be."""


@dataclass(frozen=True)
class Plan:
    """Settings of a run: the job's, and what was found where the job left them open.

    Attributes:
        width: channels of the first level.
        levels: downsamplings.
        dropout: probability in the deepest levels.
        crop_px: side of a crop, a multiple of the network's alignment.
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
        first_steps: steps of the first epoch; 0 is as many as in the others.
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
    first_steps: int = 0

    def steps(self, epoch: int) -> range:
        """Numbers of the steps of an epoch; epochs count from 0."""
        first = self.first_steps or self.steps_per_epoch
        start = first + (epoch - 1) * self.steps_per_epoch
        return range(start, start + self.steps_per_epoch) if epoch else range(first)

    @property
    def total_steps(self) -> int:
        """Steps of all epochs."""
        return self.steps(self.epochs - 1).stop


def make_plan(
    job: TrainJob,
    tile_px: int,
    found: Survey,
    device: torch.device,
    align_px: int = 0,
) -> Plan:
    """Fill in what the job leaves open, before anything is timed.

    Args:
        job: settings of the user; what is not open is kept (the crop rounded up to the alignment).
        tile_px: side of the dataset's tiles.
        found: facts of the scene.
        device: GPU or CPU.
        align_px: what the network's windows are multiples of; 0 is 2**levels.
    """
    best, on_gpu = job.preset == "best", device.type == "cuda"
    reasons: list[str] = []
    width, levels = _size(job, on_gpu, best, reasons)
    crop_px = _crop(job, align_px or 2**levels, tile_px, found, on_gpu, reasons)
    batch_size = job.batch_size or _batch(crop_px, on_gpu, reasons)
    steps = job.steps_per_epoch or _steps(found, batch_size * crop_px**2, reasons)
    loss, weights = _loss(job, found, reasons)
    augment = _augment(job, found, reasons)
    if job.by_class is None:
        reasons.append("a third of the crops is drawn class first, so that rare classes are seen")
    if job.ema_decay is None:
        reasons.append(f"weights are averaged over about {1 / (1 - AVERAGE):.0f} steps, which steadies them")
    return Plan(
        width=width,
        levels=levels,
        dropout=DROPOUT if job.dropout is None else job.dropout,
        crop_px=crop_px,
        batch_size=batch_size,
        steps_per_epoch=steps,
        epochs=job.epochs or (BEST_EPOCHS if best else EPOCHS),
        patience=(BEST_PATIENCE if best else PATIENCE) if job.patience is None else job.patience,
        learning_rate=job.learning_rate or LEARNING_RATES[job.optimiser],
        loss=loss,
        class_weights=weights,
        augment=augment,
        by_class=BY_CLASS if job.by_class is None else job.by_class,
        average=AVERAGE if job.ema_decay is None else job.ema_decay,
        minutes=job.max_minutes or PRESET_MINUTES[job.preset],
        reasons=tuple(reasons),
    )


def fit_to_time(plan: Plan, job: TrainJob, seconds_per_step: float, validation_s: float) -> Plan:
    """The plan with epochs that are short enough for its time limit, and a short first epoch.

    The number of epochs stays: a time limit ends training by the clock, and the rate falls with it, so that a machine
    that was busy while steps were tried is used to the end.

    Args:
        plan: of `make_plan`.
        job: what it was made of; what the user chose is kept.
        seconds_per_step: measured on this device.
        validation_s: of one pass over the validation pixels.
    """
    steps, first = plan.steps_per_epoch, 0
    reasons = list(plan.reasons)
    budget_s = 60 * plan.minutes
    if budget_s and not job.steps_per_epoch:
        room = (budget_s / EPOCHS_IN_BUDGET - validation_s) / max(seconds_per_step, 1e-6)
        steps = min(steps, max(int(room), FIRST_STEPS_MIN))
        likely = max(min(plan.epochs, int(budget_s / (steps * seconds_per_step + validation_s))), 1)
        reasons.append(
            f"{steps} steps an epoch, about {likely} epochs in {plan.minutes:g} min at {seconds_per_step:.2f} s a step"
        )
    if not job.steps_per_epoch:
        first = max(int(FIRST_EPOCH_S / max(seconds_per_step, 1e-6)), FIRST_STEPS_MIN)
        first = first if first < steps else 0
    patience = plan.patience
    if job.patience is None:  # shorter epochs are less time to wait for
        patience = round(patience * plan.steps_per_epoch / steps)
    return replace(plan, steps_per_epoch=steps, first_steps=first, patience=patience, reasons=tuple(reasons))


def find_crop(crop_px: int, align_px: int, wanted: int, shape: tuple[int, int]) -> int:
    """Side of a crop: the user's or what is wanted, but no more than the raster needs; a multiple of `align_px`."""
    side = min(crop_px or wanted, max(*shape, 2 * align_px))
    return max(-(-side // align_px), 2) * align_px


def _size(job: TrainJob, on_gpu: bool, best: bool, reasons: list[str]) -> tuple[int, int]:
    """Width and levels of the network."""
    width = job.width or (GPU_WIDTH if on_gpu else CPU_WIDTH) * (BEST_FACTOR if best else 1)
    levels = job.levels or (BEST_LEVELS if best else LEVELS)
    time = ", with time until tomorrow" if best else ""
    if not job.width:
        reasons.append(f"{width} channels at the first level, for a {'GPU' if on_gpu else 'CPU'}{time}")
    if not job.levels:
        reasons.append(f"{levels} levels{time or ', which tell small data as much as more would'}")
    return width, levels


def _crop(job: TrainJob, align_px: int, tile_px: int, found: Survey, on_gpu: bool, reasons: list[str]) -> int:
    """Side of a crop: the tile's, or wider where objects are."""
    most = GPU_CROP_MAX if on_gpu or job.preset == "best" else CPU_CROP_MAX
    wanted = max(tile_px, CROP_PX, min(round(OBJECTS_ACROSS * found.object_px), most))
    least = max(CROP_LEAST, round(found.object_px))
    room = max(found.ground_px // CROPS_ACROSS, least) if found.ground_px else wanted
    crop_px = find_crop(job.crop_px, align_px, min(wanted, room), found.shape)
    if not job.crop_px:
        objects = f", objects of about {found.object_px:.0f} px" if found.object_px else ""
        rows, cols = found.shape
        narrow = f", labels on ground only {found.ground_px} px across" if room < wanted else ""
        reasons.append(
            f"crops of {crop_px} px, for tiles of {tile_px} px{objects} on {rows} × {cols} pixels{narrow}"
        )
    return crop_px


def _batch(crop_px: int, on_gpu: bool, reasons: list[str]) -> int:
    budget = GPU_BATCH_PIXELS if on_gpu else CPU_BATCH_PIXELS
    batch_size = min(max(budget // crop_px**2, 4), 64)
    reasons.append(f"{batch_size} crops a step, {batch_size * crop_px**2 / 1e6:.2f} Mpx")
    return batch_size


def _steps(found: Survey, batch_pixels: int, reasons: list[str]) -> int:
    steps = min(max(round(found.labelled / batch_pixels), STEPS_MIN), STEPS_MAX)
    reasons.append(f"{steps} steps an epoch, for {found.labelled} labelled pixels")
    return steps


def _loss(job: TrainJob, found: Survey, reasons: list[str]) -> tuple[str, str]:
    """Loss and class weights."""
    loss = LOSS if job.loss == AUTO else job.loss
    if job.loss == AUTO:
        reasons.append(f"loss {loss}: right pixels, and right overlap of every class")
    if job.class_weights != AUTO:
        return loss, job.class_weights
    share = found.rarest / max(*found.class_pixels, 1)
    weights = NONE if share >= EVEN else CLASS_WEIGHTS
    named = "no class weights" if weights == NONE else f"class weights by {weights}"
    reasons.append(f"{named}, as the rarest class has {share:.1%} of the pixels of the most frequent")
    return loss, weights


def _augment(job: TrainJob, found: Survey, reasons: list[str]) -> tuple[str, ...]:
    """Kinds of augmentation; those that a band does not allow are left out, whoever asked for them."""
    kinds = tuple(kind for kind in job.augment if kind != NONE)
    if kinds == (AUTO,):
        kinds = AUGMENT_FEW if found.rarest < MANY_PIXELS else ()
        side = "under" if kinds else "from"
        reasons.append(
            f"{'augmentation' if kinds else 'no augmentation'}, for {found.rarest} pixels of the rarest class "
            f"({side} {MANY_PIXELS})"
        )
    allowed = found.directions.allowed(kinds)
    if kinds and found.directions.why():
        reasons.append(found.directions.why())
    return allowed
