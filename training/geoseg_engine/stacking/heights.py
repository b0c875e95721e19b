"""In what unit heights are when something is derived from them, and what of that is worth a warning."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..bands.rasterbands import unit_of
from ..bands.sources.registry import kind_of, open_bands, own_grid
from ..contract import RELIEF_ATTRIBUTES, TERRAIN_ATTRIBUTES, Band, GeoSegError, Problem, Recipe, Source
from ..raster.grid import Window
from ..raster.sources import open_source, source_crs, title
from ..raster.units import HEIGHTS, StatedUnit, length_m, stated_unit

FROM_HEIGHTS = (*TERRAIN_ATTRIBUTES, *RELIEF_ATTRIBUTES)
FEET = re.compile(r"(?<![a-z])(ft|feet|foot|ftus|usft)(?![a-z])", re.IGNORECASE)
HIGHEST_M = 9000.0
STEEPEST_DEGREES = 60.0
"""Slope of half the land surface that no landscape has."""

SAMPLE_PX, SAMPLES = 64, 4
SAY_SO = "Say in what unit they are (Unit of heights; height_unit of the source), or write it into the file."


def with_units(bands: tuple[Band, ...], sources: tuple[Source, ...]) -> tuple[Band, ...]:
    """Note in what unit values are taken from their sources: metres where something is derived from heights.

    Of rasters with one band the unit of the values themselves is noted, where the file says it.

    Raises:
        GeoSegError: as `open_source`.
    """
    by_key = {source.key: source for source in sources}
    return tuple(
        band if band.unit else replace(band, unit=_unit(band, by_key.get(band.source))) for band in bands
    )


def _unit(band: Band, source: Source | None) -> str:
    if band.derive in FROM_HEIGHTS:
        return HEIGHTS
    if band.derive or source is None or not kind_of(source).states_units:
        return ""
    with open_source(source) as dataset:
        try:
            return stated_unit(source, dataset, band.index).text if dataset.count == 1 else ""
        except GeoSegError:  # matters to heights alone, and is said of them
            return ""


def height_problems(recipe: Recipe) -> list[Problem]:
    """What is unsure about the heights that bands of a recipe are derived from, as far as files say.

    Raises:
        GeoSegError: as `stated_unit`.
    """
    heights = _heights(recipe)
    found = [problem for source, index in heights for problem in _said(source, index)]
    for source in recipe.sources:
        if (
            kind_of(source).states_units
            and source.paths
            and source.key not in {item.key for item, _ in heights}
        ):
            found += _mixed(source)
    return found


def _mixed(source: Source) -> list[Problem]:
    """A warning if files of a mosaic, of one band each, are in different units; nothing says that they are heights."""
    units: dict[str, str] = {}
    for path in (source.path, *source.paths):
        one = replace(source, path=path, paths=())
        with open_source(one) as dataset:
            if dataset.count > 1:
                return []
            units[path] = stated_unit(one, dataset, 1).text
    first = units[source.path]
    other = next((path for path, unit in units.items() if not _same(first, unit)), "")
    if not other:
        return []
    return [
        _warning(
            f"Files of layer '{title(source)}' are in different units: {Path(source.path).name} in "
            f"{first or 'none that it says'}, {Path(other).name} in {units[other] or 'none that it says'}; their "
            "values are taken as they are.",
            "Bring them to one unit first, e.g. with the raster calculator.",
        )
    ]


def _heights(recipe: Recipe) -> list[tuple[Source, int]]:
    """Sources with the numbers of their bands that are taken as heights."""
    every = (*recipe.bands, *recipe.intermediates)
    return [
        (source, index)
        for source in recipe.sources
        for index in dict.fromkeys(band.index for band in every if band.source == source.key and band.unit == HEIGHTS
                                   and band.derive)
    ]  # fmt: skip


def _said(source: Source, index: int) -> Iterator[Problem]:
    units: dict[str, StatedUnit] = {}
    for path in (source.path, *source.paths):
        one = replace(source, path=path, paths=())
        with open_source(one) as dataset:
            units[path] = stated_unit(one, dataset, index)
            if path == source.path:
                plane = source_crs(one, dataset)
                named = f"{title(source)} {Path(path).stem} {dataset.descriptions[index - 1] or ''}"
    layer, first = f"layer '{title(source)}'", units[source.path]
    silent = [path for path, unit in units.items() if not unit.text]
    if first.text and first.metres is None:
        yield _warning(
            f"The heights of {layer} are in '{first.text}', which is no length: they are taken as metres."
        )
    if first.other:
        yield _warning(
            f"The file of {layer} says that its heights are in {first.text}, its CRS says {first.other}: "
            f"{first.text} is taken."
        )
    if first.down:
        yield _warning(
            f"The values of {layer} count downwards, as depths do: they are taken as heights below zero.",
            "If they are heights all the same, assign a CRS whose vertical axis points up.",
        )
    if len(silent) == len(units):
        unit = plane.axis_info[0].unit_name if plane.axis_info else "metre"
        if plane.is_projected and length_m(unit) != 1:
            yield _warning(
                f"The unit of the CRS of {layer} is the {unit}, and nothing says in what unit its heights are: they "
                "are taken as metres."
            )
        elif FEET.search(named.replace("_", " ")):
            yield _warning(f"The name of {layer} speaks of feet, and nothing says in what unit its heights are: they "
                           "are taken as metres.")  # fmt: skip
    elif silent and any(unit.metres != 1 for unit in units.values() if unit.text):
        others = {unit.metres: unit.text for unit in units.values() if unit.metres is not None}
        taken = next(iter(others.values())) if len(others) == 1 else "metres"
        yield _warning(
            f"{len(silent)} of {len(units)} files of {layer} do not say in what unit their heights are "
            f"({Path(silent[0]).name}): they are taken as {taken}."
        )


def _warning(message: str, hint: str = SAY_SO) -> Problem:
    return Problem("height_unit", message, hint, "warning")


def fit_units(trained: Recipe, recipe: Recipe) -> tuple[Recipe, list[Problem]]:
    """Bring the units of other files to those that a model learned.

    What was said of the unit when the model was trained also holds for a file that says nothing; heights are converted
    when they are read. What cannot be known is a warning.

    Args:
        trained: recipe of the model.
        recipe: the same on other files, of the same keys.

    Raises:
        GeoSegError: as `stated_unit`.
    """
    slots = {slot.key: slot for slot in trained.sources}
    sources, problems = [], []
    for source in recipe.sources:
        bands = [band for band in (*recipe.bands, *recipe.intermediates) if band.source == source.key]
        said = _units(source, bands) if kind_of(source).states_units else {}
        slot = slots.get(source.key)
        if said and slot is not None and slot.height_unit and not any(unit.text for unit in said.values()):
            problems.append(_warning(f"Layer '{title(source)}' does not say in what unit its heights are: they are "
                                     f"taken as {slot.height_unit}, as those of the training."))  # fmt: skip
            source = replace(source, height_unit=slot.height_unit)
        else:
            problems += [
                item
                for band in bands
                if band.name in said and (item := _other_unit(source, band, said[band.name], bands))
            ]
        sources.append(source)
    return replace(recipe, sources=tuple(sources)), problems


def _units(source: Source, bands: list[Band]) -> dict[str, StatedUnit]:
    """What is said of the units of heights, and of bands whose unit is known or that are alone in their file."""
    first = replace(source, paths=())
    with open_source(first) as dataset:
        return {
            band.name: stated_unit(first, dataset, band.index)
            for band in bands
            if band.unit or band.derive in FROM_HEIGHTS or (not band.derive and dataset.count == 1)
        }


def _other_unit(source: Source, band: Band, said: StatedUnit, bands: list[Band]) -> Problem | None:
    """A warning if a band's values are in another unit than those of the training and are not converted."""
    layer = f"layer '{title(source)}'"
    if band.unit == HEIGHTS or (
        unit_of(band, tuple(bands)) and said.metres is not None and length_m(band.unit)
    ):
        return None  # converted
    if band.derive:
        if _same("metre", said.text):
            return None
        return _warning(
            f"The model was trained by a version that took all heights as metres; those of {layer} are in {said.text}, "
            f"and '{band.name}' is derived from them as they are.",
            "All is well if the heights of the training were in the same unit; else train again.",
        )
    if _same(band.unit, said.text):
        return None
    return _warning(
        f"The model learned band '{band.name}' in {band.unit or 'an unknown unit'}; {layer} says "
        f"{said.text or 'nothing of its unit'}, and its values are taken as they are.",
        "Convert them with the raster calculator if they are not in the same unit.",
    )


