"""The training loop: epochs of random crops, validation, checkpoint, until enough."""

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
from .batches import Feed, batches, step
from .logs import Logs
from .model_selection import kept_sentence, score_of, smoothed_loss
from .plan import Plan
from .sampler import Sampler
from .scene import ImageInMemory, Scene
from .trainer import Trainer
from .validate import Verdict, validate

HISTORY_FILE = "history.json"
PROGRESS_EVERY_S = 0.5
LOOK_EVERY = 20
"""Steps after which the loss is looked at on a GPU: to look is to wait for it."""
GPU_SHARE = 0.25
"""The image is kept on the GPU if it takes at most this share of the free memory there."""


@dataclass(frozen=True)
class Session:
    """One training run: on what, how, and where its files go.

    `fingerprint` is the dataset's; `found` is what was wrong with bands when their statistics were measured.
    """

    job: TrainJob
    plan: Plan
    scene: Scene
    classes: tuple[LabelClass, ...]
    architecture: dict[str, Any]
    output: Path
    channel: Channel
    fingerprint: str = ""
    found: tuple[Problem, ...] = ()


class Meter:
    """Counts what was trained in this process, for speed and time left."""

    def __init__(self) -> None:
        self.crops = self.steps = self.epochs = 0
        self.train_s = self.epoch_s = 0.0

    @property
    def tiles_per_s(self) -> float:
        """Crops trained on in a second."""
        return self.crops / max(self.train_s, 1e-9)

    @property
    def seconds_per_step(self) -> float:
        """Time of one step, sampling included."""
        return self.train_s / max(self.steps, 1)

    def seconds_left(self, session: Session, trainer: Trainer) -> float:
        """Until the last epoch or the end of the time budget."""
        left = self.epoch_s / max(self.epochs, 1) * (session.plan.epochs - trainer.epoch)
        return min(left, trainer.seconds_left())


def train(session: Session, trainer: Trainer) -> tuple[bool, Meter]:
    """Train until the last epoch, no more patience, no more time, or the user's wish.

    Returns:
        Whether the user stopped it, and the measurements.

    Raises:
        Cancelled: if the user stops before the first epoch is complete: there is nothing to keep.
    """
    session = replace(session, scene=near(session.scene, trainer.device))
    session = replace(session, channel=trainer.group.channel(session.channel))
    sampler = Sampler(session.scene, session.plan.crop_px, session.job.seed, session.plan.by_class)
    meter = Meter()
    with closing(open_logs(session, trainer)) as logs:
        while not finished(session, trainer):
            started = time.monotonic()
            try:
                loss = train_epoch(session, trainer, sampler, meter)
                verdict = judge(session, trainer)
            except Cancelled:
                if not trainer.best.epoch:
                    raise
                return True, meter
            meter.epochs += 1
            meter.epoch_s += time.monotonic() - started
            row = end_epoch(session, trainer, loss, verdict)
            if trainer.group.first:
                save(session, trainer, meter)
                logs.write(trainer.history, session.scene, trainer.average.network)
            report(session, trainer, meter, row)
    session.channel.log(why_ended(session, trainer))
    return False, meter


def why_ended(session: Session, trainer: Trainer) -> str:
    """Why training is over and which epoch is kept, in a sentence."""
    if trainer.epoch >= session.plan.epochs:
        why = "All epochs are done"
    elif trainer.out_of_time():
        why = f"Time is up after epoch {trainer.epoch} of {session.plan.epochs}"
    else:
        waited = trainer.epoch - trainer.best.peak_epoch
        why = f"No gain in {waited} epochs, stopped after epoch {trainer.epoch}"
    return f"{why}. {kept_sentence(trainer.best, trainer.descent.monitor, session.scene.validation_data)}"


def open_logs(session: Session, trainer: Trainer) -> Logs:
    """What is left for other programs; only the process that writes fills it."""
    tensorboard = session.job.tensorboard and trainer.group.first
    return Logs(session.output, session.classes, tensorboard, trainer.epoch, session.channel)


def finished(session: Session, trainer: Trainer) -> bool:
    """Whether to stop; never before the first epoch."""
    if not trainer.epoch:
        return False
    waited = trainer.epoch - trainer.best.peak_epoch
    patience = session.plan.patience
    stale = patience > 0 and trainer.best.peak is not None and waited >= patience
    return trainer.epoch >= session.plan.epochs or stale or trainer.out_of_time()


