"""The job `check`: all problems that would spoil training, listed before it starts, each with its fix."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...channel import Channel
from ...contract import (
    Band,
    CheckJob,
    GeoSegError,
    Grid,
    LabelClass,
    Labels,
    Problem,
    Recipe,
    Source,
    encode,
    present,
    write_json,
)
from ...outputs import prepare_folder
from ...raster.grid import windows
from ...raster.sources import all_bands
from ...stacking.reader import StackReader
from ...stacking.recipe_plan import as_problem, smallest_source_px
from ...stacking.stack_plan import plan_stack, touching
from ...vector.area import area_geometry
from ...vector.polygons import LabelPolygons, label_title, read_labels
from ..labels.problems import hull_only, label_problems
from ..labels.rasterize import BURN_PX, Burner, Tally, fill_id
from ..tiles import small_raster
from .findings import (
    Finding,
    layer_faults,
    overlap_faults,
    problems_of,
    rare_classes,
    read_drawn,
    write_findings,
)
from .shift import estimate_shift, shift_finding

BLOCKING = ("class_without_pixels", "one_class")
"""Warnings of `rasterize` that make training pointless, so that here they are errors."""


@dataclass
class Findings:
    """Problems and faults found so far."""

    problems: list[Problem]
    classes: tuple[LabelClass, ...] = ()
    tally: Tally | None = None
    grid: Grid | None = None
    recipe: Recipe | None = None
    faults: list[Finding] = field(default_factory=list)


def run(job: CheckJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Check labels against rasters and write the list as JSON. Data problems are listed, never raised.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress and the artifact `findings`.

    Returns:
        `problems`, `classes`, `counts` (pixels by class id), `grid` and `findings` (faults by code).
    """
    channel.progress("check", 0, 1)
    output = folder / job.output
    prepare_folder(output.parent)
    findings = find_problems(job)
    counts = findings.tally.pixels if findings.tally else {}
    result = {
        "problems": encode(findings.problems),
        "classes": encode(findings.classes),
        "counts": {str(class_id): count for class_id, count in counts.items()},
        "grid": encode(findings.grid) if findings.grid else None,
        "findings": dict(Counter(fault.code for fault in findings.faults)),
    }
    write_json(output, result)
    if job.findings and findings.grid:
        write_findings(findings.faults, folder / job.findings, findings.grid.crs)
        channel.artifact("findings", folder / job.findings)
    channel.progress("check", 1, 1)
    return {**result, "output": str(output)}


def find_problems(job: CheckJob) -> Findings:
    """Plan the stack, read the labels, burn them, and return every problem, errors first."""
    bands = job.bands
    findings = Findings([])
    if not bands:
        bands, problems = _every_band(job.sources)
        findings.problems += problems
    if bands:
        plan = plan_stack(job.sources, bands, job.grid, job.area, job.labels, intermediates=job.intermediates)
        findings.problems += plan.problems
        findings.recipe, findings.grid = plan.recipe, plan.recipe.grid if plan.recipe else None
    polygons = _read(job, findings)
    if polygons is not None and findings.grid is not None:
        findings.problems += small_raster(findings.grid, job.tile_px)
        _check_on_grid(job, polygons, findings)
        if job.labels.kind == "polygons":
            _find_faults(job.labels, job.tile_px, findings)
    findings.problems = sorted(dict.fromkeys(findings.problems), key=lambda item: item.severity != "error")
    return findings


def _find_faults(labels: Labels, tile_px: int, findings: Findings) -> None:
    """Add the faults of single polygons, overlaps, and a shift against the image."""
    grid, recipe = present(findings.grid, "the grid"), present(findings.recipe, "the recipe")
    layers = read_drawn(labels, grid)
    for layer in layers:
        findings.faults += layer_faults(layer, grid, labels.min_area_px)
    findings.faults += [*overlap_faults(layers, grid), *rare_classes(layers, grid, tile_px)]
    try:
        with StackReader(recipe) as reader:
            for layer in layers:
                shift = estimate_shift(layer, reader)
                if shift is not None:
                    findings.faults.append(shift_finding(layer, shift, grid))
    except GeoSegError as error:
        findings.problems.append(as_problem(error))
    findings.problems += problems_of(findings.faults, layers, labels.min_area_px)


def _every_band(sources: tuple[Source, ...]) -> tuple[tuple[Band, ...], list[Problem]]:
    bands: list[Band] = []
    problems = []
    for source in sources:
        try:
            bands += [Band(**data) for data in all_bands([encode(source)])]
        except GeoSegError as error:
            problems.append(as_problem(error))
    return tuple(bands), problems


def _read(job: CheckJob, findings: Findings) -> LabelPolygons | None:
    try:
        polygons = read_labels(job.labels, findings.grid or "EPSG:4326", job.area)
    except GeoSegError as error:
        findings.problems.append(as_problem(error))
        return None
    findings.classes = polygons.classes
    findings.problems += polygons.problems
    return polygons


def _check_on_grid(job: CheckJob, polygons: LabelPolygons, findings: Findings) -> None:
    grid = present(findings.grid, "the grid")
    labels = present(polygons.labels, "the settings of labels")
    on_rasters = touching(polygons.geometries, grid)
    outside = int((~on_rasters).sum())
    if outside:
        name, things = label_title(labels), polygons.things
        findings.problems.append(_outside(name, outside, len(on_rasters), things))
    if not on_rasters.any():
        return
    try:
        area, of_area = area_geometry(job.area, polygons.geometries, grid)
    except GeoSegError as error:
        findings.problems.append(as_problem(error))
        return
    findings.problems += of_area
    burner = Burner(grid, polygons, area, fill_id(labels, polygons))
    for window in windows(grid, BURN_PX):
        burner.burn(window)
    findings.tally = burner.tally
    found = [
        *label_problems(labels, job.area, polygons, grid, burner.tally, []),
        *hull_only(labels, job.area, burner.tally, smallest_source_px(job.sources, grid)),
    ]
    findings.problems += [
        replace(problem, severity="error") if problem.code in BLOCKING else problem for problem in found
    ]
    if not np.array(list(burner.tally.pixels.values())).any():
        findings.problems.append(
            Problem(
                "no_labels_left",
                "No pixel has a label.",
                f"Draw {polygons.things} inside the area; are they smaller than a pixel?"
                if polygons.things == "polygons"
                else f"Draw {polygons.things} inside the area.",
            )
        )


def _outside(name: str, outside: int, total: int, things: str) -> Problem:
    if outside == total:
        return Problem(
            "labels_outside",
            f"None of the {total} {things} of '{name}' is on the rasters.",
            "Check the CRS of the label layer, or choose other rasters.",
        )
    return Problem(
        "labels_outside",
        f"{outside} of the {total} {things} of '{name}' are outside the area that the rasters share and are "
        "ignored.",
        "Ignore this if it is intended; otherwise add rasters that cover them.",
        "warning",
    )
