"""Bind a recipe to other files of the same kinds, so that a model predicts elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..bands.sources.kind import BandSource
from ..bands.sources.registry import KINDS, UNSTATED
from ..contract import EXPRESSION, Band, GeoSegError, Recipe, Source
from ..raster.sources import title
from .recipes import read_recipe, recipe_path

Descriptions = dict[Source, list[str] | None]
"""Descriptions of the bands of a source's file; None for series and vectors, whose bands have no numbers."""


def rebind(recipe: Recipe, sources: tuple[Source, ...]) -> Recipe:
    """Return the recipe with its slots filled by other files; without sources the recipe itself.

    A source fills the slot of the same key, else of the same layer name, else the first free slot of its kind whose
    bands it has. What a source does not state is taken from its slot: the kind, the layer of a vector file, variables,
    mask and dates of a series. One raster that has every band of the recipe by description (a stack) replaces all
    slots; where there is one slot only, and bands derived from it, if it has a recipe beside it: a filtered band may
    have the same name as the raw one. Expressions and intermediates stay as they are.

    Args:
        recipe: of a model.
        sources: other files, in any order.

    Raises:
        GeoSegError: `missing_bands` with what is needed and what was given; as `open_source`.
    """
    if not sources:
        return recipe
    needed = {band.source for band in _every(recipe)}
    slots = [slot for slot in recipe.sources if slot.key in needed]
    kinds = {source: _kind_of(source, slots) for source in sources}
    described: Descriptions = {source: kind.band_names(source) for source, kind in kinds.items()}
    several = len(slots) > 1 or bool(recipe.intermediates)
    derived = any(band.derive for band in recipe.bands)
    for source, found in described.items():
        as_stack = several or (derived and recipe_path(Path(source.path)).exists())
        if as_stack and found is not None and all(band.name in found for band in recipe.bands):
            return _on_one_stack(recipe, source, found)
    matched = _match(recipe, slots, kinds, described)
    return replace(
        recipe,
        sources=tuple(_in_slot(matched[slot.key], slot) for slot in slots),
        bands=tuple(_renumbered(recipe, band, matched, described) for band in recipe.bands),
        intermediates=tuple(_renumbered(recipe, band, matched, described) for band in recipe.intermediates),
    )


def _every(recipe: Recipe) -> tuple[Band, ...]:
    """Bands and intermediates of a source."""
    return tuple(band for band in (*recipe.bands, *recipe.intermediates) if band.derive != EXPRESSION)


def _kind_of(source: Source, slots: list[Source]) -> BandSource:
    """The kind of a source, or that of the slot of its key or name where it states none."""
    by_key = next((slot for slot in slots if slot.key == source.key), None)
    slot = by_key or next((slot for slot in slots if _same_name(slot, source)), None)
    return KINDS[source.kind] if slot is None else _kind_in(source, slot)


def _same_name(slot: Source, source: Source) -> bool:
    return title(source).casefold() == title(slot).casefold()


def _kind_in(source: Source, slot: Source) -> BandSource:
    """The kind of a source in a slot: its own, or the slot's where it states none."""
    return KINDS[slot.kind if source.kind == UNSTATED else source.kind]


def _in_slot(source: Source, slot: Source) -> Source:
    """The source under the slot's key, with what it leaves open taken from the slot."""
    kind = _kind_in(source, slot)
    crs, nodata, unit = source.crs, source.nodata, source.height_unit
    if source.path == slot.path:  # what was corrected of a file stays corrected
        crs, nodata = crs or slot.crs, slot.nodata if nodata is None else nodata
        unit = unit or slot.height_unit
    placed = replace(source, key=slot.key, kind=kind.kind, crs=crs, nodata=nodata, height_unit=unit)
    return kind.completed(placed, slot)


def _on_one_stack(recipe: Recipe, source: Source, found: list[str]) -> Recipe:
    """The bands as they are written; gaps that were filled then are not filled once more from what filled them."""
    beside = recipe_path(Path(source.path))
    filled = {band.name for band in read_recipe(beside).bands if band.fill} if beside.exists() else set()
    bands = tuple(
        replace(
            band,
            source=source.key,
            index=found.index(band.name) + 1,
            derive="",
            parameters={},
            inputs={},
            unit="" if band.derive else band.unit,
            fill="" if band.name in filled else band.fill,
        )
        for band in recipe.bands
    )
    return replace(recipe, sources=(source,), bands=bands, intermediates=())


def _match(
    recipe: Recipe, slots: list[Source], kinds: dict[Source, BandSource], described: Descriptions
) -> dict[str, Source]:
    free = list(kinds)
    matched: dict[str, Source] = {}
    rules = (
        lambda slot, source: source.key == slot.key,
        _same_name,
        lambda slot, source: source.kind == slot.kind,
    )
    for rule in rules:
        for slot in slots:
            if slot.key in matched:
                continue
            for source in free:
                found, kind = described[source], kinds[source]
                if rule(slot, source) and _has_bands(recipe, slot, source, kind, found):
                    matched[slot.key] = source
                    free.remove(source)
                    break
    missing = [slot for slot in slots if slot.key not in matched]
    if missing:
        raise _missing_bands(recipe, missing, described)
    return matched


def _has_bands(
    recipe: Recipe, slot: Source, source: Source, kind: BandSource, found: list[str] | None
) -> bool:
    if found is None:
        return slot.kind != UNSTATED and source.kind in (slot.kind, UNSTATED)
    wanted = max(band.index for band in _every(recipe) if band.source == slot.key)
    return slot.kind == kind.kind and len(found) >= wanted


def _renumbered(recipe: Recipe, band: Band, matched: dict[str, Source], described: Descriptions) -> Band:
    """The same band in another file: by name where the file has all the slot's names, else by number.

    Names are those of the recipe (of bands from which nothing is derived), or else those of the file that was
    stacked.
    """
    found = None if band.derive == EXPRESSION else described[matched[band.source]]
    if found is None:
        return band
    others = [other for other in _every(recipe) if other.source == band.source]
    raw = [other.name for other in others if not other.derive]
    if not band.derive and all(found.count(name) == 1 for name in raw):
        return replace(band, index=found.index(band.name) + 1)
    if all(other.described and found.count(other.described) == 1 for other in others):
        return replace(band, index=found.index(band.described) + 1)
    return band


def _missing_bands(recipe: Recipe, missing: list[Source], described: Descriptions) -> GeoSegError:
    def needed(slot: Source) -> str:
        names = [band.name for band in _every(recipe) if band.source == slot.key]
        return f"'{title(slot)}' ({', '.join(names[:8])}{' …' if len(names) > 8 else ''})"

    def offered(source: Source, found: list[str] | None) -> str:
        bands = "" if found is None else f"{len(found)} band{'s' * (len(found) != 1)}"
        return f"'{title(source)}' ({bands or source.kind})"

    given = ", ".join(offered(source, found) for source, found in described.items())
    return GeoSegError(
        "missing_bands",
        f"The model needs {'; '.join(needed(slot) for slot in missing)}; given: {given}.",
        "Choose a layer with these bands, in this order, for each input of the model.",
    )
