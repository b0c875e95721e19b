"""The job `tile`: split of a label raster and an index of its tiles."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely

from ..channel import Channel
from ..contract import (
    IGNORE,
    SPLITS,
    Dataset,
    GeoSegError,
    Grid,
    LabelClass,
    Problem,
    Source,
    TileJob,
    encode,
)
from ..outputs import prepare_folder, require_room, whole_file, whole_folder
from ..raster.grid import Window, grid_bounds, same_grid, window_count, windows
from ..raster.sources import open_source, source_grid
from ..raster.writer import PACKED_SHARE, RasterWriter
from ..stacking.reader import StackReader, open_stack
from ..stacking.recipes import SUFFIX
from ..vector.geopackage import write_layer
from .datasets import FILE, fingerprint, relative_to, save_dataset
from .labels.rasterize import LabelFacts, read_facts
from .split.block_size import Scale, measure_scale
from .split.blocks import SplitPlan, counts_of, plan_blocks
from .split.distance import distance_m, distance_problems, distance_sentence, min_split_distance_px
from .split.folds import (
    MIN_FOLDS,
    check_folds_only,
    empty_folds,
    fold_numbers,
    plan_block_folds,
    plan_region_folds,
    remove_folds,
    too_few_folds,
)
from .split.kept import BLOCKS_FILE, keep_blocks, kept_plan
from .split.plan import REACH_PX, buffer_problems, plan_split
from .split.splitters import NONE, Blocks, Regions, Splitter
from .tile_index import TileCounter, without_empty_tiles

SPLIT_FILE, TILES_FILE, FOLDS = "split.tif", "tiles.gpkg", "folds"
WRITE_PX = 1024
TILE_BYTES = 400
"""Size of a tile in the index, as measured in GeoPackages."""
BELONGS_SHARE = 0.9
"""Share of a tile's counted pixels that must belong to one split for the tile to be shown as part of it."""

MOSTLY_SHARE = 0.5
"""The same where blocks are smaller than tiles, so that no tile fits into one block."""


@dataclass(frozen=True)
class LabelledStack:
    """A stack with its labels, which all datasets of a job share.

    Attributes:
        labels: the label raster.
        reader: the stack.
        facts: of the label raster.
    """

    labels: Path
    reader: StackReader
    facts: LabelFacts

    @property
    def grid(self) -> Grid:
        """Grid of the stack and the labels."""
        return self.reader.grid

    @property
    def background(self) -> bool:
        """Whether unlabelled pixels are background, class 0."""
        return self.facts.unlabelled == "background"


