"""Whether a scene can be trained on at all, and what its owner must know."""

from __future__ import annotations

from collections.abc import Sequence

from ..contract import IGNORE, GeoSegError, LabelClass, Problem
from .scene import Scene


def check_classes(classes: Sequence[LabelClass]) -> None:
    """Raise `one_class` unless there are two classes to tell apart."""
    if len(classes) < 2:
        names = ", ".join(item.name for item in classes) or "none"
        raise GeoSegError(
            "one_class",
            f"There is nothing to tell apart: the labels have one class ({names}).",
            "Let unlabelled ground be background, or choose a field with more classes.",
        )


def class_warnings(scene: Scene, classes: Sequence[LabelClass]) -> list[Problem]:
    """Classes without training pixels; a dataset without validation pixels.

    Raises:
        GeoSegError: `no_training_pixels` if fewer than two classes have any.
    """
    counts = scene.train_counts()
    absent = [item.name for item, pixels in zip(classes, counts, strict=True) if not pixels]
    if len(classes) - len(absent) < 2:
        raise GeoSegError(
            "no_training_pixels",
            f"The train split has no pixel of {', '.join(absent)}.",
            "Give train a larger share, make split blocks smaller, or label more ground.",
        )
    found = [
        Problem(
            "class_without_training_pixels",
            f"Class '{name}' has no training pixel: the model will never predict it.",
            "Label some in the train blocks, or split again with another seed.",
            "warning",
        )
        for name in absent
    ]
    if not (scene.validation != IGNORE).any():
        found.append(
            Problem(
                "no_validation_pixels",
                "No labelled pixel belongs to the validation split: training cannot stop early and the last "
                "epoch is kept.",
                "Give validation a share of the blocks.",
                "warning",
            )
        )
    return found
