"""Calibration: probabilities that match observed frequencies, and the decision that scores best.

Both are fitted on validation pixels after training and stored in the model file, apart from each other: calibration
makes confidence reliable, the decision (a weight per class) makes the map better. The one output of a model is

    q = softmax(logits / temperature + bias) * weights, divided by its sum over the classes,

whose largest class is the map's, in our maps and in any other reader's. `calibrated` restores the calibrated
probabilities p from q.

Temperature: Guo et al. 2017, "On calibration of modern neural networks". The bias corrects what sampling and class
weights did to the frequencies of the classes (prior shift, Saerens et al. 2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..contract import LabelClass
from ..models.plain_optimizers import without_compiler
from .decision_weights import decision_weights

LBFGS = without_compiler(torch.optim.LBFGS)
MAX_PIXELS = 500_000
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.2, 20.0
PRIOR = 1e-3
"""Weight of the penalty on log temperature and bias, relative to the mean loss per pixel: for few pixels."""
BINS = 15


@dataclass(frozen=True)
class Calibration:
    """How a model's logits become its output; empty tuples are no bias and equal weights.

    Attributes:
        temperature: divisor of the logits.
        bias: added to the logits per class.
        weights: per class in the decision.
        ece: expected calibration error on the validation pixels, before and after.
    """

    temperature: float = 1.0
    bias: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    ece: tuple[float, float] | None = None

    @property
    def is_identity(self) -> bool:
        """Whether the output is the plain softmax."""
        return self.temperature == 1.0 and not any(self.bias) and not self.weights_classes

    @property
    def weights_classes(self) -> bool:
        """Whether classes are weighted, so that the output is not the calibrated probability."""
        return len(set(self.weights)) > 1


PLAIN = Calibration()
"""The plain softmax."""


class Decision(nn.Module):
    """Logits (batch, classes, rows, cols) to q."""

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self._divides = calibration.temperature != 1.0
        self._shifts, self._weighs = any(calibration.bias), calibration.weights_classes
        self.register_buffer("inverse", torch.tensor(1 / calibration.temperature))
        self.register_buffer("bias", torch.tensor(calibration.bias).reshape(1, -1, 1, 1))
        self.register_buffer("weights", torch.tensor(calibration.weights).reshape(1, -1, 1, 1))

    def forward(self, logits: Tensor) -> Tensor:
        """Return q of the same shape; it sums to one over the classes."""
        if self._divides:
            logits = logits * self.inverse  # type: ignore[operator]
        if self._shifts:
            logits = logits + self.bias  # type: ignore[operator]
        shares = torch.softmax(logits, dim=1)
        if self._weighs:
            shares = shares * self.weights  # type: ignore[operator]
            shares = shares / shares.sum(dim=1, keepdim=True)
        return shares


def apply_calibration(logits: NDArray[Any], calibration: Calibration) -> NDArray[Any]:
    """Return q of logits, as `Decision` computes it.

    Args:
        logits: (classes, …).
        calibration: temperature, bias and weights.

    Returns:
        Array of the same shape.
    """
    logits = logits * logits.dtype.type(1 / calibration.temperature)
    if calibration.bias:
        logits = logits + _along(calibration.bias, logits)
    shares = np.exp(logits - logits.max(axis=0))
    if calibration.weights_classes:
        shares *= _along(calibration.weights, shares)
    result: NDArray[Any] = shares / shares.sum(axis=0)
    return result


def calibrated(shares: NDArray[Any], calibration: Calibration) -> NDArray[Any]:
    """Return the calibrated probabilities p of a model's output q; q itself where no class is weighted.

    Args:
        shares: q (classes, …).
        calibration: of the model.

    Returns:
        Array of the same shape; sums to one over the classes.
    """
    if not calibration.weights_classes:
        return shares
    plain = shares / _along(calibration.weights, shares)
    result: NDArray[Any] = plain / plain.sum(axis=0)
    return result


def fit(
    logits: NDArray[Any],
    truth: NDArray[Any],
    half: NDArray[np.bool_] | None = None,
    learned: Sequence[bool] = (),
    weighted: Sequence[bool] = (),
) -> Calibration:
    """Fit temperature, bias and weights on validation pixels.

    Args:
        logits: (pixels, classes).
        truth: class ids of the pixels (pixels), all of them known.
        half: True for the pixels of one of two spatial halves; a weight found on one must gain on the other. None
            halves the pixels in the order given, which should be their order in the raster.
        learned: per class, whether the model had pixels to learn it from; empty for all. Pixels of others are
            left out: they are always wrong, and would lower the confidence of everything.
        weighted: per class, whether there are enough pixels to move the decision for or against it (see
            `validation_data`); empty for all. Bias and weights are those of these classes among each other; the others
            keep bias 0 and weight 1. With fewer than two of them only the temperature is fitted.

    Returns:
        `Calibration()` without pixels of two classes, or with logits that are not finite.
    """
    half = np.arange(len(truth)) < len(truth) // 2 if half is None else half
    if learned:
        known = np.asarray(learned)[truth]
        logits, truth, half = logits[known], truth[known], half[known]
    step = max(-(-len(truth) // MAX_PIXELS), 1)
    logits, truth = np.asarray(logits[::step], np.float64), np.asarray(truth[::step], np.int64)
    half = half[::step]
    if len(np.unique(truth)) < 2 or not np.isfinite(logits).all():
        return PLAIN
    moved = np.asarray(weighted, bool) if weighted else np.ones(logits.shape[1], bool)
    decide = moved.sum() > 1
    fitted = _temperature_and_bias(logits, truth, moved if decide else None)
    before, after = apply_calibration(logits.T, PLAIN), apply_calibration(logits.T, fitted)
    if not _loss(after, truth) < _loss(before, truth):
        fitted, after = PLAIN, before
    plain = np.exp(-np.array(fitted.bias)) if any(fitted.bias) else None
    return replace(
        fitted,
        weights=decision_weights(after, truth, half, plain, moved) if decide else (),
        ece=(round(calibration_error(before, truth), 6), round(calibration_error(after, truth), 6)),
    )


def calibration_message(fitted: Calibration, classes: Sequence[LabelClass], few: str = "") -> str:
    """Return the result of a calibration in a sentence.

    Args:
        found: the calibration.
        classes: in the order of its weights.
        few: which classes have too few validation data to be weighted; empty for none.
    """
    text = "Calibration: probabilities are used as the model gives them"
    if not fitted.is_identity:
        text = f"Calibration on validation pixels: temperature {fitted.temperature:.2f}"
        if fitted.ece is not None:
            text += f", calibration error {fitted.ece[0]:.3f} before and {fitted.ece[1]:.3f} after"
    if fitted.weights_classes:
        named = zip(classes, fitted.weights, strict=True)
        text += "; class weights: " + ", ".join(f"{item.name} {weight:.2f}" for item, weight in named)
    return f"{text}; {few}." if few else f"{text}."


def calibration_error(shares: NDArray[Any], truth: NDArray[np.int64], bins: int = BINS) -> float:
    """Return the expected calibration error: mean |accuracy - confidence| over equal bins of confidence.

    Args:
        shares: probabilities (classes, pixels).
        truth: class ids (pixels).
        bins: number of bins.

    Returns:
        0..1.
    """
    confidence, right = shares.max(axis=0), shares.argmax(axis=0) == truth
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(places, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / max(len(truth), 1))


def _temperature_and_bias(
    logits: NDArray[np.float64], truth: NDArray[np.int64], moved: NDArray[np.bool_] | None
) -> Calibration:
    """Minimise the negative log-likelihood by L-BFGS; without `moved` by the temperature alone.

    The bias of a class that is not moved, or has no pixels, stays 0, and the mean of the others' is 0.
    """
    shift = moved is not None
    scores, labels = torch.from_numpy(logits), torch.from_numpy(truth)
    present = torch.zeros(logits.shape[1], dtype=torch.float64)
    present[labels.unique()] = 1
    if moved is not None:
        present *= torch.from_numpy(moved)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    free = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=shift)
    limits = float(np.log(MIN_TEMPERATURE)), float(np.log(MAX_TEMPERATURE))
    optimiser = LBFGS(
        [log_temperature, *([free] if shift else [])], max_iter=60, line_search_fn="strong_wolfe"
    )

    def values() -> tuple[Tensor, Tensor]:
        bias = (free - (free * present).sum() / present.sum().clamp_min(1)) * present
        return log_temperature.clamp(*limits).exp(), bias

    def closure() -> Tensor:
        optimiser.zero_grad()
        temperature, bias = values()
        loss = torch.nn.functional.cross_entropy(scores / temperature + bias, labels)
        loss = loss + PRIOR * (log_temperature.square() + free.square().sum())
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        temperature, bias = values()
    return Calibration(round(float(temperature), 6), tuple(round(value, 6) for value in bias.tolist()))


def _loss(shares: NDArray[Any], truth: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood."""
    chosen = shares[truth, np.arange(len(truth))]
    return float(-np.log(np.maximum(chosen, 1e-30)).mean())


def _along(values: Sequence[float], like: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(values, like.dtype).reshape(-1, *[1] * (like.ndim - 1))
