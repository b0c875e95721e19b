"""Learning-rate range test: rising rates on a copy of the network, until the loss diverges.

After Smith 2017 (arXiv:1506.01186).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from ..device.devices import Device, as_device
from ..modelfile.precision import Precision
from .batches import Batch
from .losses import Loss
from .optimizer import OptimizerSettings, Plateau
from .trainer import Trainer

STEPS = 60
LOWEST, HIGHEST = 1e-5, 1.0
DIVERGENCE = 2.0
"""The test ends where the smoothed loss is this many times its minimum."""
SMOOTH = 0.8
FROM_DIVERGENCE = 0.1
"""The rate is at most this fraction of the one at which the loss diverged."""


def find_learning_rate(
    network: nn.Module,
    loss: Loss,
    precision: Precision,
    settings: OptimizerSettings,
    batch: Callable[[int], Batch],
    check: Callable[[], None] = lambda: None,
    device: Device | None = None,
) -> float | None:
    """Return the rate at which the loss falls most steeply, at most a tenth of the one at which it diverges.

    Args:
        network: on its device; left as it was, as are the random numbers of torch.
        loss, precision: of the run.
        settings: of the run; its optimizer and weight decay are used.
        batch: returns the crops of a step by its number.
        check: called before every step; may raise to end the test.
        device: of the network; None is found.

    Returns:
        None where the loss never fell.
    """
    device = device or as_device(next(network.parameters()).device)
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    losses: list[float] = []
    with device.forked_rng():
        trainer = Trainer(copy.deepcopy(network), loss, precision, settings, 1, device=device)
        trainer.plateau = Plateau()
        for number, rate in enumerate(rates):
            check()
            # Half-way through a schedule that neither warms up nor falls.
            trainer.settings = replace(
                settings, schedule="plateau", learning_rate=float(rate), total_steps=2 * STEPS
            )
            trainer.step_number = STEPS
            images, labels = batch(number)
            value = float(trainer.step(images, labels))
            losses.append(value)
            if not math.isfinite(value) or has_diverged(losses):
                break
    return steepest_rate(rates[: len(losses)], losses)


def has_diverged(losses: Sequence[float]) -> bool:
    """Return whether the smoothed loss is far above its minimum."""
    curve = smoothed(losses)
    return len(curve) > 5 and bool(curve[-1] > DIVERGENCE * curve.min())


def steepest_rate(rates: Sequence[float] | np.ndarray, losses: Sequence[float]) -> float | None:
    """Return the rate where the smoothed loss falls most per step of the rate's logarithm, before its minimum.

    Args:
        rates: of the steps, rising.
        losses: of the steps.

    Returns:
        None where the loss never fell.
    """
    finite = [value for value in losses if math.isfinite(value)]
    if len(finite) < 3:
        return None
    curve = smoothed(finite)
    lowest = int(curve.argmin())
    slope = np.diff(curve[: lowest + 1])
    if lowest < 1 or slope.min() >= 0:
        return None
    found = float(rates[int(slope.argmin()) + 1])
    diverged = len(finite) < len(losses) or bool(curve[-1] > DIVERGENCE * curve.min())
    return min(found, FROM_DIVERGENCE * float(rates[len(losses) - 1])) if diverged else found


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """Return the running mean with decay SMOOTH, corrected for its start."""
    mean, curve = 0.0, []
    for number, value in enumerate(losses, 1):
        mean = SMOOTH * mean + (1 - SMOOTH) * value
        curve.append(mean / (1 - SMOOTH**number))
    return np.asarray(curve)
