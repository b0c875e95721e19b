"""The recipe of training, from top to bottom: data, plan, network, loop, model file."""

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
from ..modelfile.precision import device_name, find_device
from ..modelfile.reading import ModelFile
from ..models import facts, traits
from ..outputs import prepare_folder, require_room
from . import checkpoint
from .checkpoint import continued, measured_before, saved_state
from .distributed import join
from .initial_weights import adopted, kept_statistics, leak_warnings, open_start, with_encoder
from .label_statistics import check_classes, class_warnings
from .loop import HISTORY_FILE, Session, train
from .preparing import Prepared, prepare, resumed
from .saving import MODEL_FILE, calibrate, provenance, summarise, write_model
from .scene import Scene, load, margin

METRICS_FILE, PLAN_FILE = "metrics.json", "plan.json"
EXPORT_RESERVE_S = 15.0
COPIES = 5
"""Of the weights in a checkpoint: these, their mean, the best, and two numbers of the optimiser for each."""
NOT_TOLD = ("job", "plan", "architecture", "provenance")
"""What stands in metrics.json and the model, but not in the result."""


@dataclass(frozen=True)
class Ground:
    """What is trained on, and from where.

    Attributes:
        job: with the settings of `start` filled in.
        dataset: with the bands that are used; paths are relative to `folder`.
        scene: image and labels.
        start: model to begin from.
        saved: checkpoint to resume from; empty to begin anew.
        found: what was wrong with bands or with `start`.
        warnings: of dataset, bands, classes and start.
    """

    job: TrainJob
    dataset: Dataset
    folder: Path
    scene: Scene
    start: ModelFile | None
    saved: dict[str, Any]
    found: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def run(job: TrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Train on a dataset; leave model.onnx, checkpoint.pt, history.json, metrics.json and plan.json in the output
    folder. A dry run only plans, and leaves plan.json.

    Raises:
        GeoSegError: `one_class`, `no_training_pixels`, `no_gpu`, `loss_not_finite`, `export_mismatch`, …
        Cancelled: if the user stops before there is anything to keep.
    """
    started = time.monotonic()
    output = folder / job.output
    prepare_folder(output)
    device = find_device(job.device)
    group = join(device)
    device = group.device(device)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
    announce(device, channel)

    ground = open_ground(job, folder, output, channel)
    job, scene, saved = ground.job, ground.scene, ground.saved
    if saved:
        prepared = resumed(job, scene, saved, device, group, channel)
    else:
        prepared = prepare(job, ground.dataset, scene, ground.start, device, group, channel, folder)
    plan = told(prepared, device, ground.warnings, job.dry_run)
    log_plan(plan, channel)
    if group.first and not saved:
        write_json(output / PLAN_FILE, plan)
    if job.dry_run:
        return plan

    if group.first:
        require_room({output: room_for(prepared.trainer.network)})
    trainer = prepared.trainer
    session = Session(
        job, prepared.plan, scene, ground.dataset.classes, prepared.architecture, output, channel,
        ground.dataset.fingerprint, ground.found,
    )  # fmt: skip
    if session.plan.minutes:
        ends = started + 60 * session.plan.minutes
        trainer.budget_s = max(ends - EXPORT_RESERVE_S - time.monotonic(), 1.0)
    cancelled, meter = train(session, trainer)
    if not group.first:
        return group.agree({})

    channel.send("progress", phase=SAVING_PHASE, done=0, total=1, rate="")
    found = calibrate(session, trainer)
    summary = summarise(session, trainer, meter, cancelled, found)
    summary["provenance"] = provenance(ground.dataset, ground.folder, time.monotonic() - started)
    write_model(session, trainer, ground.dataset, ground.warnings, summary, found)
    write_json(output / METRICS_FILE, summary)
    return group.agree(left(output, summary, ground.warnings, channel))


def open_ground(job: TrainJob, folder: Path, output: Path, channel: Channel) -> Ground:
    """Read the dataset, the checkpoint or the model to begin from, and the scene.

    Raises:
        GeoSegError: `no_dataset`, `unknown_band`, `one_class`, `no_training_pixels`, `start_from`, `resume_mismatch`, …
    """
    whole, dataset_folder = read_dataset(folder / job.dataset)
    dataset = with_bands(whole, job.bands)
    check_classes(dataset.classes)
    saved = {} if job.dry_run else saved_state(job, dataset, output, channel)
    start = None if saved else open_start(job, folder)
    job = adopted(job, start.architecture) if start else job
    job, doubts = (continued(job, saved, channel), []) if saved else with_encoder(job, dataset, folder)
    margin_px = margin(job.crop_px, dataset.tile_px)
    keep = partial(kept_statistics, start) if start else None
    scene, found = load(dataset, dataset_folder, margin_px, channel, measured_before(saved), whole, keep)
    found = [*found, *doubts, *(leak_warnings(start, dataset) if start else [])]
    own = [*found, *class_warnings(scene, dataset.classes)]
    for problem in own:
        channel.log(f"{problem.message} {problem.hint}", "warning")
    return Ground(job, dataset, dataset_folder, scene, start, saved, tuple(found), (*dataset.warnings, *own))


def room_for(network: nn.Module) -> int:
    """Bytes on disk of a run: two checkpoints while one takes the other's place, and two model files likewise."""
    numbers = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    return 2 * (COPIES + 1) * numbers


def left(
    output: Path, summary: dict[str, Any], warnings: Sequence[Problem], channel: Channel
) -> dict[str, Any]:
    """Announce the files of a finished run. Returns its result."""
    files = (("model", MODEL_FILE), ("history", HISTORY_FILE), ("metrics", METRICS_FILE))
    for kind, name in files:
        channel.artifact(kind, (output / name).resolve())
    return {
        "model": str(output / MODEL_FILE),
        "checkpoint": str(output / checkpoint.FILE),
        **{key: value for key, value in summary.items() if key not in NOT_TOLD},
        "warnings": list(warnings),
    }


def announce(device: torch.device, channel: Channel) -> None:
    """Tell the other side on what device the job runs."""
    name, memory_mb = device_name(device)
    channel.send(
        "hello",
        protocol=PROTOCOL,
        engine=__version__,
        versions={"torch": str(torch.__version__)},
        device=name,
        device_memory_mb=memory_mb,
    )


def told(
    prepared: Prepared, device: torch.device, warnings: Sequence[Problem], wholly: bool
) -> dict[str, Any]:
    """What plan.json and a dry run say: settings, reasons, size of the network, time.

    Memory that was not measured is computed only where all is to be told: that takes seconds.
    """
    plan, precision = prepared.plan, prepared.trial.precision
    network = prepared.trainer.network
    known, memory_mb = traits(network), prepared.trial.memory_mb
    if wholly and not memory_mb:
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
        "device": device_name(device)[0],
        "warnings": list(warnings),
    }


def log_plan(plan: dict[str, Any], channel: Channel) -> None:
    """Say what will be done, why, and about how long it takes."""
    if plan["reasons"]:
        channel.log("Plan: " + "; ".join(plan["reasons"]) + ".")
    numbers = plan["plan"]
    channel.log(
        f"Precision {plan['precision']}, {plan['seconds_per_step']:.2f} s a step: at most about "
        f"{plan['minutes']:.1f} min for {numbers['epochs']} epochs of {numbers['steps_per_epoch']} steps."
    )