def run(job: TileJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Split the labels; writes split.tif, tiles.gpkg and dataset.json in the output folder, and folds/<k>.

    All files are new or, if it fails or is cancelled, all as before.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        channel: gets progress and the artifacts `dataset` and `tiles`.

    Raises:
        GeoSegError: `not_our_labels`, `other_grid`, `no_labels_left`, `too_few_folds`; as `check_folds_only`,
            `plan_split`, `open_stack`.
    """
    output, labels = folder / job.output, folder / job.labels
    facts = read_facts(labels)
    if job.folds:
        check_folds_only(output / FOLDS)
    prepare_folder(output)
    with open_stack(folder / job.stack) as reader:
        _check_same_grid(labels, reader.grid)
        data = LabelledStack(labels, reader, facts)
        plan, folds = split_plans(job, folder, data)
        require_room({output: (1 + len(folds)) * dataset_bytes(reader.grid, job)})
        with whole_folder(output / FOLDS) if folds else nullcontext(output) as fold_folder:
            made = [
                write_dataset(job, folder, data, fold, fold_folder / str(number), channel)
                for number, fold in enumerate(folds, 1)
            ]
            tested = [np.array([list(one.counts[name].values()) for name in SPLITS]) for one, _ in made]
            plan.problems += empty_folds(tested)
            dataset, frame = write_dataset(job, folder, data, plan, output, channel)
    if not folds:
        remove_folds(output / FOLDS)
    channel.artifact("dataset", output / FILE)
    channel.artifact("tiles", output / TILES_FILE)
    return {
        "dataset": str(output / FILE),
        "tiles": str(output / TILES_FILE),
        "counts": dataset.counts,
        "tile_counts": {name: int((frame["split"] == name).sum()) for name in (*SPLITS, "unused")},
        "block_px": plan.block_px,
        "buffer_px": plan.buffer_px,
        "block_reason": plan.reason,
        "split_distance_px": dataset.split_distance_px,
        "split_distance_m": distance_m(dataset.split_distance_px, reader.grid),
        "split_distance": distance_sentence(dataset.split_distance_px, reader.grid, REACH_PX),
        "folds": [str(output / FOLDS / str(number) / FILE) for number in range(1, len(folds) + 1)],
        "warnings": encode(dataset.warnings),
    }


def dataset_bytes(grid: Grid, job: TileJob) -> int:
    """Return the size on disk of one dataset: the split as a raster, and its tile index.

    Args:
        grid: of the stack.
        job: settings of the tiles.
    """
    tiles = (grid.width // (job.stride_px or job.tile_px) + 1) * (
        grid.height // (job.stride_px or job.tile_px) + 1
    )
    return int(grid.width * grid.height * PACKED_SHARE) + TILE_BYTES * tiles


def split_plans(job: TileJob, folder: Path, data: LabelledStack) -> tuple[SplitPlan, list[SplitPlan]]:
    """Return the plan of the dataset, and one for every fold; with a split to keep there are no folds.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        data: the stack with its labels.

    Raises:
        GeoSegError: `too_few_folds`; as `plan_split`, `kept_plan`.
    """
    if 0 < job.folds < MIN_FOLDS:
        raise too_few_folds(job.folds)
    classes = len(data.facts.classes)
    if job.split_from:
        return kept_plan(folder / job.split_from, data.grid), []
    numbered = fold_numbers(job, data.grid)
    if numbered is not None:
        folds = plan_region_folds(job, numbered, data.labels, data.grid, classes, data.background)
        first = replace(folds[0], problems=buffer_problems(job, folds[0].splitter))
        return first, folds
    scale = Scale()
    if not job.block_px:
        scale = measure_scale(data.reader, data.labels, data.background, job.seed)
    plan = plan_split(job, data.labels, data.grid, classes, scale, data.background)
    if not job.folds:
        return plan, []
    blocks, reason = plan.block_px, plan.reason
    if not blocks:
        any_split = (0.5, 0.25, 0.25)
        found = plan_blocks(job, data.labels, data.grid, classes, any_split, None, scale)
        blocks, reason = found.block_px, found.reason
    return plan, plan_block_folds(job, blocks, data.labels, data.grid, classes, reason)


def write_dataset(
    job: TileJob, folder: Path, data: LabelledStack, plan: SplitPlan, output: Path, channel: Channel
) -> tuple[Dataset, geopandas.GeoDataFrame]:
    """Write the files of one dataset into a folder.

    Args:
        job: settings; its paths are relative to `folder`.
        folder: of the job.
        data: the stack with its labels.
        plan: of the split.
        output: folder of the dataset.
        channel: gets progress.

    Returns:
        The dataset and its tile index.

    Raises:
        GeoSegError: `not_writable`, `disk_full`, `write_failed`.
    """
    facts = data.facts
    prepare_folder(output)
    with whole_file(output / SPLIT_FILE) as split, whole_file(output / TILES_FILE) as tiles:
        counter = TileCounter(data.grid, job.tile_px, job.stride_px or job.tile_px, len(facts.classes))
        counts = write_split(plan, data.labels, facts.classes, split, counter, channel)
        frame = tile_frame(job, data, plan, counter)
        write_tiles(tiles, frame, split_frame(plan.splitter, data.grid))
        distance = min_split_distance_px(split)
        warnings = [
            *facts.warnings,
            *plan.problems,
            *distance_problems(distance, data.grid, REACH_PX),
            *split_problems(counts, facts.classes),
            *small_raster(data.grid, job.tile_px),
        ]
        dataset = _dataset(job, folder, data, plan, counts, output)
        dataset = replace(
            dataset,
            warnings=tuple(dict.fromkeys(warnings)),
            split_distance_px=distance,
            fingerprint=fingerprint(data.labels, split),
        )
    keep_blocks(plan, data.grid, output / BLOCKS_FILE)
    save_dataset(dataset, output)
    return dataset, frame


def tile_frame(
    job: TileJob, data: LabelledStack, plan: SplitPlan, counter: TileCounter
) -> geopandas.GeoDataFrame:
    """Return the tile index of a job from what was counted.

    Args:
        job: settings; including which tiles are left out.
        data: the stack with its labels.
        plan: of the split.
        counter: has counted all windows.
    """
    columns = count_columns(data.facts.classes)
    share = MOSTLY_SHARE if 0 < plan.block_px < job.tile_px else BELONGS_SHARE
    return without_empty_tiles(
        counter.frame(columns, share),
        columns,
        data.background,
        job.min_labelled_share,
        job.empty_share,
        job.seed,
    )


def _dataset(
    job: TileJob, folder: Path, data: LabelledStack, plan: SplitPlan, counts: np.ndarray, output: Path
) -> Dataset:
    facts, stack = data.facts, folder / job.stack
    written = (
        stack.with_name(stack.name.removesuffix(SUFFIX) + ".tif") if stack.name.endswith(SUFFIX) else stack
    )
    return Dataset(
        name=facts.name if output.resolve() == folder.resolve() else output.name,
        recipe=data.reader.recipe,
        labels=relative_to(data.labels, output),
        split=SPLIT_FILE,
        tiles=TILES_FILE,
        classes=facts.classes,
        stack=relative_to(written, output) if written.exists() else "",
        tile_px=job.tile_px,
        stride_px=job.stride_px or job.tile_px,
        block_px=plan.block_px,
        buffer_px=plan.buffer_px,
        unlabelled="background" if data.background else "unknown",
        counts={
            name: {str(item.id): int(counts[split, item.id]) for item in facts.classes}
            for split, name in enumerate(SPLITS)
        },
    )


def _check_same_grid(labels: Path, grid: Grid) -> None:
    source = Source("labels", str(labels), labels.stem)
    with open_source(source) as dataset:
        own = source_grid(source, dataset)
    if not same_grid(own, grid):
        raise GeoSegError(
            "other_grid",
            f"The labels have {own.width} × {own.height} pixels, the stack {grid.width} × {grid.height}, or their "
            "positions differ.",
            "Rasterize the labels on this stack.",
        )


def write_split(
    plan: SplitPlan,
    labels: Path,
    classes: tuple[LabelClass, ...],
    path: Path,
    counter: TileCounter,
    channel: Channel,
) -> np.ndarray:
    """Write the split raster, and count its tiles in passing; only labelled pixels get a split.

    Args:
        plan: of the split.
        labels: the label raster.
        classes: in the order of their ids.
        path: of the split raster.
        counter: gets every window.
        channel: gets progress.

    Returns:
        Labelled pixels per split and class, int64 (3, classes).
    """
    counts = np.zeros((len(SPLITS), len(classes)), np.int64)
    colours = tuple(
        LabelClass(index, name, "", colour)
        for index, (name, colour) in enumerate(zip(SPLITS, ("#377eb8", "#ff7f00", "#e41a1c"), strict=True))
    )
    grid = counter.grid
    total = window_count(grid, WRITE_PX)
    with (
        rasterio.open(labels) as raster,
        RasterWriter(path, grid, "uint8", NONE, ("split",), colours) as writer,
    ):
        for done, window in enumerate(windows(grid, WRITE_PX), 1):
            ids, codes = raster.read(1, window=window.rasterio), plan.splitter.window(window)
            codes[ids == IGNORE] = NONE
            counts += counts_of(codes, ids, len(classes))
            counter.add(window, ids, codes)
            writer.write(codes, window)
            channel.progress("split", done, total)
    return counts


def count_columns(classes: tuple[LabelClass, ...]) -> dict[int, str]:
    """Return class id -> `n_<name>`; names that a GeoPackage treats as equal get their id appended."""
    used_names: set[str] = set()
    columns = {}
    for item in classes:
        name = f"n_{item.name}"
        if name.casefold() in used_names:
            name = f"{name}_{item.id}"
        used_names.add(name.casefold())
        columns[item.id] = name
    return columns


def split_frame(splitter: Splitter, grid: Grid) -> geopandas.GeoDataFrame:
    """Return the area of every split as polygons: blocks, or the polygons of the area layer.

    Args:
        splitter: blocks or polygons.
        grid: of the label raster.

    Raises:
        TypeError: for another splitter.
    """
    if isinstance(splitter, Regions):
        shapes = list(splitter.shapes)
        if splitter.carve is not None:
            train = shapely.union_all([shape for shape, code in shapes if code == 0])
            shapes = [item for item in shapes if item[1] != 0]
            boxes = [(shapely.intersection(box, train), code) for box, code in _boxes(splitter.carve, grid)]
            shapes += [(box, code) for box, code in boxes if shapely.area(box) > 0]
    elif isinstance(splitter, Blocks):
        shapes = _boxes(splitter, grid)
    else:
        raise TypeError(f"a split by {type(splitter).__name__} has no polygons")
    names = [SPLITS[code] for _, code in shapes]
    return geopandas.GeoDataFrame({"split": names}, geometry=[shape for shape, _ in shapes], crs=grid.crs)


def _boxes(blocks: Blocks, grid: Grid) -> list[tuple[shapely.Geometry, int]]:
    side = blocks.block_px
    return [
        (
            shapely.box(
                *grid_bounds(
                    grid, Window(row * side, col * side, side, side).clipped(grid.height, grid.width)
                )
            ),
            int(blocks.codes[row, col]),
        )
        for row, col in np.argwhere(blocks.codes != NONE)
    ]


def write_tiles(path: Path, tiles: geopandas.GeoDataFrame, splits: geopandas.GeoDataFrame) -> None:
    """Write the layers `tiles` and `blocks` of a GeoPackage.

    Args:
        path: of the GeoPackage.
        tiles: see `TileCounter.frame`.
        splits: see `split_frame`.

    Raises:
        GeoSegError: `not_writable`, `disk_full`, `write_failed`.
    """
    with whole_file(path) as partial:
        write_layer(tiles, partial, "tiles")
        write_layer(splits, partial, "blocks", append=True)


def split_problems(counts: np.ndarray, classes: tuple[LabelClass, ...]) -> list[Problem]:
    """Return warnings about splits without labels and classes without pixels in one of them.

    Args:
        counts: labelled pixels per split and class, int64 (3, classes).
        classes: in the order of their ids.
    """
    problems = []
    for split, name in enumerate(SPLITS):
        if not counts[split].any():
            problems.append(
                Problem(
                    "empty_split",
                    f"The {name} split has no labelled pixel.",
                    "Draw polygons in more places, or choose smaller blocks or a narrower buffer.",
                    "warning",
                )
            )
    for item in classes:
        if not counts[:, item.id].any():
            continue
        without = [
            name for split, name in enumerate(SPLITS) if counts[split].any() and not counts[split, item.id]
        ]
        if without:
            code = "class_without_training" if "train" in without else "class_missing"
            problems.append(
                Problem(
                    code,
                    f"Class '{item.name}' has no pixel in {' and '.join(without)}.",
                    "Draw more of it in other places, choose smaller blocks, or another seed.",
                    "warning",
                )
            )
    return problems


def small_raster(grid: Grid, tile_px: int) -> list[Problem]:
    """Return a warning if a grid is smaller than one tile.

    Args:
        grid: of the stack.
        tile_px: side of a tile.
    """
    if min(grid.width, grid.height) >= tile_px:
        return []
    return [
        Problem(
            "smaller_than_tile",
            f"The rasters share {grid.width} × {grid.height} pixels, less than a tile of {tile_px}.",
            "Choose a smaller tile; training pads what is missing.",
            "warning",
        )
    ]
