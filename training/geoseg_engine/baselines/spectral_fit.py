"""Fitting of maximum likelihood and spectral angle on training pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..contract import LabelClass
from ..modelfile.stats import Statistics
from ..models.spectral import ABSENT, MaximumLikelihood, SpectralAngle
from ..scores.metrics import confusion, scores
from .pixels import Array, Truth

RIDGE = 1e-3
"""Minimum variance of a feature, in squared z-scores: bands that are copies of one another stay usable."""
POOLINGS = (0.0, 0.5, 0.9, 1.0)
"""Candidate fractions of the pooled covariance, scored on validation pixels."""
SCALES = np.geomspace(1.0, 3000.0, 40)


def fit_gaussians(
    network: MaximumLikelihood, samples: Array, truth: Truth, pooling: float = 0.0
) -> nn.Module:
    """Set means, covariances and offsets from training pixels; every class is as likely as any other.

    Covariances are shrunk towards their diagonal by the fraction that minimises the expected squared error
    (Schäfer & Strimmer 2005, target D: unequal variances), so that few pixels with many bands are enough. Then each is
    mixed with the pooled one of all classes (Friedman 1989, regularised discriminant analysis).

    Args:
        network: changed in place.
        samples: features (pixels, features).
        truth: class ids (pixels).
        pooling: fraction of the pooled covariance, 0 (each class has its own) to 1 (linear discriminant analysis).
    """
    classes, features = len(network.offset), samples.shape[1]  # type: ignore[arg-type]
    weight = np.zeros((classes, features, features))
    bias, offset = np.zeros((classes, features)), np.full(classes, ABSENT)
    rows = {index: samples[truth == index].astype(np.float64) for index in np.unique(truth)}
    common = shrunk_covariance(np.concatenate([item - item.mean(axis=0) for item in rows.values()]))
    for index, item in rows.items():
        mean = item.mean(axis=0)
        covariance = (1 - pooling) * shrunk_covariance(item) + pooling * common if pooling < 1 else common
        values, vectors = np.linalg.eigh(covariance)
        weight[index] = (vectors / np.sqrt(values)).T
        bias[index] = -weight[index] @ mean
        offset[index] = -0.5 * np.log(values).sum()
    with torch.no_grad():
        network.whiten.weight.copy_(torch.from_numpy(weight.reshape(-1, features, 1, 1)))
        network.whiten.bias.copy_(torch.from_numpy(bias.ravel()))  # type: ignore[union-attr]
        network.offset.copy_(torch.from_numpy(offset))  # type: ignore[operator, union-attr]
    return network


def best_pooling(
    network: MaximumLikelihood,
    train: tuple[Array, Truth],
    validation: tuple[Array, Truth],
    classes: Sequence[LabelClass],
) -> float:
    """Return the fraction of POOLINGS with the best mean IoU of the validation pixels; the first without any.

    Args:
        network: changed in place.
        train: features (pixels, features) and class ids (pixels).
        validation: the same of the validation pixels.
        classes: of the dataset.
    """
    best, chosen = -1.0, POOLINGS[0]
    pixels, truth = validation
    for pooling in POOLINGS if len(truth) else ():
        fit_gaussians(network, *train, pooling)
        ids = pixel_logits(network, pixels).argmax(axis=1).astype(np.uint8)
        score = scores(confusion(truth, ids, len(classes)), classes)["miou"] or 0.0
        if score > best:
            best, chosen = score, pooling
    return chosen


def pixel_logits(network: nn.Module, pixels: Array) -> NDArray[Any]:
    """Return logits of pixels.

    Args:
        network: a spectral classifier.
        pixels: features (pixels, features).

    Returns:
        (pixels, classes).
    """
    with torch.inference_mode():
        image = torch.from_numpy(np.ascontiguousarray(pixels.T))[None, :, :, None]
        found: NDArray[Any] = network.logits(image)[0, :, :, 0].T.numpy()  # type: ignore[operator]
    return found


def shrunk_covariance(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of (pixels, features), shrunk towards its diagonal, with RIDGE added."""
    count, features = rows.shape
    centred = rows - rows.mean(axis=0)
    covariance = centred.T @ centred / max(count - 1, 1)
    outside = ~np.eye(features, dtype=bool)
    squares = centred**2
    noise = (squares.T @ squares / count - (centred.T @ centred / count) ** 2) / max(count - 1, 1)
    total = float((covariance[outside] ** 2).sum())
    share = min(max(float(noise[outside].sum()) / total, 0.0), 1.0) if total else 1.0
    covariance[outside] *= 1 - share
    covariance[np.diag_indices(features)] += RIDGE
    return np.asarray(covariance)


def fit_angles(
    network: SpectralAngle, samples: Array, truth: Truth, origin: NDArray[np.float64]
) -> nn.Module:
    """Set the classes' directions from training pixels, and the scale that makes them most likely.

    Args:
        network: changed in place.
        samples: features (pixels, features).
        truth: class ids (pixels).
        origin: per feature, added so that 0 is the band's own zero.
    """
    spectra = samples.astype(np.float64) + origin
    units = spectra / np.maximum(np.linalg.norm(spectra, axis=1, keepdims=True), 1e-12)
    classes = len(network.offset)  # type: ignore[arg-type]
    directions, offset = np.zeros((classes, samples.shape[1])), np.full(classes, ABSENT)
    for index in np.unique(truth):
        mean = units[truth == index].mean(axis=0)
        directions[index] = mean / max(float(np.linalg.norm(mean)), 1e-12)
        offset[index] = 0.0
    apart = np.stack([np.linalg.norm(units - direction, axis=1) for direction in directions], axis=1)
    angles = 2 * np.arcsin(np.minimum(apart / 2, 1.0))
    scale = min(SCALES, key=lambda one: _log_loss(offset - one * angles, truth))
    with torch.no_grad():
        for buffer, value in (("origin", origin), ("directions", directions), ("offset", offset)):
            getattr(network, buffer).copy_(torch.from_numpy(value))
        network.scale.fill_(float(scale))  # type: ignore[operator]
    return network


def _log_loss(logits: NDArray[np.float64], truth: Truth) -> float:
    """Mean negative log-likelihood."""
    highest = logits.max(axis=1, keepdims=True)
    total = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return float((total - logits[np.arange(len(truth)), truth]).mean())


def origin(statistics: Statistics, texture_px: Sequence[int]) -> NDArray[np.float64]:
    """Return per feature the negative z-score of the band's zero; deviations have their zero already.

    Args:
        statistics: of the bands.
        texture_px: sides of texture windows in pixels.
    """
    zero = np.array(statistics.mean) / np.array(statistics.std)
    return np.concatenate([zero, *([zero, np.zeros_like(zero)] * len(texture_px))])
