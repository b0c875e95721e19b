"""The unit of heights from which terrain is derived, and warnings where it is uncertain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..bands.raster_bands import unit_of
from ..bands.sources.registry import kind_of, open_bands, own_grid
from ..contract import RELIEF_ATTRIBUTES, TERRAIN_ATTRIBUTES, Band, GeoSegError, Problem, Recipe, Source
from ..raster.grid import Window
from ..raster.sources import open_source, source_crs, title
from ..raster.units import HEIGHTS, StatedUnit, length_m, stated_unit

FROM_HEIGHTS = (*TERRAIN_ATTRIBUTES, *RELIEF_ATTRIBUTES)
FEET = re.compile(r"(?<![a-z])(ft|feet|foot|ftus|usft)(?![a-z])", re.IGNORECASE)
MAX_HEIGHT_M = 9000.0
STEEPEST_DEGREES = 60.0
"""Median slope above which values are no heights of a land surface."""

SAMPLE_PX, SAMPLES = 64, 4
STATE_UNIT = "Set their unit (Unit of heights; height_unit of the source), or write it into the file."


def with_units(bands: tuple[Band, ...], sources: tuple[Source, ...]) -> tuple[Band, ...]:
    """Return bands with the unit of the values that are read: metres where something is derived from heights.

    For rasters with one band it is the unit that the file states, if any.

    Args:
        bands: a unit that is set stays.
        sources: of the bands.

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
        except GeoSegError:  # matters for heights only, and is reported there
            return ""


def height_problems(recipe: Recipe) -> list[Problem]:
    """Return warnings about the unit of heights that bands are derived from, as far as files state it.

    Raises:
        GeoSegError: as `stated_unit`.
    """
    heights = _heights(recipe)
    found = [problem for source, index in heights for problem in _unit_warnings(source, index)]
    for source in recipe.sources:
        if (
            kind_of(source).states_units
            and source.paths
            and source.key not in {item.key for item, _ in heights}
        ):
            found += _mixed(source)
    return found


def _mixed(source: Source) -> list[Problem]:
    """A warning if files of a mosaic, of one band each, are in different units; they need not be heights."""
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
            f"{first or 'an unknown unit'}, {Path(other).name} in {units[other] or 'an unknown unit'}; their "
            "values are not converted.",
            "Convert them to one unit first, e.g. with the raster calculator.",
        )
    ]


def _heights(recipe: Recipe) -> list[tuple[Source, int]]:
    """Sources with the numbers of their bands that are heights."""
    every = (*recipe.bands, *recipe.intermediates)
    return [
        (source, index)
        for source in recipe.sources
        for index in dict.fromkeys(band.index for band in every if band.source == source.key and band.unit == HEIGHTS
                                   and band.derive)
    ]  # fmt: skip


def _unit_warnings(source: Source, index: int) -> Iterator[Problem]:
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
            f"The heights of {layer} are in '{first.text}', which is not a length; metres are assumed."
        )
    if first.other:
        yield _warning(
            f"The file of {layer} states heights in {first.text}, its CRS states {first.other}; "
            f"{first.text} is used."
        )
    if first.down:
        yield _warning(
            f"The values of {layer} count downwards, as depths do; they are used as heights below zero.",
            "If they are heights nevertheless, assign a CRS whose vertical axis points up.",
        )
    if len(silent) == len(units):
        unit = plane.axis_info[0].unit_name if plane.axis_info else "metre"
        if plane.is_projected and length_m(unit) != 1:
            yield _warning(
                f"The unit of the CRS of {layer} is the {unit}, and the unit of its heights is not stated; metres "
                "are assumed."
            )
        elif FEET.search(named.replace("_", " ")):
            yield _warning(f"The name of {layer} mentions feet, and the unit of its heights is not stated; metres "
                           "are assumed.")  # fmt: skip
    elif silent and any(unit.metres != 1 for unit in units.values() if unit.text):
        others = {unit.metres: unit.text for unit in units.values() if unit.metres is not None}
        assumed = next(iter(others.values())) if len(others) == 1 else "metre"
        yield _warning(
            f"{len(silent)} of {len(units)} files of {layer} do not state the unit of their heights "
            f"({Path(silent[0]).name}); {assumed} is assumed."
        )


