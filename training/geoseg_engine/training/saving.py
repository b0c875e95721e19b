"""Output of a finished training: its summary and provenance, the calibration and the model file."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import __version__
from ..contract import IGNORE, Dataset, Problem, encode
from ..modelfile.calibration import PLAIN, Calibration, calibration_message
from ..modelfile.calibration import fit as fit_calibration
from ..modelfile.description import describe
from ..modelfile.export import export
from ..modelfile.stac import write_sidecar
from ..models import build, traits
from ..versions import installed_versions
from .loop import Meter, Session
from .model_selection import selection_message
from .sampler import Sampler
from .trainer import Trainer
from .validate import predict_cores

MODEL_FILE = "model.onnx"
CALIBRATION_PIXELS = 2_000_000


def summarise(
    session: Session, trainer: Trainer, meter: Meter, cancelled: bool, calibration: Calibration
) -> dict[str, Any]:
    """Return the content of metrics.json.

    Args:
        session: job, plan and architecture.
        trainer: history and kept epoch.
        meter: measured speed.
        cancelled: whether the user stopped the run.
        calibration: of the model.
    """
    best = trainer.best
    return {
        "miou": trainer.history[best.epoch - 1]["miou"],
        "monitor": trainer.settings.monitor,
        "score": best.score,
        "scores": trainer.history[best.epoch - 1]["scores"],
        "split": "validation",
        "epochs_run": trainer.epoch,
        "best_epoch": best.epoch,
        "kept_sentence": selection_message(best, trainer.settings.monitor, session.scene.validation_data),
        "cancelled": cancelled,
        "calibration_sentence": calibration_message(calibration, session.classes, too_few_data(session)),
        "device": trainer.device.name,
        "precision": trainer.precision.name,
        "seconds_per_step": meter.seconds_per_step,
        "tiles_per_s": meter.tiles_per_s,
        "architecture": session.architecture,
        "plan": encode(session.plan),
        "job": encode(session.job),
    }


def best_network(session: Session, trainer: Trainer) -> nn.Module:
    """Return the network of the kept epoch, on the CPU.

    Args:
        session: its architecture.
        trainer: its kept weights.
    """
    network = build(session.architecture)
    network.load_state_dict(trainer.best.weights)
    return network.eval()


def calibrate(session: Session, trainer: Trainer) -> Calibration:
    """Fit temperature, bias and class weights on validation pixels, evenly thinned.

    Args:
        session: validation pixels and whether to calibrate.
        trainer: its kept weights.

    Returns:
        The calibration; PLAIN without validation pixels.
    """
    known = int((session.scene.validation != IGNORE).sum())
    if not session.job.calibrate or not known:
        return PLAIN
    step = -(-known // CALIBRATION_PIXELS)
    network = best_network(session, trainer)
    network = network.to(trainer.device.torch_device, memory_format=trainer.device.layout)  # type: ignore[call-overload]
    learned = [pixels > 0 for pixels in session.scene.train_counts()]
    logits, truths, seen = [], [], 0
    for core, core_logits in predict_cores(
        network, session.scene, trainer.device, trainer.precision, crop_px=session.plan.crop_px
    ):
        truth = session.scene.validation[core.row : core.row + core.height, core.col : core.col + core.width]
        places = np.flatnonzero(truth.ravel() != IGNORE)
        chosen = places[-seen % step :: step]
        seen += len(places)
        flat = core_logits[0, :, : truth.shape[0], : truth.shape[1]].flatten(1).T
        logits.append(flat[torch.from_numpy(chosen).to(flat.device)].cpu().numpy())
        truths.append(truth.ravel()[chosen])
    validation = session.scene.validation_data
    weighted = validation.weighted if validation.is_sufficient else (False,) * session.scene.classes
    result = fit_calibration(
        np.concatenate(logits), np.concatenate(truths), learned=learned, weighted=weighted
    )
    session.channel.log(calibration_message(result, session.classes, too_few_data(session)))
    return result


def too_few_data(session: Session) -> str:
    """Return which classes have too few validation data for weights; empty where none has, or uncalibrated."""
    validation = session.scene.validation_data
    return (
        (validation.too_few_regions() or validation.too_few_objects(session.classes))
        if session.job.calibrate
        else ""
    )


def write_model(
    session: Session,
    trainer: Trainer,
    dataset: Dataset,
    warnings: Sequence[Problem],
    summary: dict[str, Any],
    calibration: Calibration,
) -> None:
    """Write model.onnx with the kept weights, the calibration and everything that prediction needs, and its sidecar.

    Args:
        session: statistics, architecture and output folder.
        trainer: its kept weights.
        dataset: bands, classes and recipe.
        warnings: of dataset and training.
        summary: content of metrics.json.
        calibration: of the model.

    Raises:
        GeoSegError: `export_mismatch`.
    """
    network = best_network(session, trainer)
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
    export(network, session.scene.statistics, metadata, samples, session.output / MODEL_FILE, calibration)
    write_sidecar(session.output / MODEL_FILE)


def real_samples(session: Session, align_px: int) -> list[Tensor]:
    """Return real tiles of three shapes to compare the exported model with; one has invalid pixels.

    Args:
        session: its scene.
        align_px: what rows and columns are multiples of.

    Returns:
        z-scores (batch, bands, rows, cols) on the CPU.
    """
    sampler = Sampler(session.scene, session.plan.crop_px, session.job.seed)
    samples = []
    for index, (batch, rows, cols) in enumerate(((2, 4, 6), (1, 6, 6), (3, 6, 2))):
        images, _ = sampler.crops(index, batch, 6 * align_px)
        samples.append(images[:, :, : rows * align_px, : cols * align_px].cpu().contiguous())
    samples[1][:, :, :3, :5] = torch.nan
    return samples


def provenance(dataset: Dataset, folder: Path, seconds: float) -> dict[str, Any]:
    """Return where a model comes from: versions, machine, data and time, enough to explain why two runs differ.

    Args:
        dataset: what was trained on.
        folder: the dataset's; paths of sources are relative to it.
        seconds: wall time of the run up to now, in this process.

    Returns:
        Plain values for metrics.json and the model; job, plan, seed and device are beside them.
    """
    return {
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "versions": {"geoseg": __version__, "python": platform.python_version(), **installed_versions()},
        "platform": platform.platform(),
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "folder": str(folder),
            "files": source_files(dataset, folder),
        },
    }


def source_files(dataset: Dataset, folder: Path) -> list[dict[str, Any]]:
    """Return path, size and time of change of every file the stack is made of; the path alone where it is no file.

    Args:
        dataset: sources, labels and split.
        folder: paths of the dataset are relative to it.
    """
    paths = [path for source in dataset.recipe.sources for path in (source.path, *source.paths)]
    return [_file(path, folder) for path in dict.fromkeys([*paths, dataset.labels, dataset.split]) if path]


def _file(path: str, folder: Path) -> dict[str, Any]:
    place = folder / path
    try:
        facts = place.stat()
    except (OSError, ValueError):
        return {"path": path}
    changed = datetime.datetime.fromtimestamp(facts.st_mtime, datetime.UTC)
    return {"path": path, "bytes": facts.st_size, "changed": changed.isoformat(timespec="seconds")}
