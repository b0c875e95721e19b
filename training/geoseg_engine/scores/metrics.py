"""Scores of a classification, all from one global confusion matrix.

Matrices are added over windows, tiles and batches; ratios are taken once, at the end. A mean of
ratios over tiles is another, flattering number and is not computed anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contract import IGNORE, GeoSegError, LabelClass

Matrix = NDArray[np.int64]


def confusion(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> Matrix:
    """Count pixels by truth and prediction.

    Args:
        labels: class ids 0..classes-1 of any shape; IGNORE pixels are left out.
        predicted: class ids of the same shape; pixels without a prediction (IGNORE) are left out.
        classes: number of classes K.

    Returns:
        int64 (K, K), rows are the truth, columns the prediction.

    Raises:
        GeoSegError: `unknown_class` for an id that is neither a class nor IGNORE.
    """
    if labels.shape != predicted.shape:
        raise ValueError(f"labels {labels.shape} and prediction {predicted.shape} differ in shape")
    counted = (labels != IGNORE) & (predicted != IGNORE)
    truth = labels[counted].astype(np.int64)
    guess = predicted[counted].astype(np.int64)
    for name, values in (("labels", truth), ("prediction", guess)):
        if values.size and not 0 <= int(values.min()) <= int(values.max()) < classes:
            worst = int(values.min()) if int(values.min()) < 0 else int(values.max())
            raise GeoSegError("unknown_class", f"The {name} hold class {worst}, but there are {classes} classes.",
                              "Use a raster made with the same classes.")  # fmt: skip
    return np.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)


def scores(matrix: NDArray[Any], classes: Sequence[LabelClass]) -> dict[str, Any]:
    """Return per-class and overall scores of a confusion matrix.

    Per class: precision = TP/(TP+FP), recall = TP/(TP+FN), F1 = 2TP/(2TP+FP+FN), IoU = TP/(TP+FP+FN). A ratio
    over zero pixels is None. `miou` and `mean_f1` are means over the classes present in the truth: a class that
    is absent there has no IoU of its own, and pixels wrongly assigned to it already lower the others.
    `foreground_iou` is that of the one class of `background_and_object`; None for any other classes.
    `fw_iou` weights each class's IoU by its share of the truth. `kappa` is Cohen's (1960): the accuracy beyond what
    chance would give with the same shares of truth and prediction; None where chance alone gives all.

    Args:
        matrix: (K, K), rows are the truth.
        classes: the classes, in the order of the matrix.

    Returns:
        JSON-able: per_class, miou, fw_iou, mean_f1, foreground_iou, accuracy, kappa, majority_accuracy (the accuracy of
        always predicting the most frequent class), majority_class, pixels, confusion.
    """
    counts = np.asarray(matrix, dtype=np.int64)
    per_class = [_class_scores(counts, index, item) for index, item in enumerate(classes)]
    present = [row for row in per_class if row["support_px"] > 0]
    total = int(counts.sum())
    support = counts.sum(axis=1)
    majority = int(support.argmax()) if total else None
    return {
        "per_class": per_class,
        "miou": _mean([row["iou"] for row in present]),
        "fw_iou": _ratio(sum(row["support_px"] * row["iou"] for row in present), total),
        "mean_f1": _mean([row["f1"] for row in present]),
        "foreground_iou": per_class[1]["iou"] if background_and_object(classes) else None,
        "accuracy": _ratio(int(np.trace(counts)), total),
        "kappa": _kappa(counts),
        "majority_accuracy": _ratio(int(support.max()) if total else 0, total),
        "majority_class": None if majority is None else classes[majority].name,
        "pixels": total,
        "confusion": counts.tolist(),
    }


def background_and_object(classes: Sequence[LabelClass]) -> bool:
    """Return whether there is one class against a background, labelled or not; two other classes are equals."""
    return len(classes) == 2 and classes[0].name.strip().casefold() == "background"


def score_warnings(result: dict[str, Any]) -> list[str]:
    """Return warnings about scores, one sentence each."""
    if not result["pixels"]:
        return ["There was no labelled pixel to score."]
    found = []
    accuracy, majority = result["accuracy"], result["majority_accuracy"]
    if accuracy <= majority + 0.005:
        found.append(
            f"The accuracy of {accuracy:.3f} is no better than always predicting "
            f"'{result['majority_class']}' ({majority:.3f})."
        )
    found += [
        f"Class '{row['name']}' has no pixel in the truth and is not evaluated."
        for row in result["per_class"]
        if not row["support_px"]
    ]
    found += [
        f"Class '{row['name']}' is never predicted, although the truth holds {row['support_px']} pixels."
        for row in result["per_class"]
        if row["support_px"] and row["precision"] is None
    ]
    return found


def _class_scores(counts: Matrix, index: int, item: LabelClass) -> dict[str, Any]:
    hit = int(counts[index, index])
    truth, guess = int(counts[index].sum()), int(counts[:, index].sum())
    return {
        "id": item.id,
        "name": item.name,
        "precision": _ratio(hit, guess),
        "recall": _ratio(hit, truth),
        "f1": _ratio(2 * hit, truth + guess),
        "iou": _ratio(hit, truth + guess - hit),
        "support_px": truth,
        "predicted_px": guess,
    }


def _kappa(counts: Matrix) -> float | None:
    total = float(counts.sum())
    if not total:
        return None
    chance = float((counts.sum(axis=0) / total) @ (counts.sum(axis=1) / total))
    return (float(np.trace(counts)) / total - chance) / (1 - chance) if chance < 1 else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
