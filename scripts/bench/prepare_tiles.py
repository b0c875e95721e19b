"""The tile index with class counts of a label raster beside one sequential read of it with rasterio.

Both sides are processes of the engine's Python that import first and then time themselves; the index ends as the
written tiles.gpkg. The note has the time of counting without writing it, and of the whole job `tile`, which
plans and writes the split too.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import rasterio
from measuring import ENGINE_ENV, Row, compared, engine_command, function_command, timed
from rasterio.transform import from_origin

SIDE_PX, SMALL_PX = 40_000, 1_500
TILE_PX, CLASSES, PATCH_PX = 256, 6, 61
STRIP_PX = 512


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Make the labels, then count and read them by turns."""
    side = SMALL_PX if small else SIDE_PX
    labels = make(folder, side)
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: child(folder, "index", labels), lambda: child(folder, "read", labels), repeat
    )
    counting = json.loads((folder / "index.json").read_text(encoding="utf-8"))["counting_s"]
    job_s = timed([engine_command(folder / "job", "tile", job(folder, labels))], ENGINE_ENV)
    return Row(
        f"tile index with class counts, {side}², tiles of {TILE_PX} px",
        "one sequential read with rasterio",
        ours_s,
        beside_s,
        ratio,
        1.5,
        peak_mb,
        note=f"counting alone {counting:.2f} s; whole job with split {job_s[0]:.1f} s and {job_s[1]:.0f} MB",
        agrees=same_counts(folder, labels),
    )


def make(folder: Path, side: int) -> Path:
    """Labels of six classes in patches with ragged rims, two fifths of the ground without label."""
    path = folder / "labels.tif"
    profile = {
        "driver": "GTiff",
        "crs": "EPSG:32631",
        "transform": from_origin(500_000, 5_000_000, 1, 1),
        "width": side,
        "height": side,
        "count": 1,
        "dtype": "uint8",
        "nodata": 255,
        "tiled": True,
        "blockxsize": STRIP_PX,
        "blockysize": STRIP_PX,
        "compress": "zstd",
        "zstd_level": 1,
        "num_threads": "all_cpus",
    }
    random = np.random.default_rng(0)
    cells = -(-side // PATCH_PX) + 2
    patches = random.integers(0, CLASSES, (cells, cells)).astype(np.uint8)
    patches[random.random(patches.shape) < 0.4] = 255
    bend = (8 * np.sin(np.arange(side) / 23)).astype(int) + 8
    cols = np.arange(side)
    with rasterio.open(path, "w", **profile) as raster:
        for row in range(0, side, STRIP_PX):
            rows = np.arange(row, min(row + STRIP_PX, side))
            place = (
                (rows[:, None] + bend[None, :]) // PATCH_PX,
                (cols[None, :] + bend[rows][:, None]) // PATCH_PX,
            )
            window = rasterio.windows.Window(0, row, side, len(rows))
            raster.write(patches[place], 1, window=window)
    names = ["background", *"abcde"]
    facts = {
        "name": "labels",
        "classes": [{"id": number, "name": name} for number, name in enumerate(names)],
        "unlabelled": "background",
    }
    (folder / "labels.classes.json").write_text(json.dumps(facts), encoding="utf-8")
    return path


def child(folder: Path, what: str, labels: Path) -> tuple[float, float]:
    """Seconds that a process says it took, and its peak memory in MB."""
    _, peak_mb = timed([function_command(__file__, what, labels)])
    seconds: float = json.loads((folder / f"{what}.json").read_text(encoding="utf-8"))["s"]
    return seconds, peak_mb


def job(folder: Path, labels: Path) -> dict:
    """The whole job; the labels themselves stand in for a stack of one band."""
    return {
        "stack": str(labels),
        "labels": str(labels),
        "tile_px": TILE_PX,
        "output": str(folder / "dataset"),
    }


def same_counts(folder: Path, labels: Path) -> bool:
    """Whether the tiles' counts add up to the raster's."""
    total = np.zeros(256, np.int64)
    with rasterio.open(labels) as raster:
        for row in range(0, raster.height, STRIP_PX):
            window = rasterio.windows.Window(0, row, raster.width, min(STRIP_PX, raster.height - row))
            total += np.bincount(raster.read(1, window=window).ravel(), minlength=256)
        whole = raster.width % TILE_PX == 0 and raster.height % TILE_PX == 0
    found = json.loads((folder / "index.json").read_text(encoding="utf-8"))["counts"]
    return found == total[:CLASSES].tolist() if whole else all(np.array(found) >= total[:CLASSES])


def index(file: str) -> None:
    """Count the tiles of a label raster, write their index and, beside it, how long that took."""
    from geoseg_engine.contract import LabelClass
    from geoseg_engine.dataset.tile_index import TileCounter, count_labels
    from geoseg_engine.raster.sources import Source, open_source, source_grid
    from geoseg_engine.vector.geopackage import write_layer

    classes = tuple(LabelClass(number, str(number)) for number in range(CLASSES))
    labels = Path(file)
    source = Source("labels", file)
    started = time.perf_counter()
    with open_source(source) as dataset:
        grid = source_grid(source, dataset)
    counter = TileCounter(grid, TILE_PX, TILE_PX, CLASSES)
    count_labels(labels, counter)
    counted = time.perf_counter()
    frame = counter.frame({item.id: f"n_{item.name}" for item in classes}, 0.9)
    write_layer(frame, labels.with_name("tiles.gpkg"), "tiles")
    ended = time.perf_counter()
    counts = counter.label_counts().sum(axis=0).tolist()
    answer = {"s": ended - started, "counting_s": counted - started, "counts": counts}
    labels.with_name("index.json").write_text(json.dumps(answer), encoding="utf-8")


def read(file: str) -> None:
    """Read every row of blocks once and write, beside the raster, how long that took."""
    started = time.perf_counter()
    with rasterio.open(file) as raster:
        for row in range(0, raster.height, STRIP_PX):
            window = rasterio.windows.Window(0, row, raster.width, min(STRIP_PX, raster.height - row))
            raster.read(1, window=window)
    answer = {"s": time.perf_counter() - started}
    Path(file).with_name("read.json").write_text(json.dumps(answer), encoding="utf-8")