def _warning(message: str, hint: str = STATE_UNIT) -> Problem:
    return Problem("height_unit", message, hint, "warning")


def fit_units(trained: Recipe, recipe: Recipe) -> tuple[Recipe, list[Problem]]:
    """Adapt the units of other files to those of a model's training.

    A unit that was set for the training also holds for a file that states none; heights are converted when they are
    read. Units that remain unknown are warnings.

    Args:
        trained: recipe of the model.
        recipe: the same on other files, with the same keys.

    Raises:
        GeoSegError: as `stated_unit`.
    """
    slots = {slot.key: slot for slot in trained.sources}
    sources, problems = [], []
    for source in recipe.sources:
        bands = [band for band in (*recipe.bands, *recipe.intermediates) if band.source == source.key]
        stated = _units(source, bands) if kind_of(source).states_units else {}
        slot = slots.get(source.key)
        if (
            stated
            and slot is not None
            and slot.height_unit
            and not any(unit.text for unit in stated.values())
        ):
            problems.append(_warning(f"Layer '{title(source)}' does not state the unit of its heights; "
                                     f"{slot.height_unit} is assumed, as in the training."))  # fmt: skip
            source = replace(source, height_unit=slot.height_unit)
        else:
            problems += [
                item
                for band in bands
                if band.name in stated and (item := _other_unit(source, band, stated[band.name], bands))
            ]
        sources.append(source)
    return replace(recipe, sources=tuple(sources)), problems


def _units(source: Source, bands: list[Band]) -> dict[str, StatedUnit]:
    """The stated units of heights, and of bands whose unit is known or that are alone in their file."""
    first = replace(source, paths=())
    with open_source(first) as dataset:
        return {
            band.name: stated_unit(first, dataset, band.index)
            for band in bands
            if band.unit or band.derive in FROM_HEIGHTS or (not band.derive and dataset.count == 1)
        }


def _other_unit(source: Source, band: Band, stated: StatedUnit, bands: list[Band]) -> Problem | None:
    """A warning if a band's values are in another unit than those of the training and are not converted."""
    layer = f"layer '{title(source)}'"
    if band.unit == HEIGHTS or (
        unit_of(band, tuple(bands)) and stated.metres is not None and length_m(band.unit)
    ):
        return None  # converted
    if band.derive:
        if _same("metre", stated.text):
            return None
        return _warning(
            f"The model was trained by a version that assumed metres for all heights; those of {layer} are in "
            f"{stated.text}, and '{band.name}' is derived from them as they are.",
            "Ignore this if the heights of the training were in the same unit; otherwise train again.",
        )
    if _same(band.unit, stated.text):
        return None
    return _warning(
        f"The model was trained with band '{band.name}' in {band.unit or 'an unknown unit'}; {layer} has "
        f"{stated.text or 'an unknown unit'}, and its values are not converted.",
        "Convert them with the raster calculator if they are not in the same unit.",
    )


def _same(unit: str, other: str) -> bool:
    """Whether two units are equal as far as is known; an unstated one may be metres, or no length at all."""
    lengths = [length_m(text) if text else 1.0 for text in (unit, other)]
    if lengths[0] is not None and lengths[1] is not None:
        return math.isclose(lengths[0], lengths[1], rel_tol=1e-5)
    return not (unit and other) or unit.casefold() == other.casefold()


def value_problems(recipe: Recipe) -> list[Problem]:
    """Return warnings about heights that no land surface has, from samples of sources without other warnings."""
    found = []
    for source, index in _heights(recipe):
        try:
            if not list(_unit_warnings(source, index)):
                found += _sampled_warnings(source, index)
        except GeoSegError:
            continue  # the reader of the whole stack reports it
    return found


def _sampled_warnings(source: Source, index: int) -> list[Problem]:
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
    if high > MAX_HEIGHT_M:
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