def train_epoch(session: Session, trainer: Trainer, sampler: Sampler, meter: Meter) -> float:
    """One epoch of steps, fewer when time runs out. Returns the mean loss.

    Raises:
        Cancelled: if the user asks to stop.
    """
    channel, plan = session.channel, session.plan
    trainer.group.seed(session.job.seed, trainer.epoch)
    steps = plan.steps(trainer.epoch)
    started = reported = time.monotonic()
    losses: list[Tensor] = []
    feed = Feed(plan, session.scene, sampler, trainer.device, trainer.group)
    looks = 1 if trainer.device.type == "cpu" else LOOK_EVERY
    for images, labels in batches(feed, steps, lambda: trainer.batch_size):
        trainer.group.check_cancelled(channel, trainer.device)
        losses.append(step(trainer, images, labels, channel))
        if len(losses) % looks == 0:
            trainer.check(torch.stack(losses[-looks:]).tolist())
        meter.crops += len(images) * trainer.group.size
        now = time.monotonic()
        if now - reported > PROGRESS_EVERY_S:
            reported = now
            rate = f"{(len(losses) * trainer.batch_size) / (now - started):.1f} tiles/s"
            channel.progress("training", trainer.epoch + len(losses) / len(steps), plan.epochs, rate)
        if trainer.out_of_time():
            break
    values = torch.stack(losses).tolist()
    trainer.check(values)
    meter.steps += len(losses)
    meter.train_s += time.monotonic() - started
    return float(np.mean(values))


def judge(session: Session, trainer: Trainer) -> Verdict | None:
    """The averaged weights on all validation pixels; None without any."""
    if not (session.scene.validation != IGNORE).any():
        return None
    network = trainer.average.network
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


def end_epoch(session: Session, trainer: Trainer, loss: float, verdict: Verdict | None) -> dict[str, Any]:
    """Keep the weights unless they are worse than the best; write history.json. Returns its newest row."""
    found = scores(verdict.matrix, session.classes) if verdict else {}
    monitor = trainer.descent.monitor
    score = monitored(monitor, found, verdict)
    if score is not None and not session.scene.validation_data.decides:
        score = smoothed_loss(trainer.history, score)
    kept = trainer.judge(
        score,
        verdict.blocks if verdict else None,
        score_of(monitor, background_and_object(session.classes)),
    )
    row = {
        "epoch": trainer.epoch,
        "train_loss": loss,
        "validation_loss": verdict.loss if verdict else None,
        "miou": found.get("miou"),
        "iou": [item["iou"] for item in found.get("per_class", [])],
        "f1": [item["f1"] for item in found.get("per_class", [])],
        "learning_rate": trainer.optimiser.param_groups[0]["lr"],
        "best": kept,
        "scores": found,
    }
    trainer.history.append(row)
    if trainer.group.first:
        write_json(session.output / HISTORY_FILE, trainer.history)
    return row


def monitored(monitor: str, found: dict[str, Any], verdict: Verdict | None) -> float | None:
    """The score that decides which epoch is kept; `foreground_iou` of many classes is their mean IoU."""
    if verdict is None:
        return None
    if monitor == "loss":
        return verdict.loss
    if monitor == "foreground_iou" and found["foreground_iou"] is not None:
        return float(found["foreground_iou"])
    score: float | None = found["mean_f1" if monitor == "f1" else "miou"]
    return score


def save(session: Session, trainer: Trainer, meter: Meter) -> None:
    """Write the checkpoint."""
    state = {
        "job": encode(session.job),
        "plan": encode(session.plan),
        "architecture": session.architecture,
        "bands": [band.name for band in session.scene.bands],
        "classes": [item.name for item in session.classes],
        "statistics": encode(session.scene.statistics),
        "found": encode(session.found),
        "fingerprint": session.fingerprint,
        "precision": trainer.precision.name,
        "seconds_per_step": meter.seconds_per_step,
        **trainer.state(),
    }
    checkpoint.save(session.output / checkpoint.FILE, state)


def report(session: Session, trainer: Trainer, meter: Meter, row: dict[str, Any]) -> None:
    """Send the epoch to the other side."""
    session.channel.send(
        "epoch",
        epochs=session.plan.epochs,
        tiles_per_s=round(meter.tiles_per_s, 2),
        seconds_left=round(meter.seconds_left(session, trainer), 1),
        **{key: value for key, value in row.items() if key != "scores"},
    )


def near(whole: Scene, device: torch.device) -> Scene:
    """The scene with its image on the GPU, where it fits."""
    image = whole.image
    if device.type != "cuda" or not isinstance(image, ImageInMemory):
        return whole
    free, _ = torch.cuda.mem_get_info(device)
    size = image.scores.numel() * image.scores.element_size()
    return replace(whole, image=image.to(device)) if size <= GPU_SHARE * free else whole
