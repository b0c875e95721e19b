"""From scene and job to everything a run needs: plan, network, loss, real steps on trial, optimiser."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..channel import Channel
from ..contract import Dataset, TrainJob, decode
from ..modelfile.precision import Precision
from ..modelfile.reading import ModelFile
from ..models import architecture_of, build, encoder_modules, load_encoder, traits
from ..models.torchfile import DAMAGE
from .batches import Feed
from .checkpoint import FILE, unusable
from .data_survey import Survey, survey
from .distributed import Group
from .initial_weights import take_over
from .label_statistics import class_weights
from .losses import Loss, loss_of
from .lr_range_test import find_rate
from .optimizer import Descent
from .plan import Plan, fit_to_time, make_plan
from .sampler import Sampler
from .scene import Scene
from .step_timing import Trial, attempt, validation_seconds
from .trainer import Trainer


@dataclass(frozen=True)
class Prepared:
    """What a run begins with.

    Attributes:
        plan: settings; epochs and steps fit the time limit.
        architecture: of the network.
        trainer: at the first step, or where the checkpoint left it.
        trial: what real steps took.
        minutes: about how long it takes, at most.
    """

    plan: Plan
    architecture: dict[str, Any]
    trainer: Trainer
    trial: Trial
    minutes: float


def prepare(
    job: TrainJob,
    dataset: Dataset,
    scene: Scene,
    start: ModelFile | None,
    device: torch.device,
    group: Group,
    channel: Channel,
    folder: Path,
) -> Prepared:
    """Plan a run, build its network, try real steps and set up the descent.

    Args:
        job: settings; those of `start` are filled in.
        dataset, scene: what is trained on.
        start: model to begin from.
        device, group: where.
        channel: told what is found; cancel point.
        folder: paths of the job are relative to it.

    Raises:
        GeoSegError: `architecture`, `no_zoo`, `weights`, `out_of_memory`.
    """
    found = survey(scene)
    plan, architecture = first_plan(job, dataset, found, device)
    plan = group.agree(group.shared(plan))
    torch.manual_seed(job.seed)
    network = build(architecture)
    for text in begin(job, network, architecture, dataset, start, folder):
        channel.log(text)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    loss = loss_for(plan, scene)
    sampler = Sampler(scene, plan.crop_px, job.seed, plan.by_class)
    feed = Feed(plan, scene, sampler, device, group)
    grow = not job.batch_size and group.size == 1
    size = plan.batch_size // group.size
    trial = group.agree(attempt(network, loss, feed.first, device, job.precision, size, grow))
    plan = replace(plan, batch_size=trial.batch_size * group.size)
    validation_s = validation_seconds(
        trial.precision,
        trial.batch_size * plan.crop_px**2,
        found.validation_px,
    )
    plan = group.agree(fit_to_time(plan, job, trial.precision.seconds_per_step, validation_s))
    if job.lr_range_test and not job.learning_rate:
        plan = group.agree(with_found_rate(plan, job, network, loss, trial.precision, feed, channel))
    trainer = make_trainer(monitoring(job, scene), plan, network, loss, trial.precision, group)
    minutes = (plan.total_steps * trial.precision.seconds_per_step + plan.epochs * validation_s) / 60
    return Prepared(plan, architecture, trainer, trial, min(minutes, plan.minutes or minutes))


def resumed(
    job: TrainJob, scene: Scene, saved: dict[str, Any], device: torch.device, group: Group, channel: Channel
) -> Prepared:
    """Everything as a checkpoint left it; only the number of epochs and the time limit may be others."""
    plan = decode(Plan, saved["plan"])
    plan = replace(
        plan, epochs=job.epochs or plan.epochs, minutes=job.max_minutes or plan.minutes, reasons=()
    )
    torch.manual_seed(job.seed)
    network = build(saved["architecture"]).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    precision = Precision(saved["precision"], saved["seconds_per_step"])
    trainer = make_trainer(monitoring(job, scene), plan, network, loss_for(plan, scene), precision, group)
    try:
        trainer.restore(saved)
    except DAMAGE as error:
        raise unusable(Path(FILE), "its state does not fit this training") from error
    channel.log(f"Resumed after epoch {trainer.epoch}; kept so far is epoch {trainer.best.epoch}.")
    left = plan.total_steps - trainer.step_number
    minutes = max(left, 0) * precision.seconds_per_step / 60
    return Prepared(plan, saved["architecture"], trainer, Trial(precision, plan.batch_size), minutes)


def first_plan(
    job: TrainJob, dataset: Dataset, found: Survey, device: torch.device
) -> tuple[Plan, dict[str, Any]]:
    """The plan as far as it follows from data and device, and the network it is for."""
    plan = make_plan(job, dataset.tile_px, found, device)
    architecture = architecture_of(
        job,
        width=plan.width,
        levels=plan.levels,
        dropout=plan.dropout,
        bands=len(dataset.recipe.bands),
        classes=len(dataset.classes),
    )
    align_px = traits(build(architecture)).align_px
    return make_plan(job, dataset.tile_px, found, device, align_px), architecture


def begin(
    job: TrainJob,
    network: nn.Module,
    architecture: dict[str, Any],
    dataset: Dataset,
    start: ModelFile | None,
    folder: Path,
) -> list[str]:
    """Fill a new network with the weights that the job names. Returns what was done, in sentences."""
    told = []
    if job.weights:
        path = folder / job.weights
        given = str(path) if path.exists() else job.weights
        left = load_encoder(network, given)
        what = f"all but {len(left)} tensors of the encoder" if left else "the whole encoder"
        told.append(f"Weights of {Path(given).name}: {what} taken.")
    if start is not None:
        told.append(take_over(network, architecture, dataset.recipe.bands, dataset.classes, start))
    if job.freeze_epochs and not told:
        told.append("There is nothing to keep frozen: the encoder begins at random, so all of it is trained.")
    return told


def loss_for(plan: Plan, scene: Scene) -> Loss:
    """The loss of a plan, its classes weighed by the train pixels of the scene."""
    counts = scene.train_counts()
    return loss_of(plan.loss, class_weights(counts, plan.class_weights), counts.index(max(counts)))


def monitoring(job: TrainJob, scene: Scene) -> TrainJob:
    """The job with what is monitored in fact: of few validation data the loss, see `keeping`."""
    return job if scene.validation_data.decides else replace(job, monitor="loss")


def make_trainer(
    job: TrainJob, plan: Plan, network: nn.Module, loss: Loss, precision: Precision, group: Group
) -> Trainer:
    """Optimiser and schedule around a network."""
    descent = Descent(
        plan.learning_rate,
        plan.total_steps,
        job.optimiser,
        job.schedule,
        job.weight_decay,
        plan.average,
        job.monitor,
    )
    begun = bool(job.weights or job.start_from)
    frozen = encoder_modules(network) if job.freeze_epochs and begun else ()
    return Trainer(network, loss, precision, descent, plan.batch_size, group, frozen, job.freeze_epochs)


def with_found_rate(
    plan: Plan,
    job: TrainJob,
    network: nn.Module,
    loss: Loss,
    precision: Precision,
    feed: Feed,
    channel: Channel,
) -> Plan:
    """The plan with the learning rate that a trial of rising rates finds best."""
    descent = Descent(plan.learning_rate, 1, job.optimiser, "plateau", job.weight_decay, 0.0)
    found = find_rate(
        network,
        loss,
        precision,
        descent,
        lambda number: feed.batch(number, plan.batch_size),
        channel.check_cancelled,
    )
    if found is None:
        channel.log(
            f"The loss fell at no learning rate that was tried; {plan.learning_rate:g} is taken.", "warning"
        )
        return plan
    reason = f"learning rate {found:.2g}, where the loss fell most steeply in a trial of rising rates"
    return replace(plan, learning_rate=found, reasons=(*plan.reasons, reason))
