"""The job `stack`: align bands on one grid and write the composite with its recipe."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import rasterio

from ..channel import Channel
from ..contract import GeoSegError, Problem, Recipe, StackJob, encode, present
from ..outputs import not_writable, prepare_folder, require_room, size_title, takes_files, whole_file
from ..raster.grid import pixel_size, rasterio_profile, window_count, window_px, windows
from ..raster.sources import crs_title, unit_title
from .metric_crs import suggested_crs
from .reader import ParallelReader
from .recipe_plan import as_problem, raise_errors
from .recipes import SUFFIX, names_of, recipe_path, write_recipe
from .stack_plan import area_polygon, plan_stack

PACKED_SHARE = 0.3
"""Minimum size on disk of a composite, as a share of its float32 values."""


def run(job: StackJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Plan the stack; unless it is a dry run, write it.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress and the artifacts `stack` and `recipe`.

    Raises:
        GeoSegError: for the problems a dry run would list; as `write_stack`.
    """
    output = folder / job.output
    plan = plan_stack(job.sources, job.bands, job.grid, job.area, job.labels, intermediates=job.intermediates)
    problems = list(plan.problems)
    if plan.recipe is not None and not output.name.endswith(SUFFIX):
        problems += space_problems(output, stack_bytes(plan.recipe))
    if not job.dry_run:
        raise_errors(problems)
        write_stack(present(plan.recipe, "the recipe of a plan"), output, channel)
    warnings = [problem for problem in problems if problem.severity == "warning"]
    recipe = plan.recipe
    return {
        "output": str(output),
        "recipe": str(recipe_path(output)),
        "grid": encode(recipe.grid) if recipe else None,
        "bands": [band.name for band in job.bands],
        "bytes": stack_bytes(recipe) if recipe else 0,
        "sentence": stack_summary(recipe) if recipe else "",
        "warnings": encode(warnings),
        "problems": encode(problems),
        **(dry_run_details(job, recipe) if job.dry_run else {}),
    }


def dry_run_details(job: StackJob, recipe: Recipe | None) -> dict[str, Any]:
    """Return what only a dry run reports: the area as WKT in the grid's CRS, and a CRS in metres for a grid in degrees.

    Args:
        job: settings.
        recipe: None if there is no plan.
    """
    if recipe is None:
        return {"area_wkt": "", "suggestion": None}
    try:
        area = area_polygon(job.area, job.labels, recipe.grid).wkt
    except GeoSegError:  # the plan has reported it
        area = ""
    return {"area_wkt": area, "suggestion": suggested_crs(recipe.grid)}


def stack_bytes(recipe: Recipe) -> int:
    """Return the size of the values of a stack in memory."""
    return recipe.grid.width * recipe.grid.height * len(recipe.bands) * 4


def stack_summary(recipe: Recipe) -> str:
    """Return a sentence about what will be written."""
    grid = recipe.grid
    width, height = pixel_size(grid)
    unit = unit_title(grid.crs)
    size = (
        f"{width:.6g} {unit}"
        if math.isclose(width, height, rel_tol=1e-3)
        else f"{width:.6g} × {height:.6g} {unit}"
    )
    bands, layers = len(recipe.bands), len(recipe.sources)
    cols, rows = f"{grid.width:,}".replace(",", " "), f"{grid.height:,}".replace(",", " ")
    return (
        f"Stack {bands} band{'s' * (bands != 1)} from {layers} layer{'s' * (layers != 1)} onto {cols} × {rows} "
        f"pixels of {size}, {crs_title(grid.crs)}; {size_title(stack_bytes(recipe))}"
    )


def space_problems(output: Path, size: int) -> list[Problem]:
    """Return a problem if the disk has no room for the composite, or the folder is not writable.

    Args:
        output: of the job.
        size: bytes of its values in memory.
    """
    try:
        require_room({output: int(size * PACKED_SHARE)})
    except GeoSegError as error:
        folder = next(parent for parent in output.absolute().parents if parent.is_dir())
        return [as_problem(error if takes_files(folder) else not_writable(folder))]
    return []


def write_stack(recipe: Recipe, output: Path, channel: Channel) -> None:
    """Write the composite and, beside it, its recipe; an output named *.recipe.json gets the recipe only.

    Args:
        recipe: bands, sources and grid.
        output: the .tif or the .recipe.json.
        channel: gets progress and the artifacts `stack` and `recipe`.

    Raises:
        GeoSegError: `not_writable`, `disk_full`, `cannot_read`, `cancelled`; as `open_source`.
    """
    grid = recipe.grid
    if not output.name.endswith(SUFFIX):
        profile = rasterio_profile(grid, len(recipe.bands), "float32", math.nan)
        with (
            ParallelReader(recipe) as reader,
            whole_file(output, int(stack_bytes(recipe) * PACKED_SHARE)) as partial,
            rasterio.open(partial, "w", **profile) as dataset,
        ):
            dataset.descriptions = tuple(names_of(recipe))
            if any(band.unit and not band.derive for band in recipe.bands):
                dataset.units = tuple("" if band.derive else band.unit for band in recipe.bands)
            side = window_px(len(recipe.bands))
            total = window_count(grid, side)
            for done, (window, values) in enumerate(reader.read_all(windows(grid, side)), 1):
                dataset.write(values, window=window.rasterio)
                channel.progress("stack", done, total)
        channel.artifact("stack", output)
    else:
        prepare_folder(output.parent)
    write_recipe(recipe, recipe_path(output))
    channel.artifact("recipe", recipe_path(output))
