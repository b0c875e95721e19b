"""The training loop: epochs of random crops, validation and checkpoint, until a limit is reached."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..channel import Channel
from ..contract import IGNORE, Cancelled, LabelClass, Problem, TrainJob, encode, write_json
from ..scores.metrics import background_and_object, scores
from . import checkpoint
from .batches import BatchSource, batches, train_step
from .logs import Logs
from .model_selection import score_function, selection_message, smoothed_loss
from .plan import Plan
from .sampler import Sampler
from .scene import Scene
from .trainer import Trainer
from .transfer import LateNumbers
from .validate import ValidationResult, validate

HISTORY_FILE = "history.json"
PROGRESS_EVERY_S = 0.5
CHECK_LOSS_EVERY = 20
"""Steps after which the loss is checked on a GPU, as many steps late: reading it at once would wait for the GPU."""


@dataclass(frozen=True)
class Session:
    """One training run: data, settings and output.

    `fingerprint` is the dataset's; `problems` were found in bands when their statistics were measured.
    """

    job: TrainJob
    plan: Plan
    scene: Scene
    classes: tuple[LabelClass, ...]
    architecture: dict[str, Any]
    output: Path
    channel: Channel
    fingerprint: str = ""
    problems: tuple[Problem, ...] = ()


class Meter:
    """Counts what this process has trained on, for speed and time left."""

    def __init__(self) -> None:
        self.crops = self.steps = self.epochs = 0
        self.train_s = self.epoch_s = 0.0

    @property
    def tiles_per_s(self) -> float:
        """Crops trained on per second."""
        return self.crops / max(self.train_s, 1e-9)

    @property
    def seconds_per_step(self) -> float:
        """Time of one step, sampling included."""
        return self.train_s / max(self.steps, 1)

    def seconds_left(self, session: Session, trainer: Trainer) -> float:
        """Return the seconds until the last epoch or the end of the time budget.

        Args:
            session: its plan has the number of epochs.
            trainer: at its current epoch.
        """
        left = self.epoch_s / max(self.epochs, 1) * (session.plan.epochs - trainer.epoch)
        return min(left, trainer.seconds_left())


def train(session: Session, trainer: Trainer, scene: Scene) -> tuple[bool, Meter]:
    """Train until the last epoch, no further improvement, the end of the time budget, or a cancel.

    Args:
        session: data, settings and output.
        trainer: at the first step or where a checkpoint left it.
        scene: that of the session, its image where it is read fastest: see `placement`.

    Returns:
        Whether the user stopped it, and the measurements.

    Raises:
        Cancelled: if the user stops before the first epoch is complete: there is nothing to keep.
    """
    session = replace(session, scene=scene, channel=trainer.group.channel(session.channel))
    sampler = Sampler(session.scene, session.plan.crop_px, session.job.seed, session.plan.by_class)
    meter = Meter()
    with closing(open_logs(session, trainer)) as logs:
        while not is_finished(session, trainer):
            started = time.monotonic()
            try:
                loss = train_epoch(session, trainer, sampler, meter)
                result = validate_epoch(session, trainer)
            except Cancelled:
                if not trainer.best.epoch:
                    raise
                return True, meter
            meter.epochs += 1
            meter.epoch_s += time.monotonic() - started
            row = end_epoch(session, trainer, loss, result)
            if trainer.group.first:
                save_checkpoint(session, trainer, meter)
                logs.write(trainer.history, session.scene, trainer.ema.network)
            report_epoch(session, trainer, meter, row)
    session.channel.log(stop_reason(session, trainer))
    return False, meter


def stop_reason(session: Session, trainer: Trainer) -> str:
    """Return why training has ended and which epoch is kept, in a sentence.

    Args:
        session: its plan and validation data.
        trainer: after the last epoch.
    """
    if trainer.epoch >= session.plan.epochs:
        why = "All epochs are done"
    elif trainer.out_of_time():
        why = f"The time limit is reached after epoch {trainer.epoch} of {session.plan.epochs}"
    else:
        waited = trainer.epoch - trainer.best.peak_epoch
        why = f"No improvement in {waited} epochs, stopped after epoch {trainer.epoch}"
    return (
        f"{why}. {selection_message(trainer.best, trainer.settings.monitor, session.scene.validation_data)}"
    )


def open_logs(session: Session, trainer: Trainer) -> Logs:
    """Open the logs for other programs; only the first process writes them.

    Args:
        session: output and classes.
        trainer: its epoch, for a resumed run.
    """
    tensorboard = session.job.tensorboard and trainer.group.first
    return Logs(session.output, session.classes, tensorboard, trainer.epoch, session.channel)


def is_finished(session: Session, trainer: Trainer) -> bool:
    """Return whether to stop; never before the first epoch.

    Args:
        session: its plan has epochs and patience.
        trainer: at its current epoch.
    """
    if not trainer.epoch:
        return False
    waited = trainer.epoch - trainer.best.peak_epoch
    patience = session.plan.patience
    stale = patience > 0 and trainer.best.peak is not None and waited >= patience
    return trainer.epoch >= session.plan.epochs or stale or trainer.out_of_time()


def train_epoch(session: Session, trainer: Trainer, sampler: Sampler, meter: Meter) -> float:
    """Train one epoch, with fewer steps when time runs out.

    Args:
        session: data and settings.
        trainer: its weights are changed.
        sampler: draws the crops.
        meter: counts steps and time.

    Returns:
        The mean loss.

    Raises:
        Cancelled: if the user stops.
    """
    channel, plan = session.channel, session.plan
    trainer.group.seed(session.job.seed, trainer.epoch)
    steps = plan.steps(trainer.epoch)
    started = reported = time.monotonic()
    losses: list[Tensor] = []
    source = BatchSource(plan, session.scene, sampler, trainer.device, trainer.group)
    late = LateNumbers(trainer.device)
    looks, behind = (CHECK_LOSS_EVERY, CHECK_LOSS_EVERY) if trainer.device.is_gpu else (1, 0)
    for images, labels in batches(source, steps, lambda: trainer.batch_size):
        trainer.group.check_cancelled(channel, trainer.device)
        losses.append(train_step(trainer, images, labels, channel))
        if len(losses) % looks == 0:
            trainer.check_losses(late.exchange(torch.stack(losses[-looks:])), behind)
        meter.crops += len(images) * trainer.group.size
        now = time.monotonic()
        if now - reported > PROGRESS_EVERY_S:
            reported = now
            rate = f"{(len(losses) * trainer.batch_size) / (now - started):.1f} tiles/s"
            channel.progress("training", trainer.epoch + len(losses) / len(steps), plan.epochs, rate)
        if trainer.out_of_time():
            break
    values = torch.stack(losses).tolist()
    trainer.check_losses(values)
    meter.steps += len(losses)
    meter.train_s += time.monotonic() - started
    return float(np.mean(values))


def validate_epoch(session: Session, trainer: Trainer) -> ValidationResult | None:
    """Validate the averaged weights on all validation pixels.

    Args:
        session: data and settings.
        trainer: its averaged network.

    Returns:
        Loss and confusion matrices; None without validation pixels.
    """
    if not (session.scene.validation != IGNORE).any():
        return None
    network = trainer.ema.network
    return validate(
        network,
        session.scene,
        trainer.loss,
        trainer.device,
        trainer.precision,
        session.channel,
        trainer.group,
        session.plan.crop_px,
    )


def end_epoch(
    session: Session, trainer: Trainer, loss: float, result: ValidationResult | None
) -> dict[str, Any]:
    """Keep the weights unless they are worse than the best; write history.json.

    Args:
        session: output and classes.
        trainer: its history gets a row.
        loss: mean training loss of the epoch.
        result: of the validation; None without.

    Returns:
        The newest row of the history.
    """
    validation_scores = scores(result.matrix, session.classes) if result else {}
    monitor = trainer.settings.monitor
    score = monitored_score(monitor, validation_scores, result)
    if score is not None and not session.scene.validation_data.is_sufficient:
        score = smoothed_loss(trainer.history, score)
    kept = trainer.end_epoch(
        score,
        result.blocks if result else None,
        score_function(monitor, background_and_object(session.classes)),
    )
    row = {
        "epoch": trainer.epoch,
        "train_loss": loss,
        "validation_loss": result.loss if result else None,
        "miou": validation_scores.get("miou"),
        "iou": [item["iou"] for item in validation_scores.get("per_class", [])],
        "f1": [item["f1"] for item in validation_scores.get("per_class", [])],
        "learning_rate": trainer.optimizer.param_groups[0]["lr"],
        "best": kept,
        "scores": validation_scores,
    }
    trainer.history.append(row)
    if trainer.group.first:
        write_json(session.output / HISTORY_FILE, trainer.history)
    return row


def monitored_score(
    monitor: str, validation_scores: dict[str, Any], result: ValidationResult | None
) -> float | None:
    """Return the score that decides which epoch is kept; `foreground_iou` of many classes is their mean IoU.

    Args:
        monitor: as TrainJob.monitor.
        found: scores of the validation.
        result: of the validation; None without.
    """
    if result is None:
        return None
    if monitor == "loss":
        return result.loss
    if monitor == "foreground_iou" and validation_scores["foreground_iou"] is not None:
        return float(validation_scores["foreground_iou"])
    score: float | None = validation_scores["mean_f1" if monitor == "f1" else "miou"]
    return score


def save_checkpoint(session: Session, trainer: Trainer, meter: Meter) -> None:
    """Write the checkpoint.

    Args:
        session: job, plan, classes and statistics.
        trainer: weights, optimizer, history.
        meter: measured speed.
    """
    state = {
        "job": encode(session.job),
        "plan": encode(session.plan),
        "architecture": session.architecture,
        "bands": [band.name for band in session.scene.bands],
        "classes": [item.name for item in session.classes],
        "statistics": encode(session.scene.statistics),
        "found": encode(session.problems),
        "fingerprint": session.fingerprint,
        "precision": trainer.precision.name,
        "device": trainer.device.name,
        "seconds_per_step": meter.seconds_per_step,
        **trainer.state(),
    }
    checkpoint.save(session.output / checkpoint.FILE, state, trainer.device)


def report_epoch(session: Session, trainer: Trainer, meter: Meter, row: dict[str, Any]) -> None:
    """Send the event `epoch`.

    Args:
        session: its channel gets the event.
        trainer: at the end of the epoch.
        meter: measured speed.
        row: of the history.
    """
    session.channel.send(
        "epoch",
        epochs=session.plan.epochs,
        tiles_per_s=round(meter.tiles_per_s, 2),
        seconds_left=round(meter.seconds_left(session, trainer), 1),
        **{key: value for key, value in row.items() if key != "scores"},
    )
