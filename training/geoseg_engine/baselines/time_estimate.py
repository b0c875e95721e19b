"""How long a forest will take, from a few trees grown first on part of the pixels or on synthetic ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from ..contract import ForestJob
from . import forest as trees
from .importance import scored_pixels
from .pixels import Array, Truth

PROBE_PX, PROBE_TREES = 8_000, 8
FIXED_S, CALIBRATED_PX_S = 2.0, 1e-5
"""Seconds for checks and files, whatever the size; seconds to calibrate a validation pixel."""


@dataclass(frozen=True)
class Speed:
    """Measured speed of this machine.

    Attributes:
        tree_s: seconds to grow a tree of PROBE_PX pixels with the square root of the features.
        pixel_s: seconds to predict one pixel with one such tree.
        pixels: of the trees.
    """

    tree_s: float
    pixel_s: float
    pixels: int


def measure_speed(settings: trees.Settings, pixels: Array, truth: Truth) -> Speed:
    """Grow PROBE_TREES on at most PROBE_PX of the pixels, and predict the same pixels.

    Args:
        settings: of the final forest.
        pixels, truth: (pixels, features) and class ids, of at least two classes.
    """
    some = np.random.default_rng(0).permutation(len(pixels))[:PROBE_PX]
    few = replace(settings, trees=PROBE_TREES)
    trees.grow(replace(few, trees=1), pixels[some[:100]], truth[some[:100]], 0)  # what is loaded only once
    started = time.perf_counter()
    forest = trees.grow(few, pixels[some], truth[some], 0)
    grown = time.perf_counter()
    trees.probabilities(forest, pixels[some], int(truth.max()) + 1)
    predicted = time.perf_counter()
    return Speed((grown - started) / PROBE_TREES, (predicted - grown) / PROBE_TREES / len(some), len(some))


def synthetic_pixels(classes: int, features: int) -> tuple[Array, Truth]:
    """Return PROBE_PX pixels of classes that overlap by half, for when none have been read yet.

    Args:
        classes: number of classes.
        features: per pixel.

    Returns:
        Features (pixels, features) and class ids (pixels).
    """
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, PROBE_PX).astype(np.uint8)
    values = random.normal(0, 1, (PROBE_PX, features)).astype(np.float32)
    values[:, 0] += truth
    return values, truth


def seconds(
    job: ForestJob, settings: trees.Settings, speed: Speed, train: int, validation: int, size: tuple[int, int]
) -> float:
    """Return the seconds from read pixels to the finished model.

    Args:
        job: settings.
        settings: of the forest, before a search.
        found: speed of this machine.
        train, validation: number of pixels.
        size: number of bands and of features.
    """
    bands, features = size
    drawn = max(min(train, trees.TREE_PIXELS), 2)
    deeper = float(np.log2(drawn) / np.log2(speed.pixels))
    larger = drawn / speed.pixels * deeper
    grown, predicted, calibrated = float(settings.trees), 0.0, validation
    if job.search and validation:
        racing = trees.candidates(job, settings, features)
        dearer = float(np.mean([one.settings.features for one in racing])) / settings.features
        before = 0
        for entrants, grown_trees in trees.rounds(settings.trees, len(racing)):
            grown += entrants * (grown_trees - before) * dearer
            calibrated += entrants * min(validation, trees.SCORED_PIXELS)
            predicted += entrants * grown_trees * min(validation, trees.SCORED_PIXELS)
            before = grown_trees
    scored = scored_pixels(validation, bands)
    predicted += settings.trees * (validation + scored * (bands + 1))
    of_trees = grown * larger * speed.tree_s + predicted * deeper * speed.pixel_s
    return of_trees + job.calibrate * calibrated * CALIBRATED_PX_S + FIXED_S


def estimate_message(
    job: ForestJob, bands: int, like: tuple[Array, Truth], train: int, validation: int
) -> tuple[float, str]:
    """Return the seconds that a forest will take once its pixels are read, and a sentence about it.

    Args:
        job: settings.
        bands: number of bands.
        like: features (pixels, features) and class ids to measure the machine with.
        train, validation: number of pixels.
    """
    pixels, truth = like
    settings = trees.first_settings(job, pixels.shape[1], train, len(np.unique(truth)))
    size = (bands, pixels.shape[1])
    speed = seconds(job, settings, measure_speed(settings, pixels, truth), train, validation, size)
    searched = "the search, " if job.search and validation else ""
    return round(speed, 1), (
        f"About {rounded_time(speed)} on this machine for {searched}{settings.trees} trees and their scores, "
        "once the pixels are read."
    )


def rounded_time(expected_s: float) -> str:
    """Return a time as precisely as it is known: seconds, from 15 s in tens, from 55 s minutes."""
    if expected_s >= 55:
        return f"{round(expected_s / 60)} min"
    return f"{round(expected_s, -1 if expected_s >= 15 else 0):.0f} s"
