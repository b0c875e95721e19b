"""The results of a window as 16-bit codes, made on the device: what `predict_block` makes on the host.

Sums over the classes are added in their order, and of equal probabilities the first class wins, as on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
import torch
from torch import Tensor

from ...modelfile.calibration import Calibration
from ...raster.writer import STEPS_OF_ONE
from ..result_layers import CLASSES, MISSING, OUT_OF_RANGE, Layer, band_count
from .scores import Scores, strips

UNKNOWN = MISSING - (1 << 16)
"""MISSING as a signed number of 16 bits."""


def codes_of(
    output: Tensor, scores: Scores, layers: Sequence[Layer], calibration: Calibration, in_strips: bool
) -> Tensor:
    """Return the codes of all layers.

    Args:
        output: output q of the network (classes, rows, cols) over the core, float32.
        scores: of the same window.
        layers: the results to compute, without disagreement.
        calibration: of the model.
        in_strips: whether to work strip by strip, which stays in a processor's cache.

    Returns:
        int16 (bands of all layers, rows, cols), the bits of the codes.
    """
    _, height, width = output.shape
    codes = torch.empty((band_count(layers), height, width), dtype=torch.int16, device=output.device)
    weights = list(calibration.weights) if calibration.weights_classes else []
    for rows in strips(height, width, not in_strips):
        over = None if scores.out_of_range_px is None else scores.out_of_range_px[rows]
        _fill(codes[:, rows], output[:, rows], layers, weights, over)
        if scores.valid is not None:
            unknown = ~scores.valid[rows]
            for band in codes[:, rows]:
                band.masked_fill_(unknown, UNKNOWN)
    return codes


def _fill(
    codes: Tensor, output: Tensor, layers: Sequence[Layer], weights: Sequence[float], over: Tensor | None
) -> None:
    of_classes = list(output)
    shares = _calibrated(of_classes, weights) if weights else of_classes
    ids, confidence = _decided(of_classes, shares)
    place = 0
    for layer in layers:
        if layer.key == CLASSES:
            codes[place] = ids
        elif layer.key == OUT_OF_RANGE and over is not None:
            codes[place] = over
        elif layer.key == "probability":
            for number, share in enumerate(shares):
                codes[place + number] = _steps(share)
        else:
            made = {"confidence": lambda: confidence, "entropy": lambda: _entropy(shares)}
            codes[place] = _steps(made.get(layer.key, lambda: _margin(shares))())
        place += len(layer.bands)


def _steps(share: Tensor) -> Tensor:
    return (share * STEPS_OF_ONE).round_()


def _sum(terms: Sequence[Tensor]) -> Tensor:
    total = terms[0].clone()
    for term in terms[1:]:
        total += term
    return total


def _calibrated(output: Sequence[Tensor], weights: Sequence[float]) -> list[Tensor]:
    """See `modelfile.calibration.calibrated`."""
    divisor = torch.from_numpy(np.asarray(weights, np.float32)).to(output[0].device).unbind()
    plain = [share / weight for share, weight in zip(output, divisor, strict=True)]
    total = _sum(plain)
    return [share.div_(total) for share in plain]


def _decided(output: Sequence[Tensor], shares: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The class with the largest output, the first of several, int16; and its calibrated probability."""
    highest = output[0].clone()
    confidence = highest if shares is output else shares[0].clone()
    ids = torch.zeros(highest.shape, dtype=torch.int16, device=highest.device)
    for number in range(1, len(output)):
        more = output[number] > highest
        ids.masked_fill_(more, number)
        torch.maximum(highest, output[number], out=highest)
        if shares is not output:
            confidence = torch.where(more, shares[number], confidence)
    return ids, confidence


def _entropy(shares: Sequence[Tensor]) -> Tensor:
    """See `averaging.entropy`."""
    tiny = float(np.finfo(np.float32).tiny)
    terms = [share * _log(share.clamp(min=tiny)) for share in shares]
    return _sum(terms).neg_().div_(float(np.float32(log(max(len(shares), 2)))))


def _log(share: Tensor) -> Tensor:
    """Natural logarithm; on a CPU by NumPy, whose last bit is that of the ordinary path."""
    return share.log_() if share.device.type != "cpu" else torch.from_numpy(np.log(share.numpy()))


def _margin(shares: Sequence[Tensor]) -> Tensor:
    """See `result_layers.margin`."""
    if len(shares) < 2:
        return torch.ones_like(shares[0])
    first = torch.maximum(shares[0], shares[1])
    second = torch.minimum(shares[0], shares[1])
    for share in shares[2:]:
        second = torch.maximum(second, torch.minimum(first, share))
        first = torch.maximum(first, share)
    return first - second
