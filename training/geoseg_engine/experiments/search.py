"""The job `search`: settings of a training by trials; the first trial uses the automatic settings."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from ..channel import Channel
from ..contract import Cancelled, GeoSegError, SearchJob, TrainJob, encode, job_to_json, load_json, write_json
from ..modelfile.stac import sidecar_path
from ..outputs import prepare_folder, whole_file
from . import runs
from .search_space import settings, space, values
from .study import STATES, add_finished, finished_trials, open_study, propose, search_text

TRIALS_FILE, BEST_FILE, RESULT_FILE = "trials.csv", "best.json", "search.json"
RUNS, PHASE, METRICS_FILE, HISTORY_FILE = "trials", "searching", "metrics.json", "history.json"
NETWORK_PARAMETERS = ("width", "levels", "dropout")
"""Parameters that some networks do not have."""
WARM_UP_EPOCHS = 3


@dataclass
class Search:
    """A search that is under way.

    Attributes:
        job: the search.
        training: its training, with absolute paths.
        output: folder of the results.
        channel: of the job.
        space: values that each parameter may take.
        study: the trials so far.
        trial_s: durations of the trials of this session.
        errors: number of a failed trial -> why.
    """

    job: SearchJob
    training: TrainJob
    output: Path
    channel: Channel
    space: dict[str, BaseDistribution]
    study: optuna.Study
    trial_s: list[float] = field(default_factory=list)
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def maximises(self) -> bool:
        """Whether a higher score is better."""
        return self.training.monitor != "loss"


def run(job: SearchJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Try settings; write trials.csv, best.json (a job.json of the best training), search.json and model.onnx.

    If the user stops, the result is that of the finished trials.

    Args:
        job: the search.
        folder: folder of the job; its paths are relative to it.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `nothing_to_monitor` without validation pixels, `nothing_to_search`, `resume_mismatch`; of the
            first training.
        Cancelled: before the first trial is finished.
    """
    started = time.monotonic()
    runs.check_one_process()
    output = (folder / job.output).resolve()
    prepare_folder(output)
    search = start_search(job, runs.absolute(job.training, folder), output, channel)
    cancelled = False
    result = save(search)
    while not is_finished(search, time.monotonic() - started):
        try:
            run_trial(search)
        except Cancelled:
            cancelled = True
            break
        result = save(search)
    for kind, name in (("model", runs.MODEL_FILE), ("table", TRIALS_FILE), ("settings", BEST_FILE)):
        channel.artifact(kind, output / name)
    return {**result, "cancelled": cancelled}


