"""Medians that gaps are filled with: measured once when a stack is planned, numbers ever after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..contract import GeoSegError, Problem, Recipe
from .bandcheck import sample_windows
from .reader import StackReader


def with_medians(recipe: Recipe) -> tuple[Recipe, list[Problem]]:
    """The recipe with `fill="median"` replaced by the median of sampled pixels, to six digits.

    Returns:
        The recipe and, for a band without any value, a problem; its gaps then stay.
    """
    places = [place for place, band in enumerate(recipe.bands) if band.fill == "median"]
    if not places:
        return recipe, []
    bands = list(recipe.bands)
    for place in places:
        bands[place] = replace(bands[place], fill="")
    problems = []
    try:
        with StackReader(replace(recipe, bands=tuple(bands))) as reader:
            windows = sample_windows(reader, len(bands))
            values = np.concatenate(
                [reader.read(window)[places].reshape(len(places), -1) for window in windows], axis=1
            )
    except GeoSegError as error:
        return recipe, [Problem(error.code, error.message, error.hint)]
    for place, row in zip(places, values, strict=True):
        known = row[np.isfinite(row)]
        if known.size:
            bands[place] = replace(bands[place], fill=f"{float(np.median(known)):.6g}")
        else:
            problems.append(
                Problem(
                    "no_median",
                    f"Band '{bands[place].name}' has no value in the sampled pixels, so its gaps have no median.",
                    "Fill them with a number, or leave the band out.",
                )
            )
    return replace(recipe, bands=tuple(bands)), problems
