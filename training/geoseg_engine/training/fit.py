"""The recipe of training, from top to bottom: data, plan, network, loop, model file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..channel import Channel
from ..contract import (
    IGNORE,
    PROTOCOL,
    SAVING_PHASE,
    Dataset,
    GeoSegError,
    LabelClass,
    Problem,
    TrainJob,
    decode,
    encode,
    write_json,
)
from ..dataset.datasets import load_dataset
from ..dataset.subset import with_bands
from ..modelfile.description import describe
from ..modelfile.export import export
from ..modelfile.precision import Precision, choose, device_name, find_device
from ..modelfile.stats import Statistics
from ..models import build, traits
from ..outputs import prepare_folder
from . import checkpoint
from .classweights import class_weights
from .descent import Descent
from .distributed import ALONE, Group, join
from .loop import HISTORY_FILE, Meter, Session, train
from .losses import loss_of
from .plan import Plan, make_plan
from .provenance import provenance
from .sample import Sampler
from .scene import Measured, Scene, load
from .trainer import Trainer

MODEL_FILE, METRICS_FILE = "model.onnx", "metrics.json"
EXPORT_RESERVE_S = 15.0
NOT_TOLD = ("job", "plan", "architecture", "provenance")
"""What stands in metrics.json and the model, but not in the result."""


def run(job: TrainJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Train on a dataset; leave model.onnx, checkpoint.pt, history.json and metrics.json in the output folder.

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
    announce(device, channel)
    whole, dataset_folder = load_dataset(folder / job.dataset)
    dataset = with_bands(whole, job.bands)
    check_classes(dataset.classes)
    saved = saved_state(job, dataset, output, channel)
    margin_px = max(job.crop_px, dataset.tile_px, 256)
    scene, found = load(dataset, dataset_folder, margin_px, channel, measured_before(saved), whole)
    warnings = [*dataset.warnings, *found, *class_warnings(scene, dataset.classes)]
    for problem in warnings[len(dataset.warnings) :]:
        channel.log(f"{problem.message} {problem.hint}", "warning")

    session, trainer = set_up(job, dataset, scene, saved, device, output, channel, group)
    session = replace(session, found=tuple(found))
    if session.plan.minutes:
        ends = started + 60 * session.plan.minutes
        trainer.budget_s = max(ends - EXPORT_RESERVE_S - time.monotonic(), 1.0)
    cancelled, meter = train(session, trainer)
    if not group.first:
        return group.agree({})

    channel.send("progress", phase=SAVING_PHASE, done=0, total=1, rate="")
    summary = summarise(session, trainer, meter, cancelled)
    summary["provenance"] = provenance(dataset, dataset_folder, time.monotonic() - started)
    write_model(session, trainer, dataset, warnings, summary)
    write_json(output / METRICS_FILE, summary)
    for kind, name in (("model", MODEL_FILE), ("history", HISTORY_FILE), ("metrics", METRICS_FILE)):
        channel.artifact(kind, (output / name).resolve())
    result = {
        "model": str(output / MODEL_FILE),
        "checkpoint": str(output / checkpoint.FILE),
        **{key: value for key, value in summary.items() if key not in NOT_TOLD},
        "warnings": warnings,
    }
    return group.agree(result)


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


def check_classes(classes: Sequence[LabelClass]) -> None:
    """Raise `one_class` unless there are two classes to tell apart."""
    if len(classes) < 2:
        names = ", ".join(item.name for item in classes) or "none"
        raise GeoSegError(
            "one_class",
            f"There is nothing to tell apart: the labels have one class ({names}).",
            "Let unlabelled ground be background, or choose a field with more classes.",
        )


def class_warnings(scene: Scene, classes: Sequence[LabelClass]) -> list[Problem]:
    """Classes without training pixels; a dataset without validation pixels.

    Raises:
        GeoSegError: `no_training_pixels` if fewer than two classes have any.
    """
    counts = scene.train_counts()
    absent = [item.name for item, pixels in zip(classes, counts, strict=True) if not pixels]
    if len(classes) - len(absent) < 2:
        raise GeoSegError(
            "no_training_pixels",
            f"The train split has no pixel of {', '.join(absent)}.",
            "Give train a larger share, make split blocks smaller, or label more ground.",
        )
    found = [
        Problem(
            "class_without_training_pixels",
            f"Class '{name}' has no training pixel: the model will never predict it.",
            "Label some in the train blocks, or split again with another seed.",
            "warning",
        )
        for name in absent
    ]
    if not (scene.validation != IGNORE).any():
        found.append(
            Problem(
                "no_validation_pixels",
                "No labelled pixel belongs to the validation split: training cannot stop early and the last "
                "epoch is kept.",
                "Give validation a share of the blocks.",
                "warning",
            )
        )
    return found


def set_up(
    job: TrainJob,
    dataset: Dataset,
    scene: Scene,
    saved: dict[str, Any],
    device: torch.device,
    output: Path,
    channel: Channel,
    group: Group = ALONE,
) -> tuple[Session, Trainer]:
    """Plan, network, loss, precision and optimiser; as they were where there is a saved state."""
    torch.manual_seed(job.seed)
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True
    if saved:
        plan = replace(decode(Plan, saved["plan"]), epochs=job.epochs or saved["plan"]["epochs"], reasons=())
        architecture = saved["architecture"]
        precision = Precision(saved["precision"], saved["seconds_per_step"])
    else:
        shape = (scene.image.height, scene.image.width)
        plan = make_plan(job, dataset.tile_px, shape, scene.train_counts(), device)
        architecture = {
            "name": job.architecture,
            "bands": len(scene.bands),
            "classes": len(dataset.classes),
            "width": plan.width,
            "levels": plan.levels,
            "dropout": plan.dropout,
        }
    plan = group.agree(group.shared(plan))
    network = build(architecture).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not saved:
        batch = (plan.batch_size // group.size, len(scene.bands), plan.crop_px, plan.crop_px)
        precision = group.agree(choose(network.train(), batch, device, job.precision))
        log_plan(plan, precision, channel)
    counts = scene.train_counts()
    loss = loss_of(plan.loss, class_weights(counts, plan.class_weights), counts.index(max(counts)))
    descent = Descent(
        plan.learning_rate,
        plan.epochs * plan.steps_per_epoch,
        job.optimiser,
        job.schedule,
        job.weight_decay,
        plan.average,
        job.monitor,
    )
    trainer = Trainer(network, loss, precision, descent, plan.batch_size, group)
    if saved:
        trainer.restore(saved)
        channel.log(f"Resumed after epoch {trainer.epoch}, best so far epoch {trainer.best.epoch}.")
    session = Session(
        job, plan, scene, dataset.classes, architecture, output, channel, fingerprint=dataset.fingerprint
    )
    return session, trainer


def saved_state(job: TrainJob, dataset: Dataset, output: Path, channel: Channel) -> dict[str, Any]:
    """The checkpoint to resume from; empty to begin anew.

    Raises:
        GeoSegError: `resume_mismatch` if it was trained on other bands or classes, or on another split.
    """
    if not job.resume:
        return {}
    if not (output / checkpoint.FILE).exists():
        channel.log("There is no checkpoint to resume from yet: training begins anew.", "warning")
        return {}
    saved = checkpoint.load(output / checkpoint.FILE)
    for what, names in (
        ("bands", [band.name for band in dataset.recipe.bands]),
        ("classes", [item.name for item in dataset.classes]),
    ):
        if saved[what] != names:
            raise GeoSegError(
                "resume_mismatch",
                f"The checkpoint has the {what} {', '.join(saved[what])}; the dataset has {', '.join(names)}.",
                "Train anew without resume, or choose the dataset of the first run.",
            )
    if saved.get("fingerprint", "") != dataset.fingerprint:
        raise GeoSegError(
            "resume_mismatch",
            f"Labels or split of dataset '{dataset.name}' were made anew since the checkpoint was written: pixels "
            "that are held out now may have been trained on.",
            "Train anew without resume, or choose the dataset of the first run.",
        )
    return saved


def measured_before(saved: dict[str, Any]) -> Measured | None:
    """Statistics of the bands in a checkpoint, with what was wrong with bands; None without a checkpoint."""
    if not saved:
        return None
    statistics = decode(Statistics, saved["statistics"])
    return statistics, [decode(Problem, item) for item in saved.get("found", ())]


def log_plan(plan: Plan, precision: Precision, channel: Channel) -> None:
    """Say what will be done, why, and about how long it takes."""
    if plan.reasons:
        channel.log("Plan: " + "; ".join(plan.reasons) + ".")
    minutes = precision.seconds_per_step * plan.steps_per_epoch * plan.epochs / 60
    channel.log(
        f"Precision {precision.name}, {precision.seconds_per_step:.2f} s a step: at most about "
        f"{minutes:.1f} min for {plan.epochs} epochs of {plan.steps_per_epoch} steps."
    )


def summarise(session: Session, trainer: Trainer, meter: Meter, cancelled: bool) -> dict[str, Any]:
    """What metrics.json, the model and the result say of the run."""
    best = trainer.best
    return {
        "miou": trainer.history[best.epoch - 1]["miou"],
        "monitor": trainer.descent.monitor,
        "score": best.score,
        "scores": trainer.history[best.epoch - 1]["scores"],
        "split": "validation",
        "epochs_run": trainer.epoch,
        "best_epoch": best.epoch,
        "cancelled": cancelled,
        "device": device_name(trainer.device)[0],
        "precision": trainer.precision.name,
        "seconds_per_step": meter.seconds_per_step,
        "tiles_per_s": meter.tiles_per_s,
        "architecture": session.architecture,
        "plan": encode(session.plan),
        "job": encode(session.job),
    }


def write_model(
    session: Session,
    trainer: Trainer,
    dataset: Dataset,
    warnings: Sequence[Problem],
    summary: dict[str, Any],
) -> None:
    """Export the best weights with everything that prediction needs to know."""
    network = build(session.architecture)
    network.load_state_dict(trainer.best.weights)
    facts = traits(network)
    metadata = describe(
        dataset,
        session.scene.statistics,
        session.architecture,
        facts,
        session.plan.crop_px,
        summary["scores"],
        warnings,
        {key: value for key, value in summary.items() if key not in ("scores", "architecture")},
    )
    samples = real_samples(session, facts.align_px)
    export(network, session.scene.statistics, metadata, samples, session.output / MODEL_FILE)


def real_samples(session: Session, align_px: int) -> list[Tensor]:
    """Real tiles of three shapes to hold the exported model against; one has invalid pixels."""
    sampler = Sampler(session.scene, session.plan.crop_px, session.job.seed)
    samples = []
    for index, (batch, rows, cols) in enumerate(((2, 4, 6), (1, 6, 6), (3, 6, 2))):
        images, _ = sampler.crops(index, batch, 6 * align_px)
        samples.append(images[:, :, : rows * align_px, : cols * align_px].cpu().contiguous())
    samples[1][:, :, :3, :5] = torch.nan
    return samples
