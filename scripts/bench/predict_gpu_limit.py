"""As `predict_limit`, on a GPU of any maker; the limit is the network's or that of decoding, whichever is lower."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import rasterio
from measuring import Row
from predict_limit import GPU_BAR, beside_limit, measured
from predict_runs import prepared, size_for
from train_steps import first_gpu

from geoseg_engine.raster.stream import worker_count

STRIP_PX = 512


def run(folder: Path, repeat: int, small: bool) -> Row:
    """Row of the first GPU; on the CPU where there is none, to try the script out."""
    gpu, place = first_gpu(), prepared(folder.parent, size_for(small))
    row = beside_limit(folder, repeat, small, str(gpu), GPU_BAR)
    first = measured(folder.parent, repeat, small, str(gpu))[0][0]
    side = first.result["grid"]["width"]
    decoding_s = side * side / decoded_px_per_s(place / "image.tif")
    told = f"{row.note}; {gpu.name}; decoding alone {decoding_s:.2f} s in {worker_count()} threads"
    if decoding_s <= row.beside_s:
        return replace(row, note=told)
    return replace(
        row, beside=f"decoding, which is slower than {row.beside}", beside_s=decoding_s,
        ratio=row.ours_s / decoding_s, note=told,
    )  # fmt: skip


def decoded_px_per_s(path: Path) -> float:
    """Pixels a second of reading a raster in strips, in as many threads as a prediction has."""
    with rasterio.open(path) as raster:
        height, width = raster.height, raster.width

    def read(first: int) -> None:
        with rasterio.open(path) as raster:
            for row in range(first * STRIP_PX, height, worker_count() * STRIP_PX):
                raster.read(window=((row, min(row + STRIP_PX, height)), (0, width)))

    started = time.perf_counter()
    with ThreadPoolExecutor(worker_count()) as pool:
        list(pool.map(read, range(worker_count())))
    return height * width / (time.perf_counter() - started)
