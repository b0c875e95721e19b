"""Plan the split of a label raster: by blocks, or by polygons that name it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...contract import Grid, Problem, TileJob
from .blocks import SplitPlan, plan_blocks, wanted_buffer
from .blocksize import Scale
from .plan import by_regions
from .splitters import NONE, Blocks, Regions, Splitter

REACH_PX = 48
"""How far the default network looks around a pixel; splits that far apart share nothing it sees."""


def plan_split(
    job: TileJob, labels: Path, grid: Grid, classes: int, scale: Scale, background: bool
) -> SplitPlan:
    """Plan the split of a label raster: by polygons where they name their split, else by blocks.

    Args:
        job: what was asked for.
        labels, grid: the label raster.
        classes: class ids are 0..classes-1.
        scale: what block sizes follow from.
        background: unlabelled ground is background of id 0.

    Raises:
        GeoSegError: `no_labels_left` without a labelled pixel; as `by_regions`.
    """
    if by_polygons(job):
        plan = by_regions(job, labels, grid, classes, scale, background)
    else:
        plan = plan_blocks(job, labels, grid, classes, job.fractions, None, scale)
    plan.problems += buffer_problems(job, plan.splitter)
    return plan


def by_polygons(job: TileJob) -> bool:
    """Whether polygons name the splits."""
    return bool(job.split_areas) or (job.area.kind == "polygons" and bool(job.area.split_field))


def buffer_problems(job: TileJob, splitter: Splitter) -> list[Problem]:
    """A warning where the buffer had to become narrower than wanted; what is too close is said once it is measured."""
    blocks = splitter.carve if isinstance(splitter, Regions) else splitter
    buffers = []
    if isinstance(splitter, Regions):
        buffers.append((splitter.buffer_px, wanted_buffer(job, 0)))
    if isinstance(blocks, Blocks) and len(np.unique(blocks.codes[blocks.codes != NONE])) > 1:
        buffers.append((blocks.buffer_px, wanted_buffer(job, blocks.block_px)))
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
