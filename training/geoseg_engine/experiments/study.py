"""The trials of a search: an Optuna study in a file of the output folder, with which the search resumes.

Proposals by tree-structured Parzen estimators (Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"),
pruning by the median of the trials so far (Akiba et al. 2019, "Optuna").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from ..contract import GeoSegError, TrainJob, decode, encode, parse_json

FILE, NAME, WANTED = "study.log", "search", "wanted"
RANDOM_TRIALS, BEFORE_PRUNING = 5, 4
"""Trials drawn at random before there is anything to learn from; finished trials before one is pruned."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "broken off",
    TrialState.WAITING: "waiting",
}


def open_study(output: Path, wanted: str, resume: bool, maximise: bool, warm_up_epochs: int) -> optuna.Study:
    """The study of an output folder, new or as it was left.

    Args:
        output: folder of the search.
        wanted: what is searched, as of `search_text`.
        resume: go on with the study of the folder if there is one.
        maximise: whether a higher score is better.
        warm_up_epochs: epochs before a trial can be pruned.

    Raises:
        GeoSegError: `resume_mismatch` if the study of the folder is of another search.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = output / FILE
    if not resume:
        path.unlink(missing_ok=True)
    backend = JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
    study = optuna.create_study(
        storage=JournalStorage(backend),
        study_name=NAME,
        direction="maximize" if maximise else "minimize",
        pruner=optuna.pruners.MedianPruner(BEFORE_PRUNING, warm_up_epochs),
        load_if_exists=True,
    )
    if not same_search(study.user_attrs.get(WANTED, wanted), wanted):
        raise GeoSegError(
            "resume_mismatch",
            f"The study in {output} searched with other settings, or on another dataset.",
            "Choose another output folder, or search anew without resume.",
        )
    study.set_user_attr(WANTED, wanted)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):  # broken off by a kill
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def same_search(kept: str, wanted: str) -> bool:
    """Return whether two texts describe the same search, also under former names of a training's fields.

    Args:
        kept: text in a study, as of `search_text`.
        wanted: text of the search to run.
    """
    try:
        training, *others = parse_json(kept, FILE)
        return bool([encode(decode(TrainJob, training)), *others] == json.loads(wanted))
    except (GeoSegError, TypeError, ValueError):
        return False


def search_text(training: TrainJob, parameters: Sequence[str], digest: str) -> str:
    """Return what decides the trials of a search, as text.

    Args:
        training: settings that are not searched, with absolute paths.
        parameters: the searched settings.
        digest: as of `runs.dataset_digest`.
    """
    return json.dumps([encode(training), list(parameters), digest])


def propose(study: optuna.Study, space: Mapping[str, BaseDistribution], seed: int) -> optuna.Trial:
    """Return the next trial; its settings depend on the trials so far and the seed, not on interruptions.

    Args:
        study: the study.
        space: values that each parameter may take.
        seed: seed of the search.
    """
    number = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=seed + number, n_startup_trials=RANDOM_TRIALS)
    return study.ask(dict(space))


def add_finished(
    study: optuna.Study,
    space: Mapping[str, BaseDistribution],
    values: Mapping[str, Any],
    score: float,
    epochs: Mapping[int, float],
) -> None:
    """Add a trial that was run outside the study.

    Args:
        study: the study.
        space: values that each parameter may take.
        values: its settings.
        score: its best score.
        epochs: score of each epoch.
    """
    study.add_trial(
        optuna.trial.create_trial(
            params=dict(values), distributions=dict(space), value=score, intermediate_values=dict(epochs)
        )
    )


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that count: finished or pruned."""
    return study.get_trials(deepcopy=False, states=DONE)
