"""The learning rate by trial: rising rates on a copy of the network, until the loss runs away.

After Smith 2017 (arXiv:1506.01186).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ..modelfile.precision import Precision
from .batches import Batch
from .losses import Loss
from .optimizer import Descent, Plateau
from .trainer import Trainer

STEPS = 60
LOWEST, HIGHEST = 1e-5, 1.0
RUN_AWAY = 2.0
"""The trial ends where the smoothed loss is so many times its least."""
SMOOTH = 0.8
FROM_DIVERGENCE = 0.1
"""The rate is at most this share of the one at which the loss ran away."""


def find_rate(
    network: nn.Module,
    loss: Loss,
    precision: Precision,
    descent: Descent,
    batch: Callable[[int], Batch],
    check: Callable[[], None] = lambda: None,
) -> float | None:
    """The rate at which the loss falls most steeply, at most a tenth of the one at which it runs away.

    Args:
        network: on its device; left as it was, as are the random numbers of torch.
        loss, precision: of the run.
        descent: of the run; its optimiser and weight decay are tried.
        batch: crops of step so and so.
        check: called before every step; may raise to end the trial.

    Returns:
        None where the loss never fell.
    """
    device = next(network.parameters()).device
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    losses: list[float] = []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        trainer = Trainer(copy.deepcopy(network), loss, precision, descent, 1)
        trainer.plateau = Plateau()
        for number, rate in enumerate(rates):
            check()
            # Half-way through a schedule that neither warms up nor falls.
            trainer.descent = replace(
                descent, schedule="plateau", learning_rate=float(rate), total_steps=2 * STEPS
            )
            trainer.step_number = STEPS
            images, labels = batch(number)
            value = float(trainer.step(images, labels))
            losses.append(value)
            if not math.isfinite(value) or ran_away(losses):
                break
    return steepest(rates[: len(losses)], losses)


def ran_away(losses: Sequence[float]) -> bool:
    """Whether the smoothed loss has left its least far behind."""
    curve = smoothed(losses)
    return len(curve) > 5 and bool(curve[-1] > RUN_AWAY * curve.min())


def steepest(rates: Sequence[float] | np.ndarray, losses: Sequence[float]) -> float | None:
    """Where the smoothed loss falls most per step of the logarithm of the rate, before its least."""
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 3:
        return None
    curve = smoothed(finite)
    least = int(curve.argmin())
    slope = np.diff(curve[: least + 1])
    if least < 1 or slope.min() >= 0:
        return None
    found = float(rates[int(slope.argmin()) + 1])
    diverged = len(finite) < len(losses) or bool(curve[-1] > RUN_AWAY * curve.min())
    return min(found, FROM_DIVERGENCE * float(rates[len(losses) - 1])) if diverged else found


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """Running mean with decay SMOOTH, corrected for its start."""
    mean, curve = 0.0, []
    for number, value in enumerate(losses, 1):
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        curve.append(mean / (1 - SMOOTH**number))
    return np.asarray(curve)
