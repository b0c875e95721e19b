"""The job `tile`: split of a label raster and an index of its tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas
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
from ..outputs import prepare_folder, whole_file
from ..raster.grid import Window, grid_bounds, same_grid, window_count, window_px, windows
from ..raster.sources import open_source, source_grid
from ..raster.writer import RasterWriter
from ..stacking.reader import StackReader, open_stack
from ..stacking.recipes import SUFFIX
from ..vector.geopackage import write_layer
from .datasets import fingerprint, relative_to, save_dataset
from .labels import LabelFacts, read_facts
from .split import NONE, Blocks, Regions, Splitter
from .splitplan import SplitPlan, plan_split

SPLIT_FILE, TILES_FILE = "split.tif", "tiles.gpkg"
WRITE_PX = 1024
BELONGS_SHARE = 0.9
"""Share of a tile's counted pixels that must lie in one split for the tile to be shown as its own."""

MOSTLY_SHARE = 0.5
"""The same where blocks are smaller than tiles and no tile can lie in one block."""


def run(job: TileJob, folder: Path, channel: Channel) -> dict[str, Any]:
    """Split the labels; leaves split.tif, tiles.gpkg and dataset.json in the output folder.

    All three are new or, where it fails or is cancelled, all as they were.

    Raises:
        GeoSegError: `not_our_labels`, `other_grid`, `no_labels_left`; as `plan_split` and `open_stack`.
    """
    output, labels = folder / job.output, folder / job.labels
    facts = read_facts(labels)
    prepare_folder(output)
    with open_stack(folder / job.stack) as reader:
        _refuse_other_grid(labels, reader.grid)
        plan = plan_split(job, labels, reader.grid, len(facts.classes))
        with whole_file(output / SPLIT_FILE) as split, whole_file(output / TILES_FILE) as tiles:
            counts = write_split(plan, labels, reader.grid, facts.classes, split, channel)
            frame = tile_index(job, labels, split, reader, facts.classes, _share(plan, job), channel)
            write_tiles(tiles, frame, split_frame(plan.splitter, reader.grid))
            warnings = [
                *facts.warnings,
                *plan.problems,
                *split_problems(counts, facts.classes),
                *small_raster(reader.grid, job.tile_px),
            ]
            dataset = _dataset(job, folder, reader, facts, plan, counts, tuple(dict.fromkeys(warnings)))
            dataset = replace(dataset, fingerprint=fingerprint(labels, split))
    path = save_dataset(dataset, output)
    channel.artifact("dataset", path)
    channel.artifact("tiles", output / TILES_FILE)
    return {
        "dataset": str(path),
        "tiles": str(output / TILES_FILE),
        "counts": dataset.counts,
        "tile_counts": {name: int((frame["split"] == name).sum()) for name in (*SPLITS, "unused")},
        "block_px": plan.block_px,
        "buffer_px": plan.buffer_px,
        "warnings": encode(dataset.warnings),
    }


def _dataset(
    job: TileJob,
    folder: Path,
    reader: StackReader,
    facts: LabelFacts,
    plan: SplitPlan,
    counts: np.ndarray,
    warnings: tuple[Problem, ...],
) -> Dataset:
    output = folder / job.output
    stack = folder / job.stack
    written = (
        stack.with_name(stack.name.removesuffix(SUFFIX) + ".tif") if stack.name.endswith(SUFFIX) else stack
    )
    return Dataset(
        name=facts.name if output.resolve() == folder.resolve() else output.name,
        recipe=reader.recipe,
        labels=relative_to(folder / job.labels, output),
        split=SPLIT_FILE,
        tiles=TILES_FILE,
        classes=facts.classes,
        stack=relative_to(written, output) if written.exists() else "",
        tile_px=job.tile_px,
        stride_px=job.stride_px or job.tile_px,
        block_px=plan.block_px,
        buffer_px=plan.buffer_px,
        unlabelled="background" if facts.unlabelled == "background" else "unknown",
        counts={
            name: {str(item.id): int(counts[split, item.id]) for item in facts.classes}
            for split, name in enumerate(SPLITS)
        },
        warnings=warnings,
    )


def _refuse_other_grid(labels: Path, grid: Grid) -> None:
    source = Source("labels", str(labels), labels.stem)
    with open_source(source) as dataset:
        own = source_grid(source, dataset)
    if not same_grid(own, grid):
        raise GeoSegError(
            "other_grid",
            f"The labels have {own.width} × {own.height} pixels, the stack {grid.width} × {grid.height}, or they lie "
            "elsewhere.",
            "Rasterize the labels on this stack.",
        )


def write_split(
    plan: SplitPlan,
    labels: Path,
    grid: Grid,
    classes: tuple[LabelClass, ...],
    path: Path,
    channel: Channel,
) -> np.ndarray:
    """Write the split raster; only labelled pixels get a split.

    Returns:
        Labelled pixels per split and class, int64 (3, classes).
    """
    counts = np.zeros((len(SPLITS), len(classes)), np.int64)
    colours = tuple(
        LabelClass(index, name, "", colour)
        for index, (name, colour) in enumerate(zip(SPLITS, ("#377eb8", "#ff7f00", "#e41a1c"), strict=True))
    )
    total = window_count(grid, WRITE_PX)
    with (
        rasterio.open(labels) as raster,
        RasterWriter(path, grid, "uint8", NONE, ("split",), colours) as writer,
    ):
        for done, window in enumerate(windows(grid, WRITE_PX), 1):
            ids, codes = raster.read(1, window=window.rasterio), plan.splitter.window(window)
            codes[ids == IGNORE] = NONE
            counted = codes != NONE
            np.add.at(counts, (codes[counted], ids[counted]), 1)
            writer.write(codes, window)
            channel.progress("split", done, total)
    return counts


