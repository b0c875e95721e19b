"""How long a forest will take, from a few trees grown first on part of the pixels or on made-up ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from ..contract import ForestJob
from . import forest as trees
from .importance import affordable
from .pixels import Array, Truth

PROBE_PX, PROBE_TREES = 8_000, 8
FIXED_S, CALIBRATED_PX_S = 2.0, 1e-5
"""Checks and files, whatever the size; calibration of a validation pixel."""


@dataclass(frozen=True)
class Pace:
    """What this machine needs now.

    Attributes:
        tree_s: seconds to grow a tree of PROBE_PX pixels with the square root of the features.
        pixel_s: seconds to ask one such tree about one pixel.
        pixels: of the trees.
    """

    tree_s: float
    pixel_s: float
    pixels: int


def pace(settings: trees.Settings, pixels: Array, truth: Truth) -> Pace:
    """Grow PROBE_TREES on at most PROBE_PX of the pixels, and ask them about the same.

    Args:
        settings: of the forest that is wanted.
        pixels, truth: (pixels, features) and class ids, of at least two classes.
    """
    some = np.random.default_rng(0).permutation(len(pixels))[:PROBE_PX]
    few = replace(settings, trees=PROBE_TREES)
    trees.grow(replace(few, trees=1), pixels[some[:100]], truth[some[:100]], 0)  # what is loaded only once
    started = time.perf_counter()
    forest = trees.grow(few, pixels[some], truth[some], 0)
    grown = time.perf_counter()
    trees.probabilities(forest, pixels[some], int(truth.max()) + 1)
    asked = time.perf_counter()
    return Pace((grown - started) / PROBE_TREES, (asked - grown) / PROBE_TREES / len(some), len(some))


def made_up(classes: int, features: int) -> tuple[Array, Truth]:
    """PROBE_PX pixels of classes that overlap by half, for when none have been read yet."""
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, PROBE_PX).astype(np.uint8)
    values = random.normal(0, 1, (PROBE_PX, features)).astype(np.float32)
    values[:, 0] += truth
    return values, truth


def seconds(
    job: ForestJob, settings: trees.Settings, found: Pace, train: int, validation: int, size: tuple[int, int]
) -> float:
    """Seconds from read pixels to the finished model.

    Args:
        job: what was asked for.
        settings: the forest's, before a search.
        found: of this machine.
        train, validation: pixels.
        size: bands and features.
    """
    bands, features = size
    drawn = max(min(train, trees.TREE_PIXELS), 2)
    deeper = float(np.log2(drawn) / np.log2(found.pixels))
    larger = drawn / found.pixels * deeper
    grown, asked, calibrated = float(settings.trees), 0.0, validation
    if job.search and validation:
        racing = trees.candidates(job, settings, features)
        dearer = float(np.mean([one.settings.features for one in racing])) / settings.features
        before = 0
        for entrants, most in trees.rounds(settings.trees, len(racing)):
            grown += entrants * (most - before) * dearer
            calibrated += entrants * min(validation, trees.JUDGED_PIXELS)
            asked += entrants * most * min(validation, trees.JUDGED_PIXELS)
            before = most
    judged = affordable(validation, bands)
    asked += settings.trees * (validation + judged * (bands + 1))
    of_trees = grown * larger * found.tree_s + asked * deeper * found.pixel_s
    return of_trees + job.calibrate * calibrated * CALIBRATED_PX_S + FIXED_S


def sentence(
    job: ForestJob, bands: int, like: tuple[Array, Truth], train: int, validation: int
) -> tuple[float, str]:
    """Seconds that a forest will take once its pixels are read, and the words for it.

    Args:
        job: what is asked for.
        bands: that it looks at.
        like: features (pixels, features) and class ids to try the machine with.
        train, validation: pixels that there will be.
    """
    pixels, truth = like
    settings = trees.first_settings(job, pixels.shape[1], train, len(np.unique(truth)))
    size = (bands, pixels.shape[1])
    found = seconds(job, settings, pace(settings, pixels, truth), train, validation, size)
    searched = "the search, " if job.search and validation else ""
    return round(found, 1), (
        f"About {words(found)} on this machine for {searched}{settings.trees} trees and their scores, "
        "once the pixels are read."
    )


def words(expected_s: float) -> str:
    """A time as roughly as it is known: seconds, from 15 s by tens, from 55 s minutes."""
    if expected_s >= 55:
        return f"{round(expected_s / 60)} min"
    return f"{round(expected_s, -1 if expected_s >= 15 else 0):.0f} s"
