"""The values that a search tries: around the plan of the automatic settings, which are the first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ..contract import Candidates, TrainJob, params_of, present


def space(parameters: Sequence[str], plan: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return the values that each parameter may take, from the candidates that TrainJob declares.

    Args:
        parameters: of contract SEARCHED.
        plan: settings that the automatic mode took, by name; see `values`. They are among what may be taken.
    """
    declared = params_of(TrainJob)
    return {
        name: distribution(present(declared[name].search, f"candidates of {name}"), value)
        for name, value in values(parameters, plan).items()
    }


def distribution(candidates: Candidates, value: Any) -> BaseDistribution:
    """Return the distribution of a parameter.

    Args:
        candidates: as declared.
        value: of the plan.
    """
    if candidates.values:
        known = {*candidates.values, value}
        added = [*candidates.values, *([] if value in candidates.values else [value])]
        return CategoricalDistribution(added if isinstance(value, str) else sorted(known))
    low, high = candidates.low or 0.0, candidates.high or 0.0
    if candidates.factor:
        return FloatDistribution(value / candidates.factor, value * candidates.factor, log=True)
    if candidates.below or candidates.above:
        return IntDistribution(
            max(value - candidates.below, int(low)), min(value + candidates.above, int(high))
        )
    if candidates.log and value:  # no logarithmic scale holds 0
        return FloatDistribution(min(low, value), max(high, value), log=True)
    return FloatDistribution(0.0 if candidates.log else min(low, value), max(high, value))


def values(parameters: Sequence[str], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's values of the parameters in the form of a trial: kinds of augmentation joined by `+`.

    Args:
        parameters: of contract SEARCHED.
        plan: settings by name.
    """
    return {name: "+".join(plan[name]) or "none" if name == "augment" else plan[name] for name in parameters}


def settings(trial: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a TrainJob from the values of a trial."""
    return {
        name: tuple(str(value).split("+")) if name == "augment" else value for name, value in trial.items()
    }
