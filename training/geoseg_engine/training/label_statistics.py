"""Checks and class weights that follow from the labels alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..contract import IGNORE, GeoSegError, LabelClass, Problem
from .scene import Scene

OVERLAP = 0.9999
"""How much a further pixel repeats the information of earlier ones of its class; the largest that Cui et al. tried."""


def check_classes(classes: Sequence[LabelClass]) -> None:
    """Check that there are at least two classes.

    Raises:
        GeoSegError: `one_class`.
    """
    if len(classes) < 2:
        names = ", ".join(item.name for item in classes) or "none"
        raise GeoSegError(
            "one_class",
            f"Training needs at least two classes; the labels have {len(classes)} ({names}).",
            "Set unlabelled pixels to background, or choose a field with more classes.",
        )


def class_warnings(scene: Scene, classes: Sequence[LabelClass]) -> list[Problem]:
    """Return warnings for classes without training pixels and for a dataset without validation pixels.

    Args:
        scene: image and labels.
        classes: of the dataset.

    Raises:
        GeoSegError: `no_training_pixels` if fewer than two classes have any.
    """
    counts = scene.train_counts()
    absent = [item.name for item, pixels in zip(classes, counts, strict=True) if not pixels]
    if len(classes) - len(absent) < 2:
        raise GeoSegError(
            "no_training_pixels",
            f"The train split has no pixel of {', '.join(absent)}.",
            "Increase the training share, make split blocks smaller, or label more pixels.",
        )
    warnings = [
        Problem(
            "class_without_training_pixels",
            f"Class '{name}' has no training pixel: the model will never predict it.",
            "Label some in the training blocks, or split again with another seed.",
            "warning",
        )
        for name in absent
    ]
    if not (scene.validation != IGNORE).any():
        warnings.append(
            Problem(
                "no_validation_pixels",
                "No labelled pixel belongs to the validation split: training cannot stop early and the last "
                "epoch is kept.",
                "Assign some blocks to validation.",
                "warning",
            )
        )
    return warnings


def class_weights(counts: Sequence[int], kind: str) -> list[float]:
    """Return loss weights of the classes whose mean over the training pixels is 1; 0 for a class without pixels.

    With n pixels of a class and N of all, before scaling:
        none: 1.
        inverse: N / n.
        sqrt: the square root of N / n.
        median: the median of the classes' n, divided by n; up to scale the same as `inverse` where every class can
            occur everywhere, as here (Eigen & Fergus 2015, arXiv:1411.4734).
        effective: (1 - b) / (1 - b^n) with b = OVERLAP (Cui et al. 2019, arXiv:1901.05555): as `inverse` for rare
            classes, and alike for all that have many times 1 / (1 - b) pixels.

    Args:
        counts: training pixels per class.
        kind: of contract.CLASS_WEIGHTS.

    Raises:
        KeyError: for another kind.
    """
    total = sum(counts)
    if not total:
        return [1.0] * len(counts)
    middle = statistics.median(count for count in counts if count)
    rule = {
        "none": lambda n: 1.0,
        "inverse": lambda n: total / n,
        "sqrt": lambda n: (total / n) ** 0.5,
        "median": lambda n: middle / n,
        "effective": lambda n: (1 - OVERLAP) / (1 - OVERLAP**n),
    }[kind]
    raw = [rule(count) if count else 0.0 for count in counts]
    mean = sum(weight * count for weight, count in zip(raw, counts, strict=True)) / total
    return [weight / mean for weight in raw]
