"""What a baseline sees of a pixel: the bands, with their texture or as bytes at several scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ..contract import ForestJob
from ..modelfile.reading import FAST
from ..modelfile.stats import Statistics
from ..models.texture import Texture, feature_count
from . import byte_features
from .byte_features import ByteFeatures

Array = NDArray[np.float32]


@dataclass
class Reach:
    """Reach, alignment and exactness of a baseline, for prediction by windows."""

    reach_px: int
    align_px: int = 1
    tile_exact: bool = True


class Features(Protocol):
    """Computes the features of windows.

    Attributes:
        reach_px: distance from a pixel that influences its features.
        align_px: windows begin and end at multiples of it.
        missing: score of a pixel without value.
    """

    reach_px: int
    align_px: int
    missing: float

    def of(self, scores: Array) -> Array:
        """Return float32 (features, rows, cols) of z-scores (bands, rows, cols)."""
        ...


class TextureFeatures:
    """The bands and their texture, see `models.texture`."""

    align_px, missing = 1, 0.0

    def __init__(self, texture_px: Sequence[int]) -> None:
        """Set the sides of texture windows in pixels."""
        self._texture = Texture(texture_px)
        self.reach_px = self._texture.reach_px

    def of(self, scores: Array) -> Array:
        """See `Features`."""
        return features(scores, self._texture)


def features(scores: Array, texture: Texture) -> Array:
    """Compute the bands and their texture.

    Args:
        scores: z-scores (bands, rows, cols).
        texture: with its window sizes.

    Returns:
        float32 (features, rows, cols).
    """
    with torch.inference_mode():
        result: Array = texture(torch.from_numpy(scores)[None])[0].numpy()
    return result


def features_of(job: ForestJob, statistics: Statistics) -> Features:
    """Return what computes the features of a job's method.

    Args:
        job: method and texture.
        statistics: of the bands.
    """
    return ByteFeatures(statistics) if job.method == FAST else TextureFeatures(job.texture_px)


def reach_of(job: ForestJob) -> Reach:
    """Return how far the features of a job's method look."""
    if job.method == FAST:
        return Reach(byte_features.REACH_PX, byte_features.ALIGN_PX)
    return Reach(Texture(job.texture_px).reach_px)


def bands_of_features(job: ForestJob, bands: int) -> NDArray[np.int64]:
    """Return for every feature of a pixel the number of its band.

    Args:
        job: method and texture.
        bands: number of bands.
    """
    if job.method == FAST:
        return byte_features.feature_bands(bands)
    return np.arange(feature_count(bands, job.texture_px)) % bands
