"""The job `crossvalidate`: one training per fold, one confusion matrix of all, one model that is their ensemble."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from ..channel import Channel
from ..contract import CrossValidateJob, Dataset, GeoSegError, Problem, encode, write_json
from ..dataset.datasets import FILE, read_dataset
from ..dataset.tiles import FOLDS
from ..outputs import prepare_folder
from ..report.evaluation import write_report
from ..scores.metrics import scores
from . import runs
from .ensemble import write_ensemble

METRICS_FILE, REPORT_FILE, RUNS, PHASE = "metrics.json", "report.html", "runs", "folds"
OVERALL = ("miou", "foreground_iou", "mean_f1", "accuracy")
NOTHING_TO_SCORE = "nothing_to_score"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Fold:
    """One finished fold.

    Attributes:
        number: number of the fold, from 1.
        folder: folder of its run.
        trained: result of the training.
        evaluated: result of the evaluation on the fold's test pixels; None if none of them is labelled.
    """

    number: int
    folder: Path
    trained: dict[str, Any]
    evaluated: dict[str, Any] | None


def run(job: CrossValidateJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Train and evaluate every fold; write metrics.json, report.html, a folder per run, and their ensemble.

    Args:
        job: the cross-validation.
        folder: folder of the job; its paths are relative to it.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `no_folds` if the dataset has none; of a training.
        Cancelled: if the user stops; finished folds are kept.
    """
    runs.check_one_process()
    output = (folder / job.output).resolve()
    prepare_folder(output)
    training = runs.absolute(job.training, folder)
    dataset, home = read_dataset(training.dataset)
    paths = folds_of(dataset, home)
    done = []
    for number, path in enumerate(paths, 1):
        channel.progress(PHASE, number - 1, len(paths))
        one = replace(job, training=replace(training, dataset=str(path)))
        done.append(train_fold(one, number, output / RUNS / f"fold{number}", channel, len(paths)))
    summary = summarise(done, dataset)
    title = f"{dataset.name}: scores out of {len(done)} folds"
    write_report(output / REPORT_FILE, {**summary, "intervals": {}}, title=title, dataset=dataset)
    channel.artifact("report", output / REPORT_FILE)
    if job.ensemble:
        channel.log(f"The model is the mean of {len(done)} networks' probabilities.")
        models = [item.folder / runs.MODEL_FILE for item in done]
        write_ensemble(models, dataset, summary, output / runs.MODEL_FILE)
        summary["model"] = str(output / runs.MODEL_FILE)
        channel.artifact("model", output / runs.MODEL_FILE)
    write_json(output / METRICS_FILE, summary)
    channel.artifact("metrics", output / METRICS_FILE)
    channel.send("progress", phase=PHASE, done=len(paths), total=len(paths), rate="")
    return {**summary, "metrics": str(output / METRICS_FILE), "report": str(output / REPORT_FILE)}


def folds_of(dataset: Dataset, home: Path) -> list[Path]:
    """Return the dataset.json of every fold, in order.

    Args:
        dataset: the dataset.
        home: its folder.

    Raises:
        GeoSegError: `no_folds`.
    """
    found = [path for path in (home / FOLDS).glob(f"*/{FILE}") if path.parent.name.isdigit()]
    if not found:
        raise GeoSegError(
            "no_folds",
            f"The dataset '{dataset.name}' has no folds.",
            "Make tiles again with 5 folds, or more where there are few labels.",
        )
    return sorted(found, key=lambda path: int(path.parent.name))


def train_fold(job: CrossValidateJob, number: int, folder: Path, channel: Channel, total: int) -> Fold:
    """Train on one fold's dataset and evaluate on its test pixels.

    Args:
        job: the cross-validation, with the dataset of the fold.
        number: number of the fold, from 1.
        folder: folder of its run.
        channel: for progress, log and cancelling.
        total: number of folds.
    """
    title, progress = f"Fold {number}", runs.share_of_progress(channel, PHASE, number - 1, total)
    try:
        trained, evaluated = runs.train_and_evaluate(
            job.training, folder, "test", channel, title, resume=job.resume, progress=progress
        )
    except GeoSegError as error:
        if error.code != NOTHING_TO_SCORE:
            raise
        channel.log(f"{title}: {error.message}", "warning")
        return Fold(number, folder, runs.run_or_reuse(job.training, folder, channel, title), None)
    return Fold(number, folder, trained, evaluated)


def summarise(done: Sequence[Fold], dataset: Dataset) -> dict[str, Any]:
    """Return the content of metrics.json: scores of the sum of all confusion matrices, with intervals over folds.

    Every labelled pixel that a fold tests is in the matrix once, predicted by a network that was not trained on its
    block.

    Args:
        done: finished folds.
        dataset: the dataset.

    Raises:
        GeoSegError: `nothing_to_score`.
    """
    evaluated = [fold.evaluated for fold in done if fold.evaluated]
    if not evaluated:
        raise GeoSegError(
            NOTHING_TO_SCORE,
            "No fold has a labelled pixel to test on.",
            "Choose fewer folds, a narrower buffer, or draw polygons in more places.",
        )
    matrix = np.sum([np.array(item["confusion"], np.int64) for item in evaluated], axis=0)
    found = [
        item
        for fold in done
        for item in (*fold.trained["warnings"], *((fold.evaluated or {}).get("warnings", [])))
    ]
    known = {item.message for item in dataset.warnings}
    new = {item["message"]: item for item in found if item["message"] not in known}
    overall = scores(matrix, dataset.classes)
    empty = [
        Problem("empty_fold", f"Fold {fold.number} has no labelled pixel to test on.", "", "warning")
        for fold in done
        if not fold.evaluated
    ]
    summary = {
        **overall,
        "classes": dataset.classes,
        "split": "test",
        "own_split": True,
        "dataset": dataset.name,
        "folds": [fold_row(fold) for fold in done],
        "intervals": intervals(overall, evaluated),
        "device": done[0].trained.get("device", ""),
        "seconds": round(sum(fold.trained["seconds"] for fold in done), 2),
        "warnings": [*dataset.warnings, *new.values(), *empty],
    }
    plain: dict[str, Any] = encode(summary)
    return plain


def fold_row(fold: Fold) -> dict[str, Any]:
    """Return the row of one fold."""
    evaluated = fold.evaluated or {}
    return {
        "fold": fold.number,
        **{name: evaluated.get(name) for name in OVERALL},
        "pixels": evaluated.get("pixels", 0),
        "epochs_run": fold.trained["epochs_run"],
        "seconds": fold.trained["seconds"],
        "folder": str(fold.folder),
    }


def intervals(overall: dict[str, Any], evaluated: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return 95 % intervals of the overall scores from the differences between folds, in the form of `evaluate`.

    Args:
        overall: scores of all folds together.
        evaluated: results of the evaluation of each fold.
    """
    return {
        **{name: t_interval(overall[name], [item[name] for item in evaluated]) for name in OVERALL},
        "per_class": [
            t_interval(row["iou"], [item["per_class"][index]["iou"] for item in evaluated])
            for index, row in enumerate(overall["per_class"])
        ],
    }


def t_interval(value: float | None, folds: Sequence[float | None]) -> list[float] | None:
    """Return `value` ± Student's t times the standard error of the folds' mean; None for fewer than two folds.

    Args:
        value: centre of the interval.
        folds: score of each fold.
    """
    known = [item for item in folds if item is not None]
    if value is None or len(known) < 2:
        return None
    half = (
        float(stdtrit(len(known) - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(known) / math.sqrt(len(known))
    )
    return [round(max(value - half, 0.0), 6), round(min(value + half, 1.0), 6)]
