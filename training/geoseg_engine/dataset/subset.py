"""A dataset with some of its bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..contract import Band, Dataset, GeoSegError, Recipe


def with_bands(dataset: Dataset, names: Sequence[str]) -> Dataset:
    """Return the dataset whose recipe has only the named bands, in the dataset's order.

    Its written stack, if there is one, still holds every band: open it with the whole dataset and select
    `band_positions` of it.

    Args:
        dataset: with all bands.
        names: of the bands to keep; none keeps all.

    Raises:
        GeoSegError: `unknown_band`.
    """
    return replace(dataset, recipe=subset_recipe(dataset.recipe, names)) if names else dataset


def subset_recipe(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """Return the recipe with only the named bands; bands that their expressions need become intermediates.

    Args:
        recipe: with all bands.
        names: of the bands to keep.

    Raises:
        GeoSegError: `unknown_band`.
    """
    known = [band.name for band in recipe.bands]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise GeoSegError(
            "unknown_band",
            f"The dataset has no band {', '.join(unknown)}; it has {', '.join(known)}.",
            "Choose from the dataset's bands, or make a stack with this band.",
        )
    kept = tuple(band for band in recipe.bands if band.name in names)
    inner = _needed(kept, {band.name: band for band in (*recipe.bands, *recipe.intermediates)})
    used = {band.source for band in (*kept, *inner)}
    sources = tuple(source for source in recipe.sources if source.key in used)
    return replace(recipe, sources=sources, bands=kept, intermediates=inner)


def band_positions(recipe: Recipe, part: Recipe) -> list[int]:
    """Return the positions of the bands of a part among those of the whole recipe.

    Args:
        recipe: the whole.
        part: a subset of it.
    """
    known = [band.name for band in recipe.bands]
    return [known.index(band.name) for band in part.bands]


def _needed(kept: Sequence[Band], by_name: dict[str, Band]) -> tuple[Band, ...]:
    """Bands that expressions of `kept` need and that are not among them, themselves or by way of others."""
    have = {band.name for band in kept}
    found: list[Band] = []
    waiting = [name for band in kept for name in band.inputs.values()]
    while waiting:
        name = waiting.pop()
        if name not in have:
            have.add(name)
            found.append(by_name[name])
            waiting += by_name[name].inputs.values()
    return tuple(found)
