"""Warnings about what the files behind a stack leave open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from ..bands.sources.registry import kind_of
from ..contract import EXPRESSION, GeoSegError, Problem, Recipe
from ..raster.crs import unit_m
from ..raster.sources import parse_crs


def file_problems(recipe: Recipe) -> list[Problem]:
    """Return warnings about the files of a recipe, and `unknown_unit` about the CRS of its grid.

    A file that cannot be opened is left out: the reader of the stack reports it.
    """
    found = list(_unknown_unit(recipe.grid.crs))
    every = [band for band in (*recipe.bands, *recipe.intermediates) if band.derive != EXPRESSION]
    for source in recipe.sources:
        bands = [band for band in every if band.source == source.key]
        with suppress(GeoSegError):
            found += kind_of(source).file_warnings(source, bands)
    return found


def _unknown_unit(crs: str) -> Iterator[Problem]:
    found = parse_crs(crs)
    if not found.is_geographic and unit_m(found) is None:
        yield Problem(
            "unknown_unit",
            f"The CRS '{found.name}' does not define the length of its unit; one metre is assumed.",
            "Assign a CRS with a unit to the layers (layer properties, Source) if that is wrong.",
            "warning",
        )
