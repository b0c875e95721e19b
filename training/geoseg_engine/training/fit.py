"""The training recipe, from top to bottom: data, plan, network, loop, model file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import __version__
from ..channel import Channel
from ..contract import (
    PROTOCOL,
    SAVING_PHASE,
    Dataset,
    Problem,
    TrainJob,
    encode,
    write_json,
)
from ..dataset.datasets import read_dataset
from ..dataset.subset import with_bands
from ..device.devices import Device
from ..device.finding import announce, device_warnings, find_device
from ..modelfile.reading import ModelFile, read_model
from ..models import facts, traits
from ..outputs import prepare_folder, require_room
from . import checkpoint
from .checkpoint import load_for_resume, saved_statistics, with_saved_settings
from .distributed import join_group
from .initial_weights import (
    leak_warnings,
    merge_statistics,
    open_initial_model,
    with_encoder_size,
    with_network_size,
)
from .label_statistics import check_classes, class_warnings
from .loop import HISTORY_FILE, Session, train
from .placement import scene_on_device
from .preparing import Prepared, prepare, prepare_resumed
from .saving import MODEL_FILE, calibrate, provenance, summarise, write_model
from .scene import Scene, load_scene, padding

METRICS_FILE, PLAN_FILE = "metrics.json", "plan.json"
EXPORT_RESERVE_S = 15.0
COPIES = 5
"""Copies of the weights in a checkpoint: these, their EMA, the best, and two optimizer values for each."""
NOT_IN_RESULT = ("job", "plan", "architecture", "provenance")
"""Keys of metrics.json and the model that are not in the result."""


@dataclass(frozen=True)
class TrainingData:
    """What a run trains on and starts from.

    Attributes:
        job: with the settings of `start` filled in.
        dataset: with the bands that are used; paths are relative to `folder`.
        scene: image and labels.
        start: model to start from.
        saved: checkpoint to resume from; empty for a new training.
        problems: of bands or of `start`.
        warnings: of dataset, bands, classes and start.
    """

    job: TrainJob
    dataset: Dataset
    folder: Path
    scene: Scene
    start: ModelFile | None
    saved: dict[str, Any]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def run(job: TrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Train on a dataset and write model.onnx, checkpoint.pt, history.json, metrics.json and plan.json.

    A dry run only plans and writes plan.json.

    Args:
        job: settings; 0, None and "auto" are chosen from data and hardware.
        folder: of the job; its paths are relative to it.
        channel: gets events; cancel point.

    Returns:
        Paths of model and checkpoint, scores and warnings; of a dry run the plan with its reasons.

    Raises:
        GeoSegError: `one_class`, `no_training_pixels`, `no_gpu`, `loss_not_finite`, `export_mismatch`, …
        Cancelled: if the user stops before there is anything to keep.
    """
    started = time.monotonic()
    output = folder / job.output
    validated = read_model(folder / job.settings_from) if job.settings_from else None
    prepare_folder(output)
    device = find_device(job.device)
    group = join_group(device)
    device = group.device(device)
    device.make_deterministic()
    report_device(device, channel)

    data = read_training_data(job, folder, output, channel)
    job, saved = data.job, data.saved
    scene = data.scene if job.dry_run else scene_on_device(data.scene, device, channel)
    if saved:
        prepared = prepare_resumed(job, scene, saved, device, group, channel)
    else:
        prepared = prepare(job, data.dataset, scene, data.start, device, group, channel, folder)
    plan = plan_summary(prepared, device, data.warnings, job.dry_run)
    log_plan(plan, channel)
    if group.first and not saved:
        write_json(output / PLAN_FILE, plan)
    if job.dry_run:
        return plan

    if group.first:
        require_room({output: disk_space_needed(prepared.trainer.network)})
    trainer, session = prepared.trainer, open_session(data, prepared, output, channel)
    if session.plan.minutes:
        ends = started + 60 * session.plan.minutes
        trainer.budget_s = max(ends - EXPORT_RESERVE_S - time.monotonic(), 1.0)
    cancelled, meter = train(session, trainer, scene)
    if not group.first:
        return group.broadcast({})

    channel.send("progress", phase=SAVING_PHASE, done=0, total=1, rate="")
    calibration = validated.calibration if validated else calibrate(session, trainer)
    summary = summarise(session, trainer, meter, cancelled, calibration)
    if validated:  # this run has seen the areas that a score is made on
        summary |= {"miou": validated.metrics.get("miou"), "scores": validated.metrics}
    summary["provenance"] = provenance(data.dataset, data.folder, time.monotonic() - started)
    write_model(session, trainer, data.dataset, data.warnings, summary, calibration)
    write_json(output / METRICS_FILE, summary)
    warnings = (*data.warnings, *device_warnings(device))
    return group.broadcast(report_files(output, summary, warnings, channel))


