"""The automatic settings of a training: what the user left open is chosen here, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..contract import TrainJob
from ..contract.training_jobs import AUTO, NONE
from ..device.devices import Device
from .data_survey import DataSurvey

# Defaults of the plan; the figures behind them are in docs/training.md.
CPU_WIDTH, GPU_WIDTH, BEST_FACTOR = 16, 32, 2
CPU_BATCH_PIXELS, GPU_BATCH_PIXELS = 8 * 128 * 128, 16 * 256 * 256
CROP_PX, CPU_CROP_MAX, GPU_CROP_MAX = 128, 128, 256
OBJECTS_ACROSS = 2
"""A crop is as wide as this many typical objects, within the limits above."""
CROPS_ACROSS, CROP_MIN = 2, 32
"""At least this many crops fit across the labelled extent: a crop that always contains all labels is memorised."""
STEPS_MIN, STEPS_MAX = 20, 200
LEVELS, BEST_LEVELS, DROPOUT = 3, 4, 0.1
EPOCHS, PATIENCE = 60, 12
BEST_EPOCHS, BEST_PATIENCE = 300, 40
LEARNING_RATES = {"adamw": 1e-3, "sgd": 2e-2}
LOSS, CLASS_WEIGHTS, BY_CLASS, AVERAGE = "ce+lovasz", "sqrt", 1 / 3, 0.98
EVEN = 0.5
"""Classes weigh the same where the rarest has at least this fraction of the pixels of the most frequent one."""
PRESET_MINUTES = {"quick": 5.0, "balanced": 0.0, "best": 480.0}
AUGMENT_FEW: tuple[str, ...] = ("flip", "turn", "scale", "brightness", "noise")
MANY_PIXELS = 30_000
"""Training pixels of the rarest class from which augmentation lowers scores: see docs/real-data.md."""
FIRST_EPOCH_S = 1.0
"""The first epoch has fewer steps where they would take longer than this, so that a first result is soon shown."""
FIRST_STEPS_MIN = 4
EPOCHS_IN_BUDGET = 12
"""A time limit leaves time for at least this many epochs, with fewer steps where needed."""


@dataclass(frozen=True)
class Plan:
    """Settings of a run: the job's, and the automatic ones.

    Attributes:
        width: channels of the first level.
        levels: downsamplings.
        dropout: probability in the deepest levels, 0..1.
        crop_px: side of a crop, a multiple of the network's alignment.
        batch_size: crops per step.
        steps_per_epoch, epochs, patience: how long to train.
        learning_rate: the highest.
        loss: names joined by `+`.
        class_weights: of contract.CLASS_WEIGHTS.
        augment: of contract.AUGMENTATIONS.
        by_class: fraction of the crops that is class-balanced, 0..1.
        average: decay of the moving average of the weights (EMA), 0..1.
        minutes: time limit; 0 is none.
        reasons: one sentence per automatic setting.
        first_steps: steps of the first epoch; 0 is as many as in the others.
        compiled: whether the network is compiled, see `compilation`.
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
    compiled: bool = False

    def steps(self, epoch: int) -> range:
        """Return the numbers of the steps of an epoch; epochs count from 0."""
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
    survey: DataSurvey,
    device: Device,
    align_px: int = 0,
) -> Plan:
    """Choose the settings that the job leaves open, before anything is timed.

    Args:
        job: settings of the user; fixed ones are kept (the crop rounded up to the alignment).
        tile_px: side of the dataset's tiles in pixels.
        survey: facts of the scene.
        device: GPU or CPU.
        align_px: what the network's windows are multiples of; 0 is 2**levels.
    """
    best, on_gpu = job.preset == "best", device.is_gpu
    reasons: list[str] = []
    width, levels = _size(job, on_gpu, best, reasons)
    crop_px = _crop(job, align_px or 2**levels, tile_px, survey, on_gpu, reasons)
    batch_size = job.batch_size or _batch(crop_px, on_gpu, reasons)
    steps = job.steps_per_epoch or _steps(survey, batch_size * crop_px**2, reasons)
    loss, weights = _loss(job, survey, reasons)
    augment = _augment(job, survey, reasons)
    if job.by_class is None:
        reasons.append("a third of the crops is class-balanced, so that rare classes are seen")
    if job.ema_decay is None:
        reasons.append(
            f"weights are averaged over about {1 / (1 - AVERAGE):.0f} steps (EMA), which makes them steadier"
        )
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
    """Return the plan with epochs that are short enough for its time limit, and a short first epoch.

    The number of epochs stays: a time limit ends training by the clock, and the learning rate falls with it, so that a
    machine that was busy while steps were timed is used to the end.

    Args:
        plan: of `make_plan`.
        job: that the plan was made of; fixed settings are kept.
        seconds_per_step: measured on this device.
        validation_s: seconds of one pass over the validation pixels.
    """
    steps, first = plan.steps_per_epoch, 0
    reasons = list(plan.reasons)
    budget_s = 60 * plan.minutes
    if budget_s and not job.steps_per_epoch:
        room = (budget_s / EPOCHS_IN_BUDGET - validation_s) / max(seconds_per_step, 1e-6)
        steps = min(steps, max(int(room), FIRST_STEPS_MIN))
        likely = max(min(plan.epochs, int(budget_s / (steps * seconds_per_step + validation_s))), 1)
        reasons.append(
            f"{steps} steps per epoch, about {likely} epochs in {plan.minutes:g} min at {seconds_per_step:.2f} s each"
        )
    if not job.steps_per_epoch:
        first = max(int(FIRST_EPOCH_S / max(seconds_per_step, 1e-6)), FIRST_STEPS_MIN)
        first = first if first < steps else 0
    patience = plan.patience
    if job.patience is None:  # shorter epochs are less time to wait for
        patience = round(patience * plan.steps_per_epoch / steps)
    return replace(plan, steps_per_epoch=steps, first_steps=first, patience=patience, reasons=tuple(reasons))


