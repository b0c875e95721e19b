"""Reliability curve and expected calibration error: whether the confidence equals the accuracy.

Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning"; Guo et al. 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 15


class Reliability:
    """Confidence and hits of the evaluated pixels, counted window by window in bins of equal width."""

    def __init__(self, bins: int = BINS) -> None:
        self._bins = bins
        self._pixels = np.zeros(bins, np.int64)
        self._confidence, self._hits = np.zeros(bins), np.zeros(bins)

    def add(self, confidence: NDArray[Any], right: NDArray[np.bool_]) -> None:
        """Count pixels.

        Args:
            confidence: probability 0..1 of the class that each pixel was given, any shape.
            right: of the same shape, whether that class is the truth.
        """
        values = np.asarray(confidence, np.float64).ravel()
        places = np.clip((values * self._bins).astype(np.int64), 0, self._bins - 1)
        self._pixels += np.bincount(places, minlength=self._bins)
        self._confidence += np.bincount(places, values, self._bins)
        self._hits += np.bincount(places, right.ravel(), self._bins)

    def curve(self) -> list[dict[str, Any]]:
        """Return one row per bin that holds pixels: low, high, mean confidence, accuracy, pixels."""
        return [
            {
                "low": round(place / self._bins, 6),
                "high": round((place + 1) / self._bins, 6),
                "confidence": round(float(self._confidence[place] / pixels), 6),
                "accuracy": round(float(self._hits[place] / pixels), 6),
                "pixels": int(pixels),
            }
            for place, pixels in enumerate(self._pixels)
            if pixels
        ]

    def error(self) -> float | None:
        """Expected calibration error: mean |accuracy - confidence| over the pixels' bins; None without pixels."""
        total = int(self._pixels.sum())
        return round(float(np.abs(self._hits - self._confidence).sum()) / total, 6) if total else None
