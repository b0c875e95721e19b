"""Importance of each band for a classifier of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import Dataset, ForestJob
from ..modelfile.calibration import Calibration, apply_calibration
from ..modelfile.reading import FAST
from .features import bands_of_features
from .forest import score
from .pixels import Array, Samples

PHASE = "finding what the bands are worth"
PIXELS, PIXELS_MIN, FAST_PIXELS = 20_000, 1_000, 2_000
MAX_PREDICTIONS = 200_000
"""Maximum number of predicted pixels over all bands; with many bands fewer pixels are used, at least PIXELS_MIN."""


def importance(
    dataset: Dataset,
    samples: Samples,
    logits: Callable[[Array], NDArray[Any]],
    decision: Calibration,
    impurity: NDArray[np.float64] | None,
    job: ForestJob,
    channel: Channel,
) -> dict[str, Any]:
    """Return the importance of every band, with its texture.

    `permutation` is the IoU that is lost on validation pixels where a band's values are exchanged between pixels
    (Breiman 2001); None without validation pixels. `impurity` is the fraction of the trees' gain (forest only).

    Args:
        dataset: with the bands that were used.
        samples: with validation pixels.
        logits: from features (pixels, features) to (pixels, classes).
        decision: calibration from logits to classes.
        impurity: importance per feature.
        job: its method, and the seed of the exchange.
        channel: gets progress; cancel point.

    Returns:
        Plain values: method, score, pixels, bands [{name, permutation, impurity}], the most important first.
    """
    random = np.random.default_rng(job.seed)
    names = [band.name for band in dataset.recipe.bands]
    few = min(len(samples.validation), FAST_PIXELS) if job.method == FAST else len(samples.validation)
    chosen = random.permutation(len(samples.validation))[: scored_pixels(few, len(names))]
    of_feature = bands_of_features(job, len(names))
    pixels, truth = samples.validation[chosen], samples.validation_truth[chosen]

    def iou(values: Array) -> float:
        ids = apply_calibration(logits(values).T, decision).argmax(axis=0)
        return score(ids, truth, dataset.classes)

    base = iou(pixels) if len(pixels) else None
    rows = []
    for index, name in enumerate(names):
        channel.progress(PHASE, index, len(names))
        own = of_feature == index
        lost = None
        if base is not None:
            mixed = pixels.copy()
            mixed[:, own] = pixels[random.permutation(len(pixels))][:, own]
            lost = round(base - iou(mixed), 6)
        gain = None if impurity is None else round(float(impurity[own].sum()), 6)
        rows.append({"name": name, "permutation": lost, "impurity": gain})
    rows.sort(key=lambda row: -(row["permutation"] or row["impurity"] or 0.0))  # type: ignore[operator]
    return {"method": "permutation", "score": base, "pixels": len(pixels), "bands": rows}


def scored_pixels(pixels: int, bands: int) -> int:
    """Return how many validation pixels are scored, once per band.

    Args:
        pixels: validation pixels that there are.
        bands: number of bands.
    """
    return min(pixels, PIXELS, max(MAX_PREDICTIONS // bands, PIXELS_MIN))
