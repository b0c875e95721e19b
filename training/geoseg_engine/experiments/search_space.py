"""What a search varies: around the plan that the automatic mode makes, so that its first guess is one of the trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

LOSSES = ("ce", "ce+dice", "ce+lovasz", "focal+dice", "unified_focal")
AUGMENTATIONS = (
    "none",
    "flip+turn",
    "flip+turn+scale+brightness+noise",
    "flip+turn+rotate+scale+shift+brightness+noise",
)
RATE_FACTOR = 10.0
DECAYS = (1e-4, 0.1)
MAX_DROPOUT = 0.6
WIDTHS = (8, 16, 24, 32, 48, 64)
MAX_LEVELS = 6


def space(parameters: Sequence[str], plan: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """What values each parameter may take.

    Args:
        parameters: of contract SEARCHED.
        plan: settings that the automatic mode took, by name; see `values`. They are among what may be taken.
    """
    now = values(parameters, plan)
    makers = {
        "learning_rate": _rates,
        "weight_decay": _decays,
        "loss": lambda value: _choices(LOSSES, value),
        "width": lambda value: CategoricalDistribution(sorted({*WIDTHS, value})),
        "levels": lambda value: IntDistribution(max(value - 2, 1), min(value + 1, MAX_LEVELS)),
        "dropout": lambda value: FloatDistribution(0.0, max(MAX_DROPOUT, value)),
        "augment": lambda value: _choices(AUGMENTATIONS, value),
        "by_class": lambda value: FloatDistribution(0.0, 1.0),
    }
    return {name: makers[name](now[name]) for name in parameters}


def values(parameters: Sequence[str], plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan's values of the parameters, as a trial holds them: kinds of augmentation joined by `+`."""
    return {name: "+".join(plan[name]) or "none" if name == "augment" else plan[name] for name in parameters}


def settings(trial: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a TrainJob from the values of a trial."""
    return {
        name: tuple(str(value).split("+")) if name == "augment" else value for name, value in trial.items()
    }


def _rates(value: float) -> BaseDistribution:
    return FloatDistribution(value / RATE_FACTOR, value * RATE_FACTOR, log=True)


def _decays(value: float) -> BaseDistribution:
    if not value:  # which no logarithmic scale holds
        return FloatDistribution(0.0, DECAYS[1])
    return FloatDistribution(min(DECAYS[0], value), max(DECAYS[1], value), log=True)


def _choices(usual: Sequence[str], value: str) -> BaseDistribution:
    return CategoricalDistribution([*usual, *([] if value in usual else [value])])
