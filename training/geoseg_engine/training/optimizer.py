"""How weights go down: optimiser, and learning rate over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

MOMENTUM = 0.9
WARM_UP = 0.05
FINAL_RATE = 0.01
FINISH = 0.1
"""Share of the schedule `plateau` in which the rate falls to its end, whatever the score does."""
PLATEAU_EPOCHS, PLATEAU_FACTOR = 5, 0.3
LOWER_IS_BETTER = ("loss",)
"""Monitors that fall as a model gets better; all others rise."""


@dataclass(frozen=True)
class Descent:
    """Settings of a descent.

    Attributes:
        learning_rate: the highest, after warming up.
        total_steps: when the rate has fallen to its end.
        optimiser: `adamw`, or `sgd` with Nesterov's momentum.
        schedule: `cosine`, or `plateau`: a lower rate whenever the score has not risen for PLATEAU_EPOCHS.
        weight_decay: of convolutions; not of normalisation and biases.
        average: decay of the running mean of the weights; 0 takes them as they are.
        monitor: of contract.MONITORS.
    """

    learning_rate: float
    total_steps: int
    optimiser: str = "adamw"
    schedule: str = "cosine"
    weight_decay: float = 0.01
    average: float = 0.98
    monitor: str = "miou"


class Plateau:
    """Lowers the learning rate when the score stays where it is."""

    def __init__(self) -> None:
        self.factor, self.waited = 1.0, 0

    def epoch(self, better: bool) -> None:
        """Count an epoch."""
        self.waited = 0 if better else self.waited + 1
        if self.waited >= PLATEAU_EPOCHS:
            self.factor, self.waited = max(self.factor * PLATEAU_FACTOR, FINAL_RATE), 0


def make_optimiser(network: nn.Module, descent: Descent) -> torch.optim.Optimizer:
    """The optimiser of all parameters, also of those that are frozen now: what has no gradient is left alone."""
    weights = [item for item in network.parameters() if item.ndim > 1]
    others = [item for item in network.parameters() if item.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": descent.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if descent.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=descent.learning_rate, momentum=MOMENTUM, nesterov=True, fused=True)
    return torch.optim.AdamW(groups, lr=descent.learning_rate, fused=True)


def rate(progress: float, schedule: str = "cosine", factor: float = 1.0) -> float:
    """Share of the highest learning rate.

    Linear warm-up; then half a cosine down to FINAL_RATE (Loshchilov & Hutter 2017, arXiv:1608.03983), or `factor`
    until the last tenth of the schedule `plateau`, in which it falls linearly to FINAL_RATE.

    Args:
        progress: share of the schedule that is done, 0..1.
        schedule: `cosine` or `plateau`.
        factor: what the plateaus so far have left.
    """
    if progress < WARM_UP:
        return max(progress / WARM_UP, FINAL_RATE)
    if schedule == "plateau":
        left = min((1 - progress) / FINISH, 1.0)
        return FINAL_RATE + (factor - FINAL_RATE) * left
    down = (progress - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * down))