def start_search(job: SearchJob, training: TrainJob, output: Path, channel: Channel) -> Search:
    """Train with the automatic settings, which is the first trial, and open the study around its plan.

    Args:
        job: the search.
        training: its training, with absolute paths.
        output: folder of the results.
        channel: for progress, log and cancelling.

    Raises:
        GeoSegError: `nothing_to_monitor`, `nothing_to_search`, `resume_mismatch`; of the training.
    """
    channel.progress(PHASE, 0, job.trials)
    wanted = search_text(training, job.parameters, runs.dataset_digest(training.dataset))
    epochs = max(WARM_UP_EPOCHS, training.epochs // 4)
    study = open_study(output, wanted, job.resume, training.monitor != "loss", epochs)
    folder = output / RUNS / "1"
    runs.run_or_reuse(
        training,
        folder,
        channel,
        "Trial 1",
        resume=job.resume,
        progress=runs.share_of_progress(channel, PHASE, 0, job.trials),
    )
    metrics = load_json(folder / METRICS_FILE)
    plan = {**metrics["job"], **metrics["plan"]}
    names = parameters_of(job, metrics["architecture"], channel)
    search = Search(job, training, output, channel, space(names, plan), study)
    if not study.get_trials(deepcopy=False):
        history = load_json(folder / HISTORY_FILE)
        found = {row["epoch"]: score_of(row, training.monitor) for row in history}
        scores = {epoch: score for epoch, score in found.items() if score is not None}
        if not scores:
            raise GeoSegError(
                "nothing_to_monitor",
                f"No epoch of the first trial has a score '{training.monitor}': there is nothing to search for.",
                "Give validation a share of the blocks, or choose another score.",
            )
        best = (max if search.maximises else min)(scores.values())
        add_finished(study, search.space, values(names, plan), best, scores)
    return search


def parameters_of(job: SearchJob, architecture: Mapping[str, Any], channel: Channel) -> list[str]:
    """Return the parameters of the search that the network has.

    Args:
        job: the search.
        architecture: architecture of the first trial.
        channel: for the log.

    Raises:
        GeoSegError: `nothing_to_search` if it has none of them.
    """
    absent = [name for name in job.parameters if name in NETWORK_PARAMETERS and name not in architecture]
    if absent:
        channel.log(f"{architecture['name']} has no {', '.join(absent)}: not searched.", "warning")
    names = [name for name in job.parameters if name not in absent]
    if not names:
        raise GeoSegError(
            "nothing_to_search",
            f"{architecture['name']} has none of {', '.join(job.parameters)}.",
            "Choose learning_rate, loss or augment.",
        )
    return names


def is_finished(search: Search, elapsed_s: float) -> bool:
    """Return whether all trials are done, or another one would end after the time limit.

    Args:
        search: the search.
        elapsed_s: time since it started.
    """
    if len(finished_trials(search.study)) + len(search.errors) >= search.job.trials:
        return True
    if not search.job.max_minutes:
        return False
    longest = max(search.trial_s, default=0.0)
    return elapsed_s + longest > 60 * search.job.max_minutes


def run_trial(search: Search) -> None:
    """Run one trial: propose settings, train until done or pruned, and store the score.

    Raises:
        Cancelled: if the user stops; the trial is repeated when the search is resumed.
    """
    started = time.monotonic()
    trial = propose(search.study, search.space, search.training.seed)
    number = trial.number + 1
    title, scores = f"Trial {number}", {}
    search.channel.log(f"{title}: {settings_text(trial.params)}.")

    def watch(epoch: Mapping[str, Any]) -> None:
        score = score_of(epoch, search.training.monitor)
        if score is None:
            return
        scores[int(epoch["epoch"])] = score
        trial.report(score, int(epoch["epoch"]))
        if trial.should_prune():
            raise runs.EndedEarly(f"pruned after epoch {epoch['epoch']}")

    position = len(finished_trials(search.study)) + len(search.errors)
    try:
        runs.run_or_reuse(
            replace(search.training, **settings(trial.params)),
            search.output / RUNS / str(number),
            search.channel,
            title,
            resume=False,
            progress=runs.share_of_progress(search.channel, PHASE, position, search.job.trials),
            watch=watch,
        )
    except runs.EndedEarly as ended:
        search.channel.log(f"{title}: {ended.message}.")
        search.study.tell(trial, state=TrialState.PRUNED)
    except Cancelled:
        search.study.tell(trial, state=TrialState.FAIL)
        search.study.enqueue_trial(trial.params)
        raise
    except GeoSegError as error:
        search.channel.log(f"{title} failed: {error.message}", "warning")
        search.errors[trial.number] = error.message
        search.study.tell(trial, state=TrialState.FAIL)
    else:
        search.study.tell(trial, (max if search.maximises else min)(scores.values()))
    search.trial_s.append(time.monotonic() - started)


def score_of(epoch: Mapping[str, Any], monitor: str) -> float | None:
    """Return the score that a training monitors.

    Args:
        epoch: an epoch event or a row of its history.
        monitor: name of the score.
    """
    if monitor == "loss":
        return _number(epoch["validation_loss"])
    if monitor == "foreground_iou":
        return _number(epoch["iou"][1]) if len(epoch["iou"]) == 2 else None
    if monitor == "f1":
        known = [value for value in epoch["f1"] if value is not None]
        return sum(known) / len(known) if known else None
    return _number(epoch["miou"])


def save(search: Search) -> dict[str, Any]:
    """Write the table, the best settings and the best model. Returns the result."""
    best = search.study.best_trial
    folder = search.output / RUNS / str(best.number + 1)
    rows = [row_of(search, trial) for trial in search.study.get_trials(deepcopy=False)]
    with (
        whole_file(search.output / TRIALS_FILE) as partial,
        partial.open("w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    chosen = replace(search.training, **(settings(best.params) if best.number else {}))
    write_json(search.output / BEST_FILE, job_to_json(chosen))
    with whole_file(search.output / runs.MODEL_FILE) as partial:
        shutil.copyfile(folder / runs.MODEL_FILE, partial)
    beside = sidecar_path(folder / runs.MODEL_FILE)
    if beside.exists():
        shutil.copyfile(beside, sidecar_path(search.output / runs.MODEL_FILE))
    result: dict[str, Any] = encode(
        {
            "model": str(search.output / runs.MODEL_FILE),
            "monitor": search.training.monitor,
            "score": best.value,
            "automatic": search.study.get_trials(deepcopy=False)[0].value,
            "best_trial": best.number + 1,
            "best": settings(best.params),
            "settings": str(search.output / BEST_FILE),
            "table": str(search.output / TRIALS_FILE),
            "trials": rows,
        }
    )
    write_json(search.output / RESULT_FILE, result)
    return result


def row_of(search: Search, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Return a trial as a row of the table.

    Args:
        search: the search.
        trial: the trial.
    """
    scores = list(trial.intermediate_values.values())
    best = (max if search.maximises else min)(scores) if scores else None
    return {
        "trial": trial.number + 1,
        "state": STATES[trial.state],
        "score": best if trial.value is None else trial.value,
        "epochs": len(scores),
        **{name: trial.params.get(name) for name in search.space},
        "error": search.errors.get(trial.number, ""),
        "folder": str(search.output / RUNS / str(trial.number + 1)),
    }


def settings_text(params: Mapping[str, Any]) -> str:
    """`learning rate 0.00123, loss ce+dice`."""
    parts = (
        f"{name.replace('_', ' ')} {value:.3g}"
        if isinstance(value, float)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in params.items()
    )
    return ", ".join(parts)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
