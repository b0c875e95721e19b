"""Plan a stack completely: grid, area, medians, and checks of files and values. Problems are listed, not raised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely

from ..contract import Area, Band, GeoSegError, Grid, GridRequest, Labels, Problem, Recipe, Source, present
from ..raster.grid import Bounds, grid_bounds, pixel_size
from ..vector.area import HULLS, area_bounds, area_geometry, area_title
from ..vector.polygons import LabelPolygons, read_labels
from .band_checks import band_problems, sample_windows
from .file_checks import file_problems
from .heights import value_problems
from .reader import StackReader
from .recipe_plan import Plan, as_problem, plan_recipe

MAX_VERTICES = 2000


def plan_stack(
    sources: tuple[Source, ...],
    bands: tuple[Band, ...],
    request: GridRequest,
    area: Area,
    labels: Labels | None,
    check_values: bool = True,
    intermediates: tuple[Band, ...] = (),
) -> Plan:
    """Plan bands on the grid that follows from the request and the area.

    Args:
        sources, bands, intermediates: of the recipe.
        request: grid settings of the user.
        area: to which the extent is cut.
        labels: needed where the area follows from their polygons.
        check_values: read the files for gaps, units and empty bands.

    Returns:
        The plan; its recipe is there whenever a grid could be found, even if a band then proved empty. Gaps to be
        filled with a median are filled with a number in the recipe, the median of sampled pixels.
    """
    plan = plan_recipe(sources, bands, request, None, intermediates)
    if plan.recipe is None:
        return plan
    if area.kind != "rasters":
        try:
            bounds = _bounds(area, labels, plan.recipe.grid)
        except GeoSegError as error:
            plan.problems.append(as_problem(error))
            return Plan(None, plan.problems)
        cut = (bounds, plan.recipe.grid.crs, area_title(area, labels))
        plan = plan_recipe(sources, bands, request, cut, intermediates)
    if plan.recipe is not None and check_values:
        plan.recipe, problems = with_medians(plan.recipe)
        found = [*file_problems(plan.recipe), *value_problems(plan.recipe), *band_problems(plan.recipe)]
        plan.problems += [*problems, *found]
    return plan


def area_polygon(area: Area, labels: Labels | None, grid: Grid) -> shapely.Geometry:
    """Return the area on a grid, in its CRS, with at most MAX_VERTICES vertices, for display.

    Args:
        area: of the job.
        labels: needed where the area follows from their polygons.
        grid: of the stack.

    Raises:
        GeoSegError: as `area_geometry` and `read_labels`.
    """
    polygons = np.empty(0, dtype=object)
    if area.kind in HULLS:
        polygons = on_grid(read_labels(present(labels, "the labels of an area"), grid), grid)
    extent = shapely.box(*grid_bounds(grid))
    geometry, _ = area_geometry(area, polygons, grid)
    if geometry is None:
        return extent
    geometry = shapely.intersection(shapely.make_valid(geometry), extent)
    step = max(pixel_size(grid))
    while shapely.get_num_coordinates(geometry) > MAX_VERTICES:
        geometry = shapely.simplify(geometry, step)
        step *= 2
        if step > max(grid.width, grid.height) * max(pixel_size(grid)):
            return shapely.envelope(geometry)
    return geometry


def _bounds(area: Area, labels: Labels | None, grid: Grid) -> Bounds:
    polygons = np.empty(0, dtype=object)
    if area.kind in HULLS:
        polygons = on_grid(read_labels(present(labels, "the labels of an area"), grid), grid)
    return present(area_bounds(area, labels, polygons, grid), "the bounds of an area")


def on_grid(polygons: LabelPolygons, grid: Grid) -> np.ndarray:
    """Return the label geometries that touch the grid.

    Args:
        polygons: in the grid's CRS.
        grid: of the stack.

    Raises:
        GeoSegError: `labels_outside` if none does.
    """
    found = polygons.geometries[touching(polygons.geometries, grid)]
    if not len(found):
        raise GeoSegError(
            "labels_outside",
            f"None of the {len(polygons.geometries)} label {polygons.things} is on the rasters.",
            "Check the CRS of the label layer, or choose other rasters.",
        )
    return found


def touching(geometries: np.ndarray, grid: Grid) -> np.ndarray:
    """Return for each geometry whether its envelope meets the grid's.

    Args:
        geometries: (n,) in the grid's CRS.
        grid: of the stack.

    Returns:
        Boolean (n,).
    """
    xmin, ymin, xmax, ymax = grid_bounds(grid)
    bounds = shapely.bounds(geometries)
    result: np.ndarray = (
        (bounds[:, 2] > xmin) & (bounds[:, 0] < xmax) & (bounds[:, 3] > ymin) & (bounds[:, 1] < ymax)
    )
    return result


def with_medians(recipe: Recipe) -> tuple[Recipe, list[Problem]]:
    """Return the recipe with `fill="median"` replaced by the median of sampled pixels, to six digits.

    Returns:
        The recipe and, for a band without any value, a problem; its gaps then stay.
    """
    places = [place for place, band in enumerate(recipe.bands) if band.fill == "median"]
    if not places:
        return recipe, []
    bands = list(recipe.bands)
    for place in places:
        bands[place] = replace(bands[place], fill="")
    problems = []
    try:
        with StackReader(replace(recipe, bands=tuple(bands))) as reader:
            windows = sample_windows(reader, len(bands))
            values = np.concatenate(
                [reader.read(window)[places].reshape(len(places), -1) for window in windows], axis=1
            )
    except GeoSegError as error:
        return recipe, [Problem(error.code, error.message, error.hint)]
    for place, row in zip(places, values, strict=True):
        known = row[np.isfinite(row)]
        if known.size:
            bands[place] = replace(bands[place], fill=f"{float(np.median(known)):.6g}")
        else:
            problems.append(
                Problem(
                    "no_median",
                    f"Band '{bands[place].name}' has no value in the sampled pixels, so its gaps have no median.",
                    "Fill them with a number, or leave the band out.",
                )
            )
    return replace(recipe, bands=tuple(bands)), problems
