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
from ..raster.grid import Window, affine_of, pixel_size, subgrid, whole
from ..raster.sources import crs_title, is_plain_file, parse_crs, title, unit_title
from ..stacking.gridplan import as_problem, own_grids, plan_recipe
from ..stacking.heights import fit_units
from ..stacking.rebind import rebind

SAME_SIZE = 0.01
"""Pixel sizes this close count as equal, so that a raster is read without resampling."""
SCALE_ERROR = 0.03
"""How far the ground size of the model's pixel may be off elsewhere in its CRS before another is used."""
COARSER = 1.5


@dataclass
class Match:
    """How layers fill the model's slots; `recipe` is None when a problem of severity error stands in its way.

    `matched` has a row for each layer: `slot` as the model calls it, its `key` (a source of this key fills it, whatever
    its name), the `file`, and its `bands`: `band` of the model, `index` in the file and what is derived from it.
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
    """Fill the model's slots with sources and plan the grid; what is wrong is listed, not raised.

    Without sources the model's own files are used. The grid keeps the model's pixel size on the ground: in the
    model's CRS where that is true to scale, else in the CRS of the layer that comes closest to it.
    """
    found = Match()
    if (
        not sources
        and not is_third_party(model)
        and any(not at_hand(source) for source in model.recipe.sources)
    ):
        found.problems.append(_no_files(model))
        return found
    try:
        recipe = foreign_recipe(model, sources) if is_third_party(model) else rebind(model.recipe, sources)
        grids, problems = own_grids(recipe.sources, (*recipe.bands, *recipe.intermediates))
        if problems:
            errors = [problem for problem in problems if problem.severity == "error"]
            if errors:
                found.problems += errors
                return found
        if is_third_party(model):
            request = foreign_request(model, recipe, grids)
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


def at_hand(source: Source) -> bool:
    """Whether a source has more than the name of a file that lies elsewhere."""
    return source.path != file_name(source.path) or not is_plain_file(source.path) or file_exists(source.path)


def _no_files(model: ModelFile) -> Problem:
    names = ", ".join(f"'{title(source)}'" for source in model.recipe.sources if not at_hand(source))
    return Problem(
        "no_sources",
        f"{model.path.name} names its layers {names}, but not where their files lie.",
        "Choose a layer for each input of the model, or put the model back into its run's folder.",
    )


def placed(
    model: ModelFile,
    sources: tuple[Source, ...],
    extent: tuple[float, float, float, float] | None = None,
    extent_crs: str = "",
) -> tuple[Match, Recipe | None, Window | None]:
    """What matches, the recipe on all ground of the layers, and the window of its grid that the extent covers.

    The grid of `Match` is that window: an extent is moved to whole pixels of the whole, so that a pixel is the same
    pixel whatever part of the map is asked for.
    """
    found = match(model, sources, extent, extent_crs)
    if found.recipe is None or extent is None:
        return found, found.recipe, None if found.recipe is None else whole(found.recipe.grid)
    recipe = match(model, sources).recipe or found.recipe
    window = window_of(recipe.grid, found.recipe.grid)
    found.recipe = replace(found.recipe, grid=subgrid(recipe.grid, window))
    return found, recipe, window


def window_of(grid: Grid, part: Grid) -> Window:
    """The pixels of a grid that a part in the same CRS covers, to the nearest whole ones."""
    to_pixels = ~affine_of(grid)
    left, top = to_pixels * (affine_of(part) * (0, 0))
    right, bottom = to_pixels * (affine_of(part) * (part.width, part.height))
    col, row = (
        min(max(round(value), 0), most - 1) for value, most in ((left, grid.width), (top, grid.height))
    )
    last_col, last_row = (
        min(max(round(value), first + 1), most)
        for value, first, most in ((right, col, grid.width), (bottom, row, grid.height))
    )
    return Window(row, col, last_row - row, last_col - col)


def matched_rows(trained: Recipe, recipe: Recipe) -> list[dict[str, Any]]:
    """Which layer fills which slot of the recipe that was trained on, and with which of its bands; see `Match`."""
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


def foreign_recipe(model: ModelFile, sources: tuple[Source, ...]) -> Recipe:
    """The recipe of a foreign model, which `read_model` made of the user's choice.

    Raises:
        GeoSegError: `no_sources` without a layer, `channels` if not every channel has a band.
    """
    channels = model.architecture["channels"]
    if not sources:
        raise GeoSegError(
            "no_sources",
            f"{model.path.name} is a model of another program: it does not say which layers it reads.",
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


def foreign_request(model: ModelFile, recipe: Recipe, grids: dict[str, Grid]) -> GridRequest:
    """The grid of the layer that the first channel reads, with the model's pixel size if it says one.

    As in Deepness that is in units of the layer, so in Web Mercator not the size on the ground. A layer in degrees is
    put into its UTM zone: the model knows square pixels.
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
    """Code of the zone around the middle of a grid in degrees."""
    a, b, c, d, e, f = grid.transform
    col, row = grid.width / 2, grid.height / 2
    longitude, latitude = a * col + b * row + c, d * col + e * row + f
    zone = int((longitude + 180) % 360 // 6) + 1
    return f"EPSG:{326 if latitude >= 0 else 327}{zone:02d}"


def grid_request(trained: Grid, grids: dict[str, Grid]) -> GridRequest:
    """CRS, pixel size and reference layer for layers with these grids.

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
    """Whether a pixel of the model's CRS is as large on the ground at the layer as it was in training."""
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
    """A warning for every layer whose pixels are much coarser than those of the grid."""
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
                    "If the training data were as coarse, all is well; else the result will be blurred.",
                    "warning",
                )
            )
    return found


def predict_sentence(model: ModelFile, recipe: Recipe) -> str:
    """What will be done, in words."""
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
