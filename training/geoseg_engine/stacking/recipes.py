"""Recipes on disk, and recipes of rasters without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..contract import Band, GeoSegError, Recipe, Source, check_sound, read_json, write_json
from ..raster.sources import descriptions, is_plain_file, open_source, source_grid, value_bands

SUFFIX = ".recipe.json"


def recipe_path(stack: Path) -> Path:
    """Return the file of a stack's recipe: `a/stack.tif` -> `a/stack.recipe.json`."""
    return stack if stack.name.endswith(SUFFIX) else stack.with_name(stack.stem + SUFFIX)


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write a recipe; file names become absolute so that it can be read from any folder.

    Args:
        recipe: to write.
        path: of the JSON file.

    Raises:
        GeoSegError: as `write_json`.
    """
    write_json(path, replace(recipe, sources=tuple(absolute(source) for source in recipe.sources)))


def absolute(source: Source) -> Source:
    """Return the source with absolute paths; GDAL dataset names stay as they are."""
    return replace(source, path=_absolute(source.path), paths=tuple(map(_absolute, source.paths)))


def _absolute(path: str) -> str:
    return str(Path(path).absolute()) if is_plain_file(path) else path


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        GeoSegError: `file_missing`, `bad_json`.
    """
    if not path.exists():
        raise GeoSegError(
            "file_missing", f"The recipe {path} does not exist.", "Make the stack again on the Data page."
        )
    recipe = read_json(Recipe, path)
    check_sound(recipe, path.name)
    return recipe


def recipe_of_raster(path: Path) -> Recipe:
    """Return a recipe that reads every band of a raster as it is.

    Raises:
        GeoSegError: as `open_source`.
    """
    source = Source("stack", str(path.absolute()), path.stem)
    with open_source(source) as dataset:
        bands = tuple(
            Band(descriptions(dataset)[index - 1] or f"{path.stem} {index}", "stack", index)
            for index in value_bands(dataset)
        )
        return Recipe((source,), bands, source_grid(source, dataset))


def names_of(recipe: Recipe) -> list[str]:
    """Return band names in order."""
    return [band.name for band in recipe.bands]