def _share(plan: SplitPlan, job: TileJob) -> float:
    return MOSTLY_SHARE if 0 < plan.block_px < job.tile_px else BELONGS_SHARE


def tile_starts(length: int, tile_px: int, stride_px: int) -> list[int]:
    """First pixels of tiles along one side: the last is moved inwards to end at the edge."""
    if length <= tile_px:
        return [0]
    starts = list(range(0, length - tile_px + 1, stride_px))
    return starts if starts[-1] + tile_px == length else [*starts, length - tile_px]


@dataclass(frozen=True)
class Strip:
    """A row of tiles: label ids, splits and validity, each (rows, cols) over the full width."""

    ids: np.ndarray
    codes: np.ndarray
    valid: np.ndarray


def tile_index(
    job: TileJob,
    labels: Path,
    split: Path,
    reader: StackReader,
    classes: tuple[LabelClass, ...],
    belongs_share: float,
    channel: Channel,
) -> geopandas.GeoDataFrame:
    """One polygon a tile: its split, how much is valid and labelled, pixels per class.

    A tile is of a split if at least `belongs_share` of its pixels that have a split are of that one; else it is
    `unused`, in the picture only: training and scores go by pixels.
    """
    grid, stride = reader.grid, job.stride_px or job.tile_px
    rows = tile_starts(grid.height, job.tile_px, stride)
    cols = tile_starts(grid.width, job.tile_px, stride)
    records: list[dict[str, Any]] = []
    boxes: list[shapely.Geometry] = []
    with rasterio.open(labels) as label_raster, rasterio.open(split) as split_raster:
        for done, row in enumerate(rows, 1):
            window = Window(row, 0, min(job.tile_px, grid.height), grid.width)
            strip = Strip(
                label_raster.read(1, window=window.rasterio),
                split_raster.read(1, window=window.rasterio),
                _valid(reader, window),
            )
            for col in cols:
                tile = Window(row, col, window.height, min(job.tile_px, grid.width))
                records.append(_tile(strip, tile, classes, job.tile_px, belongs_share))
                boxes.append(shapely.box(*grid_bounds(grid, tile)))
            channel.progress("tiles", done, len(rows))
    frame = geopandas.GeoDataFrame(pandas.DataFrame(records), geometry=boxes, crs=grid.crs)
    frame.insert(0, "tile_id", np.arange(len(frame)))
    return frame


def _valid(reader: StackReader, strip: Window) -> np.ndarray:
    """Boolean (rows, cols): pixels with a value in every band; read in pieces, for memory."""
    side = window_px(len(reader.band_names))
    pieces = [
        Window(strip.row, col, strip.height, min(side, strip.width - col))
        for col in range(0, strip.width, side)
    ]
    return np.concatenate([np.isfinite(reader.read(piece)).all(axis=0) for piece in pieces], axis=1)


def _tile(
    strip: Strip, tile: Window, classes: tuple[LabelClass, ...], tile_px: int, share: float
) -> dict[str, Any]:
    part = np.s_[:, tile.col : tile.col + tile.width]
    ids, codes = strip.ids[part], strip.codes[part]
    per_class = np.bincount(ids.ravel(), minlength=256)
    per_split = np.bincount(codes.ravel(), minlength=256)[: len(SPLITS)]
    most = int(per_split.argmax())
    belongs = per_split.sum() > 0 and per_split[most] >= share * per_split.sum()
    return {
        "row": tile.row,
        "col": tile.col,
        "split": SPLITS[most] if belongs else "unused",
        "valid_share": round(float(strip.valid[part].sum()) / tile_px**2, 4),
        "labelled_share": round(float((ids != IGNORE).sum()) / tile_px**2, 4),
        **{column: int(per_class[id]) for id, column in count_columns(classes).items()},
    }


def count_columns(classes: tuple[LabelClass, ...]) -> dict[int, str]:
    """Class id -> `n_<name>`; names that a GeoPackage would take for one get their id appended."""
    taken: set[str] = set()
    columns = {}
    for item in classes:
        name = f"n_{item.name}"
        if name.casefold() in taken:
            name = f"{name}_{item.id}"
        taken.add(name.casefold())
        columns[item.id] = name
    return columns


def split_frame(splitter: Splitter, grid: Grid) -> geopandas.GeoDataFrame:
    """The ground of every split as polygons: blocks, or the polygons of the area layer."""
    if isinstance(splitter, Regions):
        shapes = list(splitter.shapes)
        if splitter.carve is not None:
            ground = shapely.union_all([shape for shape, code in shapes if code == 0])
            shapes = [item for item in shapes if item[1] != 0]
            boxes = [(shapely.intersection(box, ground), code) for box, code in _boxes(splitter.carve, grid)]
            shapes += [(box, code) for box, code in boxes if shapely.area(box) > 0]
    else:
        assert isinstance(splitter, Blocks)
        shapes = _boxes(splitter, grid)
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
    """Write the layers `tiles` and `blocks` of a GeoPackage."""
    with whole_file(path) as partial:
        write_layer(tiles, partial, "tiles")
        write_layer(splits, partial, "blocks", append=True)


def split_problems(counts: np.ndarray, classes: tuple[LabelClass, ...]) -> list[Problem]:
    """Splits without labels and classes without pixels in one of them."""
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
    """A raster that is smaller than one tile."""
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
