"""Check the values of a stack before anything is built on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..bands.sources.registry import kind_of
from ..contract import GeoSegError, Problem, Recipe
from ..raster.grid import Window, windows_on_lattice
from ..raster.sources import open_source, title
from .reader import StackReader

WHOLE_LIMIT = 3_000_000
"""Number of values up to which a whole stack is read; larger ones are sampled."""

EXACT_TO = 1 << 24
"""float32 holds every whole number up to this one."""


@dataclass
class BandRanges:
    """Minimum and maximum per band, and pixels with a value in every band, over the pixels that were read."""

    low: np.ndarray
    high: np.ndarray
    all_valid_px: int
    px: int
    complete: bool


def band_problems(recipe: Recipe) -> list[Problem]:
    """Return bands without any value (error), constant bands (warning), and no pixel with all bands (error).

    A large stack is sampled; problems that are found in samples are warnings.
    """
    try:
        with StackReader(recipe) as reader:
            seen, problems = band_ranges(reader), list(reader.problems)
    except GeoSegError as error:
        return [Problem(error.code, error.message, error.hint)]
    empty = ~np.isfinite(seen.low)
    with np.errstate(invalid="ignore"):
        constant = ~empty & (seen.high - seen.low == 0)
    problems += _per_layer(recipe, empty, _empty_problem, seen)
    problems += _per_layer(recipe, constant, _constant_problem, seen)
    problems += _rounded(recipe, seen)
    if not empty.any() and not seen.all_valid_px:
        problems.append(_nowhere_all(seen))
    return problems


def band_ranges(reader: StackReader) -> BandRanges:
    """Read the stack, or samples spread over it.

    Raises:
        GeoSegError: `cannot_read` if a file is damaged.
    """
    bands = len(reader.band_names)
    parts = sample_windows(reader, bands)
    seen = BandRanges(np.full(bands, np.inf), np.full(bands, -np.inf), 0, 0, len(parts) == 1)
    for part in parts:
        values = reader.read(part)
        valid = np.isfinite(values)
        seen.low = np.minimum(seen.low, np.where(valid, values, np.inf).min(axis=(1, 2)))
        seen.high = np.maximum(seen.high, np.where(valid, values, -np.inf).max(axis=(1, 2)))
        seen.all_valid_px += int(valid.all(axis=0).sum())
        seen.px += part.height * part.width
    return seen


def sample_windows(reader: StackReader, bands: int) -> list[Window]:
    """Return the whole grid if it is small, else windows of equal size on a lattice.

    Args:
        reader: of the stack; kinds of source that are slow to read are sampled less.
        bands: that are read.
    """
    cost = max((kind_of(source).sampling_cost for source in reader.recipe.sources), default=1)
    return windows_on_lattice(reader.grid, WHOLE_LIMIT // cost / bands)


Sentence = Callable[[str, list[str], BandRanges], Problem]


def _per_layer(recipe: Recipe, chosen: np.ndarray, problem: Sentence, seen: BandRanges) -> list[Problem]:
    problems = []
    layers = [(source.key, f" of layer '{title(source)}'") for source in recipe.sources]
    for key, layer in (*layers, ("", "")):  # expressions have no layer
        names = [
            band.name
            for band, is_chosen in zip(recipe.bands, chosen, strict=True)
            if is_chosen and band.source == key
        ]
        if names:
            problems.append(problem(layer, names, seen))
    return problems


def _rounded(recipe: Recipe, seen: BandRanges) -> list[Problem]:
    """A warning about whole numbers that float32 cannot distinguish."""
    sources = {source.key: source for source in recipe.sources}
    problems = []
    for place, band in enumerate(recipe.bands):
        largest = max(abs(seen.low[place]), abs(seen.high[place]))
        if band.derive or sources[band.source].kind != "raster" or not EXACT_TO < largest < np.inf:
            continue
        with open_source(sources[band.source]) as dataset:
            dtype = dataset.dtypes[band.index - 1]
        if "int" in dtype:
            problems.append(
                Problem(
                    "rounded",
                    f"{_listed([band.name])} of layer '{title(sources[band.source])}' holds whole numbers ({dtype}) up "
                    f"to {largest:.0f}; beyond {EXACT_TO} neighbouring numbers become equal.",
                    "Harmless for measurements; codes should be renumbered from 0 first.",
                    "warning",
                )
            )
    return problems


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:8])
    return f"Band{'s' * (len(names) > 1)} {shown}{f' and {len(names) - 8} more' if len(names) > 8 else ''}"


def _empty_problem(layer: str, names: list[str], seen: BandRanges) -> Problem:
    verb = "have" if len(names) > 1 else "has"
    if seen.complete:
        return Problem(
            "empty_band",
            f"{_listed(names)}{layer} {verb} no value on the grid (all nodata).",
            "Untick it, or check the layer's nodata value.",
        )
    return Problem(
        "empty_band",
        f"{_listed(names)}{layer} {verb} no value in {seen.px:,} sampled pixels.",
        "Check the band on the map; untick it if it is empty.",
        "warning",
    )


def _constant_problem(layer: str, names: list[str], seen: BandRanges) -> Problem:
    verb = "have" if len(names) > 1 else "has"
    where = "everywhere" if seen.complete else f"in {seen.px:,} sampled pixels"
    return Problem(
        "constant_band",
        f"{_listed(names)}{layer} {verb} the same value {where} and cannot distinguish anything.",
        "Untick it.",
        "warning",
    )


def _nowhere_all(seen: BandRanges) -> Problem:
    return Problem(
        "no_common_pixels",
        f"No {'' if seen.complete else 'sampled '}pixel has a value in every band.",
        "Check the layers' nodata values and whether their valid parts overlap.",
        "error" if seen.complete else "warning",
    )
