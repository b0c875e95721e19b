"""Choose block size, buffer and assignment from where the labels lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import geopandas
import numpy as np
import rasterio

from ..contract import IGNORE, SPLITS, Area, GeoSegError, Grid, Problem, TileJob
from ..raster.grid import Window
from ..vector.area import area_title, read_area, sentence_start
from ..vector.polygons import is_null
from .split import NONE, TEST, TRAIN, VALIDATION, Blocks, Regions, Splitter, assign

LARGEST_BUFFER_PX = 96
REACH_PX = 48
"""How far the default network looks around a pixel; splits that far apart share nothing it sees."""

LEAST_BUFFER_PX = 8
"""Narrower buffers are warned of even where nothing forced them: neighbours that close are almost alike."""

ENOUGH_BLOCKS = 20
BLOCKS_PER_CLASS = 4
FEWEST_BOXES = 5
"""Train polygons from which on whole polygons, not blocks, are taken out for validation."""

CELLS = 1024
STRIP_PX = 1024
SMALL_SHARE = 0.1

Mask = Callable[[Window], np.ndarray]


@dataclass
class SplitPlan:
    """A splitter with what was chosen and what to tell the user."""

    splitter: Splitter
    block_px: int
    buffer_px: int
    problems: list[Problem] = field(default_factory=list)


def plan_split(job: TileJob, labels: Path, grid: Grid, classes: int) -> SplitPlan:
    """Plan the split of a label raster: by area polygons if they name their split, else by blocks.

    Raises:
        GeoSegError: `no_labels_left` without a labelled pixel; `no_field`, `no_split_values`, `no_train_area`.
    """
    if job.area.kind == "polygons" and job.area.split_field:
        plan = _by_regions(job, labels, grid, classes)
    else:
        blocks, problems = plan_blocks(job, labels, grid, classes, job.fractions, None)
        plan = SplitPlan(blocks, blocks.block_px, blocks.buffer_px, problems)
    plan.problems += buffer_problems(job, plan.splitter)
    return plan


def wanted_buffer(job: TileJob, block_px: int) -> int:
    """The user's buffer, or else one that suits blocks of that side; 0 stands for polygons of an area layer."""
    if job.buffer_px >= 0:
        return job.buffer_px
    return min(LARGEST_BUFFER_PX, block_px // 8 if block_px else job.tile_px // 2)


def buffer_problems(job: TileJob, splitter: Splitter) -> list[Problem]:
    """A warning where the splits lie closer together than was wanted and than the network looks, or very close."""
    blocks = splitter.carve if isinstance(splitter, Regions) else splitter
    buffers = []
    if isinstance(splitter, Regions):
        buffers.append((splitter.buffer_px, wanted_buffer(job, 0)))
    if isinstance(blocks, Blocks) and len(np.unique(blocks.codes[blocks.codes != NONE])) > 1:
        buffers.append((blocks.buffer_px, wanted_buffer(job, blocks.block_px)))
    buffer, wanted = min(buffers, default=(REACH_PX, REACH_PX))
    if buffer >= min(wanted, REACH_PX) and buffer >= LEAST_BUFFER_PX:
        return []
    planned = f"{wanted} px were planned, but would leave a class out; " if buffer < wanted else ""
    return [
        Problem(
            "buffer_narrowed",
            f"Ground of different splits is only {buffer} px apart ({planned}the network looks about {REACH_PX} px "
            "around a pixel): scores near the borders may be too good.",
            "Draw polygons in more places, or choose larger blocks or a wider buffer.",
            "warning",
        )
    ]


def plan_blocks(
    job: TileJob, labels: Path, grid: Grid, classes: int, fractions: tuple[float, ...], mask: Mask | None
) -> tuple[Blocks, list[Problem]]:
    """Blocks with codes for the labelled ground (inside a mask, if one is given).

    Raises:
        GeoSegError: `no_labels_left`, `buffer_too_wide`.
    """
    cell = job.block_px or cell_size(grid)
    cells = cell_counts(labels, grid, cell, classes, mask)
    if not cells.any():
        raise GeoSegError(
            "no_labels_left",
            "There is no labelled pixel to split.",
            "Draw polygons inside the area and on the rasters, then rasterize again.",
        )
    block = job.block_px or choose_block(cells, cell, job.tile_px, grid, 2 * job.buffer_px)
    if 2 * job.buffer_px > block:
        raise GeoSegError(
            "buffer_too_wide",
            f"A buffer of {job.buffer_px} px leaves little or nothing of blocks of {block} px.",
            f"Choose blocks of at least {4 * job.buffer_px} px, or a narrower buffer.",
        )
    counts = grouped(cells, block // cell)
    labelled = counts.sum(axis=2) > 0
    codes = np.full(labelled.shape, NONE, np.uint8)
    codes[labelled] = assign(counts[labelled], fractions, job.seed)
    blocks = Blocks(block, wanted_buffer(job, block), codes)
    problems = []
    if job.buffer_px < 0:
        blocks = _narrowed(blocks, labels, grid, classes, mask)
    if int(labelled.sum()) < sum(fraction > 0 for fraction in fractions):
        problems.append(
            Problem(
                "too_few_blocks",
                f"Labels lie in only {int(labelled.sum())} blocks of {block} px: not every split gets one.",
                "Choose smaller blocks, or draw polygons elsewhere too.",
                "warning",
            )
        )
    return blocks, problems


def _narrowed(blocks: Blocks, labels: Path, grid: Grid, classes: int, mask: Mask | None) -> Blocks:
    """Halve the buffer until no class loses all its pixels of a split to it."""
    without = split_counts(replace(blocks, buffer_px=0), labels, grid, classes, mask) > 0
    while blocks.buffer_px > 0:
        kept = split_counts(blocks, labels, grid, classes, mask) > 0
        if (kept == without).all():
            break
        blocks = replace(blocks, buffer_px=blocks.buffer_px // 2)
    return blocks


def cell_size(grid: Grid) -> int:
    """Side of the cells in which labels are counted to find a block size."""
    shortest, longest = min(grid.width, grid.height), max(grid.width, grid.height)
    return max(1, min(8, shortest // 4)) * max(1, -(-longest // (8 * CELLS)))


def strips(grid: Grid, step_px: int) -> list[Window]:
    """Windows of full width whose height is a multiple of a step."""
    height = max(STRIP_PX // step_px, 1) * step_px
    return [
        Window(row, 0, min(height, grid.height - row), grid.width) for row in range(0, grid.height, height)
    ]


def cell_counts(labels: Path, grid: Grid, cell_px: int, classes: int, mask: Mask | None) -> np.ndarray:
    """Labelled pixels per cell and class: int64 (cell rows, cell cols, classes)."""
    rows, cols = -(-grid.height // cell_px), -(-grid.width // cell_px)
    counts = np.zeros((rows, cols, classes), np.int64)
    cell_cols = np.arange(grid.width) // cell_px
    with rasterio.open(labels) as raster:
        for window in strips(grid, cell_px):
            ids = raster.read(1, window=window.rasterio)
            if mask is not None:
                ids[~mask(window)] = IGNORE
            cell_rows = (np.arange(window.height) + window.row) // cell_px
            where = np.nonzero(ids < classes)
            np.add.at(counts, (cell_rows[where[0]], cell_cols[where[1]], ids[where]), 1)
    return counts


def grouped(cells: np.ndarray, factor: int) -> np.ndarray:
    """Counts of cells added up to blocks of factor × factor cells; the last may be cut."""
    rows, cols, classes = cells.shape
    padded = np.pad(cells, ((0, -rows % factor), (0, -cols % factor), (0, 0)))
    blocks: np.ndarray = padded.reshape(-(-rows // factor), factor, -(-cols // factor), factor, classes).sum(
        (1, 3)
    )
    return blocks


def choose_block(cells: np.ndarray, cell_px: int, tile_px: int, grid: Grid, least_px: int = 0) -> int:
    """The largest block side that leaves some twenty well-filled blocks and every class in a few of them.

    Starts at four tiles or a tenth of the raster, whichever is larger, and shrinks; below a tile only for the
    sake of the number of blocks.
    """
    side = max(4 * tile_px, max(grid.width, grid.height) // 10)
    smallest = max(cell_px, min(16, min(grid.width, grid.height) // 4), least_px)
    side = max(side, smallest)
    enough = 0
    while side >= smallest:
        unit = tile_px if side >= 2 * tile_px and tile_px % cell_px == 0 else cell_px
        block = max(side // unit * unit, cell_px)
        counts = grouped(cells, block // cell_px)
        filled = counts.sum(axis=2)
        many = int((filled >= SMALL_SHARE * filled.max()).sum()) >= ENOUGH_BLOCKS
        per_class = (counts > 0).sum(axis=(0, 1))
        spread = bool((per_class[counts.sum(axis=(0, 1)) > 0] >= BLOCKS_PER_CLASS).all())
        if many and spread:
            return block
        if many and not enough:
            enough = block
        if enough and block <= tile_px:
            break
        side = min(int(side * 0.8), block - 1)
    return enough or -(-smallest // cell_px) * cell_px


def split_counts(
    splitter: Splitter, labels: Path, grid: Grid, classes: int, mask: Mask | None = None
) -> np.ndarray:
    """Labelled pixels per split and class: int64 (3, classes)."""
    counts = np.zeros((len(SPLITS), classes), np.int64)
    with rasterio.open(labels) as raster:
        for window in strips(grid, 1):
            ids, codes = raster.read(1, window=window.rasterio), splitter.window(window)
            counted = (ids < classes) & (codes != NONE)
            if mask is not None:
                counted &= mask(window)
            np.add.at(counts, (codes[counted], ids[counted]), 1)
    return counts


def split_code(value: object) -> int:
    """Index into SPLITS of a field value (train…, val…, test…, any case), or NONE."""
    text = "" if is_null(value) else str(value).strip().casefold()
    for code, starts in ((TRAIN, ("train",)), (VALIDATION, ("val", "dev")), (TEST, ("test", "hold"))):
        if text.startswith(starts):
            return code
    return NONE


def _by_regions(job: TileJob, labels: Path, grid: Grid, classes: int) -> SplitPlan:
    frame = read_area(job.area, grid.crs)
    shapes, problems = _coded_shapes(frame, job.area)
    counts = [_region_counts(shape, labels, grid, classes) for shape, _ in shapes]
    on_labels = [bool(count.any()) for count in counts]
    shapes = [shape for shape, here in zip(shapes, on_labels, strict=True) if here]
    filled = np.array([count for count, here in zip(counts, on_labels, strict=True) if here])
    codes = {code for _, code in shapes}
    if TRAIN not in codes:
        raise GeoSegError(
            "no_train_area",
            f"No polygon of {area_title(job.area)} that is marked train holds labels.",
            f"Mark at least one with 'train' in field '{job.area.split_field}'.",
        )
    if VALIDATION in codes and TEST not in codes:
        shapes = [(shape, TEST if code == VALIDATION else code) for shape, code in shapes]
        problems.append(_validation_is_test(job.area))
        codes = {TRAIN, TEST}
    buffer = wanted_buffer(job, 0)
    regions = Regions(grid, tuple(shapes), buffer)
    if {VALIDATION, TEST} <= codes:
        return _narrowed_regions(SplitPlan(regions, 0, buffer, problems), job, labels, grid, classes)
    plan = _carved(job, labels, classes, regions, filled, codes)
    plan.problems[:0] = problems
    return _narrowed_regions(plan, job, labels, grid, classes)


def _narrowed_regions(plan: SplitPlan, job: TileJob, labels: Path, grid: Grid, classes: int) -> SplitPlan:
    """Halve a buffer that was not asked for until no class loses all its pixels of a split to it."""
    regions = plan.splitter
    assert isinstance(regions, Regions)
    if job.buffer_px >= 0:
        return plan
    without = split_counts(replace(regions, buffer_px=0), labels, grid, classes) > 0
    while regions.buffer_px > 0:
        if ((split_counts(regions, labels, grid, classes) > 0) == without).all():
            break
        regions = replace(regions, buffer_px=regions.buffer_px // 2)
    return replace(plan, splitter=regions, buffer_px=regions.buffer_px)


def _coded_shapes(frame: geopandas.GeoDataFrame, area: Area) -> tuple[list, list[Problem]]:
    if area.split_field not in frame.columns:
        fields = ", ".join(column for column in frame.columns if column != frame.geometry.name)
        raise GeoSegError(
            "no_field",
            f"{sentence_start(area_title(area))} has no field '{area.split_field}'.",
            f"Choose one of: {fields or 'it has no fields'}.",
        )
    codes = [split_code(value) for value in frame[area.split_field]]
    shapes = [(shape, code) for shape, code in zip(frame.geometry.array, codes, strict=True) if code != NONE]
    if not shapes:
        values = ", ".join(sorted({str(value) for value in frame[area.split_field]})[:6])
        raise GeoSegError(
            "no_split_values",
            f"Field '{area.split_field}' says neither train, validation nor test but: {values}.",
            "Choose the field that names the split, or none to split by blocks.",
        )
    unknown = codes.count(NONE)
    problems = []
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


def _region_counts(shape: object, labels: Path, grid: Grid, classes: int) -> np.ndarray:
    """Labelled pixels per class under one polygon."""
    region = Regions(grid, ((shape, TRAIN),), 0)
    return split_counts(region, labels, grid, classes)[TRAIN]


def _carved(
    job: TileJob, labels: Path, classes: int, regions: Regions, filled: np.ndarray, codes: set[int]
) -> SplitPlan:
    """Take validation (and test, if there is none) out of the train polygons."""
    train, validation, test = job.fractions
    wanted = np.array([train, validation, 0.0 if TEST in codes else test])
    wanted = wanted / wanted.sum() if wanted.sum() else np.array([0.8, 0.2, 0.0])
    fractions = tuple(float(part) for part in wanted)
    places = [index for index, (_, code) in enumerate(regions.shapes) if code == TRAIN]
    what = "Validation ground is" if TEST in codes else "Validation and test ground are"
    if len(places) >= FEWEST_BOXES:
        given = assign(filled[places], fractions, job.seed)
        shapes = list(regions.shapes)
        for place, code in zip(places, given, strict=True):
            shapes[place] = (shapes[place][0], int(code))
        taken = int((given != TRAIN).sum())
        note = _carve_note(job.area, f"{what} {taken} of the {len(places)} train polygons with labels.")
        return SplitPlan(replace(regions, shapes=tuple(shapes)), 0, regions.buffer_px, [note])
    blocks, problems = plan_blocks(
        job, labels, regions.grid, classes, fractions, lambda window: regions.window(window) == TRAIN
    )
    note = _carve_note(job.area, f"{what} taken as blocks of {blocks.block_px} px out of the train polygons.")
    carved = replace(regions, carve=blocks)
    return SplitPlan(carved, blocks.block_px, regions.buffer_px, [*problems, note])


def _carve_note(area: Area, text: str) -> Problem:
    return Problem(
        "split_carved",
        f"{sentence_start(area_title(area))} does not name every split. {text}",
        "Mark polygons for train, validation and test to choose yourself.",
        "warning",
    )


def _validation_is_test(area: Area) -> Problem:
    return Problem(
        "validation_is_test",
        f"{sentence_start(area_title(area))} knows train and validation only; its validation polygons are held out as "
        "the test, so that the score is of ground that did not steer the training.",
        "Mark some polygons with 'test' to choose yourself.",
        "warning",
    )
