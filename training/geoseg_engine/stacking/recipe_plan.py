"""Plan a recipe: bands of several sources on the grid that they share, with all problems."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..bands.expressions import expression_problems
from ..bands.sources.registry import kind_of
from ..contract import Band, GeoSegError, Grid, GridRequest, Problem, Recipe, Source
from ..raster.grid import Bounds, grid_bounds, pixel_size
from ..raster.sources import (
    BandSet,
    open_source,
    parse_crs,
    title,
)
from ..raster.writer import check_crs_storable
from ..vector.placement import in_another_turn, other_turn
from .extent import plan_extent, plan_lattice, reprojected_bounds
from .heights import height_problems, with_units

NO_COMMON_AREA = ("no_overlap", "sliver")
MAX_OVERLAP = 0.5
"""Share of a raster that a neighbouring tile may cover; rasters that overlap more show the same area."""


@dataclass
class Plan:
    """Result of planning; `recipe` is None if there is a problem of severity error."""

    recipe: Recipe | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def errors(self) -> list[Problem]:
        """Problems that stop the job."""
        return [problem for problem in self.problems if problem.severity == "error"]


def as_problem(error: GeoSegError) -> Problem:
    """Return an error as a problem."""
    return Problem(error.code, error.message, error.hint)


def raise_errors(problems: list[Problem]) -> None:
    """Raise all problems of severity error as one: the first code, all messages and hints.

    Raises:
        GeoSegError: if a problem has severity error.
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise GeoSegError(
            errors[0].code,
            " ".join(problem.message for problem in errors),
            " ".join(dict.fromkeys(problem.hint for problem in errors)),
        )


def own_grids(sources: tuple[Source, ...], bands: tuple[Band, ...]) -> tuple[dict[str, Grid], list[Problem]]:
    """Return the grid of every source that can be used, and problems of sources.

    Args:
        sources: of a recipe.
        bands: of the sources; sources that lack one are problems.

    Returns:
        Source key -> grid, and errors and warnings.
    """
    grids: dict[str, Grid] = {}
    problems: list[Problem] = []
    for source in sources:
        of_source = tuple(band for band in bands if band.source == source.key)
        try:
            own, warnings = kind_of(source).grid_and_warnings(source, of_source)
        except GeoSegError as error:
            problems.append(as_problem(error))
            continue
        problems += warnings
        if own is not None:
            grids[source.key] = own
    return grids, problems


def smallest_source_px(sources: tuple[Source, ...], grid: Grid) -> float:
    """Return the area of the smallest source in pixels of a grid; 0 if no source can be opened.

    Args:
        sources: of a recipe.
        grid: whose pixels are counted.
    """
    grids, _ = own_grids(sources, ())
    width, height = pixel_size(grid)
    areas = []
    for own in grids.values():
        left, bottom, right, top = reprojected_bounds(grid_bounds(own), own.crs, grid.crs)
        areas.append((right - left) * (top - bottom) / (width * height))
    return min(areas, default=0.0)


def plan_recipe(
    sources: tuple[Source, ...],
    bands: tuple[Band, ...],
    request: GridRequest,
    area: tuple[Bounds, str, str] | None = None,
    intermediates: tuple[Band, ...] = (),
    trained: bool = False,
) -> Plan:
    """Plan bands on one grid; data problems are listed, not raised.

    Args:
        sources, bands, intermediates: of the recipe; the extent is what all sources with bands share.
        request: what the user set.
        area: bounds, their CRS and their title, if the extent is to be cut to an area.
        trained: the bands are those of a model, which holds the units of its training.
    """
    every = (*bands, *intermediates)
    grids, problems = own_grids(sources, every)
    plan = Plan(problems=[*problems, *expression_problems(every)])
    if plan.errors:
        return plan
    used = tuple(source for source in sources if any(band.source == source.key for band in every))
    gridded = tuple(source for source in used if source.key in grids)
    if not gridded:
        plan.problems.append(
            Problem(
                "no_raster",
                "No raster is among the sources, so there are no pixels to work on.",
                "Tick a raster band.",
            )
        )
        return plan
    reference = next((source for source in sources if source.key == request.reference), gridded[0])
    if reference.key not in grids:
        plan.problems.append(_no_pixels(reference))
        return plan
    try:
        own = grids[reference.key]
        if rotation_degrees(own) and (not request.crs or parse_crs(request.crs) == parse_crs(own.crs)):
            plan.problems.append(_rotated(reference, own))
        lattice = plan_lattice(own, request)
        grid = plan_extent(lattice, gridded, grids, request, area)
        if request.extent is None and area is None:
            plan.problems += _half_shown(reference, gridded, grids)
        check_crs_storable(grid.crs)
        if not trained:
            bands, intermediates = (with_units(part, used) for part in (bands, intermediates))
        plan.problems += height_problems(Recipe(used, bands, grid, intermediates=intermediates))
    except GeoSegError as error:
        tiles = tiles_of_one(gridded, grids) if error.code in NO_COMMON_AREA else ()
        plan.problems.append(_tiles_problem(tiles, error) if tiles else as_problem(error))
        return plan
    texts = {
        source.key: names for source in used if (names := kind_of(source).band_names(source)) is not None
    }
    plan.recipe = Recipe(
        used, with_descriptions(bands, texts), grid, intermediates=with_descriptions(intermediates, texts)
    )
    return plan


