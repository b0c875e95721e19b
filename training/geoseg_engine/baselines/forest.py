"""Random forest (Breiman 2001): a small search over its settings, then the trees."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import ForestJob, LabelClass
from ..scores.metrics import confusion, scores
from .pixels import Array, Samples, Truth

TREES, TREES_AT_ONCE = 200, 20
SEARCH_TREES, SEARCH_PIXELS = 30, 40_000
AS_GOOD = 0.002
"""Of two settings whose scores are this close, the one with smaller trees is taken."""
LEAVES, DEPTHS = (30, 10, 3, 1), (8, 12, 16, 0)


@dataclass(frozen=True)
class Settings:
    """Of a forest.

    Attributes:
        trees: how many.
        depth: the most, 0 is no limit.
        features: drawn at every split.
        leaf: pixels that a leaf has at least.
    """

    trees: int
    depth: int
    features: int
    leaf: int

    def words(self) -> str:
        """For the log."""
        depth = f"depth {self.depth}" if self.depth else "any depth"
        return f"{depth}, {self.features} features at a split, leaves of {self.leaf} pixels or more"


def first_settings(job: ForestJob, features: int) -> Settings:
    """What the job says, and scikit-learn's defaults for what it leaves open."""
    wanted = min(job.features, features) or max(int(features**0.5), 1)
    return Settings(job.trees or TREES, job.depth, wanted, 1)


def search(
    job: ForestJob, samples: Samples, classes: Sequence[LabelClass], start: Settings, channel: Channel
) -> Settings:
    """One setting after the other, judged on validation pixels; what the job names is kept.

    A candidate is a small forest on part of the pixels. Its probabilities, which know the classes as evenly
    frequent, are weighted by how frequent they are before the classes are taken.
    """
    count = samples.train.shape[1]
    some = sorted({max(count // 3, 1), max(count // 2, 1), start.features, count})
    options: list[tuple[str, tuple[int, ...]]] = [("leaf", LEAVES)]
    options += [] if job.features else [("features", tuple(some))]
    options += [] if job.depth else [("depth", DEPTHS)]
    total, done = sum(len(values) for _, values in options), 0
    random = np.random.default_rng(job.seed)
    train = random.permutation(len(samples.train))[:SEARCH_PIXELS]
    judged = random.permutation(len(samples.validation))[:SEARCH_PIXELS]
    prior = np.array(samples.counts) / np.maximum(np.bincount(samples.train_truth, minlength=len(classes)), 1)
    known: dict[Settings, float] = {}
    best = replace(start, trees=SEARCH_TREES)
    for name, values in options:
        found = []
        for value in values:
            channel.progress("searching", done, total)
            done += 1
            tried = replace(best, **{name: value})
            if tried not in known:
                forest = grow(tried, samples.train[train], samples.train_truth[train], job.seed)
                shares = probabilities(forest, samples.validation[judged], len(classes)) * prior
                known[tried] = score(shares.argmax(axis=1), samples.validation_truth[judged], classes)
            found.append((tried, known[tried]))
        highest = max(result for _, result in found)
        best = next(tried for tried, result in found if result >= highest - AS_GOOD)
        channel.log(f"Forest: {best.words()}: IoU {known[best]:.3f} on validation pixels.")
    return replace(best, trees=start.trees)


def grow(
    settings: Settings,
    pixels: Array,
    truth: Truth,
    seed: int,
    told: Callable[[int], None] = lambda done: None,
) -> Any:
    """A fitted RandomForestClassifier.

    Args:
        settings: of the forest.
        pixels, truth: (pixels, features) and class ids.
        seed: the same seed gives the same trees.
        told: called with the number of trees so far; may raise to stop.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.depth or None,
        max_features=settings.features,
        min_samples_leaf=settings.leaf,
        class_weight="balanced_subsample",
        warm_start=True,
        n_jobs=-1,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # weights of classes and warm_start: the pixels stay the same
        for count in range(0, settings.trees, TREES_AT_ONCE):
            told(count)
            forest.set_params(n_estimators=min(count + TREES_AT_ONCE, settings.trees))
            forest.fit(pixels, truth)
    return forest


def probabilities(forest: Any, pixels: Array, classes: int) -> NDArray[np.float64]:
    """(pixels, classes); 0 for classes that the forest has not seen."""
    result = np.zeros((len(pixels), classes))
    if len(pixels):
        result[:, forest.classes_] = forest.predict_proba(pixels)
    return result


def score(ids: NDArray[Any], truth: Truth, classes: Sequence[LabelClass]) -> float:
    """IoU of the object class, of several classes their mean; 0 without pixels."""
    found = scores(confusion(truth, ids.astype(np.uint8), len(classes)), classes)
    value = found["miou"] if found["foreground_iou"] is None else found["foreground_iou"]
    return float(value or 0.0)
