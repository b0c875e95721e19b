"""The job `clean` with a least area beside `gdal_sieve.py`, on a class map with specks.

`python scripts/bench/predict_clean.py [--side 10000] [--repeat 3] [--small]` in the engine environment prints a row.
Ours writes a compressed, tiled raster with overviews, colours and names and counts it; the peer writes a plain one. The
note says how many pixels the two give another class: GDAL leaves small patches whose largest neighbour is small too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "training")]

import numpy as np  # noqa: E402
import rasterio  # noqa: E402
from measuring import (  # noqa: E402
    ENGINE_ENV,
    TABLE_HEAD,
    Row,
    add_small,
    compared,
    engine_command,
    measure_row,
    timed,
)

from geoseg_engine.contract import IGNORE, Grid, LabelClass  # noqa: E402
from geoseg_engine.raster.grid import Window  # noqa: E402
from geoseg_engine.raster.writer import RasterWriter  # noqa: E402

MIN_PX, CLASSES, PATCH_PX, SPECKS = 20, 6, 61, 0.003
STRIP_PX = 512
SIDE_PX, SMALL_PX = 10_000, 600
PEAK_BAR_MB = 1_000


def main() -> int:
    """Print the row; the exit code is 1 if it does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, metavar="PX", help=f"default {SIDE_PX}; {SMALL_PX} with --small")
    parser.add_argument("--repeat", type=int, help="default 3; 1 with --small")
    add_small(parser)
    options = parser.parse_args()
    side = options.side or (SMALL_PX if options.small else SIDE_PX)
    repeat = options.repeat or (1 if options.small else 3)
    print(TABLE_HEAD)
    row = measure_row("clean", lambda folder: run(folder, repeat, side), None, options.small)
    return int(row is not None and not options.small and not row.holds)


def run(folder: Path, repeat: int, side: int) -> Row:
    """Make the map, then clean it by turns."""
    classes = make(folder, side)
    job = {"classes": str(classes), "cleaning": {"min_patch_px": MIN_PX}}
    ours = engine_command(folder / "job", "clean", job)
    beside = ["gdal_sieve.py", "-q", "-st", str(MIN_PX), "-4", str(classes), str(folder / "sieved.tif")]
    ours_s, beside_s, ratio, peak_mb = compared(
        lambda: timed([ours], ENGINE_ENV), lambda: timed([beside]), repeat
    )
    share = difference(folder / "job" / "cleaned.tif", folder / "sieved.tif")
    return Row(
        f"small patches removed, {side}², start of the process included",
        "gdal_sieve.py",
        ours_s,
        beside_s,
        ratio,
        3.0,
        peak_mb,
        PEAK_BAR_MB,
        note=f"{100 * share:.2g} % of pixels differ",
        agrees=share < 0.01,
    )


def make(folder: Path, side: int) -> Path:
    """Six classes in patches with ragged rims, and specks of a pixel or some."""
    path = folder / "classes.tif"
    grid = Grid("EPSG:32631", (1.0, 0.0, 500_000.0, 0.0, -1.0, 5_000_000.0), side, side)
    legend = [LabelClass(number, f"class {number}") for number in range(CLASSES)]
    random = np.random.default_rng(0)
    cells = -(-side // PATCH_PX) + 2
    patches = random.integers(0, CLASSES, (cells, cells)).astype(np.uint8)
    bend = (8 * np.sin(np.arange(side) / 23)).astype(int) + 8
    cols = np.arange(side)
    with RasterWriter(path, grid, "uint8", IGNORE, ["class"], legend) as writer:
        for row in range(0, side, STRIP_PX):
            rows = np.arange(row, min(row + STRIP_PX, side))
            ids = patches[
                (rows[:, None] + bend[None, :]) // PATCH_PX, (cols[None, :] + bend[rows][:, None]) // PATCH_PX
            ]
            specks = random.random(ids.shape) < SPECKS
            specks[:, 1:] |= specks[:, :-1]
            ids[specks] = random.integers(0, CLASSES, int(specks.sum()))
            writer.write(ids, Window(row, 0, len(rows), side))
    return path


def difference(one: Path, other: Path) -> float:
    """Share of pixels that differ."""
    count = 0
    with rasterio.open(one) as ours, rasterio.open(other) as beside:
        for row in range(0, ours.height, STRIP_PX):
            window = rasterio.windows.Window(0, row, ours.width, min(STRIP_PX, ours.height - row))
            count += int((ours.read(1, window=window) != beside.read(1, window=window)).sum())
        return count / (ours.width * ours.height)


if __name__ == "__main__":
    raise SystemExit(main())
