"""From a model and the user's layers to a recipe on a grid: bands matched, pixel size kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import pyproj

from ..contract import (
    EXPRESSION,
    GeoSegError,
    Grid,
    GridRequest,
    Problem,
    Recipe,
    Source,
    file_exists,
    file_name,
)
from ..modelfile.reading import ModelFile, is_third_party
from ..modelfile.third_party import map_unit_m
from ..raster.crs import same_crs, way_between
from ..raster.geodesy import pixel_size_m
from ..raster.grid import Window, affine_of, full_window, pixel_size, subgrid
from ..raster.sources import crs_title, is_plain_file, parse_crs, title, unit_title
from ..stacking.heights import fit_units
from ..stacking.rebind import rebind
from ..stacking.recipe_plan import as_problem, own_grids, plan_recipe

SAME_SIZE = 0.01
"""Pixel sizes this close count as equal, so that a raster is read without resampling."""
SCALE_ERROR = 0.03
"""Relative error of the model's pixel size in metres elsewhere in its CRS from which another CRS is used."""
COARSER = 1.5


@dataclass
class Match:
    """How layers fill the inputs of a model.

    Attributes:
        recipe: the model's bands from these layers; None if a problem of severity error prevents it.
        matched: a row per layer: `slot` (name of the model's input), `key` (a source of this key fills it, whatever its
            name), `file`, and `bands`: `band` of the model, `index` in the file and `derive`.
        problems: errors and warnings.
    """

    recipe: Recipe | None = None
    matched: list[dict[str, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def match(
    model: ModelFile,
    sources: tuple[Source, ...],
    extent: tuple[float, float, float, float] | None = None,
    extent_crs: str = "",
) -> Match:
    """Match sources to the inputs of a model and plan the grid; problems are listed, not raised.

    Without sources the model's own files are used. The grid keeps the model's pixel size in metres: in the model's CRS
    where that is true to scale, else in the CRS of the layer whose pixel size is closest.

    Args:
        model: the model file.
        sources: the user's layers.
        extent: (xmin, ymin, xmax, ymax) to predict; None is all of the layers.
        extent_crs: CRS of the extent.
    """
    found = Match()
    if (
        not sources
        and not is_third_party(model)
        and any(not is_reachable(source) for source in model.recipe.sources)
    ):
        found.problems.append(_no_files(model))
        return found
    try:
        recipe = (
            third_party_recipe(model, sources) if is_third_party(model) else rebind(model.recipe, sources)
        )
        grids, problems = own_grids(recipe.sources, (*recipe.bands, *recipe.intermediates))
        if problems:
            errors = [problem for problem in problems if problem.severity == "error"]
            if errors:
                found.problems += errors
                return found
        if is_third_party(model):
            request = third_party_request(model, recipe, grids)
        else:
            request = grid_request(model.recipe.grid, grids) if grids else GridRequest()
            recipe, units = fit_units(model.recipe, recipe)
            found.problems += units
    except GeoSegError as error:
        found.problems.append(as_problem(error))
        return found
    found.matched = matched_rows(model.recipe, recipe)
    request = GridRequest(request.reference, request.crs, request.pixel_size, extent, extent_crs)
    plan = plan_recipe(recipe.sources, recipe.bands, request, None, recipe.intermediates, trained=True)
    found.problems += plan.problems
    found.recipe = plan.recipe
    if plan.recipe is not None:
        found.problems += coarse_warnings(plan.recipe, grids)
    return found


def is_reachable(source: Source) -> bool:
    """Return whether a source has more than the name of a file in another folder."""
    return source.path != file_name(source.path) or not is_plain_file(source.path) or file_exists(source.path)


def _no_files(model: ModelFile) -> Problem:
    names = ", ".join(f"'{title(source)}'" for source in model.recipe.sources if not is_reachable(source))
    return Problem(
        "no_sources",
        f"{model.path.name} names its layers {names}, but not their folders.",
        "Choose a layer for each input of the model, or put the model back into its run's folder.",
    )


def match_extent(
    model: ModelFile,
    sources: tuple[Source, ...],
    extent: tuple[float, float, float, float] | None = None,
    extent_crs: str = "",
) -> tuple[Match, Recipe | None, Window | None]:
    """Match sources to a model, and find the pixels that an extent covers.

    An extent is moved to whole pixels of the grid over all layers, so a pixel is the same whatever extent is predicted.

    Args:
        model: the model file.
        sources: the user's layers.
        extent: (xmin, ymin, xmax, ymax) to predict; None is all of the layers.
        extent_crs: CRS of the extent.

    Returns:
        The match, on the grid of the extent; the recipe on the grid over all layers; the window of that grid to
        predict. The last two are None if a problem prevents them.
    """
    found = match(model, sources, extent, extent_crs)
    if found.recipe is None or extent is None:
        return found, found.recipe, None if found.recipe is None else full_window(found.recipe.grid)
    recipe = match(model, sources).recipe or found.recipe
    window = window_of(recipe.grid, found.recipe.grid)
    found.recipe = replace(found.recipe, grid=subgrid(recipe.grid, window))
    return found, recipe, window


def window_of(grid: Grid, part: Grid) -> Window:
    """Return the window of a grid that a part of it covers, rounded to whole pixels.

    Args:
        grid: the whole grid.
        part: a grid in the same CRS.
    """
    to_pixels = ~affine_of(grid)
    left, top = to_pixels * (affine_of(part) * (0, 0))
    right, bottom = to_pixels * (affine_of(part) * (part.width, part.height))
    col, row = (
        min(max(round(value), 0), maximum - 1) for value, maximum in ((left, grid.width), (top, grid.height))
    )
    last_col, last_row = (
        min(max(round(value), first + 1), maximum)
        for value, first, maximum in ((right, col, grid.width), (bottom, row, grid.height))
    )
    return Window(row, col, last_row - row, last_col - col)


def matched_rows(trained: Recipe, recipe: Recipe) -> list[dict[str, Any]]:
    """Return which layer fills which input of a model, and with which bands; see `Match`.

    Args:
        trained: recipe of the training.
        recipe: the same bands from the user's layers.
    """
    slots = {source.key: title(source) for source in trained.sources}
    every = [band for band in (*recipe.bands, *recipe.intermediates) if band.derive != EXPRESSION]
    return [
        {
            "slot": slots.get(source.key, source.key),
            "key": source.key,
            "file": source.path,
            "bands": [
                {"band": band.name, "index": band.index, "derive": band.derive}
                for band in every
                if band.source == source.key
            ],
        }
        for source in recipe.sources
    ]


def third_party_recipe(model: ModelFile, sources: tuple[Source, ...]) -> Recipe:
    """Return the recipe of a third-party model, which `read_model` made of the user's choice.

    Args:
        model: the model file.
        sources: the user's layers.

    Raises:
        GeoSegError: `no_sources` without a layer, `channels` if a channel has no band.
    """
    channels = model.architecture["channels"]
    if not sources:
        raise GeoSegError(
            "no_sources",
            f"{model.path.name} is a third-party model that does not state which layers it reads.",
            f"Choose a raster with the {channels} bands that it was made for.",
        )
    given = len(model.recipe.bands)
    if given != channels:
        raise GeoSegError(
            "channels",
            f"{model.path.name} reads {channels} channels; {given} bands are chosen for them.",
            "Choose one band for every channel.",
        )
    return model.recipe


def third_party_request(model: ModelFile, recipe: Recipe, grids: dict[str, Grid]) -> GridRequest:
    """Return the grid of the layer that the first channel reads, with the pixel size that the model states, if it does.

    As in Deepness that size is in units of the layer, in Web Mercator therefore not in metres at the location. A layer
    in degrees is reprojected to its UTM zone, because the model expects square pixels.

    Args:
        model: the model file.
        recipe: its bands.
        grids: grid of each layer, by key.
    """
    first = next((band.source for band in recipe.bands if band.source in grids), "")
    wanted_m = model.architecture["resolution_cm"] / 100
    if not first or not wanted_m:
        return GridRequest(first)
    own = grids[first]
    if parse_crs(own.crs).is_geographic:
        return GridRequest(first, utm_zone(own), (wanted_m, wanted_m))
    side = wanted_m / map_unit_m(own.crs)
    if _close(pixel_size(own), (side, side)):
        return GridRequest(first)
    return GridRequest(first, "", (side, side))


def utm_zone(grid: Grid) -> str:
    """Return the code of the UTM zone at the centre of a grid in degrees."""
    a, b, c, d, e, f = grid.transform
    col, row = grid.width / 2, grid.height / 2
    longitude, latitude = a * col + b * row + c, d * col + e * row + f
    zone = int((longitude + 180) % 360 // 6) + 1
    return f"EPSG:{326 if latitude >= 0 else 327}{zone:02d}"


def grid_request(trained: Grid, grids: dict[str, Grid]) -> GridRequest:
    """Return CRS, pixel size and reference layer for layers with these grids.

    Args:
        trained: grid that the model was trained on.
        grids: own grid of each layer, by key.
    """
    crs = parse_crs(trained.crs)
    width, height = pixel_size(trained)
    in_crs = {key: grid for key, grid in grids.items() if same_crs(parse_crs(grid.crs), crs)}
    if in_crs:
        best = min(in_crs, key=lambda key: abs(math.log(pixel_size(in_crs[key])[0] / width)))
        if true_to_scale(trained, in_crs[best]):
            exact = _close(pixel_size(in_crs[best]), (width, height))
            return GridRequest(best, trained.crs, None if exact else (width, height))
    first = next(iter(grids.values()))
    if not in_crs and not crs.is_geographic and true_to_scale(trained, first):
        return GridRequest("", trained.crs, (width, height))
    wanted_m = pixel_size_m(trained, trained.height / 2, trained.width / 2)
    sizes_m = {key: pixel_size_m(grid, grid.height / 2, grid.width / 2) for key, grid in grids.items()}
    best = min(sizes_m, key=lambda key: abs(math.log(sizes_m[key][0] / wanted_m[0])))
    if _close(sizes_m[best], wanted_m):
        return GridRequest(best)
    own = pixel_size(grids[best])
    size = (own[0] * wanted_m[0] / sizes_m[best][0], own[1] * wanted_m[1] / sizes_m[best][1])
    return GridRequest(best, "", (float(f"{size[0]:.6g}"), float(f"{size[1]:.6g}")))


def true_to_scale(trained: Grid, layer: Grid) -> bool:
    """Return whether a pixel of the model's CRS has the same size in metres at a layer as it had in training.

    Args:
        trained: grid that the model was trained on.
        layer: grid of the layer.
    """
    a, b, c, d, e, f = layer.transform
    col, row = layer.width / 2, layer.height / 2
    x, y = a * col + b * row + c, d * col + e * row + f
    try:
        way = way_between(parse_crs(layer.crs), parse_crs(trained.crs))
        x, y = way.transform(x, y, errcheck=True) if way is not None else (x, y)
    except (GeoSegError, pyproj.exceptions.ProjError):
        return False
    if not (math.isfinite(x) and math.isfinite(y)):
        return False
    width, height = pixel_size(trained)
    there = Grid(trained.crs, (width, 0.0, x, 0.0, -height, y), 1, 1)
    here = pixel_size_m(trained, trained.height / 2, trained.width / 2)
    sizes = pixel_size_m(there, 0, 0)
    return all(abs(one / other - 1) <= SCALE_ERROR for one, other in zip(sizes, here, strict=True))


def coarse_warnings(recipe: Recipe, grids: dict[str, Grid]) -> list[Problem]:
    """Return a warning for every layer whose pixels are much coarser than those of the grid.

    Args:
        recipe: bands on their grid.
        grids: own grid of each layer, by key.
    """
    grid = recipe.grid
    wanted = max(pixel_size_m(grid, grid.height / 2, grid.width / 2))
    found: list[Problem] = []
    for source in recipe.sources:
        if source.key not in grids:  # polygons and lines have no pixels
            continue
        own = grids[source.key]
        size = max(pixel_size_m(own, own.height / 2, own.width / 2))
        if size > COARSER * wanted and not any(
            item.code == "coarse" and title(source) in item.message for item in found
        ):
            found.append(
                Problem(
                    "coarse",
                    f"The pixels of layer '{title(source)}' are {size:.3g} m, the model works on {wanted:.3g} m.",
                    "If the training data were as coarse, ignore this warning. Otherwise the result will be blurred.",
                    "warning",
                )
            )
    return found


def prediction_sentence(model: ModelFile, recipe: Recipe) -> str:
    """Return a sentence about what is predicted from what.

    Args:
        model: the model file.
        recipe: its bands on the grid of the prediction.
    """
    grid = recipe.grid
    size = pixel_size(grid)
    unit = unit_title(grid.crs)
    files = len(recipe.sources)
    return (
        f"Predict {len(model.classes)} classes on {_spaced(grid.width)} × {_spaced(grid.height)} pixels of "
        f"{size[0]:.6g}{'' if unit == '°' else ' '}{unit}, {crs_title(grid.crs)}, from {len(recipe.bands)} bands of "
        f"{files} layer{'s' if files != 1 else ''}"
    )


def _close(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a / b - 1) <= SAME_SIZE for a, b in zip(one, other, strict=True))


def _spaced(number: int) -> str:
    return f"{number:,}".replace(",", " ")