def read_training_data(job: TrainJob, folder: Path, output: Path, channel: Channel) -> TrainingData:
    """Read the dataset, the checkpoint or the model to start from, and the scene.

    Args:
        job: settings.
        folder: of the job; its paths are relative to it.
        output: folder of the run, with the checkpoint to resume from.
        channel: gets warnings; cancel point.

    Raises:
        GeoSegError: `no_dataset`, `unknown_band`, `one_class`, `no_training_pixels`, `start_from`, `resume_mismatch`, …
    """
    whole, dataset_folder = read_dataset(folder / job.dataset)
    dataset = with_bands(whole, job.bands)
    check_classes(dataset.classes)
    saved = {} if job.dry_run else load_for_resume(job, dataset, output, channel)
    start = None if saved else open_initial_model(job, folder)
    job = with_network_size(job, start.architecture) if start else job
    job, encoder_warnings = (
        (with_saved_settings(job, saved, channel), []) if saved else with_encoder_size(job, dataset, folder)
    )
    padding_px = padding(job.crop_px, dataset.tile_px)
    keep = partial(merge_statistics, start) if start else None
    scene, problems = load_scene(
        dataset, dataset_folder, padding_px, channel, saved_statistics(saved), whole, keep
    )
    problems = [*problems, *encoder_warnings, *(leak_warnings(start, dataset) if start else [])]
    own = [*problems, *class_warnings(scene, dataset.classes)]
    if job.settings_from:  # then no area is left for validation, and none is needed
        own = [problem for problem in own if problem.code != "no_validation_pixels"]
    for problem in own:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    return TrainingData(
        job, dataset, dataset_folder, scene, start, saved, tuple(problems), (*dataset.warnings, *own)
    )


def open_session(data: TrainingData, prepared: Prepared, output: Path, channel: Channel) -> Session:
    """Return the session of the training loop.

    Args:
        data: job, scene and dataset.
        prepared: plan and architecture.
        output: folder of the run.
        channel: gets events; cancel point.
    """
    return Session(
        data.job,
        prepared.plan,
        data.scene,
        data.dataset.classes,
        prepared.architecture,
        output,
        channel,
        data.dataset.fingerprint,
        data.problems,
    )


def disk_space_needed(network: nn.Module) -> int:
    """Return the bytes on disk that a run needs: two checkpoints and two model files while each is replaced."""
    numbers = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    return 2 * (COPIES + 1) * numbers


def report_files(
    output: Path, summary: dict[str, Any], warnings: Sequence[Problem], channel: Channel
) -> dict[str, Any]:
    """Send the files of a finished run as artifacts and return its result.

    Args:
        output: folder of the run.
        summary: content of metrics.json.
        warnings: of dataset and training.
        channel: gets the artifacts.
    """
    files = (("model", MODEL_FILE), ("history", HISTORY_FILE), ("metrics", METRICS_FILE))
    for kind, name in files:
        channel.artifact(kind, (output / name).resolve())
    return {
        "model": str(output / MODEL_FILE),
        "checkpoint": str(output / checkpoint.FILE),
        **{key: value for key, value in summary.items() if key not in NOT_IN_RESULT},
        "warnings": list(warnings),
    }


def report_device(device: Device, channel: Channel) -> None:
    """Send the event `hello` with the device that the job runs on, and log what is wrong with it.

    Args:
        device: GPU or CPU.
        channel: gets the event.
    """
    channel.send(
        "hello",
        protocol=PROTOCOL,
        engine=__version__,
        versions={"torch": str(torch.__version__)},
        device=device.name,
        device_memory_mb=device.memory_mb,
    )
    announce(device, lambda text: channel.log(text, "warning"))


def plan_summary(
    prepared: Prepared, device: Device, warnings: Sequence[Problem], complete: bool
) -> dict[str, Any]:
    """Return the content of plan.json and the result of a dry run: settings, reasons, size of the network, time.

    Args:
        prepared: plan, network and measured step.
        device: GPU or CPU.
        warnings: of dataset and training.
        complete: whether memory that was not measured is computed, which takes seconds.
    """
    plan, precision = prepared.plan, prepared.timing.precision
    network = prepared.trainer.network
    known, memory_mb = traits(network), prepared.timing.memory_mb
    if complete and not memory_mb:
        per_px = facts(prepared.architecture).bytes_per_px_training
        memory_mb = round(per_px * plan.batch_size * plan.crop_px**2 / 2**20)
    return {
        "plan": encode(plan),
        "reasons": list(plan.reasons),
        "facts": {
            "parameters": sum(item.numel() for item in network.parameters()),
            "reach_px": known.reach_px,
            "align_px": known.align_px,
            "tile_exact": known.tile_exact,
            "memory_mb": memory_mb,
        },
        "architecture": prepared.architecture,
        "minutes": round(prepared.minutes, 2),
        "seconds_per_step": precision.seconds_per_step,
        "precision": precision.name,
        "device": device.name,
        "warnings": list(warnings),
    }


def log_plan(plan: dict[str, Any], channel: Channel) -> None:
    """Log the settings of a run with their reasons, and about how long it takes.

    Args:
        plan: of `plan_summary`.
        channel: gets the messages.
    """
    if plan["reasons"]:
        channel.log("Plan: " + "; ".join(plan["reasons"]) + ".")
    numbers = plan["plan"]
    channel.log(
        f"Precision {plan['precision']}, {plan['seconds_per_step']:.2f} s per step: at most about "
        f"{plan['minutes']:.1f} min for {numbers['epochs']} epochs of {numbers['steps_per_epoch']} steps."
    )
