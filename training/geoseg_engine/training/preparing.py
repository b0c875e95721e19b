"""From scene and job to everything a run needs: plan, network, loss, timed steps, optimizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..channel import Channel
from ..contract import Dataset, TrainJob, decode
from ..device.devices import Device
from ..modelfile.precision import Precision
from ..modelfile.reading import ModelFile
from ..models import architecture_of, build, encoder_modules, load_encoder, traits
from ..models.torchfile import DAMAGE
from .batches import BatchSource
from .checkpoint import FILE, unusable_checkpoint
from .compilation import CompilerTrial, compiled_network, missing_for, try_compiler
from .data_survey import DataSurvey, survey_scene
from .distributed import Group
from .initial_weights import load_matching_weights
from .label_statistics import class_weights
from .losses import Loss, loss_of
from .lr_range_test import find_learning_rate
from .optimizer import settings_of
from .plan import Plan, fit_to_time, make_plan
from .sampler import Sampler
from .scene import Scene
from .step_timing import StepTiming, time_steps, validation_seconds
from .trainer import Trainer


@dataclass(frozen=True)
class Prepared:
    """A run that is ready to start.

    Attributes:
        plan: settings; epochs and steps fit the time limit.
        architecture: of the network.
        trainer: at the first step, or where the checkpoint left it.
        timing: of real steps.
        minutes: about how long training takes, at most.
    """

    plan: Plan
    architecture: dict[str, Any]
    trainer: Trainer
    timing: StepTiming
    minutes: float


def prepare(
    job: TrainJob,
    dataset: Dataset,
    scene: Scene,
    start: ModelFile | None,
    device: Device,
    group: Group,
    channel: Channel,
    folder: Path,
) -> Prepared:
    """Plan a run, build its network, time real steps and set up the optimizer.

    Args:
        job: settings; those of `start` are filled in.
        dataset, scene: what is trained on.
        start: model to start from.
        device, group: where to train.
        channel: gets messages; cancel point.
        folder: paths of the job are relative to it.

    Raises:
        GeoSegError: `architecture`, `no_zoo`, `weights`, `out_of_memory`.
    """
    survey = survey_scene(scene)
    plan, architecture = first_plan(job, dataset, survey, device)
    plan = group.broadcast(group.with_divisible_batch(plan))
    torch.manual_seed(job.seed)
    network = build(architecture)
    for text in load_initial_weights(job, network, architecture, dataset, start, folder):
        channel.log(text)
    network = network.to(device.torch_device, memory_format=device.layout)  # type: ignore[call-overload]
    loss = loss_for(plan, scene)
    sampler = Sampler(scene, plan.crop_px, job.seed, plan.by_class)
    source = BatchSource(plan, scene, sampler, device, group)
    alone, size = group.size == 1, plan.batch_size // group.size
    grow = alone and not job.batch_size
    timing = time_steps(network, loss, source.first_batch, device, job.precision, size, grow, alone)
    timing = group.broadcast(timing)
    plan = replace(plan, batch_size=timing.batch_size * group.size)
    validation_s = validation_seconds(
        timing.precision,
        timing.batch_size * plan.crop_px**2,
        survey.validation_px,
    )
    plan = group.broadcast(fit_to_time(plan, job, timing.precision.seconds_per_step, validation_s))
    if job.lr_range_test and not job.learning_rate:
        plan = group.broadcast(with_tested_rate(plan, job, network, loss, timing.precision, source, channel))
    minutes = (plan.total_steps * timing.precision.seconds_per_step + plan.epochs * validation_s) / 60
    minutes = min(minutes, plan.minutes or minutes)
    trial = CompilerTrial()
    if alone and not job.dry_run:
        trial = try_compiler(
            network,
            loss,
            lambda: source.first_batch(timing.batch_size),
            device,
            timing.precision,
            60 * minutes,
        )
        plan = replace(plan, compiled=trial.network is not None)
    if trial.reason:
        plan = replace(plan, reasons=(*plan.reasons, trial.reason))
    trainer = make_trainer(with_monitor(job, scene), plan, network, loss, timing.precision, group, device)
    if trial.network is not None:
        trainer.wrapped = trial.network
    return Prepared(plan, architecture, trainer, timing, minutes)


def prepare_resumed(
    job: TrainJob, scene: Scene, saved: dict[str, Any], device: Device, group: Group, channel: Channel
) -> Prepared:
    """Return everything as a checkpoint left it; only the number of epochs and the time limit may differ.

    Args:
        job: settings.
        scene: image and labels.
        saved: content of the checkpoint.
        device, group: where to train.
        channel: gets messages.

    Raises:
        GeoSegError: `bad_checkpoint` where its state does not fit this training.
    """
    plan = decode(Plan, saved["plan"])
    plan = replace(
        plan, epochs=job.epochs or plan.epochs, minutes=job.max_minutes or plan.minutes, reasons=()
    )
    torch.manual_seed(job.seed)
    network = build(saved["architecture"]).to(device.torch_device, memory_format=device.layout)  # type: ignore[call-overload]
    precision = resumed_precision(saved, device, channel)
    monitored, loss = with_monitor(job, scene), loss_for(plan, scene)
    trainer = make_trainer(monitored, plan, network, loss, precision, group, device)
    try:
        trainer.restore(saved)
    except DAMAGE as error:
        raise unusable_checkpoint(Path(FILE), "its state does not fit this training") from error
    if plan.compiled:
        missing = missing_for(device)
        if missing:
            channel.log(
                f"The network was compiled and is not any more: {missing}. Training is slower.", "warning"
            )
        else:
            trainer.wrapped = compiled_network(network)
    channel.log(f"Resumed after epoch {trainer.epoch}; kept so far is epoch {trainer.best.epoch}.")
    left = plan.total_steps - trainer.step_number
    minutes = max(left, 0) * precision.seconds_per_step / 60
    return Prepared(plan, saved["architecture"], trainer, StepTiming(precision, plan.batch_size), minutes)


def resumed_precision(saved: dict[str, Any], device: Device, channel: Channel) -> Precision:
    """Return the precision of a checkpoint, or float32 on a device that does not have it.

    Args:
        saved: content of the checkpoint.
        device: that training goes on on.
        channel: gets a warning where it is another device than before.
    """
    before, name = str(saved.get("device", "")), saved["precision"]
    if before in ("", device.name):
        return Precision(name, saved["seconds_per_step"])
    here = name if name in device.precisions else "float32"
    other = "" if here == name else f", in {here}: it does not have {name}"
    channel.log(f"The run began on {before}; it goes on on {device.name}{other}.", "warning")
    return Precision(here, saved["seconds_per_step"])


def first_plan(
    job: TrainJob, dataset: Dataset, survey: DataSurvey, device: Device
) -> tuple[Plan, dict[str, Any]]:
    """Return the plan as far as it follows from data and device, and the architecture it is for.

    Args:
        job: settings.
        dataset: bands, classes and tile size.
        survey: facts of the scene.
        device: GPU or CPU.
    """
    plan = make_plan(job, dataset.tile_px, survey, device)
    architecture = architecture_of(
        job,
        width=plan.width,
        levels=plan.levels,
        dropout=plan.dropout,
        bands=len(dataset.recipe.bands),
        classes=len(dataset.classes),
    )
    align_px = traits(build(architecture)).align_px
    return make_plan(job, dataset.tile_px, survey, device, align_px), architecture


def load_initial_weights(
    job: TrainJob,
    network: nn.Module,
    architecture: dict[str, Any],
    dataset: Dataset,
    start: ModelFile | None,
    folder: Path,
) -> list[str]:
    """Fill a new network with the weights that the job names.

    Args:
        job: settings.
        network: changed in place.
        architecture: of the network.
        dataset: bands and classes.
        start: model to start from.
        folder: paths of the job are relative to it.

    Returns:
        What was done, in sentences.
    """
    messages = []
    if job.weights:
        path = folder / job.weights
        given = str(path) if path.exists() else job.weights
        different = load_encoder(network, given)
        loaded = f"all but {len(different)} tensors of the encoder" if different else "the whole encoder"
        messages.append(f"Weights of {Path(given).name} loaded: {loaded}.")
    if start is not None:
        bands, classes = dataset.recipe.bands, dataset.classes
        messages.append(load_matching_weights(network, architecture, bands, classes, start))
    if job.freeze_epochs and not messages:
        messages.append("The encoder is not frozen: it starts from random weights, so all of it is trained.")
    return messages


def loss_for(plan: Plan, scene: Scene) -> Loss:
    """Return the loss of a plan, its classes weighted by the training pixels of the scene.

    Args:
        plan: loss and kind of class weights.
        scene: its training pixels per class.
    """
    counts = scene.train_counts()
    return loss_of(plan.loss, class_weights(counts, plan.class_weights), counts.index(max(counts)))


def with_monitor(job: TrainJob, scene: Scene) -> TrainJob:
    """Return the job with the score that is monitored: with few validation data the loss, see `model_selection`.

    Args:
        job: settings.
        scene: its validation data.
    """
    return job if scene.validation_data.is_sufficient else replace(job, monitor="loss")


def make_trainer(
    job: TrainJob,
    plan: Plan,
    network: nn.Module,
    loss: Loss,
    precision: Precision,
    group: Group,
    device: Device,
) -> Trainer:
    """Return a trainer with optimizer and schedule around a network.

    Args:
        job: settings.
        plan: learning rate, steps and batch size.
        network: on its device.
        loss: of the run.
        precision: arithmetic of the passes.
        group: processes that train together.
        device: of the network.
    """
    settings = settings_of(job, plan)
    pretrained = bool(job.weights or job.start_from)
    frozen = encoder_modules(network) if job.freeze_epochs and pretrained else ()
    return Trainer(
        network, loss, precision, settings, plan.batch_size, group, frozen, job.freeze_epochs, device
    )


def with_tested_rate(
    plan: Plan,
    job: TrainJob,
    network: nn.Module,
    loss: Loss,
    precision: Precision,
    source: BatchSource,
    channel: Channel,
) -> Plan:
    """Return the plan with the learning rate of a range test.

    Args:
        plan: its learning rate is kept where the test finds none.
        job: optimizer and weight decay.
        network, loss, precision: of the run.
        source: makes the batches.
        channel: gets a warning where the test finds none; cancel point.
    """
    settings = replace(settings_of(job, plan), ema_decay=0.0)
    tested = find_learning_rate(
        network,
        loss,
        precision,
        settings,
        lambda number: source.batch(number, plan.batch_size),
        channel.check_cancelled,
        source.device,
    )
    if tested is None:
        channel.log(f"The loss fell at no tested learning rate; {plan.learning_rate:g} is used.", "warning")
        return plan
    reason = f"learning rate {tested:.2g}, where the loss fell most steeply in a range test"
    return replace(plan, learning_rate=tested, reasons=(*plan.reasons, reason))