def with_descriptions(bands: tuple[Band, ...], texts: Mapping[str, list[str]]) -> tuple[Band, ...]:
    """Return bands with the descriptions of their files; a description from an earlier plan stays.

    Args:
        bands: of a recipe.
        texts: source key -> descriptions of its file's bands.
    """
    return tuple(
        replace(band, described=texts[band.source][band.index - 1])
        if band.source in texts and not band.described
        else band
        for band in bands
    )


def _half_shown(reference: Source, used: tuple[Source, ...], grids: dict[str, Grid]) -> list[Problem]:
    """A warning that rasters share more than a stack of them covers, in another turn of longitude."""
    own = grids[reference.key]
    turned = [title(source) for source in used if in_another_turn(grids[source.key], own)]
    if not turned:
        return []
    error = other_turn(turned[0], [f"'{title(reference)}'"])
    message = f"{error.message} Areas that they share only in another turn are left out."
    return [Problem(error.code, message, error.hint, "warning")]


def _no_pixels(reference: Source) -> Problem:
    return Problem(
        "no_pixels",
        f"Layer '{title(reference)}' has no pixels, so it cannot be the reference of the grid.",
        "Choose a raster as reference.",
    )


def rotation_degrees(grid: Grid) -> float:
    """Return the rotation of a grid's rows from west-east in degrees; 0 for north-up."""
    a, b, _, d, _, _ = grid.transform
    return 0.0 if b == 0 == d else math.degrees(math.atan2(d, a))


def _rotated(source: Source, grid: Grid) -> Problem:
    return Problem(
        "rotated",
        f"Layer '{title(source)}' is rotated by {rotation_degrees(grid):.1f} degrees; the grid is north-up with "
        "its pixel size.",
        "Choose a north-up reference if its values must not be resampled.",
        "warning",
    )


def tiles_of_one(used: tuple[Source, ...], grids: dict[str, Grid]) -> tuple[str, ...]:
    """Return the names of rasters that look like tiles of one: equal bands, types and pixels, next to each other.

    Neighbours overlap by half at most and are no farther apart than they are large.

    Args:
        used: sources of a recipe.
        grids: source key -> grid.
    """
    makes: dict[str, tuple[object, ...]] = {}
    for source in used:
        if source.kind == "raster" and not source.paths:
            with open_source(source) as dataset:
                bands = BandSet.of(dataset)
                size = tuple(float(f"{side:.3g}") for side in pixel_size(grids[source.key]))
                makes[source.key] = bands.marks or len(bands.indexes), dataset.dtypes, size
    tiles = [
        source
        for source in used
        if any(
            makes[other] == makes[source.key] and _side_by_side(grids[source.key], grids[other])
            for other in makes
            if source.key in makes and other != source.key
        )
    ]
    return tuple(title(source) for source in tiles)


def _side_by_side(one: Grid, other: Grid) -> bool:
    left, bottom, right, top = grid_bounds(one)
    try:
        other_left, other_bottom, other_right, other_top = reprojected_bounds(
            grid_bounds(other), other.crs, one.crs
        )
    except GeoSegError:
        return False
    width, height = (
        min(right, other_right) - max(left, other_left),
        min(top, other_top) - max(bottom, other_bottom),
    )
    wide, tall = min(right - left, other_right - other_left), min(top - bottom, other_top - other_bottom)
    if width > 0 and height > 0:
        return width * height <= MAX_OVERLAP * wide * tall
    return width > -wide and height > -tall


def _tiles_problem(tiles: tuple[str, ...], error: GeoSegError) -> Problem:
    """The problem that tiles of one raster are stacked as separate layers."""
    shown = [f"'{name}'" for name in tiles[:6]]
    last = f"{len(tiles) - 5} more" if len(tiles) > 6 else shown[-1]
    names = f"{', '.join(shown[:-1])} and {last}"
    share = f"only a strip of {error.details}" if error.code == "sliver" else "no area"
    return Problem(
        "tiles_of_one",
        f"{names} are side by side and have the same bands: they look like tiles of one raster. As separate layers "
        f"they share {share}, and a stack covers the area that its layers share.",
        "Use them as one raster: “Merge tiles into one raster” in the panel, MOSAIC in the Toolbox, "
        "or one source with the further files as its `paths`.",
        details=tiles,
    )
