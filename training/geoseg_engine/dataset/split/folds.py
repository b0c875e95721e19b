"""Plans of a cross-validation: every labelled pixel belongs to the test of exactly one fold."""

from __future__ import annotations

import math
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from ...contract import GeoSegError, Grid, Problem, TileJob
from ...vector.area import area_title, read_area
from ...vector.legend import number_of
from ..datasets import FILE
from .blocks import SplitPlan, cell_counts, narrowed_blocks, planned_buffer_px
from .plan import narrowed_regions, objects_only, with_labels
from .splitters import NONE, TEST, TRAIN, VALIDATION, Blocks, Regions, assign

MIN_FOLDS = 3
"""One to test, one to validate, one to train."""


def fold_numbers(job: TileJob, grid: Grid) -> list | None:
    """Read the polygons of the area layer with their folds from 0, or NONE.

    Args:
        job: settings.
        grid: of the label raster.

    Returns:
        Pairs of polygon and fold; None if the field of the layer holds no numbers.

    Raises:
        GeoSegError: as `read_area`; `too_few_folds`.
    """
    field = job.area.split_field
    if not job.folds or job.split_areas or job.area.kind != "polygons" or not field:
        return None
    found = read_area(job.area, grid, [field])
    values = [_number(value) for value in found.columns[field].values]
    numbers = sorted({value for value in values if value is not None})
    if not numbers:
        return None
    if len(numbers) < MIN_FOLDS:
        raise too_few_folds(len(numbers))
    place = {number: index for index, number in enumerate(numbers)}
    return [
        (shape, NONE if value is None else place[value])
        for shape, value in zip(found.shapes, values, strict=True)
    ]


def plan_region_folds(
    job: TileJob, shapes: list, labels: Path, grid: Grid, classes: int, background: bool
) -> list[SplitPlan]:
    """Plan one dataset per fold where polygons name the folds.

    Args:
        job: settings.
        shapes: polygons with folds, see `fold_numbers`.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
        background: unlabelled pixels are background of id 0.

    Raises:
        GeoSegError: `no_labels_left`.
    """
    left_out = tuple(shape for shape, fold in shapes if fold == NONE)
    shapes = [item for item in shapes if item[1] != NONE]
    shapes, filled = with_labels(shapes, labels, grid, classes)
    nearest = background and objects_only(filled)
    folds = max((fold for _, fold in shapes), default=0) + 1
    present = len({fold for _, fold in shapes})
    if present < MIN_FOLDS:
        raise GeoSegError(
            "too_few_folds",
            f"Only {present} of the folds of {area_title(job.area)} hold labels; {MIN_FOLDS} are needed.",
            "Draw labels in the polygons of every fold.",
        )
    plans = []
    for fold in range(folds):
        code = fold_roles(folds, fold)
        named = tuple((shape, int(code[number])) for shape, number in shapes)
        regions = Regions(grid, named, planned_buffer_px(job, 0), nearest=nearest, left_out=left_out)
        plan = SplitPlan(regions, 0, regions.buffer_px, reason="The area layer names the folds.")
        plans.append(narrowed_regions(plan, job, labels, grid, classes))
    return plans


def plan_block_folds(
    job: TileJob, block_px: int, labels: Path, grid: Grid, classes: int, reason: str
) -> list[SplitPlan]:
    """Plan one dataset per fold: labelled blocks are divided so that every fold gets its share of every class.

    Args:
        job: settings.
        block_px: side of a block.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
        reason: why blocks have that side.

    Raises:
        GeoSegError: `too_few_folds`, `too_few_blocks`.
    """
    if job.folds < MIN_FOLDS:
        raise too_few_folds(job.folds)
    counts = cell_counts(labels, grid, block_px, classes, None)
    labelled = counts.sum(axis=2) > 0
    if int(labelled.sum()) < job.folds:
        raise GeoSegError(
            "too_few_blocks",
            f"Only {int(labelled.sum())} blocks of {block_px} px hold labels: too few for {job.folds} folds.",
            "Choose smaller blocks, fewer folds, or draw polygons in more places.",
        )
    numbers = assign(counts[labelled], (1 / job.folds,) * job.folds, job.seed)
    plans = []
    for fold in range(job.folds):
        codes = np.full(labelled.shape, NONE, np.uint8)
        codes[labelled] = fold_roles(job.folds, fold)[numbers]
        blocks = Blocks(block_px, planned_buffer_px(job, block_px), codes)
        if job.buffer_px < 0:
            blocks = narrowed_blocks(blocks, counts, labels, grid)
        plans.append(SplitPlan(blocks, block_px, blocks.buffer_px, reason=reason))
    return plans


def fold_roles(folds: int, fold: int) -> np.ndarray:
    """Return the split of each fold in the dataset of one of them: it tests, the next validates, the rest train.

    Args:
        folds: number of folds.
        fold: the one that tests, from 0.

    Returns:
        uint8 (folds,), index into SPLITS.
    """
    codes = np.full(folds, TRAIN, np.uint8)
    codes[fold], codes[(fold + 1) % folds] = TEST, VALIDATION
    return codes


def empty_folds(counts: list[np.ndarray]) -> list[Problem]:
    """Return a warning about folds without labelled test pixels; `counts` are per split and class of each fold."""
    empty = [str(fold) for fold, count in enumerate(counts, 1) if not count[TEST].any()]
    if not empty:
        return []
    return [
        Problem(
            "empty_fold",
            f"Fold {', '.join(empty)} has no labelled pixel to test on.",
            "Choose fewer folds, a narrower buffer, or draw polygons in more places.",
            "warning",
        )
    ]


def check_folds_only(folder: Path) -> None:
    """Raise if the folder that new folds replace holds anything but folds.

    Raises:
        GeoSegError: `not_folds`.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if not (path.name.isdigit() and (path / FILE).is_file()):
            raise GeoSegError(
                "not_folds",
                f"The folder {folder} would be replaced by the folds, but it holds {path.name}.",
                "Move its contents, or choose another output folder.",
            )


def remove_folds(folder: Path) -> None:
    """Remove the folds of an earlier run, whose labels may have changed; folders with other files stay."""
    with suppress(GeoSegError):
        check_folds_only(folder)
        shutil.rmtree(folder, ignore_errors=True)


def too_few_folds(folds: int) -> GeoSegError:
    """Return the error that fewer than three folds cannot train, validate and test."""
    return GeoSegError(
        "too_few_folds",
        f"{folds} folds cannot train, validate and test.",
        f"Choose {MIN_FOLDS} or more; 5 is usual.",
    )


def _number(value: object) -> float | None:
    number = number_of(value)
    return number if math.isfinite(number) else None
