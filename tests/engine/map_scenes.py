"""Rasters and polygons for the job `map`: bright and dark squares, and what is drawn of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from data_scenes import one_band_each, pixel_box, sources_of, write_polygons, write_raster
from recorder import Recorder

from geoseg_engine.contract import Area, ForestJob, Labels, MapJob, TileJob
from geoseg_engine.mapmaking import update

ROWS, COLS, SIDE = 160, 192, 8
FAST = ForestJob("", trees=8, search=False)


def write_scene(folder: Path, seed: int = 0) -> tuple[Path, list[tuple[int, int]]]:
    """A raster of two bands with bright squares. Returns its path and the corners (row, col) of the squares."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    image = random.normal(0, 8, (2, ROWS, COLS)).astype(np.float32)
    corners = [(row, col) for row in range(4, ROWS - SIDE, 16) for col in range(4, COLS - SIDE, 16)]
    for row, col in corners:
        image[0, row : row + SIDE, col : col + SIDE] += 45
    return write_raster(folder / "image.tif", image + 100), corners


def write_labels(path: Path, squares, background=()) -> Path:
    """Polygons of squares (class `bright`) and of ground between them (class `dark`)."""
    boxes = [pixel_box(row, col, SIDE, SIDE) for row, col in squares]
    boxes += [pixel_box(row, col, 5, 5) for row, col in background]
    kinds = ["bright"] * len(squares) + ["dark"] * len(background)
    path.unlink(missing_ok=True)
    return write_polygons(path, boxes, kind=kinds)


def between(corners):
    """Places between squares, one below each."""
    return [(row + SIDE + 1, col) for row, col in corners if row + SIDE + 7 < ROWS]


def map_job(folder: Path, **changes) -> MapJob:
    """A map of the scene in a folder, with a small forest; made in `out`."""
    sources = sources_of(folder / "image.tif")
    job = MapJob(
        sources,
        Labels(str(folder / "labels.gpkg")),
        "kind",
        one_band_each(sources),
        area=Area("rasters"),
        model="forest",
        baseline=FAST,
        split=TileJob("", "", tile_px=16, block_px=16, buffer_px=2),
        final_model="training",
        output="out",
    )
    job = replace(job, labels=replace(job.labels, unlabelled="unknown"))
    return replace(job, **changes)


def make(folder: Path, **changes):
    """Run the job. Returns its result and its channel."""
    channel = Recorder(folder)
    try:
        return update.run(map_job(folder, **changes), folder, channel), channel
    finally:
        channel._record.close()


def redone(result) -> list[str]:
    return [item["stage"] for item in result["redone"]]
