"""The optimizer, and its learning rate over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from ..contract import TrainJob
from ..models.plain_optimizers import without_compiler
from .plan import Plan

MOMENTUM = 0.9
WARM_UP = 0.05
FINAL_RATE = 0.01
FINISH = 0.1
"""Fraction of the schedule `plateau` at its end in which the learning rate falls, whatever the score does."""
PLATEAU_EPOCHS, PLATEAU_FACTOR = 5, 0.3
LOWER_IS_BETTER = ("loss",)
"""Monitors that fall as a model gets better; all others rise."""


@dataclass(frozen=True)
class OptimizerSettings:
    """Settings of optimizer and schedule.

    Attributes:
        learning_rate: the highest, after warm-up.
        total_steps: steps after which the learning rate has reached its end.
        optimizer: `adamw`, or `sgd` with Nesterov momentum.
        schedule: `cosine`, or `plateau`: a lower rate whenever the score has not improved for PLATEAU_EPOCHS.
        weight_decay: of convolutions; not of normalisation and biases.
        ema_decay: decay of the moving average of the weights, 0..1; 0 uses the weights as they are.
        monitor: as TrainJob.monitor.
    """

    learning_rate: float
    total_steps: int
    optimizer: str = "adamw"
    schedule: str = "cosine"
    weight_decay: float = 0.01
    ema_decay: float = 0.98
    monitor: str = "miou"


def settings_of(job: TrainJob, plan: Plan) -> OptimizerSettings:
    """Return the optimizer settings of a run.

    Args:
        job: what the user chose.
        plan: what is chosen automatically: learning rate, steps, EMA decay.
    """
    return OptimizerSettings(
        plan.learning_rate,
        plan.total_steps,
        job.optimiser,
        job.schedule,
        job.weight_decay,
        plan.average,
        job.monitor,
    )


class Plateau:
    """Lowers the learning rate when the score stops improving."""

    def __init__(self) -> None:
        self.factor, self.waited = 1.0, 0

    def epoch(self, better: bool) -> None:
        """Count an epoch; `better` is whether its score is the best so far."""
        self.waited = 0 if better else self.waited + 1
        if self.waited >= PLATEAU_EPOCHS:
            self.factor, self.waited = max(self.factor * PLATEAU_FACTOR, FINAL_RATE), 0


AdamW, SGD = without_compiler(torch.optim.AdamW), without_compiler(torch.optim.SGD)


def make_optimizer(network: nn.Module, settings: OptimizerSettings) -> Optimizer:
    """Return the optimizer of all parameters, also of those that are frozen now: without a gradient they do not change.

    Args:
        network: on its device.
        settings: optimizer, learning rate and weight decay.
    """
    weights = [item for item in network.parameters() if item.ndim > 1]
    others = [item for item in network.parameters() if item.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.learning_rate, momentum=MOMENTUM, nesterov=True, fused=True)
    return AdamW(groups, lr=settings.learning_rate, fused=True)


def schedule_factor(progress: float, schedule: str = "cosine", factor: float = 1.0) -> float:
    """Return the factor of the highest learning rate at a point of the schedule.

    Linear warm-up; then half a cosine down to FINAL_RATE (Loshchilov & Hutter 2017, arXiv:1608.03983), or `factor`
    until the last tenth of the schedule `plateau`, in which it falls linearly to FINAL_RATE.

    Args:
        progress: fraction of the schedule that is done, 0..1.
        schedule: `cosine` or `plateau`.
        factor: of the plateaus so far, FINAL_RATE..1.

    Returns:
        FINAL_RATE..1.
    """
    if progress < WARM_UP:
        return max(progress / WARM_UP, FINAL_RATE)
    if schedule == "plateau":
        left = min((1 - progress) / FINISH, 1.0)
        return FINAL_RATE + (factor - FINAL_RATE) * left
    down = (progress - WARM_UP) / (1 - WARM_UP)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * down))
