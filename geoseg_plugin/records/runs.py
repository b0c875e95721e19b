"""Every run of a workspace as a row of a table, read from its files: its settings and its results."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..contract import (
    EVENTS_FILE,
    CrossValidateJob,
    ForestJob,
    GeoSegError,
    Job,
    PretrainJob,
    SearchJob,
    TrainJob,
    job_to_json,
    model_name,
)
from ..engine.liveness import running_pid
from ..jobs.submission import Submission
from ..jobs.train import job_of
from .workspace import Entry, kept_in, parsed, result_of

EVALUATION, PLAN, METRICS = "evaluation", "plan.json", "metrics.json"
NO_SETTINGS = ("output", "resume", "dry_run", "device")
"""Fields of a job that are no settings of the training."""
TrainingJob = TrainJob | ForestJob | PretrainJob | CrossValidateJob | SearchJob


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        entry: its folder and state.
        name: of the folder; in a comparison with that of the comparison behind it.
        model, dataset: names.
        bands: how many were chosen; 0 is all of the dataset.
        score, interval: IoU of the one class, or mean IoU, on the test set; of validation where it is not evaluated.
        tested: whether the score is of an evaluation.
        minutes: time of the training, breaks left out; None if not known.
        device: that it ran on.
    """

    entry: Entry
    name: str
    model: str = ""
    dataset: str = ""
    bands: int = 0
    score: float | None = None
    interval: tuple[float, float] | None = None
    tested: bool = False
    minutes: float | None = None
    device: str = ""


def run_of(entry: Entry) -> Run:
    """A run from its files; what cannot be read stays empty."""
    folder = entry.folder
    of_comparison = folder.parent.name == "runs" and folder.parent.parent.parent.name == "comparisons"
    name = f"{folder.name} ({folder.parent.parent.name})" if of_comparison else folder.name
    try:
        job = job_of(folder)
    except GeoSegError:
        return Run(entry, name)
    if not isinstance(job, TrainingJob):
        return Run(entry, name)
    trained, evaluated = result_of(folder), evaluation_of(folder, job)
    found = evaluated or trained
    value = found.get("foreground_iou")
    key = "miou" if value is None else "foreground_iou"
    ends = (evaluated.get("intervals") or {}).get(key)
    inner = job.training if isinstance(job, (CrossValidateJob, SearchJob)) else job
    return Run(
        entry,
        name,
        model_of(job),
        dataset_name(inner.dataset),
        len(inner.bands),
        number(found.get(key, found.get("score"))),
        (ends[0], ends[1]) if ends and None not in ends else None,
        bool(evaluated),
        minutes_of(folder),
        str(trained.get("device") or ""),
    )


def evaluation_of(folder: Path, job: Job | None = None) -> dict[str, Any]:
    """Return the scores of a run on held-out data; empty if there are none.

    Args:
        folder: of the run.
        job: that made it, if it was read already.
    """
    if isinstance(job, CrossValidateJob) or (job is None and is_cross_validation(folder)):
        return kept_in(folder / METRICS)
    return result_of(folder / EVALUATION)


def is_cross_validation(folder: Path) -> bool:
    """Whether a folder holds the folds of a cross-validation."""
    try:
        return isinstance(job_of(folder), CrossValidateJob)
    except GeoSegError:
        return False


def model_of(job: Job) -> str:
    """What a job trains, in short."""
    if isinstance(job, CrossValidateJob):
        return f"{model_of(job.training)}, folds"
    if isinstance(job, SearchJob):
        return f"{model_of(job.training)}, search"
    if isinstance(job, PretrainJob):
        return f"encoder of {job.architecture}"
    if isinstance(job, ForestJob):
        return model_name(job.method)
    if isinstance(job, TrainJob):
        if job.architecture == "zoo":
            return f"{job.decoder} ({job.encoder})"
        return model_name(job.architecture, job.encoder)
    return job.kind


def dataset_name(path: str) -> str:
    """Name of a dataset given by its folder or its dataset.json."""
    found = Path(path)
    return found.parent.name if found.suffix == ".json" else found.name


def minutes_of(folder: Path) -> float | None:
    """Time between the events of a run, breaks between its sessions left out; each begins with `hello`."""
    total, before = 0.0, None
    for event in events_of(folder):
        moment = number(event.get("t"))
        if moment is None:
            continue
        if before is not None and event.get("type") != "hello":
            total += moment - before
        before = moment
    return None if before is None else total / 60


def events_of(folder: Path) -> Iterable[dict[str, Any]]:
    """The record of a run; broken lines are skipped."""
    try:
        lines = (folder / EVENTS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    yield from parsed(lines)


def epochs_of(folder: Path) -> list[dict[str, Any]]:
    """Epochs that a run has behind it; of one that was repeated after a break, the later."""
    found = {event["epoch"]: event for event in events_of(folder) if event.get("type") == "epoch"}
    return [found[number] for number in sorted(found)]


def settings_of(folder: Path) -> dict[str, str]:
    """Return the settings of a run, and what the plan made of them, as texts."""
    try:
        stored = job_to_json(job_of(folder))
    except GeoSegError:
        return {}
    found = {"job": str(stored.get("kind", ""))}
    found |= flat(stored.get("job") or {})
    planned = kept_in(folder / PLAN)
    found |= flat(planned.get("plan") or planned, "plan: ")
    return {key: value for key, value in found.items() if key not in NO_SETTINGS}


def differences(runs: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """(setting, its value in each run) of the settings in which runs differ."""
    keys = dict.fromkeys(key for run in runs for key in run)
    rows = [(key, [run.get(key, "–") for run in runs]) for key in keys]
    return [row for row in rows if len(set(row[1])) > 1]


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return nested settings as one level of texts.

    Args:
        values: settings, with dictionaries among them.
        before: what each name begins with.
    """
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = text_of(value)
    return found


def text_of(value: Any) -> str:
    """A setting as one reads it."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text_of, value)) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return "–" if value in (None, "") else str(value)


def repeat(folder: Path, new_folder: Path) -> Submission:
    """Return the job of a run once more, in a folder of its own.

    Args:
        folder: of the run.
        new_folder: of the new run.

    Raises:
        GeoSegError: `no_run` if it cannot be read or trains nothing.
    """
    job = job_of(folder)
    if not isinstance(job, TrainingJob) or isinstance(job, PretrainJob):
        raise GeoSegError("no_run", f"{folder} holds a job of kind {job.kind}.", "Choose a training.")
    changes: dict[str, Any] = {"output": "."}
    if isinstance(job, TrainJob):
        changes |= {"resume": False, "dry_run": False}
    return Submission(replace(job, **changes), new_folder, f"Train {new_folder.name}")


def delete(folder: Path, in_use: Path | None) -> None:
    """Delete a run with all its files.

    Args:
        folder: of the run.
        in_use: folder of the current run, which stays; None if there is none.

    Raises:
        GeoSegError: `in_use` if it is the current one, `running` if an engine works on it or on its comparison.
        OSError: if a file cannot be removed.
    """
    if in_use is not None and folder.resolve() == in_use.resolve():
        raise GeoSegError(
            "in_use", f"{folder.name} is the model in use.", "Choose another model on the Results page first."
        )
    if any(running_pid(place) is not None for place in (folder, folder.parent.parent)):
        raise GeoSegError("running", f"{folder.name} is still running.", "Cancel it or wait for its end.")
    shutil.rmtree(folder)


def number(value: Any) -> float | None:
    """A number, or None."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
