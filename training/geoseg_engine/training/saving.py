"""What a finished training writes: its summary with where it comes from, the calibration and the model file."""

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
from ..modelfile import calibration
from ..modelfile.calibration import PLAIN, Calibration, sentence
from ..modelfile.description import describe
from ..modelfile.export import export
from ..modelfile.precision import device_name
from ..modelfile.stac import write_sidecar
from ..models import build, traits
from ..versions import installed_versions
from .loop import Meter, Session
from .model_selection import kept_sentence
from .sampler import Sampler
from .trainer import Trainer
from .validate import predict_cores

MODEL_FILE = "model.onnx"
CALIBRATION_PIXELS = 2_000_000


def summarise(
    session: Session, trainer: Trainer, meter: Meter, cancelled: bool, found: Calibration
) -> dict[str, Any]:
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
        "kept_sentence": kept_sentence(best, trainer.descent.monitor, session.scene.validation_data),
        "cancelled": cancelled,
        "calibration_sentence": sentence(found, session.classes, few_data(session)),
        "device": device_name(trainer.device)[0],
        "precision": trainer.precision.name,
        "seconds_per_step": meter.seconds_per_step,
        "tiles_per_s": meter.tiles_per_s,
        "architecture": session.architecture,
        "plan": encode(session.plan),
        "job": encode(session.job),
    }


def best_network(session: Session, trainer: Trainer) -> nn.Module:
    """The network of the best epoch, on the CPU."""
    network = build(session.architecture)
    network.load_state_dict(trainer.best.weights)
    return network.eval()


def calibrate(session: Session, trainer: Trainer) -> Calibration:
    """Temperature, bias and class weights from the validation pixels, evenly thinned; none without them."""
    known = int((session.scene.validation != IGNORE).sum())
    if not session.job.calibrate or not known:
        return PLAIN
    step = -(-known // CALIBRATION_PIXELS)
    network = best_network(session, trainer).to(trainer.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    learned = [pixels > 0 for pixels in session.scene.train_counts()]
    logits, truths, seen = [], [], 0
    for core, found in predict_cores(
        network, session.scene, trainer.device, trainer.precision, crop_px=session.plan.crop_px
    ):
        truth = session.scene.validation[core.row : core.row + core.height, core.col : core.col + core.width]
        places = np.flatnonzero(truth.ravel() != IGNORE)
        chosen = places[-seen % step :: step]
        seen += len(places)
        flat = found[0, :, : truth.shape[0], : truth.shape[1]].flatten(1).T
        logits.append(flat[torch.from_numpy(chosen).to(flat.device)].cpu().numpy())
        truths.append(truth.ravel()[chosen])
    validation = session.scene.validation_data
    weighted = validation.weighted if validation.decides else (False,) * session.scene.classes
    result = calibration.fit(
        np.concatenate(logits), np.concatenate(truths), learned=learned, weighted=weighted
    )
    session.channel.log(sentence(result, session.classes, few_data(session)))
    return result


def few_data(session: Session) -> str:
    """Which classes are not weighted for too few validation data; empty where all may be, or nothing is calibrated."""
    validation = session.scene.validation_data
    return (
        (validation.few_regions() or validation.few_objects(session.classes)) if session.job.calibrate else ""
    )


def write_model(
    session: Session,
    trainer: Trainer,
    dataset: Dataset,
    warnings: Sequence[Problem],
    summary: dict[str, Any],
    found: Calibration,
) -> None:
    """Export the best weights, calibrated, with everything that prediction needs to know, and its sidecar."""
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
    export(network, session.scene.statistics, metadata, samples, session.output / MODEL_FILE, found)
    write_sidecar(session.output / MODEL_FILE)


def real_samples(session: Session, align_px: int) -> list[Tensor]:
    """Real tiles of three shapes to hold the exported model against; one has invalid pixels."""
    sampler = Sampler(session.scene, session.plan.crop_px, session.job.seed)
    samples = []
    for index, (batch, rows, cols) in enumerate(((2, 4, 6), (1, 6, 6), (3, 6, 2))):
        images, _ = sampler.crops(index, batch, 6 * align_px)
        samples.append(images[:, :, : rows * align_px, : cols * align_px].cpu().contiguous())
    samples[1][:, :, :3, :5] = torch.nan
    return samples


def provenance(dataset: Dataset, folder: Path, seconds: float) -> dict[str, Any]:
    """Facts for metrics.json and the model; job, plan, seed and device stand beside them.

    Args:
        dataset: what was trained on.
        folder: the dataset's; paths of sources are relative to it.
        seconds: wall time of the run up to now, in this process.
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
    """Path, size and time of change of every file the stack is made of; without size where it is no file."""
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
