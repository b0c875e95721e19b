"""Plan the split of a label raster: by polygons that name it, else by blocks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio
import shapely

from ...contract import SPLITS, Area, GeoSegError, Grid, Problem, TileJob
from ...raster.grid import Window, covering_window
from ...vector.area import area_title, burn_shapes, extent_geometry, read_area, sentence_start
from ...vector.legend import is_null, value_text
from .block_size import Scale
from .blocks import STRIP_PX, SplitPlan, plan_blocks, planned_buffer_px, split_counts
from .splitters import NONE, TEST, TRAIN, VALIDATION, Blocks, Regions, Splitter, assign

MIN_POLYGONS = 5
"""Number of train polygons from which on whole polygons, not blocks, become validation areas."""

OBJECTS_BACKGROUND_SHARE = 0.01

REACH_PX = 48
"""How far the default network sees around a pixel; splits that far apart share nothing that it sees."""
Shapes = list[tuple[shapely.Geometry, int]]
"""Polygons with an index into SPLITS, or NONE."""


def split_code(value: object) -> int:
    """Index into SPLITS of a field value (train…, val…, test…, any case), or NONE."""
    text = "" if is_null(value) else value_text(value).casefold()
    for code, starts in ((TRAIN, ("train",)), (VALIDATION, ("val", "dev")), (TEST, ("test", "hold"))):
        if text.startswith(starts):
            return code
    return NONE


def plan_regions(
    job: TileJob, labels: Path, grid: Grid, classes: int, scale: Scale, background: bool
) -> SplitPlan:
    """Plan a split by the polygons of `job.area` with a field, or by the areas of `job.split_areas`.

    Args:
        job: settings.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
        scale: for blocks, where these have to take validation out of the train polygons.
        background: unlabelled pixels are background of id 0.

    Raises:
        GeoSegError: `no_field`, `no_split_values`, `no_train_area`, `no_split_areas`.
    """
    shapes, problems, title = named_shapes(job, grid)
    left_out = tuple(shape for shape, code in shapes if code == NONE)
    shapes = [item for item in shapes if item[1] != NONE]
    shapes, filled = with_labels(shapes, labels, grid, classes)
    codes = {code for _, code in shapes}
    if TRAIN not in codes:
        raise GeoSegError(
            "no_train_area",
            f"No polygon of {title} that is marked train holds labels.",
            "Draw the train area where labels are."
            if job.split_areas
            else f"Mark at least one with 'train' in field '{job.area.split_field}'.",
        )
    if VALIDATION in codes and TEST not in codes:
        shapes = [(shape, TEST if code == VALIDATION else code) for shape, code in shapes]
        problems.append(_validation_is_test(title))
        codes = {TRAIN, TEST}
    buffer = planned_buffer_px(job, 0)
    nearest = background and objects_only(filled)
    regions = Regions(grid, tuple(shapes), buffer, nearest=nearest, left_out=left_out)
    if {VALIDATION, TEST} <= codes:
        return narrowed_regions(SplitPlan(regions, 0, buffer, problems), job, labels, grid, classes)
    plan = _carved(job, labels, classes, regions, filled, codes, scale, title)
    plan.problems[:0] = problems
    return narrowed_regions(plan, job, labels, grid, classes)


def named_shapes(job: TileJob, grid: Grid) -> tuple[Shapes, list[Problem], str]:
    """Read the polygons that name splits.

    Args:
        job: settings.
        grid: of the label raster.

    Returns:
        Polygons in the grid's CRS with their splits (NONE where they name none), warnings, and a title of the layers.

    Raises:
        GeoSegError: `no_field`, `no_split_values`, `no_split_areas`; as `read_area`.
    """
    if not job.split_areas:
        shapes, problems = _coded_shapes(job.area, grid)
        return shapes, problems, area_title(job.area)
    shapes = []
    problems = []
    for code, area in enumerate(job.split_areas[: len(SPLITS)]):
        if area.kind == "polygons":
            found = read_area(area, grid)
            shapes += [(shape, code) for shape in found.shapes]
            problems += found.problems
        elif area.kind == "extent":
            shapes.append((extent_geometry(area, grid), code))
    if not shapes:
        raise GeoSegError(
            "no_split_areas",
            "None of the areas of train, validation and test is a polygon layer or an extent.",
            "Choose a layer or an extent for train and for test.",
        )
    return shapes, problems, "the areas of the splits"


def with_labels(shapes: Shapes, labels: Path, grid: Grid, classes: int) -> tuple[Shapes, np.ndarray]:
    """Keep the polygons that hold labelled pixels.

    Args:
        shapes: polygons with their splits.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.

    Returns:
        The polygons, and their pixels per class, int64 (polygons, classes).
    """
    counts = [_region_counts(shape, labels, grid, classes) for shape, _ in shapes]
    kept = [(item, count) for item, count in zip(shapes, counts, strict=True) if count.any()]
    return [item for item, _ in kept], np.array([count for _, count in kept]).reshape(-1, classes)


def objects_only(filled: np.ndarray) -> bool:
    """Return whether polygons hold hardly any background: then they are the objects, not areas around objects."""
    return bool(filled[:, 0].sum() <= OBJECTS_BACKGROUND_SHARE * filled.sum())


def narrowed_regions(plan: SplitPlan, job: TileJob, labels: Path, grid: Grid, classes: int) -> SplitPlan:
    """Return the plan with an automatic buffer halved until no class loses all its pixels of a split to it.

    Args:
        plan: by polygons.
        job: settings; a buffer that the user set stays.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
    """
    regions = plan.splitter
    if not isinstance(regions, Regions):
        raise TypeError(f"only polygons of an area layer are narrowed, not {type(regions).__name__}")
    if job.buffer_px >= 0:
        return plan
    without = split_counts(replace(regions, buffer_px=0), labels, grid, classes) > 0
    while regions.buffer_px > 0:
        if ((split_counts(regions, labels, grid, classes) > 0) == without).all():
            break
        regions = replace(regions, buffer_px=regions.buffer_px // 2)
    return replace(plan, splitter=regions, buffer_px=regions.buffer_px)


def _coded_shapes(area: Area, grid: Grid) -> tuple[Shapes, list[Problem]]:
    found = read_area(area, grid, [area.split_field])
    values = found.columns[area.split_field].values
    codes = [split_code(value) for value in values]
    shapes = list(zip(found.shapes, codes, strict=True))
    if set(codes) <= {NONE}:
        listed = ", ".join(sorted({str(value) for value in values})[:6])
        raise GeoSegError(
            "no_split_values",
            f"Field '{area.split_field}' holds neither train, validation nor test but: {listed}.",
            "Choose the field that names the split, or none to split by blocks.",
        )
    unknown = codes.count(NONE)
    problems = list(found.problems)
    if unknown:
        problems.append(
            Problem(
                "unknown_split",
                f"{unknown} polygons of {area_title(area)} name no split in '{area.split_field}' and are left out.",
                "Write train, validation or test.",
                "warning",
            )
        )
    return shapes, problems


def _region_counts(shape: shapely.Geometry, labels: Path, grid: Grid, classes: int) -> np.ndarray:
    """Labelled pixels per class under one polygon, int64 (classes,)."""
    window = covering_window(grid, shapely.bounds(shape))
    counts = np.zeros(classes, np.int64)
    with rasterio.open(labels) as raster:
        for row in range(window.row, window.row + window.height, STRIP_PX):
            strip = Window(row, window.col, min(STRIP_PX, window.row + window.height - row), window.width)
            if not strip.empty:
                under = burn_shapes([(shape, 1)], grid, strip, 0) == 1
                ids = raster.read(1, window=strip.rasterio)[under]
                counts += np.bincount(ids, minlength=256)[:classes]
    return counts


def _carved(
    job: TileJob,
    labels: Path,
    classes: int,
    regions: Regions,
    filled: np.ndarray,
    codes: set[int],
    scale: Scale,
    title: str,
) -> SplitPlan:
    """Divide the train polygons, so that a part of them is validation (and test, if no polygon names it)."""
    train, validation, test = job.fractions
    wanted = np.array([train, validation, 0.0 if TEST in codes else test])
    wanted = wanted / wanted.sum() if wanted.sum() else np.array([0.8, 0.2, 0.0])
    fractions = tuple(float(part) for part in wanted)
    places = [index for index, (_, code) in enumerate(regions.shapes) if code == TRAIN]
    what = "The validation area is" if TEST in codes else "Validation and test areas are"
    if len(places) >= MIN_POLYGONS:
        given = assign(filled[places], fractions, job.seed)
        shapes = list(regions.shapes)
        for place, code in zip(places, given, strict=True):
            shapes[place] = (shapes[place][0], int(code))
        moved = int((given != TRAIN).sum())
        note = _carve_note(title, f"{what} {moved} of the {len(places)} train polygons with labels.")
        return SplitPlan(replace(regions, shapes=tuple(shapes)), 0, regions.buffer_px, [note])
    plan = plan_blocks(
        job, labels, regions.grid, classes, fractions, lambda window: regions.window(window) == TRAIN, scale
    )
    if not isinstance(plan.splitter, Blocks):
        raise TypeError(f"polygons are carved by blocks, not by {type(plan.splitter).__name__}")
    note = _carve_note(title, f"{what} blocks of {plan.block_px} px inside the train polygons.")
    carved = replace(regions, carve=plan.splitter)
    return SplitPlan(carved, plan.block_px, regions.buffer_px, [*plan.problems, note], plan.reason)


def _carve_note(title: str, text: str) -> Problem:
    return Problem(
        "split_carved",
        f"{sentence_start(title)} does not name every split. {text}",
        "Mark polygons for train, validation and test to choose yourself.",
        "warning",
    )


def _validation_is_test(title: str) -> Problem:
    return Problem(
        "validation_is_test",
        f"{sentence_start(title)} names train and validation areas only; its validation areas are used as "
        "the test set, so that the score describes areas that did not influence the training.",
        "Mark some polygons with 'test' to choose yourself.",
        "warning",
    )


def plan_split(
    job: TileJob, labels: Path, grid: Grid, classes: int, scale: Scale, background: bool
) -> SplitPlan:
    """Plan the split of a label raster: by polygons where they name their split, else by blocks.

    Args:
        job: settings.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
        scale: what automatic block sizes follow from.
        background: unlabelled pixels are background of id 0.

    Raises:
        GeoSegError: `no_labels_left` without a labelled pixel; as `plan_regions`.
    """
    if by_polygons(job):
        plan = plan_regions(job, labels, grid, classes, scale, background)
    else:
        plan = plan_blocks(job, labels, grid, classes, job.fractions, None, scale)
    plan.problems += buffer_problems(job, plan.splitter)
    return plan


def by_polygons(job: TileJob) -> bool:
    """Whether polygons name the splits."""
    return bool(job.split_areas) or (job.area.kind == "polygons" and bool(job.area.split_field))


def buffer_problems(job: TileJob, splitter: Splitter) -> list[Problem]:
    """Return a warning if the buffer had to become narrower than planned.

    Args:
        job: settings.
        splitter: with the buffer that was chosen.
    """
    blocks = splitter.carve if isinstance(splitter, Regions) else splitter
    buffers = []
    if isinstance(splitter, Regions):
        buffers.append((splitter.buffer_px, planned_buffer_px(job, 0)))
    if isinstance(blocks, Blocks) and len(np.unique(blocks.codes[blocks.codes != NONE])) > 1:
        buffers.append((blocks.buffer_px, planned_buffer_px(job, blocks.block_px)))
    buffer, wanted = min(buffers, default=(0, 0))
    if buffer >= min(wanted, REACH_PX):
        return []
    return [
        Problem(
            "buffer_narrowed",
            f"The buffer between splits is {buffer} px: the {wanted} px that were planned would leave a class out.",
            "Draw polygons in more places, or choose larger blocks.",
            "warning",
        )
    ]
