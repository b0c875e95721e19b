"""Random forest (Breiman 2001): a race of a few settings, then the trees."""

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
from ..raster.stream import worker_count
from ..scores.metrics import confusion, scores
from .forest_onnx import logits
from .pixels import Array, Samples, Truth

TREES, TREES_AT_ONCE = 100, 20
TREE_PIXELS = 40_000
"""A tree draws at most so many of the train pixels. Neighbours say the same twice: more of them make trees deeper and
slower, and no better on other ground; the forest has seen them all (see docs/training.md)."""
ROUNDS, KEPT = (4, 12), 3
"""Trees that every candidate has at the end of each round of the search; one of KEPT candidates enters the next."""
JUDGED_PIXELS = 20_000
"""Validation pixels that candidates are judged on."""
GAIN = 0.02
"""What other settings must score above the first ones to take their place: a smaller gain on validation pixels says
nothing about other ground (see docs/training.md)."""
ASKED_PX = 16_384
LEAVES, FIRST_LEAF = (30, 10, 3, 1), 10
LEAVES_OF_CLASS = 5
"""Leaves that the pixels of a class fill, by the mean of the classes: with fewer a tree could not tell them apart."""


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


def first_settings(job: ForestJob, features: int, pixels: int, classes: int) -> Settings:
    """What the job says, and what does without a search for what it leaves open.

    Args:
        job: what is asked for.
        features: of a pixel.
        pixels: for training.
        classes: that these pixels have.
    """
    wanted = min(job.features, features) or max(int(features**0.5), 1)
    leaf = min(max(pixels // (LEAVES_OF_CLASS * classes), 1), FIRST_LEAF)
    return Settings(job.trees or TREES, job.depth, wanted, leaf)


@dataclass
class Candidate:
    """Settings in the race, the forest as far as it is grown, and its score on validation pixels."""

    settings: Settings
    forest: Any = None
    score: float = 0.0


def candidates(job: ForestJob, start: Settings, features: int) -> list[Candidate]:
    """What is tried, the first settings before all others; what the job names stays as it is."""
    some = {start.features} if job.features else {start.features, min(2 * start.features, features)}
    tried = [
        replace(start, leaf=leaf, features=number) for leaf, number in itertools.product(LEAVES, sorted(some))
    ]
    return [Candidate(one) for one in (start, *(one for one in tried if one != start))]


def rounds(trees: int, entrants: int) -> list[tuple[int, int]]:
    """Candidates of every round, and the trees that each has by its end.

    Args:
        trees: of the forest that is wanted; no candidate has more.
        entrants: candidates of the first round.
    """
    found = []
    for most in sorted({min(count, trees) for count in ROUNDS}):
        found.append((entrants, most))
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
    """The best candidate by successive halving (Jamieson & Talwalkar 2016), judged on validation pixels.

    All begin with a few trees; those with the best scores go on to the next round, the others are dropped, but for the
    first settings: the best is taken only if it is better than they by GAIN, and the search ends where none is better.
    Each is calibrated before it is judged, as the forest will be: what calibration gives to all is no gain.

    Args:
        job: what is asked for.
        samples: with validation pixels.
        classes: of the dataset.
        start: the first settings.
        channel: told of every round; cancel point.
        weighted: of every class, whether calibration may move it, see `modelfile.calibration.fit`.

    Returns:
        The candidate, with the trees that it has by then: they are the first of the forest.
    """
    random = np.random.default_rng(job.seed)
    judged = np.sort(random.permutation(len(samples.validation))[:JUDGED_PIXELS])
    racing = candidates(job, start, samples.train.shape[1])
    plan = rounds(start.trees, len(racing))
    total, done = sum(entrants for entrants, _ in plan), 0
    for entrants, count in plan:
        racing = racing[:entrants]
        for one in racing:
            channel.progress("searching", done, total)
            done += 1
            few = replace(one.settings, trees=count)
            one.forest = grow(few, samples.train, samples.train_truth, job.seed, begun=one.forest)
            one.score = judge(one.forest, samples, judged, classes, weighted if job.calibrate else None)
        first, *others = racing
        racing = [first, *sorted(others, key=lambda one: -one.score)]
        best = max(racing, key=lambda one: one.score)
        channel.log(
            f"Search: {len(racing)} settings with {count} trees each, IoU on validation pixels: {first.score:.3f} with "
            f"{first.settings.words()}; at best {best.score:.3f} with {best.settings.words()}."
        )
        if best is first:
            break
    return best if best.score >= first.score + GAIN else first


def judge(
    forest: Any,
    samples: Samples,
    judged: NDArray[np.int64],
    classes: Sequence[LabelClass],
    weighted: Sequence[bool] | None,
) -> float:
    """Score of a forest on the validation pixels named, calibrated on them; not calibrated if `weighted` is None."""
    truth = samples.validation_truth[judged]
    values = logits(probabilities(forest, samples.validation[judged], len(classes)))
    found = calibration.Calibration()
    if weighted is not None:
        learned = [pixels > 0 for pixels in samples.counts]
        found = calibration.fit(values, truth, learned=learned, weighted=weighted)
    return score(calibration.output(values.T, found).argmax(axis=0), truth, classes)


def grow(
    settings: Settings,
    pixels: Array,
    truth: Truth,
    seed: int,
    told: Callable[[int], None] = lambda done: None,
    begun: Any = None,
) -> Any:
    """A fitted RandomForestClassifier, each tree of at most TREE_PIXELS drawn pixels.

    Args:
        settings: of the forest.
        pixels, truth: (pixels, features) and class ids.
        seed: the same seed gives the same trees.
        told: called with the number of trees so far; may raise to stop.
        begun: a forest of fewer trees from the same settings, pixels and seed, which is grown on.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = (
        begun
        if begun is not None
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
            told(count)
            forest.set_params(n_estimators=min(count + TREES_AT_ONCE, settings.trees))
            forest.fit(pixels, truth)
    return forest


def probabilities(forest: Any, pixels: Array, classes: int) -> NDArray[np.float64]:
    """(pixels, classes); 0 for classes that the forest has not seen.

    Trees are added up in their order, so that the last bit, and with it the winner of a search, is always the same;
    scikit-learn adds them as its threads end.
    """

    def asked(first: int) -> NDArray[np.float64]:
        part = pixels[first : first + ASKED_PX]
        total = np.zeros((len(part), len(forest.classes_)))
        for tree in forest.estimators_:
            total += tree.predict_proba(part, check_input=False)
        return total / len(forest.estimators_)

    result = np.zeros((len(pixels), classes))
    with ThreadPoolExecutor(worker_count()) as pool:
        starts = range(0, len(pixels), ASKED_PX)
        for first, shares in zip(starts, pool.map(asked, starts), strict=True):
            result[first : first + ASKED_PX, forest.classes_] = shares
    return result


def score(ids: NDArray[Any], truth: Truth, classes: Sequence[LabelClass]) -> float:
    """IoU of the object class, of several classes their mean; 0 without pixels."""
    found = scores(confusion(truth, ids.astype(np.uint8), len(classes)), classes)
    value = found["miou"] if found["foreground_iou"] is None else found["foreground_iou"]
    return float(value or 0.0)
