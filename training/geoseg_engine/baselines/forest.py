"""Random forest (Breiman 2001): a search over a few settings, then the trees."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..channel import Channel
from ..contract import ForestJob, LabelClass
from ..modelfile import calibration
from ..modelfile.reading import FAST
from ..raster.stream import worker_count
from ..scores.metrics import confusion, scores
from .forest_onnx import logits
from .pixels import Array, Samples, Truth

TREES, TREES_AT_ONCE = 100, 20
TREE_PIXELS = 40_000
"""Maximum number of training pixels that a tree draws. Neighbours repeat each other: more of them make trees deeper
and slower, and no better elsewhere; the forest as a whole sees them all (see docs/training.md)."""
ROUNDS, KEPT = (4, 12), 3
"""Trees that every candidate has at the end of each round of the search; one of KEPT candidates enters the next."""
SCORED_PIXELS = 20_000
"""Validation pixels that candidates are scored on."""
GAIN = 0.02
"""Minimum gain in score of other settings over the first ones: a smaller gain on validation pixels means nothing
elsewhere (see docs/training.md)."""
CHUNK_PX = 16_384
FAST_TREES, FAST_PIXELS = 32, 20_000
"""Fixed settings of the fast model (see docs/training.md)."""
LEAVES, FIRST_LEAF = (30, 10, 3, 1), 10
LEAVES_OF_CLASS = 5
"""Leaves that the pixels of a class fill, on average over the classes: fewer could not separate them."""


@dataclass(frozen=True)
class Settings:
    """Settings of a forest.

    Attributes:
        trees: number of trees.
        depth: maximum depth, 0 is no limit.
        features: drawn at every split.
        leaf: minimum number of pixels of a leaf.
    """

    trees: int
    depth: int
    features: int
    leaf: int

    def description(self) -> str:
        """Return the settings for the log."""
        depth = f"depth {self.depth}" if self.depth else "any depth"
        return f"{depth}, {self.features} features at a split, leaves of {self.leaf} pixels or more"


def settled(job: ForestJob) -> ForestJob:
    """Return the job, that of a fast model with the settings that it always has."""
    if job.method != FAST:
        return job
    pixels = min(job.pixels, FAST_PIXELS)
    return replace(job, trees=FAST_TREES, depth=0, features=0, search=False, pixels=pixels)


def first_settings(job: ForestJob, features: int, pixels: int, classes: int) -> Settings:
    """Return the settings of the job, and defaults where it leaves them on automatic.

    Args:
        job: settings; 0 is automatic.
        features: per pixel.
        pixels: for training.
        classes: with training pixels.
    """
    wanted = min(job.features, features) or max(int(features**0.5), 1)
    leaf = min(max(pixels // (LEAVES_OF_CLASS * classes), 1), FIRST_LEAF)
    return Settings(job.trees or TREES, job.depth, wanted, leaf)


@dataclass
class Candidate:
    """Settings in the search, the forest as far as it is grown, and its score on validation pixels."""

    settings: Settings
    forest: Any = None
    score: float = 0.0


def candidates(job: ForestJob, start: Settings, features: int) -> list[Candidate]:
    """Return the candidates of a search, the first settings first; fixed settings of the job stay as they are.

    Args:
        job: settings.
        start: the first settings.
        features: per pixel.
    """
    some = {start.features} if job.features else {start.features, min(2 * start.features, features)}
    tried = [
        replace(start, leaf=leaf, features=number) for leaf, number in itertools.product(LEAVES, sorted(some))
    ]
    return [Candidate(one) for one in (start, *(one for one in tried if one != start))]


def rounds(trees: int, entrants: int) -> list[tuple[int, int]]:
    """Return the number of candidates of every round, and the trees that each has by its end.

    Args:
        trees: of the final forest; no candidate has more.
        entrants: candidates of the first round.
    """
    found = []
    for trees_so_far in sorted({min(count, trees) for count in ROUNDS}):
        found.append((entrants, trees_so_far))
        entrants = -(-entrants // KEPT)
    return found


def search(
    job: ForestJob,
    samples: Samples,
    classes: Sequence[LabelClass],
    start: Settings,
    channel: Channel,
    weighted: Sequence[bool] = (),
) -> Candidate:
    """Return the best candidate by successive halving (Jamieson & Talwalkar 2016), scored on validation pixels.

    All start with a few trees; those with the best scores go on to the next round, the others are dropped, except for
    the
    first settings: the best is chosen only if it is better than they by GAIN, and the search ends where none is better.
    Each is calibrated before it is scored, as the forest will be: a gain that calibration gives to all does not count.

    Args:
        job: settings.
        samples: with validation pixels.
        classes: of the dataset.
        start: the first settings.
        channel: gets messages; cancel point.
        weighted: per class, whether calibration may move it, see `modelfile.calibration.fit`.

    Returns:
        The candidate, with its trees so far: they are the first of the final forest.
    """
    random = np.random.default_rng(job.seed)
    pixels_scored = np.sort(random.permutation(len(samples.validation))[:SCORED_PIXELS])
    racing = candidates(job, start, samples.train.shape[1])
    plan = rounds(start.trees, len(racing))
    total, done = sum(entrants for entrants, _ in plan), 0
    for entrants, count in plan:
        racing = racing[:entrants]
        for one in racing:
            channel.progress("searching", done, total)
            done += 1
            few = replace(one.settings, trees=count)
            one.forest = grow(few, samples.train, samples.train_truth, job.seed, grown_before=one.forest)
            one.score = evaluate(
                one.forest, samples, pixels_scored, classes, weighted if job.calibrate else None
            )
        first, *others = racing
        racing = [first, *sorted(others, key=lambda one: -one.score)]
        best = max(racing, key=lambda one: one.score)
        channel.log(
            f"Search: {len(racing)} settings with {count} trees each, IoU on validation pixels: {first.score:.3f} with "
            f"{first.settings.description()}; at best {best.score:.3f} with {best.settings.description()}."
        )
        if best is first:
            break
    return best if best.score >= first.score + GAIN else first


def evaluate(
    forest: Any,
    samples: Samples,
    pixels_scored: NDArray[np.int64],
    classes: Sequence[LabelClass],
    weighted: Sequence[bool] | None,
) -> float:
    """Return the score of a forest on validation pixels.

    Args:
        forest: a RandomForestClassifier.
        samples: validation pixels.
        pixels_scored: indices of those that are used.
        classes: of the dataset.
        weighted: per class, whether calibration may move it; None skips calibration.

    Returns:
        IoU or mean IoU, 0..1.
    """
    truth = samples.validation_truth[pixels_scored]
    values = logits(probabilities(forest, samples.validation[pixels_scored], len(classes)))
    found = calibration.Calibration()
    if weighted is not None:
        learned = [pixels > 0 for pixels in samples.counts]
        found = calibration.fit(values, truth, learned=learned, weighted=weighted)
    return score(calibration.apply_calibration(values.T, found).argmax(axis=0), truth, classes)


def grow(
    settings: Settings,
    pixels: Array,
    truth: Truth,
    seed: int,
    report_progress: Callable[[int], None] = lambda done: None,
    grown_before: Any = None,
) -> Any:
    """Return a fitted RandomForestClassifier, each tree of at most TREE_PIXELS drawn pixels.

    Args:
        settings: of the forest.
        pixels, truth: (pixels, features) and class ids (pixels).
        seed: the same seed gives the same trees.
        report_progress: called with the number of trees so far; may raise to stop.
        grown_before: a forest of fewer trees from the same settings, pixels and seed, to which trees are added.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = (
        grown_before
        if grown_before is not None
        else RandomForestClassifier(
            n_estimators=0,
            max_depth=settings.depth or None,
            max_features=settings.features,
            min_samples_leaf=settings.leaf,
            max_samples=min(TREE_PIXELS, len(pixels)),
            class_weight="balanced_subsample",
            warm_start=True,
            n_jobs=-1,
            random_state=seed,
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # weights of classes and warm_start: the pixels stay the same
        for count in range(forest.n_estimators, settings.trees, TREES_AT_ONCE):
            report_progress(count)
            forest.set_params(n_estimators=min(count + TREES_AT_ONCE, settings.trees))
            forest.fit(pixels, truth)
    return forest


def probabilities(forest: Any, pixels: Array, classes: int) -> NDArray[np.float64]:
    """Return class probabilities (pixels, classes); 0 for classes that the forest has not seen.

    Trees are added in their order, so that the last bit, and with it the winner of a search, is always the same;
    scikit-learn adds them as its threads end.

    Args:
        forest: a RandomForestClassifier.
        pixels: (pixels, features).
        classes: number of classes.
    """

    def chunk_probabilities(first: int) -> NDArray[np.float64]:
        part = pixels[first : first + CHUNK_PX]
        total = np.zeros((len(part), len(forest.classes_)))
        for tree in forest.estimators_:
            total += tree.predict_proba(part, check_input=False)
        return total / len(forest.estimators_)

    result = np.zeros((len(pixels), classes))
    with ThreadPoolExecutor(worker_count()) as pool:
        starts = range(0, len(pixels), CHUNK_PX)
        for first, shares in zip(starts, pool.map(chunk_probabilities, starts), strict=True):
            result[first : first + CHUNK_PX, forest.classes_] = shares
    return result


def score(ids: NDArray[Any], truth: Truth, classes: Sequence[LabelClass]) -> float:
    """Return the IoU of the object class, with several classes their mean; 0 without pixels.

    Args:
        ids: predicted class ids (pixels).
        truth: class ids (pixels).
        classes: of the dataset.
    """
    found = scores(confusion(truth, ids.astype(np.uint8), len(classes)), classes)
    value = found["miou"] if found["foreground_iou"] is None else found["foreground_iou"]
    return float(value or 0.0)