def find_crop(crop_px: int, align_px: int, wanted: int, shape: tuple[int, int]) -> int:
    """Return the side of a crop: the user's or the automatic one, at most the raster's, a multiple of the alignment.

    Args:
        crop_px: of the job; 0 is automatic.
        align_px: what the side is a multiple of; at least two of them.
        wanted: automatic side in pixels.
        shape: rows and columns of the raster.
    """
    side = min(crop_px or wanted, max(*shape, 2 * align_px))
    return max(-(-side // align_px), 2) * align_px


def _size(job: TrainJob, on_gpu: bool, best: bool, reasons: list[str]) -> tuple[int, int]:
    """Width and levels of the network."""
    width = job.width or (GPU_WIDTH if on_gpu else CPU_WIDTH) * (BEST_FACTOR if best else 1)
    levels = job.levels or (BEST_LEVELS if best else LEVELS)
    time = ", for the preset best" if best else ""
    if not job.width:
        reasons.append(f"{width} base channels, for a {'GPU' if on_gpu else 'CPU'}{time}")
    if not job.levels:
        reasons.append(f"depth {levels}{time or ', as more does not improve scores on small data'}")
    return width, levels


def _crop(
    job: TrainJob, align_px: int, tile_px: int, survey: DataSurvey, on_gpu: bool, reasons: list[str]
) -> int:
    """Side of a crop: the tile's, or wider where objects are."""
    max_px = GPU_CROP_MAX if on_gpu or job.preset == "best" else CPU_CROP_MAX
    wanted = max(tile_px, CROP_PX, min(round(OBJECTS_ACROSS * survey.object_px), max_px))
    min_px = max(CROP_MIN, round(survey.object_px))
    room = max(survey.labelled_extent_px // CROPS_ACROSS, min_px) if survey.labelled_extent_px else wanted
    crop_px = find_crop(job.crop_px, align_px, min(wanted, room), survey.shape)
    if not job.crop_px:
        objects = f", objects of about {survey.object_px:.0f} px" if survey.object_px else ""
        rows, cols = survey.shape
        narrow = f", labels only {survey.labelled_extent_px} px across" if room < wanted else ""
        reasons.append(
            f"crops of {crop_px} px, for tiles of {tile_px} px{objects} on {rows} × {cols} pixels{narrow}"
        )
    return crop_px


def _batch(crop_px: int, on_gpu: bool, reasons: list[str]) -> int:
    budget = GPU_BATCH_PIXELS if on_gpu else CPU_BATCH_PIXELS
    batch_size = min(max(budget // crop_px**2, 4), 64)
    reasons.append(f"{batch_size} crops per step, {batch_size * crop_px**2 / 1e6:.2f} Mpx")
    return batch_size


def _steps(survey: DataSurvey, batch_pixels: int, reasons: list[str]) -> int:
    steps = min(max(round(survey.labelled / batch_pixels), STEPS_MIN), STEPS_MAX)
    reasons.append(f"{steps} steps per epoch, for {survey.labelled} labelled pixels")
    return steps


def _loss(job: TrainJob, survey: DataSurvey, reasons: list[str]) -> tuple[str, str]:
    """Loss and class weights."""
    loss = LOSS if job.loss == AUTO else job.loss
    if job.loss == AUTO:
        reasons.append(f"loss {loss}: for correct pixels and for the overlap of every class")
    if job.class_weights != AUTO:
        return loss, job.class_weights
    share = survey.rarest / max(*survey.class_pixels, 1)
    weights = NONE if share >= EVEN else CLASS_WEIGHTS
    named = "no class weights" if weights == NONE else f"class weights by {weights}"
    reasons.append(f"{named}, as the rarest class has {share:.1%} of the pixels of the most frequent")
    return loss, weights


def _augment(job: TrainJob, survey: DataSurvey, reasons: list[str]) -> tuple[str, ...]:
    """Kinds of augmentation; those that a band does not allow are left out, even if the job names them."""
    kinds = tuple(kind for kind in job.augment if kind != NONE)
    if kinds == (AUTO,):
        kinds = AUGMENT_FEW if survey.rarest < MANY_PIXELS else ()
        side = "under" if kinds else "from"
        reasons.append(
            f"{'augmentation' if kinds else 'no augmentation'}, for {survey.rarest} pixels of the rarest class "
            f"({side} {MANY_PIXELS})"
        )
    allowed = survey.directions.allowed(kinds)
    if kinds and survey.directions.restriction():
        reasons.append(survey.directions.restriction())
    return allowed