def _same(unit: str, other: str) -> bool:
    """Whether two units are the same as far as one knows; what is not said may be metres, or no length at all."""
    lengths = [length_m(text) if text else 1.0 for text in (unit, other)]
    if lengths[0] is not None and lengths[1] is not None:
        return math.isclose(lengths[0], lengths[1], rel_tol=1e-5)
    return not (unit and other) or unit.casefold() == other.casefold()


def value_problems(recipe: Recipe) -> list[Problem]:
    """Warnings for heights that no land surface has, found in samples of sources about which nothing else is said."""
    found = []
    for source, index in _heights(recipe):
        try:
            if not list(_said(source, index)):
                found += _looked_at(source, index)
        except GeoSegError:
            continue  # whoever reads all of it says why
    return found


def _looked_at(source: Source, index: int) -> list[Problem]:
    bands = tuple(Band(name, source.key, index, name.strip("m"), unit=HEIGHTS) for name in ("m", "slope"))
    grid = own_grid(source, bands)
    if grid is None:
        return []
    height, width = min(SAMPLE_PX, grid.height), min(SAMPLE_PX, grid.width)
    with open_bands(source, bands, grid) as layer:
        parts = [
            layer.read(Window(int(row), int(col), height, width)).reshape(2, -1)
            for row in np.unique(np.linspace(0, grid.height - height, SAMPLES).astype(int))
            for col in np.unique(np.linspace(0, grid.width - width, SAMPLES).astype(int))
        ]
    heights, slopes = np.concatenate(parts, axis=1)
    if not np.isfinite(heights).any():
        return []
    high, steep = np.nanmax(heights), np.nanmedian(slopes)
    if high > HIGHEST_M:
        return [_impossible(f"Layer '{title(source)}' has heights up to {high:,.0f} m, which do not exist.")]
    if steep > STEEPEST_DEGREES:
        return [
            _impossible(
                f"Half of layer '{title(source)}' is steeper than {steep:.0f}°, as no land surface is."
            )
        ]
    return []


def _impossible(message: str) -> Problem:
    hint = "Check the unit of heights and of the CRS, and the nodata value. Is it an elevation model?"
    return Problem("height_values", message, hint, "warning")
